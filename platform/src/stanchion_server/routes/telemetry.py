"""Telemetry in: from a request body to rows, and what happens to them afterwards.

decode -> window -> scrub -> normalise -> price -> store, with a scoring job for each call -> outcome. The caller may
answer 200 when `accept` returns: what it counts as stored is committed. Everything after the commit is a wake-up that
may be lost; `settle` and scoring find their work in the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from celery import shared_task

from stanchion_server.costs import arriving
from stanchion_server.costs import selectors as prices
from stanchion_server.costs import settle as settling
from stanchion_server.gpu import registry
from stanchion_server.ingest import clients, decode, ledger, normalise, scrub, window
from stanchion_server.ingest import selectors as received
from stanchion_server.ingest.admission import Gate
from stanchion_server.ingest.records import Batch, Decoded
from stanchion_server.kernel import clock, db, turns
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.quality import jobs, keeping, outside
from stanchion_server.traces import partitions, retention, store

Signal = Literal["traces", "logs", "metrics"]

refusals = ledger.Refusals()
_client_names = clients.Names()
_DECODERS: dict[Signal, Callable[..., Decoded]] = {
    "traces": decode.decode_traces,
    "logs": decode.decode_logs,
    "metrics": decode.decode_metrics,
}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent the request, and the project's rules for it."""

    project_id: int
    api_key_id: int
    user_agent: str
    late_window_days: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the items: sent == stored + duplicate + rejected. `message` is for the sender, empty when there is
    nothing to say."""

    sent: int
    stored: int
    duplicate: int
    rejected: int
    message: str


def accept(
    sender: Sender, signal: Signal, body: bytes, encoding: decode.Encoding, *, body_bytes: int, gate: Gate
) -> Outcome:
    """Stores what one inflated request body holds. Raises SenderError when nothing of it can be read, Unavailable when
    it could not be stored now; nothing is kept then."""
    with gate.parse(), db.away_is_unavailable():
        decoded = _decode(sender, signal, body, encoding)
        batch = _prepare(sender.project_id, decoded)
        client = _client_names.bounded(sender.project_id, clients.of(decoded, sender.user_agent))
        entry = ledger.stored(decoded, batch, sender.api_key_id, signal, client, body_bytes)
    result = store.store(sender.project_id, batch, entry, (jobs.of_written, outside.of_written, registry.of_written))
    return Outcome(entry.sent, result.stored, result.duplicate, entry.rejected, ledger.message(decoded, entry))


def check_quota(project_id: int, signal: Signal, daily_span_quota: int | None) -> None:
    """Raises SenderError 429 when the project's spans of today (UTC) have used up its quota."""
    if daily_span_quota is None or signal != "traces":
        return
    with db.away_is_unavailable():
        spans = received.spans_today(project_id, clock.now())
    if spans >= daily_span_quota:
        raise SenderError(
            "quota",
            f"The project's quota of {daily_span_quota} spans for today (UTC) is used up. Raise it, or sample.",
            429,
        )


def _decode(sender: Sender, signal: Signal, body: bytes, encoding: decode.Encoding) -> Decoded:
    now = clock.now()
    decoded = _DECODERS[signal](body, encoding, clock.now_ns(), decode.Limits())
    decoded = window.split_by_window(decoded, now, sender.late_window_days)
    return scrub.mask_secrets(decoded)


def _prepare(project_id: int, decoded: Decoded) -> Batch:
    spans = normalise.normalise_spans(decoded.spans, clock.now_ns())
    logs, log_contents = normalise.normalise_logs(decoded.logs)
    points = normalise.normalise_points(decoded.points)
    calls = spans.calls
    if calls:
        calls = arriving.priced(calls, spans.spans, prices.book(project_id))
    return Batch(spans.spans, calls, spans.contents + log_contents, logs, points, spans.decisions)


def refuse(sender: Sender, signal: str, error: SenderError | Unavailable, body_bytes: int) -> None:
    """Counts a request that was refused as a whole, for the ingest-health page."""
    reason = error.code if isinstance(error, SenderError) else "overload"
    detail = error.message if isinstance(error, SenderError) else error.reason
    client = _client_names.bounded(sender.project_id, clients.from_user_agent(sender.user_agent))
    refusals.note(
        sender.project_id, sender.api_key_id, signal, client, reason=reason, detail=detail, body_bytes=body_bytes
    )


def write_refusals(*, is_forced: bool = False) -> None:
    """Writes the counted refusals, at most once a second; what cannot be written now stays counted."""
    pending = refusals.take(clock.monotonic_s(), is_forced=is_forced)
    while pending:
        try:
            store.refuse(*pending[-1])
        except Unavailable:
            for project_id, entry in pending:
                refusals.give_back(project_id, entry)
            return
        pending.pop()


@shared_task
@turns.at_most(1)
def settle() -> None:
    """Every two seconds, for at most one: charges and sums of the minutes that changed. What is left waits for the next
    tick, so the database gets time for others."""
    deadline_s = clock.monotonic_s() + 1
    while settling.run(clock.now(), steps=(keeping.mark,)).is_more and clock.monotonic_s() < deadline_s:
        pass


@shared_task
def keep_partitions() -> None:
    """Every hour: partitions for the days to come."""
    partitions.ensure_ahead(clock.now())


@shared_task
def expire() -> None:
    """Every hour: the end of what is past its retention."""
    retention.run(clock.now())
