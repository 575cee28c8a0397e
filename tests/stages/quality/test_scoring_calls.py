"""From stored calls to scores: each once, whatever fails on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kit import otlp, scored
from kit.calls import mapping
from kit.scored import LATER, asked, content, deliver, kept, open_jobs
from kit.scorers import Fake, length, panel_of
from kit.stored import projects, settled
from stanchion_server.ingest import decode, messages, normalise
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallRecord, SpanKind, Status
from stanchion_server.kernel import clock, db
from stanchion_server.quality import jobs, scoring
from stanchion_server.quality.models import Score, ScoreCount, ScoreJob
from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.sampling import Shed
from stanchion_server.traces import store

pytestmark = pytest.mark.django_db


@pytest.fixture
def project_id() -> int:
    return next(projects)


def test_a_call_that_was_stored_is_scored_with_its_texts_and_its_dimensions(project_id: int) -> None:
    deliver(project_id, asked("Today.", feature="support", release="7", prompt_name="greet"))
    scorer = Fake("length", length)
    assert scored.score(panel_of(scorer), project_id) == 1
    row = Score.objects.get(project_id=project_id)
    assert (row.score, row.is_flagged, row.threshold, row.source) == (0.6, True, 0.5, "worker")
    assert (row.feature, row.release, row.prompt_name, row.model) == ("support", "7", "greet", "gpt-4o-mini")
    assert scorer.seen[0].prompt == "Where is my order?" and scorer.seen[0].response == "Today."
    assert open_jobs(project_id) == []


def test_embeddings_and_second_records_of_a_call_are_not_scored(project_id: int) -> None:
    first = asked(response_id="resp-1", response_key=1)
    second = replace(first, span_id=first.span_id + 1, parent_span_id=first.span_id, mapping=mapping("other"))
    deliver(project_id, asked(kind=SpanKind.EMBEDDING), first, second)
    assert len(open_jobs(project_id)) == 2
    scored.score(panel_of(Fake("length", length)), project_id)
    assert len(kept(project_id)) == 1 and open_jobs(project_id) == []


def test_a_delivery_that_is_repeated_opens_no_job_again(project_id: int) -> None:
    first = asked()
    deliver(project_id, first)
    deliver_texts(project_id, first)
    scored.score(panel_of(Fake("length", length)), project_id)
    deliver(project_id, first)
    deliver_texts(project_id, first)
    assert open_jobs(project_id) == []


def test_a_job_that_was_left_behind_does_not_stop_its_call_from_being_stored(project_id: int) -> None:
    one = asked("Today.")
    with db.raw_cursor() as cursor:
        jobs.open_new(cursor, project_id, [(one.trace_id, one.span_id, one.start_time)], clock.now())
    deliver(project_id, one)
    assert len(open_jobs(project_id)) == 1
    scored.score(panel_of(Fake("length", length)), project_id)
    assert kept(project_id) == [("length", "1", 0.6)]


def test_a_call_is_not_scored_before_its_neighbours_had_time_to_arrive(project_id: int) -> None:
    began = clock.now()
    deliver(project_id, asked())
    panel = panel_of(Fake("length", length))
    assert scored.score(panel, project_id, at=began + jobs.SETTLING - timedelta(milliseconds=1)) == 0
    assert scored.score(panel, project_id, at=clock.now() + jobs.SETTLING) == 1


def test_texts_that_arrive_later_open_the_job_again_and_only_what_is_missing_is_scored(project_id: int) -> None:
    one = asked("Today.")
    deliver(project_id, one, contents=())
    prompts = Fake("prompts", lambda example: Result(0.0) if example.facts else None)
    panel = panel_of(Fake("length", length), prompts)
    scored.score(panel, project_id)
    assert kept(project_id) == [("prompts", "1", 0.0)]
    deliver_texts(project_id, one)
    scored.score(panel, project_id)
    assert kept(project_id) == [("length", "1", 0.6), ("prompts", "1", 0.0)]
    assert len(prompts.seen) == 1


def deliver_texts(project_id: int, one: CallRecord) -> None:
    """On a log record, as instrumentations do that keep texts out of their spans."""
    request = otlp.logs([otlp.log("app.note", trace_id=one.trace_id.hex, time_ns=clock.now_ns())])
    decoded = decode.decode_logs(otlp.as_json(request), "json", clock.now_ns(), decode.Limits())
    logs, _contents = normalise.normalise_logs(decoded.logs)
    entry = LedgerEntry(api_key_id=1, signal="logs", client="kit", body_bytes=1, sent=1)
    texts = content(one, source=1, output=[messages.message("assistant", [messages.text_part(one.output_preview)])])
    store.store(project_id, Batch(logs=logs, contents=(texts,)), entry, (jobs.of_written,))
    settled(project_id)


def test_a_scorer_that_fails_on_one_call_costs_no_other_score_and_ends_in_quarantine(project_id: int) -> None:
    def fails(example: Example) -> Result:
        if example.response == "poison":
            raise ValueError(f"cannot read {example.response}")
        return Result(0.25)

    deliver(project_id, asked("poison"), asked("Today."))
    panel = panel_of(Fake("length", length), Fake("frail", fails))
    scored.score(panel, project_id)
    assert kept(project_id) == [("length", "1", 0.6), ("frail", "1", 0.25), ("length", "1", 0.6)]
    (job,) = open_jobs(project_id)
    assert (job.state, job.attempts) == (ScoreJob.State.OPEN, 1)
    assert "frail: ValueError" in job.last_error and "poison" not in job.last_error
    for minutes in (5, 10):
        scored.score(panel, project_id, at=clock.now() + timedelta(minutes=minutes))
    (job,) = open_jobs(project_id)
    assert (job.state, job.attempts) == (ScoreJob.State.QUARANTINED, 3)
    assert scored.score(panel, project_id, at=clock.now() + timedelta(hours=1)) == 0
    counted = ScoreCount.objects.get(project_id=project_id)
    assert (counted.scorer, counted.outcome, counted.calls) == ("frail", "quarantined", 1)
    assert len(kept(project_id)) == 3


def test_a_call_that_kills_its_worker_ends_in_quarantine_and_takes_no_other_along(project_id: int) -> None:
    class Killed(BaseException):
        pass

    def kills(example: Example) -> Result:
        if example.response == "killer":
            raise Killed
        return Result(0.0)

    deliver(project_id, asked("killer"), *(asked("fine") for _ in range(4)))
    panel = panel_of(Fake("scorer", kills))
    now = clock.now() + LATER
    deaths = 0
    for _life in range(12):
        try:
            scored.score(panel, project_id, at=now)
        except Killed:
            deaths += 1
        now += jobs.LEASE["fast"]
    assert deaths == jobs.MAX_ATTEMPTS
    assert len(kept(project_id)) == 4
    (job,) = open_jobs(project_id)
    assert job.state == ScoreJob.State.QUARANTINED and "died" in job.last_error


def test_a_worker_that_lost_its_lease_neither_doubles_nor_drops_a_score(project_id: int) -> None:
    deliver(project_id, asked("Today."))
    other = panel_of(Fake("length", length))

    def slow(example: Example) -> Result | None:
        scored.score(other, project_id, at=clock.now() + LATER + jobs.LEASE["fast"])
        return length(example)

    assert scored.score(panel_of(Fake("length", slow)), project_id) == 1
    assert kept(project_id) == [("length", "1", 0.6)]
    assert open_jobs(project_id) == []


def test_texts_that_arrive_during_the_work_are_read_before_anything_is_said(project_id: int) -> None:
    one = asked("Today.")
    deliver(project_id, one)

    def meanwhile(example: Example) -> Result | None:
        deliver_texts(project_id, one)
        return Result(0.0)

    scoring.step(panel_of(Fake("length", meanwhile)), "fast", project_id, Shed.NOTHING, clock.now() + LATER)
    assert kept(project_id) == []
    assert [job.attempts for job in open_jobs(project_id)] == [0]
    scored.score(panel_of(Fake("length", length)), project_id)
    assert kept(project_id) == [("length", "1", 0.6)] and open_jobs(project_id) == []


def test_a_new_version_adds_scores_and_keeps_the_old(project_id: int) -> None:
    one = asked("Today.")
    deliver(project_id, one)
    scored.score(panel_of(Fake("length", length)), project_id)
    deliver_texts(project_id, one)
    scored.score(panel_of(Fake("length", lambda _: Result(0.9), version="2")), project_id)
    assert kept(project_id) == [("length", "1", 0.6), ("length", "2", 0.9)]


def test_heavy_scorers_run_in_their_own_lane_after_the_light_ones(project_id: int) -> None:
    deliver(project_id, asked("Today."))
    heavy = Fake("judge", lambda _: Result(0.5), lane="slow")
    panel = panel_of(Fake("length", length), heavy)
    scored.score(panel, project_id)
    assert heavy.batches == [] and len(open_jobs(project_id, lane=1)) == 1
    assert scored.score(panel, project_id, "slow") == 1
    assert [name for name, *_ in kept(project_id)] == ["judge", "length"]
    assert open_jobs(project_id, lane=1) == []


def test_what_load_leaves_out_is_counted_and_never_a_failed_call(project_id: int) -> None:
    deliver(project_id, asked("fine"), asked("failed", status=Status.ERROR))
    panel = panel_of(
        Fake("all", length), Fake("some", length), Fake("judge", length, lane="slow"), ratios={"some": 0.999}
    )
    scored.score(panel, project_id, shed=Shed.SAMPLED)
    assert sorted(name for name, *_ in kept(project_id)) == ["all", "all", "some"]
    assert len(open_jobs(project_id, lane=1)) == 1
    counts = ScoreCount.objects.filter(project_id=project_id).values_list("scorer", "outcome", "calls")
    assert sorted(counts) == [("judge", "shed", 1), ("some", "shed", 1)]


def test_a_scorer_that_cannot_run_here_is_counted_with_the_reason_and_fails_no_job(project_id: int) -> None:
    deliver(project_id, asked(), asked())
    scored.score(panel_of(Fake("length", length), absent={"detoxify": "fast", "judge": "slow"}), project_id)
    assert len(kept(project_id)) == 2 and open_jobs(project_id) == [] and open_jobs(project_id, lane=1) == []
    counts = ScoreCount.objects.filter(project_id=project_id).values_list("scorer", "outcome", "calls", "detail")
    assert sorted(counts) == [
        ("detoxify", "unavailable", 2, "not installed"), ("judge", "unavailable", 2, "not installed"),
    ]  # fmt: skip


def test_a_score_outside_its_range_is_a_failure_of_the_scorer(project_id: int) -> None:
    deliver(project_id, asked())
    scored.score(panel_of(Fake("odd", lambda _: Result(float("nan")))), project_id)
    assert kept(project_id) == []
    assert "odd: ArithmeticError" in open_jobs(project_id)[0].last_error


def test_no_step_touches_another_projects_calls(project_id: int) -> None:
    other = next(projects)
    deliver(project_id, asked())
    deliver(other, asked())
    scored.score(panel_of(Fake("length", length)), project_id)
    assert len(kept(project_id)) == 1 and kept(other) == [] and len(open_jobs(other)) == 1
    due = [one.project_id for one in jobs.due("fast", clock.now() + LATER)]
    assert other in due and project_id not in due
