"""What pages, the API and alerts read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kit import scored
from kit.calls import NOON
from kit.scored import asked, deliver
from kit.scorers import Fake, length, panel_of
from kit.stored import projects
from stanchion_server.ingest.records import CallRecord, Charge
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality import intervals, keeping, rollups
from stanchion_server.quality.models import ScoreJob, ScoreRollup
from stanchion_server.quality.records import Evidence, Result
from stanchion_server.quality.selectors import distributions as read
from stanchion_server.quality.selectors import queue, scores
from stanchion_server.quality.selectors.distributions import ScoreQuery, distributions
from stanchion_server.quality.selectors.scores import ScoreFilter
from stanchion_server.traces.models import LlmCall

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def project_id() -> int:
    return next(projects)


def at(minute: float, answer: str, **values: object) -> CallRecord:
    return asked(answer, start_time=NOON + timedelta(minutes=minute), **values)


def scored_calls(project_id: int, *calls: CallRecord) -> None:
    deliver(project_id, *calls)
    scored.score(panel_of(Fake("length", length)), project_id)
    rollups.run(clock.now(), project_id)


def test_a_window_has_count_mean_interval_shares_and_histogram_by_dimension(project_id: int) -> None:
    calls = [at(0, "x" * size, feature="support", release="1") for size in (1, 2, 3)]
    scored_calls(project_id, *calls, at(70, "x" * 10, feature="search", release="2"))
    (support, search) = sorted(
        distributions(project_id, ScoreQuery(NOON, NOON + 2 * HOUR, group_by=("feature",))), key=lambda row: -row.scores
    )
    assert (support.scorer, support.scorer_version, support.group) == ("length", "1", {"feature": "support"})
    assert (support.scores, support.flagged, support.flagged_ratio) == (3, 0, 0.0)
    assert support.mean == pytest.approx(0.2) and support.deviation == pytest.approx(0.1)
    assert support.mean_interval is not None and support.mean_interval.low == pytest.approx(
        0.2 - 1.96 * 0.1 / 3**0.5, abs=1e-4
    )
    assert support.flagged_interval == intervals.wilson(0, 3)
    assert [number for number, count in enumerate(support.histogram) if count] == [2, 4, 6]
    assert (search.scores, search.mean, search.mean_interval, search.histogram[19]) == (1, 1.0, None, 1)


def test_steps_filters_and_long_windows_read_the_same_scores(project_id: int) -> None:
    scored_calls(project_id, at(0, "xx", model="a"), at(59, "xxxx", model="b"), at(61, "xxxxxx", model="b"))
    steps = distributions(project_id, ScoreQuery(NOON, NOON + 2 * HOUR, step=HOUR))
    assert [(row.bucket, row.scores) for row in steps] == [(NOON, 2), (NOON + HOUR, 1)]
    wide = ScoreQuery(NOON - timedelta(days=3, minutes=7), NOON + timedelta(hours=9, minutes=1), filters={"model": "b"})
    (row,) = distributions(project_id, wide)
    assert (row.scores, row.mean) == (2, pytest.approx(0.5))


def test_a_reading_for_alerts_is_rate_and_mean_and_none_without_scores(project_id: int) -> None:
    scored_calls(project_id, at(0, "xx"), at(1, "x" * 8))
    found = read.rate(project_id, "length", NOON, NOON + HOUR)
    assert (found.scores, found.flagged, found.flagged_ratio, found.mean) == (2, 1, 0.5, pytest.approx(0.5))
    assert read.rate(project_id, "length", NOON + HOUR, NOON + 2 * HOUR) == read.Rate(0, 0, None, None)
    assert read.rate(next(projects), "length", NOON, NOON + HOUR).scores == 0


def test_versions_are_never_added_up(project_id: int) -> None:
    deliver(project_id, at(0, "xx"))
    scored.score(panel_of(Fake("length", length)), project_id)
    ScoreJob.objects.all().delete()
    deliver(project_id, at(0, "xx"))
    scored.score(panel_of(Fake("length", length, version="2")), project_id)
    rollups.run(clock.now(), project_id)
    found = distributions(project_id, ScoreQuery(NOON, NOON + HOUR))
    assert [(row.scorer_version, row.scores) for row in found] == [("1", 1), ("2", 1)]


def test_sums_computed_twice_are_the_same_and_second_records_drop_out_of_them(project_id: int) -> None:
    first = at(0, "xx")
    scored_calls(project_id, first, at(0, "xxxx"))
    before = list(ScoreRollup.objects.filter(project_id=project_id).order_by("grain_minutes").values())
    sum_again(project_id)
    again = list(ScoreRollup.objects.filter(project_id=project_id).order_by("grain_minutes").values())
    assert again == before and [row["scores"] for row in before] == [2, 2]
    LlmCall.objects.filter(project_id=project_id, span_id=first.span_id).update(charge=Charge.DUPLICATE)
    sum_again(project_id)
    assert set(ScoreRollup.objects.filter(project_id=project_id).values_list("scores", "score_sum")) == {(1, 0.4)}


def sum_again(project_id: int) -> None:
    with db.raw_cursor() as cursor:
        keeping.mark(cursor, project_id, [NOON, NOON])
    rollups.run(clock.now(), project_id)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"end": NOON - HOUR}, "empty_range"), ({"group_by": ("user_id",)}, "unknown_group"),
        ({"filters": {"x; DROP TABLE scores": "1"}}, "unknown_group"), ({"step": timedelta(seconds=30)}, "bad_step"),
        ({"group_by": ("model", "model")}, "too_many_groups"), ({"end": NOON + timedelta(days=500)}, "range_too_long"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_says_what_is_wrong(project_id: int, wrong: dict, code: str) -> None:
    with pytest.raises(SenderError) as caught:
        distributions(project_id, ScoreQuery(**{"start": NOON, "end": NOON + HOUR, **wrong}))
    assert caught.value.code == code


def test_scores_of_a_call_and_a_trace_come_with_their_evidence(project_id: int) -> None:
    found = Evidence("response", 0, 2, "rude", 0.9, "rude")
    one = at(0, "xx", feature="support")
    deliver(project_id, one)
    judge = Fake("judge", lambda _: Result(0.9, "rude", True, "because", (found,), 12, 3))
    scored.score(panel_of(judge), project_id)
    (view,) = scores.of_call(project_id, one.trace_id.hex, span_id_to_hex(one.span_id))
    assert (view.score, view.label, view.reason, view.is_flagged) == (0.9, "rude", "because", True)
    assert view.evidence[0] == {
        "place": "response", "place_index": 0, "start": 0, "end": 2, "label": "rude", "score": 0.9, "reason": "rude",
    }  # fmt: skip
    assert (view.facts["feature"], view.input_tokens, view.start_time) == ("support", 12, NOON)
    assert scores.of_trace(project_id, one.trace_id.hex) == (view,)
    assert scores.of_trace(next(projects), one.trace_id.hex) == ()
    assert scores.of_call(project_id, "nonsense", "1") == ()


def test_the_newest_scores_are_paged_without_loss_and_the_worst_come_by_direction(project_id: int) -> None:
    scored_calls(project_id, *(at(number, "x" * (number + 1), model="m") for number in range(7)))
    wanted = ScoreFilter(start=NOON, end=NOON + HOUR, scorer="length", facts={"model": "m"})
    seen, cursor = [], None
    while True:
        page = scores.newest(project_id, wanted, cursor, limit=3)
        seen += [view.score for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [pytest.approx(number / 10) for number in (7, 6, 5, 4, 3, 2, 1)]
    assert [view.score for view in scores.worst(project_id, wanted, "low_is_good", 2)] == [0.7, 0.6]
    assert [view.score for view in scores.worst(project_id, wanted, "high_is_good", 2)] == [0.1, 0.2]
    flagged = scores.newest(project_id, ScoreFilter(is_flagged=True))
    assert [view.score for view in flagged.items] == [0.7, 0.6, 0.5]
    with pytest.raises(SenderError):
        scores.newest(project_id, wanted, "bm9uc2Vuc2U")


def test_the_queue_tells_how_much_waits_how_long_and_what_was_given_up(project_id: int) -> None:
    def fails(_: object) -> Result:
        raise ValueError

    deliver(project_id, at(0, "a"), at(1, "b"), at(2, "c"))
    now = clock.now() + timedelta(minutes=2)
    fast, slow = queue.lanes(project_id, now)
    assert (fast.open_jobs, fast.quarantined_jobs, fast.shed.name) == (3, 0, "SLOW")
    assert fast.waiting is not None and fast.waiting > timedelta(seconds=110)
    assert (slow.open_jobs, slow.waiting) == (0, None)
    for minutes in (1, 5, 10):
        scored.score(panel_of(Fake("frail", fails)), project_id, at=clock.now() + timedelta(minutes=minutes))
    page = queue.quarantined(project_id, limit=2)
    rest = queue.quarantined(project_id, page.next_cursor)
    assert len({job.trace_id for job in (*page.items, *rest.items)}) == 3 and rest.next_cursor is None
    assert page.items[0].lane == "fast" and "frail: ValueError" in page.items[0].error
    (counted,) = queue.unscored(project_id, clock.now() - HOUR, clock.now() + HOUR)
    assert (counted.scorer, counted.outcome, counted.calls) == ("frail", "quarantined", 3)
