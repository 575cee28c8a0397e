"""Masking what a policy says to redact: overlapping findings become one mask; what a mask says depends on the mode."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from stanchion_guard.policy import RedactMode
from stanchion_guard.quick_shapes import quickly_made
from stanchion_guard.records import Finding

_TOKEN = re.compile(r"\[[A-Z0-9_]{1,64}_[0-9]{1,6}_[0-9a-f]{6}\]")
_NOT_A_LABEL = re.compile(r"[^A-Z0-9]+")
MAX_VAULT_ENTRIES = 10_000


class Vault:
    """What the tokens of one conversation stand for. The same value has the same token for the vault's whole life.

    A token carries six digits that depend on the vault's key, so that a text cannot name a token it was never given and
    have `restore` put somebody's data in its place. `entries` and `key` of an earlier vault continue it in another
    process; keep them as you would keep the values themselves. Beyond MAX_VAULT_ENTRIES values, `token` answers a plain
    label that cannot be restored.
    """

    def __init__(self, key: bytes | None = None, entries: Mapping[str, str] | None = None) -> None:
        self.key = key or secrets.token_bytes(16)
        self._values: dict[str, str] = dict(entries or {})
        self._tokens = {(_label_of(token), value): token for token, value in self._values.items()}
        self._counts = Counter(label for label, _ in self._tokens)
        self._lock = threading.Lock()

    @property
    def entries(self) -> dict[str, str]:
        """Token to value."""
        with self._lock:
            return dict(self._values)

    def token(self, label: str, value: str) -> str:
        shown = shown_label(label)
        with self._lock:
            found = self._tokens.get((shown, value))
            if found is None and len(self._values) < MAX_VAULT_ENTRIES:
                self._counts[shown] += 1
                found = f"[{shown}_{self._counts[shown]}_{_keyed(self.key, value)[:6]}]"
                self._tokens[shown, value], self._values[found] = found, value
        return found or f"[{shown}]"

    def restore(self, text: str) -> str:
        """The text with every token of this vault replaced by its value; other texts in brackets stay."""
        with self._lock:
            return _TOKEN.sub(lambda match: self._values.get(match[0], match[0]), text)


@quickly_made
@dataclass(frozen=True, slots=True)
class Mask:
    """Says what stands in place of a finding. `vault` serves mode "token", `key` mode "hash"."""

    mode: RedactMode
    vault: Vault | None = None
    key: bytes | None = None

    def of(self, label: str, value: str) -> str:
        if self.mode == "label":
            return f"[{shown_label(label)}]"
        if self.mode == "token" and self.vault is not None:
            return self.vault.token(label, value)
        if self.mode == "hash" and self.key is not None:
            return f"[{shown_label(label)}:{_keyed(self.key, value)[:8]}]"
        if self.mode == "partial":
            return partial(value)
        return f"[{shown_label(label)}]"


class Patch(NamedTuple):
    """A range of a text and what stands there instead."""

    start: int
    end: int
    text: str


class Change(Protocol):
    """What `apply` needs to know: a Patch, or a redaction of the text."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def text(self) -> str: ...


Hidden = tuple[Finding, str | None]
"""A finding to mask, and the detector's own replacement where it has one."""


def patches(text: str, hidden: Iterable[Hidden], mask: Mask) -> list[Patch]:
    """What to replace in `text`, in order and without overlaps."""
    found = []
    for cluster in clusters(hidden):
        first, own = cluster[0]
        start, end = first.start, first.end
        if len(cluster) > 1:
            end = max(finding.end for finding, _ in cluster)
            found.append(Patch(start, end, _replacement(cluster, text[start:end], mask)))
        else:
            found.append(Patch(start, end, mask.of(first.label, text[start:end]) if own is None else own))
    return found


def clusters(hidden: Iterable[Hidden]) -> list[list[Hidden]]:
    """Findings in groups that overlap. Empty findings hide nothing and are left out."""
    ordered = [each for each in hidden if each[0].end > each[0].start]
    if len(ordered) > 1:
        ordered.sort(key=lambda each: each[0].start)
    groups: list[list[Hidden]] = []
    reach = -1
    for each in ordered:
        start, end = each[0].start, each[0].end
        if start < reach:
            groups[-1].append(each)
        else:
            groups.append([each])
        if end > reach:
            reach = end
    return groups


def _replacement(cluster: Sequence[Hidden], value: str, mask: Mask) -> str:
    """The detector's own text if one finding covers the cluster, else the mask of the longest, surest finding."""
    finding, own = max(cluster, key=lambda each: (each[0].end - each[0].start, each[0].score, each[1] is not None))
    if own is not None and finding.end - finding.start == len(value):
        return own
    return mask.of(finding.label, value)


def apply(text: str, changes: Sequence[Change]) -> str:
    if not changes:
        return text
    pieces: list[str] = []
    at = 0
    for patch in changes:
        pieces += (text[at : patch.start], patch.text)
        at = patch.end
    pieces.append(text[at:])
    return "".join(pieces)


def partial(value: str) -> str:
    """Letters and digits become asterisks but for the last four, of which at most a third of the value is shown."""
    shown = min(4, sum(map(str.isalnum, value)) // 3)
    out = []
    for character in reversed(value):
        if character.isalnum() and shown > 0:
            shown -= 1
            out.append(character)
        else:
            out.append("*" if character.isalnum() else character)
    return "".join(reversed(out))


@lru_cache(1024)
def shown_label(label: str) -> str:
    """Turns "credit card" into "CREDIT_CARD"."""
    return _NOT_A_LABEL.sub("_", label.upper())[:64].strip("_") or "REDACTED"


def _label_of(token: str) -> str:
    return token.strip("[]").rsplit("_", 2)[0]


def _keyed(key: bytes, value: str) -> str:
    return hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
