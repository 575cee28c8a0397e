"""Single scores: of a call, of a trace, the newest, the worst."""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality.keeping import DIMENSIONS
from stanchion_server.quality.records import CallKey
from stanchion_server.quality.scorers import Direction
from stanchion_server.traces.selectors import reading

MAX_PAGE = 500
MAX_OF_TRACE = 2_000
_COLUMNS = (
    "trace_id", "span_id", "start_time", "scored_at", "score", "threshold", "cost_usd", "input_tokens",
    "output_tokens", "elapsed_us", "is_flagged", "scorer", "scorer_version", "source", "label", "reason",
    *DIMENSIONS, "evidence::text",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM scores WHERE project_id = %(project_id)s"


@dataclass(frozen=True, slots=True)
class ScoreView:
    """A score as it is read. Ids are hex. `evidence` rows are as `records.Evidence`, `facts` the call's dimensions."""

    trace_id: str
    span_id: str
    start_time: datetime
    scored_at: datetime
    score: float
    threshold: float | None
    cost_usd: Decimal | None
    input_tokens: int | None
    output_tokens: int | None
    elapsed_us: int
    is_flagged: bool | None
    scorer: str
    scorer_version: str
    source: str
    label: str
    reason: str
    facts: Mapping[str, str]
    evidence: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores; None asks nothing. `start` is inclusive, `end` exclusive, both by the call's time. `facts` are
    values of keeping.DIMENSIONS by equality."""

    start: datetime | None = None
    end: datetime | None = None
    scorer: str | None = None
    version: str | None = None
    label: str | None = None
    source: str | None = None
    is_flagged: bool | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def of_call(project_id: int, trace_id: str, span_id: str) -> tuple[ScoreView, ...]:
    """By scorer, the newest version first."""
    trace, span = reading.trace_id_or_none(trace_id), reading.span_id_or_none(span_id)
    if trace is None or span is None:
        return ()
    return _views(
        f"{_SELECT} AND trace_id = %(trace)s AND span_id = %(span)s ORDER BY scorer, scored_at DESC LIMIT %(limit)s",
        {"project_id": project_id, "trace": trace, "span": span, "limit": MAX_OF_TRACE},
    )


def of_trace(project_id: int, trace_id: str) -> tuple[ScoreView, ...]:
    """Of all its calls, in their order; at most MAX_OF_TRACE."""
    trace = reading.trace_id_or_none(trace_id)
    if trace is None:
        return ()
    return _views(
        f"{_SELECT} AND trace_id = %(trace)s ORDER BY start_time, span_id, scorer, scored_at DESC LIMIT %(limit)s",
        {"project_id": project_id, "trace": trace, "limit": MAX_OF_TRACE},
    )


def newest(project_id: int, wanted: ScoreFilter, cursor: str | None = None, limit: int = 50) -> reading.Page[ScoreView]:
    """By the call's time, the newest first. `cursor` is `next_cursor` of the page before."""
    where, params = _where(project_id, wanted)
    limit = min(max(limit, 1), MAX_PAGE)
    if cursor:
        when, place = reading.decode_text_cursor(cursor)
        trace, span, scorer, version = _place_of(place)
        where += """ AND (start_time, trace_id, span_id, scorer, scorer_version)
            < (%(when)s, %(trace)s::uuid, %(after_span)s, %(after_scorer)s, %(after_version)s)"""
        params |= {
            "when": when, "trace": trace, "after_span": span, "after_scorer": scorer, "after_version": version,
        }  # fmt: skip
    order = "start_time DESC, trace_id DESC, span_id DESC, scorer DESC, scorer_version DESC"
    found = _views(f"{_SELECT}{where} ORDER BY {order} LIMIT %(limit)s", {**params, "limit": limit + 1})
    last = found[limit - 1] if len(found) > limit else None
    return reading.Page(found[:limit], _cursor(last) if last else None)


def worst(project_id: int, wanted: ScoreFilter, direction: Direction, limit: int = 50) -> tuple[ScoreView, ...]:
    """The calls with the worst scores of one scorer in a window, the newest first among equals."""
    if wanted.scorer is None or wanted.start is None or wanted.end is None:
        raise SenderError("no_window", "Name a scorer and a time range to ask for the worst scores.")
    where, params = _where(project_id, wanted)
    order = "score DESC" if direction == "low_is_good" else "score"
    limit = min(max(limit, 1), MAX_PAGE)
    return _views(f"{_SELECT}{where} ORDER BY {order}, start_time DESC LIMIT %(limit)s", {**params, "limit": limit})


def stored_versions(project_id: int, keys: Sequence[CallKey]) -> frozenset[tuple[CallKey, str, str]]:
    """(call, scorer, version) of every score that is kept of these calls."""
    if not keys:
        return frozenset()
    times = [key.start_time for key in keys]
    found = reading.rows(
        "SELECT trace_id, span_id, s.start_time, scorer, scorer_version"
        " FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS wanted(t, p, a) JOIN scores s"
        " ON project_id = %s AND trace_id = t AND span_id = p AND s.start_time = a AND s.start_time BETWEEN %s AND %s",
        ([key.trace_id for key in keys], [key.span_id for key in keys], times, project_id, min(times), max(times)),
    )
    return frozenset((CallKey(project_id, *row[:3]), row[3], row[4]) for row in found)


def _where(project_id: int, wanted: ScoreFilter) -> tuple[str, dict[str, Any]]:
    params: dict[str, Any] = {"project_id": project_id}
    parts: list[str] = []
    asked: dict[str, tuple[str, object]] = {
        "start": ("start_time >= ", wanted.start), "end": ("start_time < ", wanted.end),
        "scorer": ("scorer = ", wanted.scorer), "version": ("scorer_version = ", wanted.version),
        "label": ("label = ", wanted.label), "source": ("source = ", wanted.source),
    }  # fmt: skip
    for name, value in wanted.facts.items():
        if name not in DIMENSIONS:
            raise SenderError("unknown_filter", f"{name[:80]!r} is no dimension. Known: {', '.join(DIMENSIONS)}.")
        asked[f"fact_{name}"] = (f"{name} = ", value)
    for name, (condition, given) in asked.items():
        if given is not None:
            parts.append(f" AND {condition}%({name})s")
            params[name] = given
    if wanted.is_flagged is not None:
        parts.append(" AND is_flagged" if wanted.is_flagged else " AND NOT is_flagged")
    return "".join(parts), params


def _views(sql: str, params: Mapping[str, Any]) -> tuple[ScoreView, ...]:
    with reading.bounded():
        return tuple(_view(row) for row in reading.named_rows(sql, params))


def _view(row: reading.Row) -> ScoreView:
    values = dict(zip(_COLUMNS, row, strict=True))
    evidence = values.pop("evidence::text")
    facts = {name: values.pop(name) for name in DIMENSIONS}
    values |= {"trace_id": values["trace_id"].hex, "span_id": span_id_to_hex(values["span_id"])}
    values |= {name: values[name].astimezone(UTC) for name in ("start_time", "scored_at")}
    return ScoreView(**values, facts=facts, evidence=tuple(json.loads(evidence)) if evidence else ())


def _cursor(last: ScoreView) -> str:
    place = json.dumps([last.trace_id, last.span_id, last.scorer, last.scorer_version], separators=(",", ":"))
    return reading.encode_cursor(last.start_time, place)


def _place_of(text: str) -> tuple[str, int, str, str]:
    try:
        trace, span, scorer, version = json.loads(text)
        found, number = reading.trace_id_or_none(trace), reading.span_id_or_none(span)
    except (ValueError, TypeError, AttributeError) as error:
        raise SenderError("bad_cursor", "The cursor is not one this server made. Start again without it.") from error
    if found is None or number is None or not isinstance(scorer, str) or not isinstance(version, str):
        raise SenderError("bad_cursor", "The cursor is not one this server made. Start again without it.")
    return found.hex, number, scorer, version
