"""A batch is stored once, whole or not at all, however often and in whatever order it arrives."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from kit.calls import NOON, RESOURCE, call, content_of, span_of, trace
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallCost, CallRecord, CostConfidence, LogRecord, PointRecord
from stanchion_server.kernel.errors import Unavailable
from stanchion_server.traces import partitions, store
from stanchion_server.traces.store import StoreResult

_projects = itertools.count(600_000)  # beyond what a whole run makes: names once written are remembered by project


@pytest.fixture
def project_id(db: None) -> Iterator[int]:
    yield next(_projects)


def ledger(sent: int, **values: Any) -> LedgerEntry:
    return LedgerEntry(api_key_id=1, signal="traces", client="test/1", body_bytes=10, sent=sent, **values)


def batch_of(*calls: CallRecord) -> Batch:
    return Batch(spans=tuple(span_of(c) for c in calls), calls=calls, contents=tuple(content_of(c) for c in calls))


def rows(sql: str, *values: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def count(table: str, project_id: int) -> int:
    return int(rows(f"SELECT count(*) FROM {table} WHERE project_id = %s", project_id)[0][0])


def test_every_field_of_a_call_comes_back_as_it_was(project_id: int) -> None:
    record = call(
        parent_span_id=-5, response_id="chatcmpl-1", pair_key=-7, cached_input_tokens=80, cache_write_tokens=1,
        cache_write_1h_tokens=2, reasoning_tokens=3, audio_input_tokens=4, audio_output_tokens=5, max_tokens=2**62,
        seed=-1, time_to_first_token_ms=12.5, temperature=0.25, top_p=0.5, top_k=40.0, tool_call_count=2,
        is_streamed=True, finish_reasons=("stop", "längst"), tags=("a", 'b"c'), parameters={"n": 1},
        feature="suche", user_id="u", input_preview="hi\nthere", client_cost_usd=Decimal("0.0123"),
        cost=CallCost(Decimal("0.000126"), "list gpt", "rule", CostConfidence.HIGH, ""),
    )  # fmt: skip
    store.store(project_id, batch_of(record), ledger(1))
    names = (
        "trace_id", "span_id", "parent_span_id", "start_time", "duration_ns", "pair_key", "response_key",
        "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens",
        "audio_output_tokens", "max_tokens", "seed", "time_to_first_token_ms", "temperature", "top_p", "top_k",
        "tool_call_count", "is_streamed", "feature", "user_id", "input_preview", "client_cost_usd", "model", "service",
    )  # fmt: skip
    [row] = rows(f"SELECT {', '.join(names)} FROM llm_calls WHERE project_id = %s", project_id)
    assert dict(zip(names, row, strict=True)) == {name: getattr(record, name) for name in names}
    [row] = rows(
        "SELECT cost_usd, cost_price, cost_confidence, finish_reasons, tags, parameters->>'n' FROM llm_calls"
        " WHERE project_id = %s",
        project_id,
    )
    assert row == (Decimal("0.000126"), "list gpt", "high", ["stop", "längst"], ["a", 'b"c'], "1")
    [row] = rows(
        "SELECT service, attributes->>'gen_ai.request.model', events FROM spans WHERE project_id=%s", project_id
    )
    assert row == ("shop", "gpt-4o-mini", None)
    assert bytes(rows("SELECT body FROM contents WHERE project_id = %s", project_id)[0][0]) == b"compressed"


def test_a_batch_that_comes_again_changes_nothing(project_id: int) -> None:
    batch = batch_of(call(), call(), call())
    assert store.store(project_id, batch, ledger(3)) == StoreResult(3, 0)
    assert store.store(project_id, batch, ledger(3)) == StoreResult(0, 3)
    assert [count(table, project_id) for table in ("spans", "llm_calls", "contents")] == [3, 3, 3]
    books = rows(
        "SELECT sent, stored, duplicate, state FROM ingest_batches WHERE project_id=%s ORDER BY id", project_id
    )
    assert books == [(3, 3, 0, "stored"), (3, 0, 3, "stored")]


def test_a_batch_half_of_which_is_known_stores_the_other_half(project_id: int) -> None:
    first, second, third = call(), call(), call()
    store.store(project_id, batch_of(first, second), ledger(2))
    assert store.store(project_id, batch_of(third, second), ledger(2)) == StoreResult(1, 1)
    assert count("llm_calls", project_id) == 3


def test_an_item_twice_in_one_request_is_one_row(project_id: int) -> None:
    record = call()
    assert store.store(project_id, batch_of(record, record), ledger(2)) == StoreResult(1, 1)
    assert count("contents", project_id) == 1


@pytest.mark.parametrize("order", ["pending first", "finished first", "together"])
def test_the_longer_version_of_a_span_stands(project_id: int, order: str) -> None:
    finished = call(output_tokens=20, duration_ns=5_000_000)
    pending = replace(finished, output_tokens=None, duration_ns=0)
    if order == "together":
        store.store(project_id, batch_of(pending, finished), ledger(2))
    else:
        for record in (pending, finished) if order == "pending first" else (finished, pending):
            store.store(project_id, batch_of(record), ledger(1))
    assert rows("SELECT duration_ns, output_tokens FROM llm_calls WHERE project_id = %s", project_id) == [
        (5_000_000, 20)
    ]
    assert rows("SELECT duration_ns FROM spans WHERE project_id = %s", project_id) == [(5_000_000,)]


def test_spans_of_many_days_find_their_partitions(project_id: int) -> None:
    calls = [call(after_s=86_400 * day) for day in (-40, -1, 0, 1)]
    assert store.store(project_id, batch_of(*calls), ledger(4)).stored == 4


def test_a_partition_that_someone_dropped_is_made_again(project_id: int) -> None:
    store.store(project_id, batch_of(call()), ledger(1))
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {partitions.name_of('llm_calls', NOON.date())}")
    assert store.store(project_id, batch_of(call()), ledger(1)).stored == 1


def test_numbers_that_no_column_holds_are_not_known_and_lose_nothing_else(project_id: int) -> None:
    record = call(input_tokens=2**63, temperature=1e300, time_to_first_token_ms=-1.0, client_cost_usd=Decimal("1e30"))
    store.store(project_id, batch_of(record), ledger(1))
    sql = "SELECT input_tokens, temperature, time_to_first_token_ms, client_cost_usd, output_tokens FROM llm_calls"
    assert rows(sql + " WHERE project_id = %s", project_id) == [(None, None, None, None, 20)]


def test_names_are_written_once_and_each_touched_minute_is_marked(project_id: int) -> None:
    store.store(project_id, batch_of(call(), call(after_s=59), call(after_s=60)), ledger(3))
    store.store(project_id, batch_of(call()), ledger(1))
    assert count("resources", project_id) == count("key_mappings", project_id) == 1
    minutes = rows("SELECT DISTINCT minute FROM dirty_minutes WHERE project_id = %s ORDER BY 1", project_id)
    assert [row[0] for row in minutes] == [NOON, NOON + timedelta(minutes=1)]


def test_logs_and_points_are_stored_once(project_id: int) -> None:
    log = LogRecord(trace(1), 5, NOON, 99, 9, "gen_ai.choice", "s", RESOURCE, b'"body"', b"{}", RESOURCE_ALTERATIONS)
    point = PointRecord(7, "hw.gpu.utilization", "1", "gauge", 0, None, NOON, 0.5, None, b"{}", RESOURCE)
    batch = Batch(logs=(log, log), points=(point, replace(point, time=NOON + timedelta(seconds=1))))
    assert store.store(project_id, batch, ledger(4)) == StoreResult(3, 1)
    assert store.store(project_id, batch, ledger(4)) == StoreResult(0, 4)


RESOURCE_ALTERATIONS = span_of(call()).alterations


def test_texts_on_a_log_mark_the_minute_of_their_call(project_id: int) -> None:
    record = call()
    store.store(project_id, batch_of(record), ledger(1))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM dirty_minutes WHERE project_id = %s", [project_id])
    later = replace(content_of(record, b"from a log", source=1), start_time=NOON + timedelta(minutes=3))
    log = LogRecord(
        record.trace_id, record.span_id, NOON + timedelta(minutes=3), 1, 9, "e", "s", RESOURCE, b"1", b"{}",
        RESOURCE_ALTERATIONS,
    )  # fmt: skip
    store.store(project_id, Batch(logs=(log,), contents=(later,)), ledger(1))
    assert rows("SELECT minute FROM dirty_minutes WHERE project_id = %s", project_id) == [(NOON,)]


def test_a_refused_request_is_in_the_ledger(project_id: int) -> None:
    store.refuse(project_id, ledger(5, rejected=5, reasons={"too_large": 5}, detail="Send less."))
    sql = "SELECT state, sent, rejected, reasons->>'too_large' FROM ingest_batches WHERE project_id = %s"
    assert rows(sql, project_id) == [("refused", 5, 5, "5")]


@pytest.mark.django_db(transaction=True)
def test_the_same_batch_delivered_by_many_at_once_is_stored_once() -> None:
    project = next(_projects)
    calls = [call(after_s=number * 977, trace_id=trace(900 - number)) for number in range(200)]
    partitions.ensure({record.start_time.date() for record in calls})
    results: list[StoreResult] = []

    def deliver(mine: list[CallRecord]) -> None:
        try:
            results.append(store.store(project, batch_of(*mine), ledger(len(mine))))
        finally:
            connections.close_all()

    shares = [calls, calls[::-1], calls[50:] + calls[:50], calls[:120], calls[80:], calls]
    threads = [threading.Thread(target=deliver, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(result.stored for result in results) == 200
    assert sum(result.stored + result.duplicate for result in results) == sum(map(len, shares))
    assert count("llm_calls", project) == count("spans", project) == count("contents", project) == 200


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_unavailable_and_the_next_request_works() -> None:
    project = next(_projects)
    partitions.ensure([NOON.date()])
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid
    with psycopg.connect(connection.connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (backend,))
    record = call()
    with pytest.raises(Unavailable):
        store.store(project, batch_of(record), ledger(1))
    assert store.store(project, batch_of(record), ledger(1)) == StoreResult(1, 0)
