"""Reading what is stored: lists, trees and sums, at once and after settling alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from kit import stored
from kit.calls import NOON, call, content_of, mapping, span_of, trace
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.traces import selectors
from stanchion_server.traces.selectors import CallFilter, MetricQuery, TraceFilter, grains

HOUR = timedelta(hours=1)


@pytest.fixture
def project_id(db: None) -> Iterator[int]:
    yield next(stored.projects)


def mixed(count: int = 40) -> list[Any]:
    """Calls of several features, models and outcomes over three days."""
    return [
        call(
            trace_id=trace(number + 1), after_s=-6500 * number, duration_ns=10**7 * (number + 1),
            feature=("chat", "search", "")[number % 3], model=("gpt-4o-mini", "unheard-of")[number % 2],
            status=Status.ERROR if number % 5 == 0 else Status.OK, user_id=f"u{number % 4}",
            input_tokens=None if number % 7 == 0 else 100 + number, output_tokens=None if number % 7 == 0 else 20,
            is_streamed=number % 2 == 0, time_to_first_token_ms=3.0 if number % 2 == 0 else None,
        )
        for number in range(count)
    ]  # fmt: skip


def query(**more: Any) -> MetricQuery:
    return MetricQuery(NOON - timedelta(days=4), NOON + HOUR, **more)


@pytest.mark.django_db
class TestMetrics:
    def test_a_call_just_stored_is_counted_before_anything_is_settled(self, project_id: int) -> None:
        stored.deliver(project_id, call(feature="chat"))
        [row] = selectors.metrics(project_id, query(group_by=("feature",))).rows
        assert (row.group, row.calls, row.input_tokens) == ({"feature": "chat"}, 1, 100)
        assert row.cost_usd == Decimal("0.000027")

    @pytest.mark.parametrize("step", [None, timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)])
    @pytest.mark.parametrize("groups", [(), ("feature",), ("model", "kind")])
    def test_settled_unsettled_and_raw_agree(
        self, project_id: int, step: timedelta | None, groups: tuple[str, ...]
    ) -> None:
        asked = query(step=step, group_by=groups)
        stored.deliver(project_id, *mixed())
        unsettled = selectors.metrics(project_id, asked).rows
        stored.settled(project_id)
        settled = selectors.metrics(project_id, asked).rows
        raw = selectors.metrics(project_id, replace(asked, filters=CallFilter(min_duration_ms=0.0)))
        assert raw.source == "calls"
        assert sum(row.calls for row in settled) == 40
        assert comparable(settled) == comparable(unsettled) == comparable(raw.rows)

    def test_new_calls_in_a_settled_hour_are_added_and_not_doubled(self, project_id: int) -> None:
        stored.deliver(project_id, *mixed())
        stored.settled(project_id)
        stored.deliver(project_id, *(call(after_s=-second, trace_id=trace(900 + second)) for second in range(5)))
        [row] = selectors.metrics(project_id, query()).rows
        assert row.calls == 45
        assert row.duration_ms is not None

    def test_nothing_reported_is_none_and_not_zero(self, project_id: int) -> None:
        stored.deliver(project_id, call(model="unheard-of", input_tokens=None, output_tokens=None))
        [row] = selectors.metrics(project_id, query()).rows
        assert (row.input_tokens, row.cost_usd, row.unpriced_calls) == (None, None, 1)

    def test_an_attribute_groups_calls_by_what_their_spans_carry(self, project_id: int) -> None:
        first, second = call(), call()
        spans = [span_of(record, attributes_json=b'{"tier": "gold", "a__b": 1}') for record in (first, second)]
        batch = {"spans": (replace(spans[0], span_id=first.span_id),)}
        stored.deliver(project_id, second)
        store_only(project_id, first, **batch)
        rows = selectors.metrics(project_id, query(group_by=("attribute:tier",))).rows
        assert {row.group["attribute:tier"]: row.calls for row in rows} == {"gold": 1, "": 1}
        found = selectors.calls(project_id, CallFilter(attributes={"a__b": "1"})).items
        assert [item.span_id for item in found] == [span_id_to_hex(first.span_id)]

    def test_what_cannot_be_answered_is_said(self, project_id: int) -> None:
        for bad in (
            query(group_by=("secret",)),
            query(group_by=("attribute:'; DROP TABLE spans",)),
            query(step=timedelta(seconds=7)),
            query(order="luck"),
            MetricQuery(NOON, NOON - HOUR),
            MetricQuery(NOON - timedelta(days=90), NOON, group_by=("user",)),
        ):
            with pytest.raises(SenderError):
                selectors.metrics(project_id, bad)

    def test_the_overview_fills_every_step_and_compares_with_the_period_before(self, project_id: int) -> None:
        stored.deliver(project_id, *mixed())
        page = selectors.overview(project_id, NOON - timedelta(days=1), NOON + timedelta(minutes=1))
        assert page.now.calls == sum(row.calls for row in page.series) == 14
        assert page.before.calls > 0
        assert {row.group["feature"] for row in page.top_features} == {"chat", "search", ""}
        buckets = [row.bucket for row in page.series if row.bucket]
        assert all(later - earlier == timedelta(seconds=page.step_s) for earlier, later in itertools.pairwise(buckets))

    def test_facets_count_the_values_of_each_dimension(self, project_id: int) -> None:
        stored.deliver(project_id, *mixed(6))
        stored.settled(project_id)
        found = selectors.facets(project_id, NOON - timedelta(days=4), NOON + HOUR)
        assert {(item.value, item.calls) for item in found["feature"]} == {("chat", 2), ("search", 2), ("", 2)}
        assert [item.value for item in found["kind"]] == ["llm"]


def store_only(project_id: int, record: Any, **batch: Any) -> None:
    from stanchion_server.ingest.ledger import LedgerEntry
    from stanchion_server.ingest.records import Batch
    from stanchion_server.traces import store

    store.store(project_id, Batch(calls=(record,), **batch), LedgerEntry(1, "traces", "kit", 1, 1))


def comparable(rows: Any) -> list[Any]:
    """Rows without the last digits of sums of floats, in an order of their own."""
    names = ("bucket", "calls", "errors", "unpriced_calls", "untokened_calls", "input_tokens", "output_tokens",
             "cost_usd", "duration_ms", "ttft_ms")  # fmt: skip
    plain = [
        (*(getattr(row, name) for name in names), dict(row.group), round(row.duration_mean_ms, 6),
         row.output_tokens_per_s and round(row.output_tokens_per_s, 6)) for row in rows
    ]  # fmt: skip
    return sorted(plain, key=repr)


@pytest.mark.django_db
class TestCalls:
    def test_pages_hold_every_call_once_and_in_order(self, project_id: int) -> None:
        stored.deliver(project_id, *(call(after_s=number // 3) for number in range(20)))
        seen, cursor = [], None
        while True:
            page = selectors.calls(project_id, CallFilter(), cursor, 7)
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len({item.span_id for item in seen}) == len(seen) == 20
        assert [item.start_time for item in seen] == sorted((item.start_time for item in seen), reverse=True)

    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            (CallFilter(feature="chat"), 14), (CallFilter(feature=""), 13), (CallFilter(status=Status.ERROR), 8),
            (CallFilter(user_id="u1"), 10), (CallFilter(is_priced=False), 6), (CallFilter(min_duration_ms=200), 21),
            (CallFilter(kind=SpanKind.EMBEDDING), 0), (CallFilter(start=NOON, end=NOON + HOUR), 1),
            (CallFilter(min_cost_usd=Decimal("0.00001")), 34), (CallFilter(text="100%"), 0),
        ],
    )  # fmt: skip
    def test_filters_find_what_they_name(self, project_id: int, wanted: CallFilter, count: int) -> None:
        stored.deliver(project_id, *mixed())
        assert len(selectors.calls(project_id, wanted).items) == count

    def test_text_is_taken_literally(self, project_id: int) -> None:
        stored.deliver(project_id, call(input_preview="50% Off_er"), call(output_preview="50 apples offer"))
        assert len(selectors.calls(project_id, CallFilter(text="50% off_")).items) == 1

    def test_another_project_sees_nothing(self, project_id: int) -> None:
        record = call()
        stored.deliver(project_id, record)
        stranger = next(stored.projects)
        ids = (record.trace_id.hex, span_id_to_hex(record.span_id))
        assert selectors.call(stranger, *ids) is None
        assert selectors.trace(stranger, ids[0]) is None
        assert selectors.span_content(stranger, *ids) is None
        assert selectors.calls(stranger, CallFilter()).items == ()

    @given(st.text(max_size=60))
    def test_a_cursor_of_junk_is_refused(self, junk: str) -> None:
        from stanchion_server.traces.selectors import reading

        with pytest.raises(SenderError):
            reading.decode_cursor(junk)

    def test_a_call_shows_its_texts_its_mapping_and_its_other_records(self, project_id: int) -> None:
        first = call(response_id="r-1", input_preview="hello")
        second = call(response_id="r-1", mapping=mapping("anthropic-sdk"), after_s=0.1)
        body = messages.pack({"input": [messages.message("user", [messages.text_part("hello")])]}).body
        stored.deliver(project_id, first, second, contents=(content_of(first, body),))
        stored.settled(project_id)
        found = selectors.call(project_id, first.trace_id.hex, span_id_to_hex(first.span_id))
        assert found is not None and found.content is not None and found.mapping is not None
        assert found.content.body["input"][0]["parts"][0]["text"] == "hello"
        assert found.mapping.unmapped == ("x.unknown",)
        assert [other.span_id for other in found.duplicates] == [span_id_to_hex(second.span_id)]
        assert len(selectors.calls(project_id, CallFilter()).items) == 1
        assert len(selectors.calls(project_id, CallFilter(charge=None)).items) == 2

    def test_a_failed_call_without_usage_is_no_gap_on_the_radar(self, project_id: int) -> None:
        silent = {"input_tokens": None, "output_tokens": None}
        stored.deliver(project_id, call(), call(status=Status.ERROR, **silent), call(**silent))
        [client] = selectors.radar(project_id, NOON - HOUR)
        assert (client.calls, client.without_tokens_ratio, client.without_price_ratio) == (3, 1 / 3, 1 / 3)

    def test_the_radar_names_unknown_keys_per_client(self, project_id: int) -> None:
        stored.deliver(project_id, call(), call(model="", request_model=""))
        [client] = selectors.radar(project_id, NOON - HOUR)
        assert (client.scope_name, client.calls, client.without_model_ratio) == ("openai-v2", 2, 0.5)
        assert [(key.value, key.calls) for key in client.unmapped_keys] == [("x.unknown", 2)]


@pytest.mark.django_db
class TestTraces:
    def test_a_tree_adds_up_what_lies_below_each_span(self, project_id: int) -> None:
        root = span_of(call(span_id=1), kind=SpanKind.AGENT)
        below = [call(span_id=number, parent_span_id=1, after_s=number) for number in (2, 3)]
        stored.deliver(project_id, *below, spans=(root,))
        view = selectors.trace(project_id, trace(1).hex)
        assert view is not None
        assert [(node.depth, node.offset_ms) for node in view.spans] == [(0, 0.0), (1, 2000.0), (1, 3000.0)]
        assert view.spans[0].subtree_input_tokens == view.input_tokens == 200
        assert view.spans[0].subtree_cost_usd == view.cost_usd == Decimal("0.000054")
        [summary] = selectors.traces(project_id, TraceFilter()).items
        assert (summary.calls, summary.cost_usd) == (2, Decimal("0.000054"))

    def test_a_missing_parent_is_named_and_circles_are_cut(self, project_id: int) -> None:
        around = [call(span_id=10, parent_span_id=11), call(span_id=11, parent_span_id=10)]
        stored.deliver(project_id, call(span_id=5, parent_span_id=99), call(span_id=6, parent_span_id=6), *around)
        view = selectors.trace(project_id, trace(1).hex)
        assert view is not None and view.is_incomplete
        assert len(view.spans) == 4 and view.calls == 4
        assert span_id_to_hex(99) in view.missing_parents

    def test_two_thousand_spans_come_with_few_queries_and_depth_is_no_danger(
        self, project_id: int, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        chain = [call(span_id=n, parent_span_id=n - 1 or None, charge=Charge.CHARGED) for n in range(1, 2001)]
        stored.deliver(project_id, *chain)
        with django_assert_max_num_queries(6):
            view = selectors.trace(project_id, trace(1).hex)
        assert view is not None and view.spans[-1].depth == 1999 and view.spans[0].subtree_calls == 2000


MINUTES = st.integers(0, 60 * 24 * 60)


@given(MINUTES, MINUTES, st.sampled_from(grains.GRAIN_MINUTES))
def test_segments_follow_each_other_and_cover_the_range_once(first: int, length: int, grain: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=first)
    end = start + timedelta(minutes=length)
    pieces = grains.segments(start, end, grain)
    assert sum((piece.end - piece.start for piece in pieces), timedelta()) == end - start
    for piece, following in itertools.pairwise(pieces):
        assert piece.end == following.start
    for piece in pieces:
        assert piece.start < piece.end
        assert not (piece.start - grains.EPOCH) % timedelta(minutes=piece.grain_minutes)
