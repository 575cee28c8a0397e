"""One row per request that arrived, so that sent = stored + duplicate + rejected can be checked for any stretch
of time.

Stored requests get their row from `traces.store`, in the transaction that stores them. Refused ones (undecodable, too
large, over quota, overload) are counted here and written together, at most once a second.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stanchion_server.ingest.clients import OTHER
from stanchion_server.ingest.records import Alteration, Batch, Decoded, LogRecord, RawPoint, Rejection, SpanRecord

MAX_DETAIL_LENGTH = 1_000
# No fault of the sender, or nothing lost: counted, but not worth a warning with every batch.
_QUIET = Alteration.SECRET_MASKED | Alteration.TOKENS_CORRECTED | Alteration.NEGATIVE_DURATION


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is known of a request before it is stored; `stored` and `duplicate` come from the store.

    `rejected` counts items this side refused, `reasons` the same by reason code; `altered` counts items accepted with a
    change, `alterations` them by lower-case name of `records.Alteration` (an item may have several). `client` is
    bounded text, see `ingest.clients`.
    """

    api_key_id: int
    signal: str
    client: str
    body_bytes: int
    sent: int
    rejected: int = 0
    altered: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    alterations: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""


_Key = tuple[int, int, str, str]


@dataclass(slots=True)
class _Tally:
    reasons: dict[str, int] = field(default_factory=dict)
    body_bytes: int = 0
    detail: str = ""


class Refusals:
    """Counts requests refused as a whole until they are written. Process-local, thread-safe, bounded: what comes
    beyond `max_senders` between two writes is counted under `clients.OTHER`."""

    def __init__(self, every_s: float = 1.0, max_senders: int = 1_000) -> None:
        self._every_s = every_s
        self._max_senders = max_senders
        self._tallies: dict[_Key, _Tally] = {}
        self._taken_at_s = -every_s
        self._lock = threading.Lock()

    def note(
        self, project_id: int, api_key_id: int, signal: str, client: str, *, reason: str, detail: str, body_bytes: int
    ) -> None:
        key = (project_id, api_key_id, signal, client)
        with self._lock:
            if key not in self._tallies and len(self._tallies) >= self._max_senders:
                key = (project_id, api_key_id, signal, OTHER)
            tally = self._tallies.setdefault(key, _Tally())
            tally.reasons[reason] = tally.reasons.get(reason, 0) + 1
            tally.body_bytes += body_bytes
            tally.detail = detail[:MAX_DETAIL_LENGTH]

    def take(self, now_s: float, *, is_forced: bool = False) -> list[tuple[int, LedgerEntry]]:
        """What is due as (project, entry), forgotten here: the caller writes it, or notes it again with `give_back`."""
        with self._lock:
            if not self._tallies or (now_s - self._taken_at_s < self._every_s and not is_forced):
                return []
            self._taken_at_s = now_s
            taken, self._tallies = self._tallies, {}
        return [(key[0], _refused(key, tally)) for key, tally in taken.items()]

    def give_back(self, project_id: int, entry: LedgerEntry) -> None:
        key = (project_id, entry.api_key_id, entry.signal, entry.client)
        with self._lock:
            if key not in self._tallies and len(self._tallies) >= self._max_senders:
                return
            tally = self._tallies.setdefault(key, _Tally(detail=entry.detail))
            tally.body_bytes += entry.body_bytes
            for reason, count in entry.reasons.items():
                tally.reasons[reason] = tally.reasons.get(reason, 0) + count


def _refused(key: _Key, tally: _Tally) -> LedgerEntry:
    _, api_key_id, signal, client = key
    return LedgerEntry(api_key_id, signal, client, tally.body_bytes, 0, reasons=tally.reasons, detail=tally.detail)


def stored(decoded: Decoded, batch: Batch, api_key_id: int, signal: str, client: str, body_bytes: int) -> LedgerEntry:
    """The entry of a request whose items are about to be stored as `batch`."""
    reasons: Counter[str] = Counter()
    for rejection in decoded.rejections:
        reasons[rejection.reason] += rejection.count
    items: Iterable[SpanRecord | LogRecord | RawPoint] = (*batch.spans, *batch.logs, *decoded.points)
    changed = [item.alterations for item in items if item.alterations]
    alterations: Counter[str] = Counter()
    for flags in changed:
        alterations.update(str(flag.name).lower() for flag in Alteration(flags))
    return LedgerEntry(
        api_key_id,
        signal,
        client,
        body_bytes,
        decoded.sent,
        rejected=sum(reasons.values()),
        altered=len(changed),
        reasons=dict(reasons),
        alterations=dict(alterations),
        detail=describe(decoded.rejections),
    )


def describe(rejections: Iterable[Rejection]) -> str:
    """English sentences for the sender: how many, why, and what to do."""
    parts = [f"{r.count} refused ({r.reason}): {r.detail}" for r in rejections]
    return " ".join(parts)[:MAX_DETAIL_LENGTH]


def message(decoded: Decoded, entry: LedgerEntry) -> str:
    """What the sender is told about refused and changed items; empty when there is nothing to say."""
    loud = [name for name in entry.alterations if not Alteration[name.upper()] & _QUIET]
    changes = f"{entry.altered} stored with changes: {', '.join(sorted(loud))}." if loud else ""
    return " ".join(part for part in (describe(decoded.rejections), changes) if part)
