"""Why calls are looked at again, what they are measured against, and what people decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from kit import scored
from kit.calls import span_of
from kit.scored import asked, content, deliver, kept, open_jobs
from kit.scorers import Fake, length, panel_of
from kit.stored import projects
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest.records import CallRecord, DecisionRecord, SpanKind
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import services
from stanchion_server.quality.models import Score, ScoreJob, ScorerSetting
from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.sampling import Rule
from stanchion_server.quality.scorers import registry
from stanchion_server.quality.selectors import settings
from stanchion_server.routes import feedback
from stanchion_server.tenants.models import Organisation, Project
from stanchion_server.traces.models import Content
from stanchion_wire.decisions import Decision

pytestmark = pytest.mark.django_db


@pytest.fixture
def project_id() -> int:
    """A project that is stored, so that ratings and rules can belong to it."""
    number = next(projects)
    organisation, _is_new = Organisation.objects.get_or_create(name="Acme", slug="acme")
    return Project.objects.create(pk=number, organisation=organisation, name="P", slug=f"p{number}").pk


def rate(project_id: int, one: CallRecord, *, span: int | None, score: float, correction: str = "") -> None:
    rating = Rating(
        uuid4().hex, "review", score, "", "", correction, one.trace_id, span, "", "u", Source.API, clock.now()
    )
    feedback.keep(project_id, [rating])


def test_a_bad_rating_makes_scorers_look_that_had_left_the_call_out(project_id: int) -> None:
    one, other = asked("Today."), asked("Tomorrow.")
    deliver(project_id, one, other)
    rare = Fake("rare", length)
    panel = panel_of(Fake("length", length), rare, ratios={"rare": 0.0})
    scored.score(panel, project_id)
    assert rare.seen == []
    rate(project_id, other, span=other.span_id + 999, score=0.0)
    rate(project_id, one, span=None, score=1.0)
    assert open_jobs(project_id) == []
    rate(project_id, one, span=one.span_id, score=0.0)
    assert [job.reason for job in open_jobs(project_id)] == ["rated"]
    scored.score(panel, project_id)
    assert [example.response for example in rare.seen] == ["Today."]


def test_a_correction_becomes_the_reference(project_id: int) -> None:
    one = asked("Today.")
    deliver(project_id, one)
    against = Fake("against", lambda example: Result(0.3) if example.reference == "On Monday." else None)
    scored.score(panel_of(against), project_id)
    assert kept(project_id) == []
    rate(project_id, one, span=None, score=0.9, correction="On Monday.")
    scored.score(panel_of(against), project_id)
    assert kept(project_id) == [("against", "1", 0.3)]


def test_a_block_that_is_told_after_the_call_makes_every_scorer_look(project_id: int) -> None:
    one = asked("Today.")
    deliver(project_id, one)
    rare = Fake("rare", length)
    panel = panel_of(rare, ratios={"rare": 0.0})
    scored.score(panel, project_id)
    deliver(project_id, decisions=(decision(one, "allow"),), spans=(span_of(one, span_id=5),))
    assert open_jobs(project_id) == []
    deliver(project_id, decisions=(decision(one, "block"),), spans=(span_of(one, span_id=6),))
    scored.score(panel, project_id)
    assert len(rare.seen) == 1


def decision(one: CallRecord, action: str) -> DecisionRecord:
    told = Decision("c1", "chat", "1", "live", "sdk", "input", action, True, 100, 10, 10)
    return DecisionRecord(
        one.trace_id, 5 if action == "allow" else 6, None, one.start_time, 1, "", "", "", "", "", "", told
    )  # fmt: skip


def test_the_context_is_what_the_trace_found_before_the_call(project_id: int) -> None:
    one = asked("Two days.", parent_span_id=77)
    before, after = one.start_time - timedelta(seconds=2), one.start_time + timedelta(seconds=2)
    spans = (
        span_of(one, span_id=11, kind=SpanKind.RETRIEVER, start_time=before),
        span_of(one, span_id=12, kind=SpanKind.RETRIEVER, start_time=after),
        span_of(one, span_id=13, kind=SpanKind.TOOL, start_time=before + timedelta(seconds=1)),
    )
    texts = (
        content(replace(one, span_id=11, start_time=before), documents=[{"id": "kb", "content": "Two days, always."}]),
        content(replace(one, span_id=12, start_time=after), documents=[{"id": "kb", "content": "Too late."}]),
        content(replace(one, span_id=13, start_time=before), result={"state": "shipped"}),
    )
    deliver(project_id, one, contents=(*texts, content(one)), spans=spans)
    scorer = Fake("length", length)
    scored.score(panel_of(scorer), project_id)
    assert scorer.seen[0].contexts == ("Two days, always.", '{"state": "shipped"}')


def test_texts_that_cannot_be_read_fail_their_call_alone(project_id: int) -> None:
    broken = asked("x")
    deliver(project_id, broken, asked("Today."), contents=())
    Content.objects.create(
        project_id=project_id, trace_id=broken.trace_id, span_id=broken.span_id, start_time=broken.start_time,
        digest=1, original_bytes=1, source=0, is_truncated=False, body=b"not zstandard",
    )  # fmt: skip
    scored.score(panel_of(Fake("one", lambda _: Result(0.5))), project_id)
    assert len(kept(project_id)) == 1
    assert "cannot be read" in open_jobs(project_id)[0].last_error


def test_jobs_in_quarantine_are_retried_or_discarded_by_hand(project_id: int) -> None:
    is_fixed = False

    def judge(example: Example) -> Result:
        if not is_fixed:
            raise RuntimeError
        return Result(0.1)

    first, second = asked("a"), asked("b")
    deliver(project_id, first, second)
    panel = panel_of(Fake("frail", judge))
    for minutes in (1, 5, 10):
        scored.score(panel, project_id, at=clock.now() + timedelta(minutes=minutes))
    assert {job.state for job in open_jobs(project_id)} == {ScoreJob.State.QUARANTINED}
    assert services.retry(next(projects)) == 0
    assert services.discard(project_id, [(first.trace_id, first.span_id, "fast")]) == 1
    assert services.retry(project_id) == 1
    is_fixed = True
    scored.score(panel, project_id)
    assert kept(project_id) == [("frail", "1", 0.1)] and open_jobs(project_id) == []


def test_a_projects_own_threshold_decides_the_flag_in_either_direction(project_id: int) -> None:
    rules = {"length": 0.9, "good": 0.9}
    for name, threshold in rules.items():
        ScorerSetting.objects.create(
            project_id=project_id, scorer=name, threshold=threshold, changed_at=clock.now(),
            changed_by="t",
        )  # fmt: skip
    good = Fake("good", length)
    good.direction = "high_is_good"
    deliver(project_id, asked("Today."))
    scored.score(panel_of(Fake("length", length), good), project_id)
    rows = Score.objects.filter(project_id=project_id).order_by("scorer")
    assert [(row.scorer, row.is_flagged, row.threshold) for row in rows] == [
        ("good", True, 0.9),
        ("length", False, 0.9),
    ]


@pytest.mark.parametrize(
    ("scorer", "rule", "code"),
    [
        ("no_such", Rule(), "no_such_scorer"), ("sentiment_prompt", Rule(sample_ratio=1.2), "out_of_range"),
        ("sentiment_prompt", Rule(threshold=float("nan")), "out_of_range"),
        ("sentiment_prompt", Rule(parameters={"nonsense": 1}), "bad_parameters"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_refused_with_its_reason(project_id: int, scorer: str, rule: Rule, code: str) -> None:
    with pytest.raises(SenderError) as caught:
        services.set_rule(project_id, scorer, "", rule, "t")
    assert caught.value.code == code


def test_a_rule_is_set_changed_and_removed(project_id: int) -> None:
    scorer = registry.known()[0].id
    services.set_rule(project_id, scorer, "", Rule(sample_ratio=0.5), "ann")
    services.set_rule(project_id, scorer, "", Rule(is_on=False), "ben")
    assert settings.rules(project_id).of(scorer, "x") == Rule(is_on=False)
    assert services.remove_rule(project_id, scorer, "") and not services.remove_rule(project_id, scorer, "")
