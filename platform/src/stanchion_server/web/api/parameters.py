"""Query parameters: what each is called, what it may hold, and what is said when it holds something else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter

from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.traces.selectors.metrics import MAX_RANGE_DAYS

MAX_CHARS = 1_000
MAX_REPEATS = 5
LEAST_RANGE = timedelta(milliseconds=100)
"""`start=now&end=now` reads the clock twice."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
RELATIVE = re.compile(r"now(?:-([0-9]{1,6})([smhdw]))?")
LENGTH = re.compile(r"([0-9]{1,6})([smhdw])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`read` raises ValueError with the rest of the sentence “… must be”."""

    name: str
    read: Callable[[str], Any]
    description: str
    type: str = "string"
    options: tuple[str, ...] = ()
    is_repeated: bool = False

    def described(self) -> OpenApiParameter:
        kind: dict[str, Any] = {"type": self.type}
        if self.options:
            kind["enum"] = list(self.options)
        shape = {"type": "array", "items": kind} if self.is_repeated else kind
        return OpenApiParameter(self.name, shape, OpenApiParameter.QUERY, description=self.description)


def read_all(query: QueryDict, known: Sequence[Parameter]) -> dict[str, Any]:
    """The values that were given, by name; lists for repeated ones. Unknown, doubled, unreadable ones are refused."""
    names = {parameter.name: parameter for parameter in known}
    for name in query:
        if name not in names:
            raise SenderError(
                "unknown_parameter", f"{name[:80]!r} is not a parameter here. Known: {', '.join(sorted(names))}."
            )
    return {name: _values(names[name], query.getlist(name)) for name in query}


def _values(parameter: Parameter, texts: list[str]) -> Any:
    if len(texts) > (MAX_REPEATS if parameter.is_repeated else 1):
        raise SenderError("repeated_parameter", f"{parameter.name!r} is given {len(texts)} times. Give it once.")
    values = [_value(parameter, text) for text in texts]
    return values if parameter.is_repeated else values[0]


def _value(parameter: Parameter, text: str) -> Any:
    try:
        if "\0" in text or len(text) > MAX_CHARS:
            raise ValueError(f"at most {MAX_CHARS} characters without NUL")
        return parameter.read(text)
    except ValueError as error:
        message = f"{parameter.name}={text[:80]!r} is not readable: it must be {error}."
        raise SenderError("bad_parameter", message) from error


def text(value: str) -> str:
    return value


def time(value: str) -> datetime:
    """RFC 3339, or `now`, `now-90s`, `now-15m`, `now-6h`, `now-7d`, `now-4w`."""
    relative = RELATIVE.fullmatch(value)
    if relative:
        count, unit = relative.groups()
        now = clock.now()
        return now - min(timedelta(seconds=int(count or 0) * UNITS_S[unit or "s"]), now - EARLIEST)
    try:
        found = datetime.fromisoformat(value)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("a time like 2026-11-20T12:00:00Z or now-6h") from None
    if not EARLIEST <= found <= LATEST:
        raise ValueError("a time between the years 2000 and 2200")
    return found


def length(value: str) -> timedelta:
    found = LENGTH.fullmatch(value)
    if not found:
        raise ValueError("a length like 5m, 1h or 1d")
    return timedelta(seconds=int(found[1]) * UNITS_S[found[2]])


def number(value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        raise ValueError("a number") from None
    if not math.isfinite(found) or abs(found) > 1e12:
        raise ValueError("a number of at most 1e12")
    return found


def seconds(value: str) -> float:
    found = number(value)
    if found < 0:
        raise ValueError("0 or more")
    return found


def money(value: str) -> Decimal:
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise ValueError("an amount like 0.05") from None
    if not found.is_finite() or abs(found) > 10**9 or abs(found.adjusted()) > 30 or len(found.as_tuple().digits) > 30:
        raise ValueError("an amount of at most 1000000000 with at most 30 digits")
    return found


def count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= 1000:
        raise ValueError("a whole number from 1 to 1000")
    return int(value)


def truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("true or false")
    return value == "true"


def pair(value: str) -> tuple[str, str]:
    key, separator, wanted = value.partition("=")
    if not separator or not key:
        raise ValueError("key=value")
    return key, wanted


def names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def one_of(options: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(value: str) -> Any:
        if value not in options:
            raise ValueError(f"one of {', '.join(options)}")
        return options[value]

    return read


KINDS = {kind.name.lower(): kind for kind in SpanKind}
STATUSES = {status.name.lower(): status for status in Status}
CHARGES: dict[str, Charge | None] = {**{charge.name.lower(): charge for charge in Charge}, "all": None}

PROJECT = Parameter("project", text, "Slug of the project. Needed when you are signed in and have several.")
CURSOR = Parameter("cursor", text, "`next_cursor` of the page before. Opaque.")
LIMIT = Parameter("limit", count, "How many at most, 1 to 1000.", "integer")
RANGE = (
    Parameter("start", time, "First moment, inclusive: RFC 3339 or `now-6h` (s, m, h, d, w)."),
    Parameter("from", time, "The same as `start`."),
    Parameter("end", time, "Last moment, exclusive: RFC 3339 or `now`. Default: now."),
)
KIND = Parameter("kind", one_of(KINDS), "What the span stands for.", options=tuple(KINDS))
STATUS = Parameter("status", one_of(STATUSES), "How it ended.", options=tuple(STATUSES))
DURATIONS = (
    Parameter("min_duration_ms", number, "At least this long, in milliseconds.", "number"),
    Parameter("max_duration_ms", number, "At most this long, in milliseconds.", "number"),
)
EQUAL_NAMES = {
    "feature": "feature", "model": "model", "provider": "provider", "user": "user_id", "session": "session_id",
    "environment": "environment", "release": "release", "service": "service", "prompt_name": "prompt_name",
    "prompt_version": "prompt_version", "error_type": "error_type", "dialect": "dialect", "tag": "tag",
}  # fmt: skip
CALL_FILTERS = (
    *(Parameter(name, text, f"Only calls with exactly this {name.replace('_', ' ')}.") for name in EQUAL_NAMES),
    KIND,
    STATUS,
    *DURATIONS,
    Parameter("min_cost_usd", money, "At least this much, in US dollars."),
    Parameter("max_cost_usd", money, "At most this much, in US dollars."),
    Parameter("priced", truth, "Only calls whose cost is known (true) or unknown (false).", "boolean"),
    Parameter("text", text, "Found in the preview of prompt or answer. Needs `read:content`."),
    Parameter(
        "attribute", pair, "`key=value` of a span attribute, repeatable. Needs `read:content`.", is_repeated=True
    ),
)
RENAMED = {**EQUAL_NAMES, "priced": "is_priced"}


def time_range(values: dict[str, Any], default: timedelta) -> tuple[datetime, datetime]:
    """`start` (or `from`) and `end`, taken out of the values; `default` before `end` where no start is given."""
    start, other = values.pop("start", None), values.pop("from", None)
    if start is not None and other is not None:
        raise SenderError("repeated_parameter", "`start` and `from` mean the same. Give one of them.")
    end = values.pop("end", None) or clock.now()
    start = start or other or end - default
    if end - start < LEAST_RANGE:
        raise SenderError("empty_range", "`end` must be later than `start`.")
    return start, end


def summed_range(values: dict[str, Any], default: timedelta) -> tuple[datetime, datetime]:
    """`time_range` of what is read by the hour, at most MAX_RANGE_DAYS."""
    start, end = time_range(values, default)
    if end - start > timedelta(days=MAX_RANGE_DAYS):
        raise SenderError("range_too_long", f"The range is longer than {MAX_RANGE_DAYS} days. Ask for less.")
    return start, end


def call_filter_values(values: dict[str, Any]) -> dict[str, Any]:
    """The values of CALL_FILTERS under the field names of `CallFilter`, taken out of `values`."""
    known = {parameter.name for parameter in CALL_FILTERS}
    found = {RENAMED.get(name, name): values.pop(name) for name in list(values) if name in known}
    if "attribute" in found:
        found["attributes"] = dict(found.pop("attribute"))
    return found
