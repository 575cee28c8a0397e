"""Settling: one charge per provider call, and sums that equal what is stored, whatever happened on the way."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.calls import NOON, RESOURCE, call, content_of, mapping, span_of, trace
from stanchion_server.costs import pricing, settle
from stanchion_server.ingest import messages
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Alteration, Batch, CallRecord, Charge, ContentRecord, LogRecord, SpanKind
from stanchion_server.traces import histogram, rollups, store

_projects = itertools.count(500_000)
BOOK = pricing.PriceBook()


@pytest.fixture
def project_id(db: None) -> Iterator[int]:
    yield next(_projects)


def priced(record: CallRecord) -> CallRecord:
    return replace(record, cost=pricing.price(record, BOOK))


def deliver(project_id: int, *calls: CallRecord, **more: Any) -> None:
    spans = (*(span_of(c) for c in calls), *more.pop("spans", ()))
    batch = Batch(spans=spans, calls=tuple(map(priced, calls)), **more)
    store.store(
        project_id,
        batch,
        LedgerEntry(api_key_id=1, signal="traces", client="t", body_bytes=1, sent=len(spans) + len(batch.logs)),
    )


def run(project_id: int) -> settle.SettleReport:
    return settle.run(NOON, project_id=project_id)


def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def total(project_id: int, grain: int = 1) -> tuple[int, Decimal]:
    [(calls, usd)] = rows(
        "SELECT coalesce(sum(calls), 0)::int, coalesce(sum(cost_usd), 0) FROM call_rollups"
        " WHERE project_id = %s AND grain_minutes = %s",
        project_id, grain,
    )  # fmt: skip
    return calls, usd


ANTHROPIC = {
    "provider": "anthropic", "request_model": "claude-sonnet-4-5", "model": "claude-sonnet-4-5",
    "input_tokens": 1250, "cached_input_tokens": 1000, "cache_write_tokens": 200, "output_tokens": 60,
    "response_id": "msg_1",
}  # fmt: skip

LAYOUTS = {
    "child": [{"span_id": 1}, {"span_id": 2, "parent_span_id": 1}],
    "sibling": [{"span_id": 1, "parent_span_id": 9}, {"span_id": 2, "parent_span_id": 9}],
    "another trace": [{"span_id": 1}, {"span_id": 2, "trace_id": trace(2)}],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("order", [(0, 1), (1, 0), None], ids=["outer first", "inner first", "one batch"])
def test_a_call_recorded_twice_is_charged_once(
    project_id: int, layout: list[dict[str, Any]], order: tuple[int, ...] | None
) -> None:
    outer = call(**(ANTHROPIC | layout[0]), mapping=mapping("anthropic sdk"))
    inner = call(**(ANTHROPIC | layout[1]), mapping=mapping("openllmetry"), after_s=0.1)
    if order is None:
        deliver(project_id, outer, inner)
    for index in order or ():
        deliver(project_id, (outer, inner)[index])
        run(project_id)
    run(project_id)
    assert total(project_id) == total(project_id, 60) == total(project_id, 1440) == (1, Decimal("0.0021"))


def test_the_charged_record_is_priced_again_when_another_fills_its_tokens(project_id: int) -> None:
    told = call(response_id="r", span_id=1, input_preview="hi", output_preview="ho", finish_reasons=("stop",),
                input_tokens=None, output_tokens=None, feature="search", pair_key=None)  # fmt: skip
    counted = call(response_id="r", span_id=2, input_tokens=1100, cached_input_tokens=1000, output_tokens=60)
    deliver(project_id, told)
    run(project_id)
    assert total(project_id) == (1, Decimal(0))
    deliver(project_id, counted)
    run(project_id)
    assert total(project_id) == (1, Decimal("0.000126"))
    [(feature, filled)] = rows("SELECT feature, filled FROM llm_calls WHERE project_id = %s AND charge = 0", project_id)
    assert feature == "search"
    assert json.loads(filled)["feature"] == "0000000000000001"


def test_a_fact_that_changes_gives_a_duplicate_its_charge_back(project_id: int) -> None:
    pending = call(span_id=1, response_id="r", duration_ns=1, feature="a", mapping=mapping("a"))
    other = call(span_id=2, response_id="r", mapping=mapping("b"), cached_input_tokens=50)
    deliver(project_id, pending, other)
    run(project_id)
    assert total(project_id)[0] == 1
    deliver(project_id, replace(pending, response_id="s", response_key=5, duration_ns=9, feature="b"))
    run(project_id)
    assert total(project_id)[0] == 2
    assert rows("SELECT feature, filled FROM llm_calls WHERE project_id=%s AND span_id=2", project_id) == [("", None)]


def test_usage_on_an_agent_counts_only_while_no_call_below_reports_it(project_id: int) -> None:
    agent = call(span_id=1, kind=SpanKind.AGENT, charge=Charge.ROLLUP, input_tokens=500)
    tool = span_of(call(span_id=2, parent_span_id=1), kind=SpanKind.TOOL)
    leaf = call(span_id=3, parent_span_id=2, input_tokens=500)
    deliver(project_id, agent, spans=(tool,))
    run(project_id)
    assert total(project_id)[0] == 1
    [(rule, confidence)] = rows("SELECT cost_rule, cost_confidence FROM llm_calls WHERE project_id=%s", project_id)
    assert (rule, confidence) == ("rollup_fallback+input_and_output", "low")
    deliver(project_id, leaf)
    run(project_id)
    assert rows("SELECT span_id FROM llm_calls WHERE project_id=%s AND charge=0", project_id) == [(3,)]
    assert total(project_id)[0] == 1


def log_text(record: CallRecord, after_s: int = 0, **content: Any) -> ContentRecord:
    packed = messages.pack({**content, "events": True})
    start = record.start_time + timedelta(seconds=after_s)
    return replace(content_of(record, packed.body, source=1), start_time=start, digest=packed.digest)


def said(role: str, text: str) -> list[dict[str, Any]]:
    return [{"role": role, "parts": [{"type": "text", "text": text}]}]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
@pytest.mark.parametrize("settle_between", [True, False])
def test_texts_from_logs_become_previews_in_whatever_order_they_come(
    project_id: int, order: tuple[int, ...], settle_between: bool
) -> None:
    record = call(span_id=41)
    steps: list[dict[str, Any]] = [
        {},
        {"contents": (log_text(record, 0, input=said("user", "Hello")),)},
        {"contents": (log_text(record, 1, input=said("user", "What is a stanchion?")),)},
        {"contents": (log_text(record, 2, output=said("assistant", "A post.")),)},
    ]
    for index in order:
        if index == 0:
            deliver(project_id, record)
        else:
            deliver(project_id, **steps[index], logs=(log_of(record, index),))
        if settle_between:
            run(project_id)
    run(project_id)
    sql = "SELECT input_preview, output_preview FROM llm_calls WHERE project_id = %s"
    assert rows(sql, project_id) == [("What is a stanchion?", "A post.")]


def log_of(record: CallRecord, number: int) -> LogRecord:
    return LogRecord(
        record.trace_id, record.span_id, record.start_time, number, 9, "e", "s", RESOURCE, b"1", b"{}", Alteration.NONE
    )


def test_a_text_of_its_own_takes_the_place_of_a_borrowed_one(project_id: int) -> None:
    detailed = call(span_id=1, response_id="r", cached_input_tokens=5, mapping=mapping("a"))
    told = call(span_id=2, response_id="r", input_preview="borrowed", mapping=mapping("b"))
    deliver(project_id, detailed, told)
    run(project_id)
    sql = "SELECT input_preview, filled->>'input_preview' FROM llm_calls WHERE project_id = %s AND charge = 0"
    assert rows(sql, project_id) == [("borrowed", "0000000000000002")]
    deliver(project_id, contents=(log_text(detailed, input=said("user", "own")),), logs=(log_of(detailed, 1),))
    for _again in range(2):
        run(project_id)
        assert rows(sql, project_id) == [("own", None)]


def test_settling_again_changes_nothing_and_takes_no_mark_away_twice(project_id: int) -> None:
    deliver(project_id, call(response_id="r"), call(response_id="r", mapping=mapping("b")))
    assert run(project_id).changed_calls == 1
    before = rows("SELECT * FROM call_rollups WHERE project_id = %s ORDER BY grain_minutes", project_id)
    assert run(project_id).minutes == 0
    rows("INSERT INTO dirty_minutes (project_id, minute) VALUES (%s, %s) RETURNING 1", project_id, NOON)
    assert run(project_id).changed_calls == 0
    assert rows("SELECT * FROM call_rollups WHERE project_id = %s ORDER BY grain_minutes", project_id) == before


def test_a_failure_in_the_middle_keeps_every_mark(project_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(project_id, call())

    with monkeypatch.context() as patch:
        patch.setitem(rollups._ROLLUPS_SQL, 60, "SELECT 1 / 0")
        with pytest.raises(Exception, match="division by zero"):
            run(project_id)
    assert total(project_id)[0] == 0
    run(project_id)
    assert total(project_id)[0] == 1


def test_sums_of_absurd_token_counts_stay_inside_their_column(project_id: int) -> None:
    deliver(project_id, call(input_tokens=2**63 - 1), call(input_tokens=2**63 - 1))
    run(project_id)
    assert rows("SELECT input_tokens FROM call_rollups WHERE project_id=%s", project_id) == [(2**63 - 1,)] * 3


@given(st.floats(0, 1e12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.django_db
def test_the_database_puts_a_value_into_the_same_bucket_as_we_do(duration_ms: float) -> None:
    [(bucket,)] = rows(f"SELECT {histogram.bucket_sql('%s::float8')}", duration_ms)
    assert bucket == histogram.bucket_of(duration_ms)


def test_time_to_first_token_and_speed_are_summed_from_the_calls_that_have_them(project_id: int) -> None:
    deliver(
        project_id,
        call(is_streamed=True, time_to_first_token_ms=200.0, output_tokens=40),
        call(output_tokens=60),
        call(output_tokens=None),
    )
    run(project_id)
    for grain in (1, 60, 1440):
        [row] = rows(
            "SELECT calls, generation_ms_sum, generation_tokens, duration_buckets, duration_counts, ttft_buckets,"
            " ttft_counts, streamed_calls, unpriced_calls, duration_ms_max FROM call_rollups"
            " WHERE project_id = %s AND grain_minutes = %s",
            project_id, grain,
        )  # fmt: skip
        second, fifth = histogram.bucket_of(1000), histogram.bucket_of(200)
        assert row == (3, 1800.0, 100, [second], [3], [fifth], [1], 1, 1, 1000.0)


POOL = [
    call(span_id=101, response_id="a", mapping=mapping("x"), feature="f"),
    call(span_id=102, response_id="a", mapping=mapping("y"), parent_span_id=101, cached_input_tokens=50),
    call(span_id=103, response_id="b", after_s=30, duration_ns=7_000_000),
    call(span_id=103, response_id="b", after_s=30, duration_ns=900_000_000, output_tokens=77),
    call(span_id=104, mapping=mapping("z"), after_s=30.1, output_tokens=77),
    call(span_id=105, kind=SpanKind.AGENT, charge=Charge.ROLLUP, trace_id=trace(2), after_s=70),
    call(span_id=106, parent_span_id=105, trace_id=trace(2), after_s=71),
    call(span_id=107, response_id="a", trace_id=trace(3), after_s=130, mapping=mapping("gateway")),
    call(span_id=108, request_model="unknown", model="unknown", after_s=4000),
]
STEPS = st.lists(st.one_of(st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=4), st.none()), max_size=8)


@given(STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.slow
@pytest.mark.django_db
def test_sums_equal_a_recomputation_and_charges_do_not_depend_on_the_order(steps: list[list[int] | None]) -> None:
    """A step is a delivery of some of the pool, in any order and as often as you like, or a settling between."""
    project, reference = next(_projects), next(_projects)
    for step in steps:
        if step is None:
            run(project)
        else:
            deliver(project, *(POOL[index] for index in step))
    run(project)
    _assert_sums_equal_the_calls(project)
    _assert_totals_equal_the_sums(project)
    delivered = {index for step in steps if step for index in step}
    if delivered:
        deliver(reference, *(POOL[index] for index in sorted(delivered)))
    run(reference)
    sql = (
        "SELECT trace_id, span_id, charge, primary_span_id, filled, feature, input_tokens, cached_input_tokens,"
        " cost_usd, cost_rule FROM llm_calls WHERE project_id = %s ORDER BY 1, 2"
    )
    assert rows(sql, project) == rows(sql, reference)


def _assert_sums_equal_the_calls(project_id: int) -> None:
    expected: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, Decimal(0), 0, 0.0])
    stored = rows(
        "SELECT start_time, model, feature, kind, cost_usd, output_tokens, duration_ns FROM llm_calls"
        " WHERE project_id = %s AND charge = 0",
        project_id,
    )
    for start, model, feature, kind, usd, made, duration_ns in stored:
        for grain, bucket in _buckets(start):
            sums = expected[grain, bucket, model, feature, kind]
            sums[0] += 1
            sums[1] += usd or 0
            sums[2] += made or 0
            sums[3] += duration_ns / 1e6
    found = rows(
        "SELECT grain_minutes, bucket, model, feature, kind, calls, cost_usd, output_tokens, duration_ms_sum,"
        " duration_counts FROM call_rollups WHERE project_id = %s",
        project_id,
    )
    assert len(found) == len(expected)
    for row in found:
        calls, usd, made, duration_ms = expected[row[:5]]
        assert row[5:8] == (calls, usd, made)
        assert math.isclose(row[8], duration_ms)
        assert sum(row[9]) == calls


def _assert_totals_equal_the_sums(project_id: int) -> None:
    """Exactly one total per bucket, histogram included."""
    columns = "grain_minutes, bucket, sum(calls), sum(errors), sum(cost_usd), sum(output_tokens)"
    order = "GROUP BY grain_minutes, bucket ORDER BY 1, 2"
    ours = "WHERE project_id = %s"
    assert rows(f"SELECT {columns}, count(*) FROM call_totals {ours} {order}", project_id) == rows(
        f"SELECT {columns}, 1 FROM call_rollups {ours} {order}", project_id
    )
    for name in rollups.HISTOGRAMS:
        counted = f"""SELECT grain_minutes, bucket, b, sum(c) FROM {{}}, unnest({name}_buckets, {name}_counts) u(b, c)
            {ours} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        totals, sums = (rows(counted.format(table), project_id) for table in ("call_totals", "call_rollups"))
        assert totals == sums


def _buckets(start: Any) -> Sequence[tuple[int, Any]]:
    minute = start.replace(second=0, microsecond=0)
    return [(1, minute), (60, minute.replace(minute=0)), (1440, minute.replace(hour=0, minute=0))]


def test_sums_of_days_whose_calls_were_dropped_stay(project_id: int) -> None:
    deliver(project_id, call())
    run(project_id)
    long_ago = NOON - timedelta(days=4000)
    rows("INSERT INTO dirty_minutes (project_id, minute) VALUES (%s, %s) RETURNING 1", project_id, long_ago)
    rows(
        "UPDATE call_rollups SET bucket = %s WHERE project_id = %s AND grain_minutes = 1 RETURNING 1",
        long_ago,
        project_id,
    )
    run(project_id)
    assert total(project_id)[0] == 1
