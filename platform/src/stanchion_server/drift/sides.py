"""Two windows put together, and one window kept for later. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import zstandard

from stanchion_server.drift import shuffling
from stanchion_server.drift.records import CallKey, Sample, Side

Value = TypeVar("Value")
MAX_FROZEN_BYTES = 64 * 1024 * 1024


def joined(reference: Side, current: Side) -> Sample:
    flags = np.arange(len(reference.keys) + len(current.keys)) >= len(reference.keys)
    blocks, _sides = shuffling.units_of([*reference.units, *current.units], flags)
    none: list[Any] = [None] * max(len(reference.keys), len(current.keys))
    empty: list[Any] = [()] * len(none)
    return Sample(
        keys=(*reference.keys, *current.keys),
        is_current=flags,
        blocks=blocks,
        numbers=_both(reference, current, reference.numbers, current.numbers, none),
        labels=_both(reference, current, reference.labels, current.labels, none),
        words=_both(reference, current, reference.words, current.words, empty),
        scores=_scores(reference, current, none),
    )


def _both(
    reference: Side, current: Side, one: Mapping[str, Sequence[Value]], other: Mapping[str, Sequence[Value]],
    missing: list[Any],
) -> dict[str, list[Value]]:  # fmt: skip
    before, now = missing[: len(reference.keys)], missing[: len(current.keys)]
    return {name: [*one.get(name, before), *other.get(name, now)] for name in [*one, *(set(other) - set(one))]}


def _scores(reference: Side, current: Side, none: list[Any]) -> dict[str, list[float | None]]:
    """Of each scorer the version that the smaller side knows best: a new version's scores are another measure."""
    best: dict[str, tuple[int, str]] = {}
    for scorer, version in sorted({*reference.scores, *current.scores}):
        counts = [
            sum(value is not None for value in side.scores.get((scorer, version), ())) for side in (reference, current)
        ]
        best[scorer] = max(best.get(scorer, (-1, "")), (min(counts), version))
    before, now = none[: len(reference.keys)], none[: len(current.keys)]
    return {
        scorer: [*reference.scores.get((scorer, version), before), *current.scores.get((scorer, version), now)]
        for scorer, (_count, version) in best.items()
    }


def hashed(words: Sequence[str]) -> list[str]:
    return [hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).hexdigest() for word in words]


def pack(side: Side) -> bytes:
    """For a reference that outlives its calls: numbers and labels as they are, words and units as hashes, so that no
    text outlives the time for which the project keeps contents."""
    body = {
        "keys": [[key.trace_id.hex, key.span_id, key.start_time.isoformat()] for key in side.keys],
        "units": hashed(side.units),
        "numbers": dict(side.numbers),
        "labels": dict(side.labels),
        "words": {name: [hashed(words) for words in listed] for name, listed in side.words.items()},
        "scores": [[scorer, version, list(values)] for (scorer, version), values in side.scores.items()],
        "counted": side.counted,
    }
    return zstandard.compress(json.dumps(body, separators=(",", ":")).encode(), 9)


def unpack(data: bytes) -> Side:
    body = json.loads(zstandard.decompress(data, max_output_size=MAX_FROZEN_BYTES))
    return Side(
        keys=tuple(CallKey(UUID(hex=key[0]), key[1], datetime.fromisoformat(key[2])) for key in body["keys"]),
        units=tuple(body["units"]),
        numbers=body["numbers"],
        labels=body["labels"],
        words=body["words"],
        scores={(scorer, version): values for scorer, version, values in body["scores"]},
        counted=body["counted"],
    )


def with_hashed_words(side: Side) -> tuple[Side, dict[str, str]]:
    """A window to be compared with a packed one, and the words behind the hashes."""
    plain = {word for listed in side.words.values() for words in listed for word in words}
    known = dict(zip(hashed(sorted(plain)), sorted(plain), strict=True))
    words = {name: [hashed(one) for one in listed] for name, listed in side.words.items()}
    return Side(side.keys, side.units, side.numbers, side.labels, words, side.scores, side.counted), known
