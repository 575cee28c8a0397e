"""Peaks of minutes: whatever came in whichever order, they are those of the calls that are stored."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import calls, stored, traffic
from stanchion_server.costs import peaks, rate_limits, selectors_headroom
from stanchion_server.costs.limited import CallPeak, DirtyPeak, RateLimit
from stanchion_server.ingest.records import CallRecord
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOON = calls.NOON
MINUTE, SECOND, US = timedelta(minutes=1), timedelta(seconds=1), timedelta(microseconds=1)
HOUR_S, DAY_S = 3_600, 86_400
MODELS = ("gpt-4o", "gpt-4o-mini")
_numbers = itertools.count(1)


def a_project() -> Project:
    return tenants.create_project(tenants.create_organisation(f"Acme {next(_numbers)}"), "Shop")


def limit(project: Project, model: str = "") -> RateLimit:
    return rate_limits.add(project, {"provider": "openai", "model": model, "rpm": Decimal(10)}, "ann")


def ran(at_s: float, lasts_s: float = 1.0, **more: Any) -> CallRecord:
    return calls.call(after_s=at_s, duration_ns=int(lasts_s * 1e6) * 1_000, **more)


def deliver(project: Project, *records: CallRecord) -> None:
    stored.deliver(project.pk, *records)
    stored.settled(project.pk)


Peak = tuple[int, int | None, int | None, int | None, int | None, int]


def kept(row: RateLimit) -> dict[datetime, Peak]:
    rows = CallPeak.objects.filter(rate_limit=row).values_list(
        "minute", "calls", "input_tokens", "output_tokens", "second_calls", "second_tokens", "running_calls"
    )
    return {minute.astimezone(UTC): tuple(told) for minute, *told in rows}  # type: ignore[misc]


def by_hand(records: Sequence[CallRecord], model: str) -> dict[datetime, Peak]:
    """Looks at every call for every minute and at every moment in which one begins."""
    wanted = [one for one in records if model in ("", one.model)]
    spans = [(one.start_time, one.start_time + min(max(one.duration_ns // 1_000, 1), HOUR_S * 10**6) * US)
             for one in wanted]  # fmt: skip
    found: dict[datetime, Peak] = {}
    for minute in {floor(began) + place * MINUTE for began, _ended in spans for place in range(62)}:
        moments = [minute, *(began for began, _ended in spans if floor(began) == minute)]
        running = max(sum(began <= at < ended for began, ended in spans) for at in moments)
        if running:
            own = [one for one in wanted if floor(one.start_time) == minute]
            found[minute] = (len(own), *_tokens(own), *_seconds(own), running)
    return found


def floor(time: datetime, unit: timedelta = MINUTE) -> datetime:
    return time - (time - NOON) % unit


def _tokens(own: Sequence[CallRecord]) -> tuple[int | None, int | None]:
    told = [one for one in own if one.input_tokens is not None or one.output_tokens is not None]
    if not told:
        return None, None
    return sum(one.input_tokens or 0 for one in told), sum(one.output_tokens or 0 for one in told)


def _seconds(own: Sequence[CallRecord]) -> tuple[int | None, int | None]:
    counts = Counter(floor(one.start_time, SECOND) for one in own)
    tokens: Counter[datetime] = Counter()
    for one in own:
        if one.input_tokens is not None or one.output_tokens is not None:
            tokens[floor(one.start_time, SECOND)] += (one.input_tokens or 0) + (one.output_tokens or 0)
    return max(counts.values(), default=None), max(tokens.values(), default=None)


TOKENS = st.one_of(st.none(), st.integers(0, 1_000))
A_CALL = st.builds(
    ran,
    st.integers(-600_000, 0).map(lambda thousandths: thousandths / 1_000) | st.sampled_from([-7_000, -300, -240, -60]),
    st.floats(0, 30) | st.sampled_from([0, 59.999999, 60, 60.000001, 119.5, 240, 3_599.5, 3_600, 9_000]),
    model=st.sampled_from(MODELS), input_tokens=TOKENS, output_tokens=TOKENS,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(batches=st.lists(st.lists(A_CALL, min_size=1, max_size=12), min_size=1, max_size=3), is_late=st.booleans())
def test_peaks_are_those_that_every_moment_of_every_call_gives(
    batches: list[list[CallRecord]], is_late: bool, db: None
) -> None:
    """Batches are counted one by one, or all at once going back from a limit that was said later."""
    project = a_project()
    limits = [] if is_late else [limit(project), limit(project, MODELS[0])]
    for batch in batches:
        deliver(project, *(calls.replace(one, trace_id=calls.trace(next(_numbers))) for one in batch))
        if not is_late:
            traffic.count_peaks(NOON)
    limits = limits or [limit(project), limit(project, MODELS[0])]
    traffic.count_peaks(NOON)
    records = [one for batch in batches for one in batch]
    assert kept(limits[0]) == by_hand(records, "")
    assert kept(limits[1]) == by_hand(records, MODELS[0])


def test_a_call_across_a_border_runs_in_both_minutes_and_begins_in_one() -> None:
    project = a_project()
    row = limit(project)
    deliver(project, ran(-65, 10), ran(-62, 130))
    traffic.count_peaks(NOON)
    running = {minute: (told[0], told[-1]) for minute, told in kept(row).items()}
    assert running == {NOON - 2 * MINUTE: (2, 2), NOON - MINUTE: (0, 2), NOON: (0, 1), NOON + MINUTE: (0, 1)}


def test_late_calls_open_their_minutes_again_and_duplicates_close_them() -> None:
    project = a_project()
    row = limit(project)
    told = {"response_id": "resp-1", "trace_id": calls.trace(next(_numbers))}
    first = ran(-300, 100, **told)
    deliver(project, first)
    traffic.count_peaks(NOON)
    assert [told[-1] for told in kept(row).values()] == [1, 1]
    again = ran(-299, 90, parent_span_id=first.span_id, mapping=calls.mapping("other"), **told)
    deliver(project, again, ran(-280, 1))
    traffic.count_peaks(NOON)
    assert {minute: told[-1] for minute, told in kept(row).items()} == {NOON - 5 * MINUTE: 2, NOON - 4 * MINUTE: 1}


def test_calls_dated_in_the_future_before_a_limit_was_made_count_once_their_time_has_come() -> None:
    project = a_project()
    deliver(project, ran(3_600), ran(3_601), ran(-60))
    row = limit(project)
    traffic.count_peaks(NOON)
    assert {minute: told[0] for minute, told in kept(row).items()} == {NOON - MINUTE: 1, NOON + 60 * MINUTE: 2}
    (before,) = selectors_headroom.readings(project.pk, [RateLimit.objects.get(pk=row.pk)], NOON)
    (after,) = selectors_headroom.readings(project.pk, [RateLimit.objects.get(pk=row.pk)], NOON + 2 * 60 * MINUTE)
    rpm = [next(part for part in one.dimensions if part.dimension == "rpm").peak_7d for one in (before, after)]
    assert rpm == [1, 2]


def test_minutes_that_wait_to_be_counted_are_told_with_the_first_of_them() -> None:
    project, other = a_project(), a_project()
    row = limit(project)
    limit(other)
    traffic.count_peaks(NOON)
    assert peaks.backlog(project.pk, NOON) == peaks.Backlog(0, None)
    deliver(project, ran(-600), ran(-300), ran(-299), ran(7_200))
    assert peaks.backlog(project.pk, NOON) == peaks.Backlog(2, NOON - 10 * MINUTE)
    stored.deliver(project.pk, ran(-1_200))
    (told,) = selectors_headroom.readings(project.pk, [RateLimit.objects.get(pk=row.pk)], NOON)
    assert (told.settled_until, told.waiting_minutes) == (NOON - 20 * MINUTE, 3)
    assert peaks.backlog(other.pk, NOON) == peaks.Backlog(0, None)
    stored.settled(project.pk)
    traffic.count_peaks(NOON)
    assert peaks.backlog(project.pk, NOON) == peaks.Backlog(0, None)


def test_a_limit_for_other_calls_is_counted_anew() -> None:
    project = a_project()
    row = limit(project, "gpt-4o")
    deliver(project, ran(-60), ran(-60), ran(-60, model="gpt-4o"))
    traffic.count_peaks(NOON)
    assert [told[0] for told in kept(row).values()] == [1]
    rate_limits.change(project.pk, row.pk, {"rpm": Decimal(9)}, "ann")
    assert [told[0] for told in kept(row).values()] == [1]
    rate_limits.change(project.pk, row.pk, {"model": "gpt-4o-mini"}, "ann")
    assert kept(row) == {}
    traffic.count_peaks(NOON)
    assert [told[0] for told in kept(row).values()] == [2]
    rate_limits.delete(project.pk, row.pk)
    assert not CallPeak.objects.exists()


def test_what_is_counted_back_is_known_day_by_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "CALLS_AT_ONCE", 1)
    project = a_project()
    deliver(project, *(ran(-days * DAY_S - 60 * place) for days in range(9) for place in (1, 2)))
    row = limit(project)
    known = []
    for _step in itertools.takewhile(bool, (next(peaks.work(NOON), 0) for _ in itertools.count())):
        (one,) = selectors_headroom.readings(project.pk, [RateLimit.objects.get(pk=row.pk)], NOON)
        rpm = next(part for part in one.dimensions if part.dimension == "rpm")
        known.append((rpm.peak_24h, rpm.peak_7d))
    assert known[0] == (None, None) and known[-1] == (1, 1)
    assert (1, None) in known
    assert len(kept(row)) == 18


def test_a_step_takes_marked_minutes_by_their_calls_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "CALLS_AT_ONCE", 3)
    project = a_project()
    row = limit(project)
    traffic.count_peaks(NOON)
    deliver(project, *(ran(-60 * place) for place in (1, 2, 2, 3, 3, 4)))
    steps = []
    for _step in itertools.takewhile(bool, (next(peaks.work(NOON), 0) for _ in itertools.count())):
        steps.append({(NOON - minute) // MINUTE: told[0] for minute, told in kept(row).items()})
    assert steps == [{1: 1, 2: 2}, {1: 1, 2: 2, 3: 2, 4: 1}] and not DirtyPeak.objects.exists()


def test_projects_without_a_limit_leave_no_mark() -> None:
    project = a_project()
    deliver(project, ran(-60))
    traffic.count_peaks(NOON)
    assert not DirtyPeak.objects.exists() and not CallPeak.objects.exists()


def test_a_worker_that_dies_before_the_commit_leaves_its_marks() -> None:
    project = a_project()
    row = limit(project)
    traffic.count_peaks(NOON)
    deliver(project, ran(-60))
    with pytest.raises(RuntimeError), transaction.atomic():
        traffic.count_peaks(NOON)
        raise RuntimeError("killed")
    assert DirtyPeak.objects.exists() and kept(row) == {}
    traffic.count_peaks(NOON)
    assert not DirtyPeak.objects.exists() and len(kept(row)) == 1


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_count_each_minute_once() -> None:
    project = a_project()
    deliver(project, *(ran(-60 * place, 90) for place in range(1, 41)))
    row = limit(project)

    def work() -> None:
        try:
            traffic.count_peaks(NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _worker in range(4)]:
            future.result()
    traffic.count_peaks(NOON)
    assert {told[-1] for told in kept(row).values()} == {1, 2} and len(kept(row)) == 41


def test_old_peaks_end_with_what_no_trend_looks_back_to() -> None:
    project = a_project()
    row = limit(project)
    deliver(project, ran(-60), ran(-13 * DAY_S))
    traffic.count_peaks(NOON)
    peaks.expire(NOON + timedelta(days=5))
    assert list(kept(row)) == [NOON - MINUTE]
