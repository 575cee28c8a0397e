"""What may be asked of calls and traces, and its translation to SQL.

Only names from the fixed lists below become SQL identifiers; everything a person typed travels as a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.kernel.errors import SenderError

ATTRIBUTE_KEY = re.compile(r"[A-Za-z0-9_.\-/:@ ]{1,200}")

# Text columns of llm_calls that a filter may name, each by equality.
CALL_FIELDS = (
    "feature", "model", "provider", "user_id", "session_id", "environment", "release", "service",
    "prompt_name", "prompt_version", "error_type", "dialect",
)  # fmt: skip

NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls. None asks nothing; an empty string asks for calls that carry no value.

    `start` is inclusive, `end` exclusive. `charge` is CHARGED unless the records of duplicates are wanted (None: all).
    `text` is looked for, without regard to case, in the previews of prompt and answer. `attributes` compares span
    attributes as text.
    """

    start: datetime | None = None
    end: datetime | None = None
    feature: str | None = None
    model: str | None = None
    provider: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    environment: str | None = None
    release: str | None = None
    service: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    error_type: str | None = None
    dialect: str | None = None
    status: Status | None = None
    kind: SpanKind | None = None
    charge: Charge | None = Charge.CHARGED
    trace_id: str | None = None
    tag: str | None = None
    text: str | None = None
    min_cost_usd: Decimal | None = None
    max_cost_usd: Decimal | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    is_priced: bool | None = None
    attributes: Mapping[str, str] = field(default_factory=lambda: NO_ATTRIBUTES)


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces, by their root span. `name` is looked for anywhere in the root's name, without regard to case."""

    start: datetime | None = None
    end: datetime | None = None
    name: str | None = None
    feature: str | None = None
    session_id: str | None = None
    environment: str | None = None
    service: str | None = None
    status: Status | None = None
    kind: SpanKind | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL for a WHERE clause, and its parameters in order."""

    sql: str
    params: tuple[object, ...]


def check_attribute_key(key: str) -> str:
    """The key, if it can be one; SenderError `bad_attribute_key` otherwise."""
    if not ATTRIBUTE_KEY.fullmatch(key):
        raise SenderError(
            "bad_attribute_key",
            f"{key[:80]!r} is not an attribute key: use 1 to 200 letters, digits, spaces and any of . _ - / : @",
        )
    return key


def like_pattern(text: str) -> str:
    """A LIKE pattern that finds the text anywhere, its own wildcards taken literally."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def all_of(conditions: list[Condition]) -> Condition:
    params = tuple(param for condition in conditions for param in condition.params)
    return Condition(" AND ".join(condition.sql for condition in conditions) or "TRUE", params)


def call_conditions(wanted: CallFilter, alias: str = "c") -> list[Condition]:
    """Conditions on llm_calls under `alias`, which is ours and never a visitor's."""
    return [
        *_time_conditions(wanted.start, wanted.end, alias),
        *_equal_conditions({name: getattr(wanted, name) for name in CALL_FIELDS}, alias),
        *_equal_conditions({"status": wanted.status, "kind": wanted.kind, "charge": wanted.charge}, alias),
        *_number_conditions(wanted, alias),
        *_text_conditions(wanted, alias),
        *[attribute_condition(key, value, alias) for key, value in wanted.attributes.items()],
    ]


def trace_conditions(wanted: TraceFilter, alias: str = "s") -> list[Condition]:
    found = [
        *_time_conditions(wanted.start, wanted.end, alias),
        *_equal_conditions({"feature": wanted.feature, "session_id": wanted.session_id}, alias),
        *_equal_conditions({"environment": wanted.environment, "service": wanted.service}, alias),
        *_equal_conditions({"status": wanted.status, "kind": wanted.kind}, alias),
        *_duration_conditions(wanted.min_duration_ms, wanted.max_duration_ms, alias),
    ]
    if wanted.name is not None:
        found.append(Condition(f"{alias}.name ILIKE %s", (like_pattern(wanted.name),)))
    return found


def attribute_condition(key: str, value: str, alias: str) -> Condition:
    """True where the call's own span carries the attribute with this value, compared as text."""
    sql = f"""EXISTS (SELECT 1 FROM spans a WHERE a.project_id = {alias}.project_id AND a.trace_id = {alias}.trace_id
        AND a.span_id = {alias}.span_id AND a.start_time = {alias}.start_time AND a.attributes ->> %s = %s)"""  # noqa: S608
    return Condition(sql, (check_attribute_key(key), value))


def _time_conditions(start: datetime | None, end: datetime | None, alias: str) -> list[Condition]:
    found = []
    if start is not None:
        found.append(Condition(f"{alias}.start_time >= %s", (start,)))
    if end is not None:
        found.append(Condition(f"{alias}.start_time < %s", (end,)))
    return found


def _equal_conditions(values: Mapping[str, str | int | None], alias: str) -> list[Condition]:
    found = []
    for name, value in values.items():
        if value is None:
            continue
        found.append(Condition(f"{alias}.{name} = %s", (value,)))
        if name == "session_id" and value and alias == "c":
            # The index is on the first 200 characters, so that no session id can be too long for it.
            found.append(Condition(f"left({alias}.session_id, 200) = left(%s, 200)", (value,)))
            found.append(Condition(f"{alias}.session_id <> ''", ()))
    return found


def _duration_conditions(low_ms: float | None, high_ms: float | None, alias: str) -> list[Condition]:
    found = []
    if low_ms is not None:
        found.append(Condition(f"{alias}.duration_ns >= %s::float8 * 1e6", (low_ms,)))
    if high_ms is not None:
        found.append(Condition(f"{alias}.duration_ns <= %s::float8 * 1e6", (high_ms,)))
    return found


def _number_conditions(wanted: CallFilter, alias: str) -> list[Condition]:
    found = _duration_conditions(wanted.min_duration_ms, wanted.max_duration_ms, alias)
    if wanted.min_cost_usd is not None:
        found.append(Condition(f"{alias}.cost_usd >= %s", (wanted.min_cost_usd,)))
    if wanted.max_cost_usd is not None:
        found.append(Condition(f"{alias}.cost_usd <= %s", (wanted.max_cost_usd,)))
    if wanted.is_priced is not None:
        found.append(Condition(f"{alias}.cost_usd IS {'NOT NULL' if wanted.is_priced else 'NULL'}", ()))
    return found


def _text_conditions(wanted: CallFilter, alias: str) -> list[Condition]:
    found = []
    if wanted.trace_id is not None:
        found.append(Condition(f"{alias}.trace_id = %s::uuid", (wanted.trace_id,)))
    if wanted.tag is not None:
        found.append(Condition(f"%s = ANY({alias}.tags)", (wanted.tag,)))
    if wanted.text is not None:
        pattern = like_pattern(wanted.text)
        sql = f"({alias}.input_preview ILIKE %s OR {alias}.output_preview ILIKE %s)"
        found.append(Condition(sql, (pattern, pattern)))
    return found
