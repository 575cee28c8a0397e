"""Sums of scores: what is stored, whatever order and how often minutes and hours are summed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from kit import scored
from kit.calls import NOON
from kit.scored import asked, deliver
from kit.scorers import Fake, length, panel_of
from kit.stored import projects
from stanchion_server.ingest.records import CallRecord, Charge
from stanchion_server.kernel import db
from stanchion_server.quality import keeping, rollups
from stanchion_server.quality.models import Score, ScoreRollup
from stanchion_server.traces import partitions
from stanchion_server.traces.models import LlmCall

pytestmark = pytest.mark.django_db
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture
def project_id() -> int:
    return next(projects)


def at(minute: float, answer: str, **values: object) -> CallRecord:
    return asked(answer, start_time=NOON + timedelta(minutes=minute), **values)


def score(project_id: int, *calls: CallRecord) -> None:
    deliver(project_id, *calls)
    scored.score(panel_of(Fake("length", length), Fake("other", length)), project_id)


def sums(project_id: int, grain: int) -> Counter[tuple[datetime, str, str]]:
    rows = ScoreRollup.objects.filter(project_id=project_id, grain_minutes=grain)
    found = Counter({(row.bucket, row.scorer, row.model): row.scores for row in rows})
    assert found.total() == sum(sum(row.histogram) for row in rows)
    return found


def counted(scores: Iterable[Score], grain: int) -> Counter[tuple[datetime, str, str]]:
    def bucket(time: datetime) -> datetime:
        minute = time.astimezone(UTC).replace(second=0, microsecond=0)
        return minute if grain == 1 else minute.replace(minute=0)

    return Counter((bucket(one.start_time), one.scorer, one.model) for one in scores)


def marks() -> int:
    with db.raw_cursor() as cursor:
        row = cursor.execute(b"SELECT count(*) FROM dirty_score_minutes").fetchone()
    return int(row[0]) if row else 0


def test_minutes_are_summed_at_once_and_hours_when_they_have_waited(project_id: int) -> None:
    score(project_id, at(0, "xx"))
    rollups.run(NOON)
    assert sums(project_id, 1).total() == 2 and sums(project_id, 60).total() == 0
    score(project_id, at(1, "xx"), at(2, "x"))
    rollups.run(NOON + rollups.HOURS_WAIT - SECOND)
    assert sums(project_id, 1).total() == 6 and sums(project_id, 60).total() == 0 and marks() == 1
    rollups.run(NOON + rollups.HOURS_WAIT)
    assert sums(project_id, 60).total() == 6 and marks() == 0


def test_sums_are_those_of_the_scores_however_far_apart_their_minutes_are(project_id: int) -> None:
    places = (0, 0.5, 1, 59.9, 60, 61, 3 * 24 * 60, 3 * 24 * 60 + 7.2, 5 * 24 * 60 - 0.1)
    score(project_id, *(at(-minute, "x" * (1 + n), model=f"m{n % 2}") for n, minute in enumerate(places)))
    for beat in range(12):
        rollups.run(NOON + 5 * beat * SECOND)
    every = Score.objects.filter(project_id=project_id)
    for grain in (1, 60):
        assert sums(project_id, grain) == counted(every, grain)
    assert marks() == 0


def test_more_minutes_than_are_taken_at_once_are_summed_the_newest_first(project_id: int) -> None:
    score(project_id, *(at(-minute, "x") for minute in range(rollups.AT_ONCE + 5)))
    assert rollups.run(NOON)
    found = {bucket for bucket, _, _ in sums(project_id, 1)}
    assert found == {NOON - timedelta(minutes=minute) for minute in range(rollups.AT_ONCE)}
    assert not rollups.run(NOON)
    rollups.run(NOON + HOUR)
    assert sums(project_id, 60) == counted(Score.objects.filter(project_id=project_id), 60)


def test_calls_that_are_not_charged_drop_out_and_scores_without_a_call_count(project_id: int) -> None:
    second, gone = at(0, "xx"), at(0.1, "xxx")
    score(project_id, second, gone, at(0.2, "xxxx"))
    LlmCall.objects.filter(project_id=project_id, span_id=second.span_id).update(charge=Charge.DUPLICATE)
    LlmCall.objects.filter(project_id=project_id, span_id=gone.span_id).delete()
    rollups.run(NOON, project_id)
    left = Score.objects.filter(project_id=project_id).exclude(span_id=second.span_id)
    assert left.count() == 4
    assert sums(project_id, 1) == counted(left, 1) and sums(project_id, 60) == counted(left, 60)


def test_the_hour_of_a_day_that_was_dropped_while_it_waited_keeps_its_sums(
    project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(project_id, at(0, "xx"))
    rollups.run(NOON, project_id)
    with db.raw_cursor() as cursor:
        keeping.mark(cursor, project_id, [NOON])
    rollups.run(NOON)
    ScoreRollup.objects.filter(project_id=project_id, grain_minutes=1).delete()
    monkeypatch.setattr(partitions, "days_of", lambda table: [(NOON + timedelta(days=1)).date()])
    rollups.run(NOON + HOUR)
    assert sums(project_id, 60).total() == 2 and marks() == 0
