"""The calls list's filters, as they stand in the address. `(none)` asks for calls that carry no value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from stanchion_server.feedback.selectors import Rated
from stanchion_server.ingest.records import SpanKind, Status
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.selectors import CallFilter
from stanchion_server.traces.selectors.reading import trace_id_or_none

NONE = "(none)"
TEXTS: Mapping[str, tuple[str, str]] = {
    "feature": ("feature", "Feature"),
    "model": ("model", "Model"),
    "provider": ("provider", "Provider"),
    "user": ("user_id", "User"),
    "session": ("session_id", "Session"),
    "environment": ("environment", "Environment"),
    "release": ("release", "Release"),
    "service": ("service", "Service"),
    "prompt": ("prompt_name", "Prompt"),
    "prompt_version": ("prompt_version", "Prompt version"),
    "error_type": ("error_type", "Error"),
    "dialect": ("dialect", "Dialect"),
}
STATUSES = {"error": Status.ERROR, "ok": Status.OK, "unset": Status.UNSET}
KINDS = {kind.name.lower(): kind for kind in (SpanKind.LLM, SpanKind.EMBEDDING, SpanKind.RERANKER)}
RATED = {
    "negative": ("Negative", Rated.NEGATIVE),
    "positive": ("Positive", Rated.POSITIVE),
    "neutral": ("Neutral", Rated.NEUTRAL),
    "any": ("Rated", Rated.ANY),
    "none": ("Not rated", Rated.NONE),
}
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in force, and the parameter whose removal lifts it."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Wanted:
    filter: CallFilter
    chips: tuple[Chip, ...]
    rated: Rated | None


def read(params: Mapping[str, str]) -> Wanted:
    """The filter has no time range of its own: sums are read from rollups then, and who lists calls adds one. Raises
    SenderError that names the parameter and what it takes. Empty parameters ask nothing."""
    given = {name: value.strip() for name, value in params.items() if value.strip()}
    for name, value in given.items():
        if len(value) > LONGEST:
            raise SenderError("filter_too_long", f"The filter “{name}” has {len(value)} characters; at most {LONGEST}.")
    values: dict[str, Any] = {}
    chips: list[Chip] = []
    for name, (field, label) in TEXTS.items():
        if name in given:
            values[field] = "" if given[name] == NONE else given[name].replace("\x00", "")
            chips.append(Chip(name, label, given[name]))
    for name, label, field, parse in _OTHERS:
        if name in given:
            values[field] = parse(name, given[name])
            chips.append(Chip(name, label, given[name]))
    if given.get("records") == "all":
        values["charge"] = None
        chips.append(Chip("records", "Records", "with duplicates and roll-ups"))
    rated = None
    if "rating" in given:
        label, rated = _choice("rating", given["rating"], RATED)
        chips.append(Chip("rating", "Rating", label.lower()))
    return Wanted(CallFilter(**values), tuple(chips), rated)


def _choice(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise SenderError("bad_filter", f"“{value[:60]}” is no {name}. Choose one of: {', '.join(choices)}.")
    return choices[value]


def _status(name: str, value: str) -> Status:
    found: Status = _choice(name, value, STATUSES)
    return found


def _kind(name: str, value: str) -> SpanKind:
    found: SpanKind = _choice(name, value, KINDS)
    return found


def _priced(name: str, value: str) -> bool:
    found: bool = _choice(name, value, {"yes": True, "no": False})
    return found


def _decimal(name: str, value: str) -> Decimal:
    try:
        number = Decimal(value.removeprefix("$"))
    except InvalidOperation:
        number = Decimal(-1)
    if not number.is_finite() or not 0 <= number < 10**12:
        raise SenderError("bad_filter", f"“{value[:60]}” is no {name.replace('_', ' ')}: write a number like 0.05.")
    return number


def _milliseconds(name: str, value: str) -> float:
    return float(_decimal(name, value))


def _text(name: str, value: str) -> str:
    return value.replace("\x00", "")


def _trace(name: str, value: str) -> str:
    compact = value.replace("-", "").lower()
    if trace_id_or_none(compact) is None:
        raise SenderError("bad_filter", f"“{value[:60]}” is no trace id: 32 hex digits.")
    return compact


def _attribute(name: str, value: str) -> Mapping[str, str]:
    key, equals, wanted = value.partition("=")
    if not equals:
        raise SenderError("bad_filter", f"“{value[:60]}” is no attribute filter: write key=value.")
    return {key.strip(): wanted.strip()}


_OTHERS: tuple[tuple[str, str, str, Any], ...] = (
    ("status", "Status", "status", _status),
    ("kind", "Kind", "kind", _kind),
    ("q", "Text", "text", _text),
    ("tag", "Tag", "tag", _text),
    ("trace", "Trace", "trace_id", _trace),
    ("attribute", "Attribute", "attributes", _attribute),
    ("priced", "Priced", "is_priced", _priced),
    ("min_cost", "Cost from $", "min_cost_usd", _decimal),
    ("max_cost", "Cost to $", "max_cost_usd", _decimal),
    ("min_ms", "Latency from ms", "min_duration_ms", _milliseconds),
    ("max_ms", "Latency to ms", "max_duration_ms", _milliseconds),
)
