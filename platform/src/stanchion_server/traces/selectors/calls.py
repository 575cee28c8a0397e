"""Lists of calls, and one call in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from stanchion_server.ingest.records import HOSTED_PRICE, Charge, SpanKind, Status
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.traces.filters import CallFilter, Condition, all_of, call_conditions
from stanchion_server.traces.selectors import contents, reading
from stanchion_server.traces.selectors.shapes import (
    CallDetail,
    CallSummary,
    CostExplanation,
    MappingView,
    OtherRecord,
)

MAX_PAGE = 500

SUMMARY_COLUMNS = (
    "trace_id", "span_id", "parent_span_id", "start_time", "duration_ns", "kind", "operation", "charge", "status",
    "error_type", "provider", "model", "dialect", "feature", "user_id", "session_id", "environment", "release",
    "service", "prompt_name", "prompt_version", "tags", "input_tokens", "output_tokens", "cached_input_tokens",
    "cache_write_tokens", "reasoning_tokens", "token_source", "time_to_first_token_ms", "is_streamed", "cost_usd",
    "cost_confidence", "cost_reason", "cost_price", "input_preview", "output_preview",
)  # fmt: skip
DETAIL_COLUMNS = (
    "request_model", "response_model", "response_id", "service_tier", "finish_reasons", "tool_call_count",
    "cache_write_1h_tokens", "audio_input_tokens", "audio_output_tokens", "tokens_ambiguous", "temperature", "top_p",
    "top_k", "max_tokens", "seed", "parameters::text", "cost_price", "cost_rule", "client_cost_usd", "mapping_id",
    "response_key", "pair_key", "primary_trace_id", "primary_span_id", "filled::text",
)  # fmt: skip
SUMMARY_SQL = ", ".join(f"c.{name}" for name in SUMMARY_COLUMNS)
DETAIL_SQL = ", ".join(f"c.{name}" for name in DETAIL_COLUMNS)


def calls(
    project_id: int,
    wanted: CallFilter,
    cursor: str | None = None,
    limit: int = 50,
    *,
    also: Sequence[Condition] = (),
) -> reading.Page[CallSummary]:
    """The newest calls first. `cursor` is `next_cursor` of the page before. `also` are conditions on the alias `c`
    from stages above this one, which know tables that this one does not."""
    limit = min(max(limit, 1), MAX_PAGE)
    conditions = [Condition("c.project_id = %s", (project_id,)), *call_conditions(wanted), *also]
    if cursor:
        when, trace_id, span_id = reading.decode_cursor(cursor)
        after = "(c.start_time, c.span_id, c.trace_id) < (%s, %s, %s)"
        conditions.append(Condition(after, (when, span_id, trace_id)))
    where = all_of(conditions)
    sql = f"""SELECT {SUMMARY_SQL} FROM llm_calls c WHERE {where.sql}
        ORDER BY c.start_time DESC, c.span_id DESC, c.trace_id DESC LIMIT {limit + 1}"""  # noqa: S608
    with reading.bounded():
        found = reading.rows(sql, where.params)
    items = tuple(summary_of(row) for row in found[:limit])
    last = found[limit - 1] if len(found) > limit else None
    return reading.Page(items, reading.encode_cursor(last[3], last[0].hex, last[1]) if last else None)


def call(project_id: int, trace_id: str, span_id: str) -> CallDetail | None:
    """One call with its texts, or None where the project has no such call."""
    trace, span = reading.trace_id_or_none(trace_id), reading.span_id_or_none(span_id)
    if trace is None or span is None:
        return None
    sql = f"""SELECT {SUMMARY_SQL}, {DETAIL_SQL} FROM llm_calls c
        WHERE c.project_id = %s AND c.trace_id = %s AND c.span_id = %s ORDER BY c.start_time LIMIT 1"""  # noqa: S608
    with reading.bounded():
        found = reading.rows(sql, (project_id, trace, span))
        return _detail_of(project_id, found[0]) if found else None


def summary_of(row: reading.Row) -> CallSummary:
    """A summary from the first columns of a row selected with SUMMARY_SQL."""
    values: dict[str, Any] = dict(zip(SUMMARY_COLUMNS, row, strict=False))
    parent, duration_ns, price = values.pop("parent_span_id"), values.pop("duration_ns"), values.pop("cost_price")
    return CallSummary(
        trace_id=values.pop("trace_id").hex,
        span_id=span_id_to_hex(values.pop("span_id")),
        parent_span_id=None if parent is None else span_id_to_hex(parent),
        duration_ms=duration_ns / 1e6,
        kind=SpanKind(values.pop("kind")),
        charge=Charge(values.pop("charge")),
        status=Status(values.pop("status")),
        tags=tuple(values.pop("tags")),
        hosted_by=price.removeprefix(HOSTED_PRICE) if price.startswith(HOSTED_PRICE) else "",
        **values,
    )


def _detail_of(project_id: int, row: reading.Row) -> CallDetail:
    summary = summary_of(row)
    names = [name.split("::")[0] for name in DETAIL_COLUMNS]
    more: dict[str, Any] = dict(zip(names, row[len(SUMMARY_COLUMNS) :], strict=True))
    keys = (more.pop("response_key"), more.pop("pair_key"))
    primary_trace, primary_span = more.pop("primary_trace_id"), more.pop("primary_span_id")
    primary = None if primary_trace is None or primary_span is None else (primary_trace, primary_span)
    return CallDetail(
        summary=summary,
        cost=_cost_of(summary, more),
        mapping=_mapping(project_id, more.pop("mapping_id")),
        primary_trace_id=primary[0].hex if primary else None,
        primary_span_id=span_id_to_hex(primary[1]) if primary else None,
        duplicates=_duplicates(project_id, row, keys, primary),
        content=contents.of_span(project_id, row[0], row[1]),
        finish_reasons=tuple(more.pop("finish_reasons")),
        parameters=contents.json_object(more.pop("parameters")),
        filled=contents.json_object(more.pop("filled")),
        **more,
    )


def _cost_of(summary: CallSummary, more: dict[str, Any]) -> CostExplanation:
    return CostExplanation(
        usd=summary.cost_usd,
        price=more.pop("cost_price"),
        rule=more.pop("cost_rule"),
        confidence=summary.cost_confidence,
        reason=summary.cost_reason,
        client_usd=more.pop("client_cost_usd"),
    )


def _mapping(project_id: int, mapping_id: int) -> MappingView | None:
    sql = """SELECT dialect, scope_name, scope_version, winners::text, unmapped FROM key_mappings
        WHERE project_id = %s AND mapping_id = %s"""
    found = reading.rows(sql, (project_id, mapping_id))
    if not found:
        return None
    dialect, name, version, winners, unmapped = found[0]
    return MappingView(dialect, name, version, contents.json_object(winners), tuple(unmapped))


def _duplicates(
    project_id: int, row: reading.Row, keys: tuple[int | None, int | None], primary: tuple[UUID, int] | None
) -> tuple[OtherRecord, ...]:
    """Other records of the provider call: near in time, and in the same trace or with the same response."""
    root = primary or (row[0], row[1])
    sql = """
        SELECT DISTINCT c.trace_id, c.span_id, c.charge, c.dialect, COALESCE(m.scope_name, ''),
               COALESCE(m.scope_version, ''), c.start_time, c.input_tokens, c.output_tokens, c.cost_usd
        FROM (
            SELECT * FROM llm_calls WHERE project_id = %(project)s AND trace_id = ANY(%(traces)s) AND start_time
                BETWEEN %(time)s - interval '1 day' AND %(time)s + interval '1 day'
            UNION ALL
            SELECT * FROM llm_calls WHERE project_id = %(project)s AND response_key = %(response)s AND start_time
                BETWEEN %(time)s - interval '1 day' AND %(time)s + interval '1 day'
            UNION ALL
            SELECT * FROM llm_calls WHERE project_id = %(project)s AND pair_key = %(pair)s AND start_time
                BETWEEN %(time)s - interval '1 day' AND %(time)s + interval '1 day'
        ) c LEFT JOIN key_mappings m ON m.project_id = %(project)s AND m.mapping_id = c.mapping_id
        WHERE (c.trace_id, c.span_id) <> (%(trace)s, %(span)s)
          AND ((c.primary_trace_id, c.primary_span_id) = (%(root_trace)s, %(root_span)s)
               OR (c.trace_id, c.span_id) = (%(root_trace)s, %(root_span)s))
        ORDER BY c.start_time, c.span_id LIMIT 20"""
    params = {
        "project": project_id, "trace": row[0], "span": row[1], "time": row[3], "traces": [row[0], root[0]],
        "response": keys[0], "pair": keys[1], "root_trace": root[0], "root_span": root[1],
    }  # fmt: skip
    return tuple(
        OtherRecord(found[0].hex, span_id_to_hex(found[1]), Charge(found[2]), *found[3:])
        for found in reading.named_rows(sql, params)
    )
