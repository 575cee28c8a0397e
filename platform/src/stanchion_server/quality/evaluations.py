"""Scores that others made: from the API's items and from `gen_ai.evaluation.result` events. Pure.

The event's names are those of the OpenTelemetry semantic conventions for generative AI, 1.38. They give a value no
range; ours is 0..1, and any other must be stated: `range` in the API, `stanchion.evaluation.range` on an event.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stanchion_server.ingest.messages import clean_text
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex

EVENT = "gen_ai.evaluation.result"
NAME, VALUE, LABEL = "gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"
EXPLANATION, RESPONSE_ID = "gen_ai.evaluation.explanation", "gen_ai.response.id"
RANGE, VERSION = "stanchion.evaluation.range", "stanchion.evaluation.version"
FIELDS = ("trace_id", "span_id", "name", "value", "label", "reason", "version", "range", "is_flagged")
MAX_NAME_CHARS, MAX_VERSION_CHARS, MAX_LABEL_CHARS, MAX_REASON_CHARS = 80, 60, 100, 4_000
_PASSED = frozenset({"pass", "passed", "true", "yes", "correct", "good"})
_FAILED = frozenset({"fail", "failed", "false", "no", "incorrect", "bad"})
_HEX_32, _HEX_16 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`score` in 0..1. `is_flagged` as the sender said, or by a label that reads as passed or failed, else None."""

    name: str
    version: str
    score: float
    label: str
    reason: str
    is_flagged: bool | None


@dataclass(frozen=True, slots=True)
class Item:
    """An evaluation and the span it speaks of."""

    trace_id: UUID
    span_id: int
    evaluation: Evaluation


def of_item(item: Any) -> Item:
    """From one JSON object of the API; SenderError names the value and the remedy."""
    if not isinstance(item, dict):
        raise SenderError("bad_item", f"A score is a JSON object, not {type(item).__name__}.")
    unknown = sorted(set(item) - set(FIELDS))
    if unknown:
        raise SenderError("unknown_field", f"{unknown[0][:80]!r} is not a field. Known: {', '.join(FIELDS)}.")
    trace, span = item.get("trace_id"), item.get("span_id")
    if not isinstance(trace, str) or not _HEX_32.fullmatch(trace):
        raise SenderError("bad_trace_id", "trace_id must be 32 lower-case hex digits.")
    if not isinstance(span, str) or not _HEX_16.fullmatch(span):
        raise SenderError("bad_span_id", "span_id must be the 16 lower-case hex digits of the call's span.")
    flagged = item.get("is_flagged")
    if flagged is not None and not isinstance(flagged, bool):
        raise SenderError("bad_is_flagged", "is_flagged must be true or false, or be left out.")
    told = _evaluation(
        item.get("name"), item.get("value"), item.get("label"), item.get("reason"), item.get("version") or "api",
        item.get("range"), flagged,
    )  # fmt: skip
    return Item(UUID(hex=trace), span_id_from_hex(span), told)


def of_event(attributes: Mapping[str, Any]) -> Evaluation:
    """From an event's attributes; SenderError says why it is no score."""
    if attributes.get("error.type") and attributes.get(VALUE) is None and not attributes.get(LABEL):
        raise SenderError("evaluation_failed", "The evaluation itself failed, so there is no score.")
    return _evaluation(
        attributes.get(NAME), attributes.get(VALUE), attributes.get(LABEL), attributes.get(EXPLANATION),
        attributes.get(VERSION) or "telemetry", attributes.get(RANGE), None,
    )  # fmt: skip


def _evaluation(
    name: Any, value: Any, label: Any, reason: Any, version: Any, between: Any, flagged: bool | None
) -> Evaluation:
    scorer = _text("name", name, MAX_NAME_CHARS)
    if not scorer:
        raise SenderError("no_name", "The score has no name. Say what was judged, such as “faithfulness”.")
    said = _text("label", label, MAX_LABEL_CHARS)
    word = said.strip().lower()
    if flagged is None and word in _PASSED | _FAILED:
        flagged = word in _FAILED
    return Evaluation(
        scorer, _text("version", version, MAX_VERSION_CHARS), _score(value, word, between), said,
        _text("reason", reason, MAX_REASON_CHARS), flagged,
    )  # fmt: skip


def _score(value: Any, word: str, between: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    if value is None and word in _PASSED | _FAILED:
        return float(word in _PASSED)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise SenderError("no_value", f"value={str(value)[:40]!r} must be a number, or the label “pass” or “fail”.")
    low, high = _range(between)
    if not low <= value <= high:
        raise SenderError(
            "out_of_range",
            f"value={value:g} lies outside {low:g} to {high:g}. State the scale: range [low, high], such as [1, 5].",
        )
    return (float(value) - low) / (high - low)


def _range(between: Any) -> tuple[float, float]:
    if between is None:
        return 0.0, 1.0
    is_pair = isinstance(between, Sequence) and not isinstance(between, str) and len(between) == 2
    if is_pair and all(isinstance(end, int | float) and not isinstance(end, bool) for end in between):
        low, high = float(between[0]), float(between[1])
        if math.isfinite(high - low) and low < high:
            return low, high
    raise SenderError("bad_range", f"range={str(between)[:60]!r} must be two numbers, the lower first.")


def _text(name: str, value: Any, limit: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SenderError(f"bad_{name}", f"{name} must be text, not {type(value).__name__}.")
    if len(value) > limit:
        raise SenderError(f"bad_{name}", f"{name} has {len(value)} characters, more than {limit}. Shorten it.")
    return clean_text(value).strip()
