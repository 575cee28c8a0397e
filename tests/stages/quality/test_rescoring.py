"""Recorded calls scored again by named scorers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kit import scored
from kit.calls import NOON
from kit.scored import asked, deliver, kept, open_jobs
from kit.scorers import Fake, length, panel_of
from kit.stored import projects
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import rescoring
from stanchion_server.quality.models import Rescoring, ScoreJob
from stanchion_server.quality.panels import panels
from stanchion_server.quality.records import Result
from stanchion_server.quality.rescoring import Wanted
from stanchion_server.tenants.models import Organisation, Project

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def project_id() -> int:
    number = next(projects)
    organisation, _is_new = Organisation.objects.get_or_create(name="Acme", slug="acme")
    return Project.objects.create(pk=number, organisation=organisation, name="P", slug=f"p{number}").pk


@pytest.fixture(autouse=True)
def two_scorers() -> Iterator[None]:
    light, heavy = Fake("length", length, version="2"), Fake("judge", lambda _: Result(0.5), lane="slow")
    panels.hold({}, panel_of(light, heavy, absent={"detoxify": "fast"})({}))
    yield
    panels.forget()


def done(project_id: int) -> None:
    for lane in ("fast", "slow"):
        scored.score(panels.of, project_id, lane)


def test_calls_of_the_window_get_scores_of_the_new_version_and_keep_the_old(project_id: int) -> None:
    for minute, feature in ((0, "a"), (1, "b"), (90, "a")):
        deliver(project_id, asked("Today.", start_time=NOON + timedelta(minutes=minute), feature=feature))
    scored.score(panel_of(Fake("length", length)), project_id)
    wish = rescoring.create(project_id, Wanted(("length", "judge"), NOON, NOON + HOUR, ("a",)), "ann")
    assert wish.calls_total == 1
    assert rescoring.step(clock.now()) == 1
    assert [job.scorers for job in (*open_jobs(project_id), *open_jobs(project_id, 1))] == [["length"], ["judge"]]
    done(project_id)
    assert sorted(kept(project_id)) == [("judge", "1", 0.5), *[("length", "1", 0.6)] * 3, ("length", "2", 0.6)]
    wish.refresh_from_db()
    assert (wish.state, wish.calls_opened) == (Rescoring.State.DONE, 1)


def test_jobs_are_opened_in_slices_while_there_is_room(project_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "SLICE", 3)
    monkeypatch.setattr(rescoring, "MOST_OPEN", 4)
    deliver(project_id, *(asked("x", start_time=NOON + timedelta(seconds=number)) for number in range(8)))
    ScoreJob.objects.all().delete()
    rescoring.create(project_id, Wanted(("length",), NOON, NOON + HOUR), "ann")
    assert [rescoring.step(clock.now()) for _tick in range(3)] == [3, 3, 0]
    done(project_id)
    assert rescoring.step(clock.now()) == 2
    done(project_id)
    assert len(kept(project_id)) == 8 and rescoring.step(clock.now()) == 0


def test_a_call_that_waits_for_its_first_scores_gets_both(project_id: int) -> None:
    deliver(project_id, asked("Today.", start_time=NOON))
    rescoring.create(project_id, Wanted(("judge",), NOON, NOON + HOUR), "ann")
    rescoring.step(clock.now())
    done(project_id)
    assert [name for name, *_ in kept(project_id)] == ["judge", "length"]


def test_one_that_was_cancelled_opens_no_more(project_id: int) -> None:
    deliver(project_id, asked("x", start_time=NOON))
    wish = rescoring.create(project_id, Wanted(("length",), NOON, NOON + HOUR), "ann")
    assert not rescoring.cancel(next(projects), wish.pk)
    assert rescoring.cancel(project_id, wish.pk) and not rescoring.cancel(project_id, wish.pk)
    assert rescoring.step(clock.now()) == 0


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Wanted((), NOON, NOON + HOUR), "no_scorers"),
        (Wanted(("nothing",), NOON, NOON + HOUR), "no_such_scorer"),
        (Wanted(("detoxify",), NOON, NOON + HOUR), "scorer_unavailable"),
        (Wanted(("length",), NOON, NOON), "bad_window"),
        (Wanted(("length",), NOON, NOON + timedelta(days=91)), "bad_window"),
        (Wanted(("length",), NOON, NOON + HOUR, max_calls=0), "bad_max_calls"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_its_reason(project_id: int, wanted: Wanted, code: str) -> None:
    with pytest.raises(SenderError) as caught:
        rescoring.create(project_id, wanted, "ann")
    assert caught.value.code == code
