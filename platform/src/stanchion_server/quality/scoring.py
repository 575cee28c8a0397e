"""One step of scoring: claim jobs of one project, run the scorers that are wanted, store what came of it.

The claim is committed before the work, results and the end of the jobs together after it. A worker that dies in between
leaves leased jobs, which are taken again when the lease is over; scores that are there by then are not made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import transaction

from stanchion_server.kernel import clock, db
from stanchion_server.quality import gather, jobs, judging, keeping, outside, sampling
from stanchion_server.quality.gather import Gathered
from stanchion_server.quality.jobs import Claim, Failure, Job
from stanchion_server.quality.keeping import Unscored
from stanchion_server.quality.panels import Panel
from stanchion_server.quality.records import CallKey, Lane, Score
from stanchion_server.quality.sampling import Choice, Place, Rules, Shed
from stanchion_server.quality.selectors import settings
from stanchion_server.quality.selectors.scores import stored_versions
from stanchion_server.traces import partitions

_TRIES = 3

Done = frozenset[tuple[CallKey, str, str]]


@dataclass(slots=True)
class _Task:
    """One call in work: what is wanted of it, and by scorer why one failed or could not run."""

    job: Job
    call: Gathered
    panel: Panel
    choice: Choice
    failed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Outcome:
    scores: list[Score] = field(default_factory=list)
    finished: list[CallKey] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    later: dict[CallKey, str] = field(default_factory=dict)
    unscored: dict[CallKey, list[Unscored]] = field(default_factory=dict)


PanelOf = Callable[[Mapping[str, Mapping[str, Any]]], Panel]
"""The scorers built with these parameters."""


def step(panel_of: PanelOf, lane: Lane, project_id: int, shed: Shed, now: datetime) -> int:
    """How many jobs were taken; 0 when none of the project's is due and settled."""
    rules = settings.rules(project_id)
    by_feature = {feature: panel_of(rules.parameters(feature)) for feature in {"", *(f for _s, f in rules.by_place)}}
    claim = jobs.claim(lane, project_id, now)
    if not claim.jobs:
        return 0
    found = gather.gather(project_id, [job.key for job in claim.jobs])
    by_key = {job.key: job for job in claim.jobs}
    tasks = [_task(by_key[call.example.key], call, by_feature, rules, lane, shed) for call in found.calls]
    scores = _run(tasks, rules, _done(project_id, claim.jobs))
    if lane == "fast":
        scores += outside.of_calls(project_id, {task.job.key: task.call.example.facts for task in tasks})
    outcome = _outcome(claim, tasks, found.unreadable, scores)
    _store(claim, outcome, now)
    return len(claim.jobs)


def _task(job: Job, call: Gathered, by_feature: Mapping[str, Panel], rules: Rules, lane: Lane, shed: Shed) -> _Task:
    feature = call.example.facts["feature"]
    panel = by_feature.get(feature) or by_feature[""]
    if job.reason == jobs.RESCORE:
        return _Task(job, call, panel, sampling.asked_for(panel.offers, job.scorers, lane))
    place = Place(job.key.project_id, job.key.trace_id, feature, call.is_kept)
    choice = sampling.choose(panel.offers, rules, place, lane, shed)
    return _Task(job, call, panel, sampling.joined(choice, sampling.asked_for(panel.offers, job.scorers, lane)))


def _done(project_id: int, claimed: Sequence[Job]) -> Done:
    """Scores that are there already; none can be for calls that have just arrived."""
    again = [job.key for job in claimed if job.attempts > 1 or job.reason != jobs.ARRIVED]
    return stored_versions(project_id, again) if again else frozenset()


def _run(tasks: Sequence[_Task], rules: Rules, done: Done) -> list[Score]:
    """Scorer by scorer, each with all the calls it is to see at once."""
    groups: dict[tuple[int, str], list[_Task]] = {}
    for task in tasks:
        for name in task.choice.now:
            scorer = task.panel.scorers.get(name)
            if scorer is None:
                task.absent[name] = task.panel.absent[name]
            elif (task.job.key, name, scorer.version) not in done:
                groups.setdefault((id(task.panel), name), []).append(task)
    scores: list[Score] = []
    for (_panel, name), group in groups.items():
        scores += _of_group(name, group, rules)
    return scores


def _of_group(name: str, group: Sequence[_Task], rules: Rules) -> list[Score]:
    scorer = group[0].panel.scorers[name]
    verdicts = judging.judge(scorer, [task.call.example for task in group])
    by_key = {task.job.key: task for task in group}
    for key, reason in verdicts.failed.items():
        by_key[key].failed[name] = reason
    for key, reason in verdicts.absent.items():
        by_key[key].absent[name] = reason
    scores, now = [], clock.now()
    for judged in verdicts.judged:
        facts = by_key[judged.key].call.example.facts
        rule = rules.of(name, facts["feature"])
        threshold = scorer.threshold if rule.threshold is None else rule.threshold
        result = judging.flagged(judged.result, scorer, rule)
        scores.append(
            Score(judged.key, name, scorer.version, result, threshold, judged.elapsed_us, "worker", now, facts)
        )
    return scores


def _outcome(claim: Claim, tasks: Sequence[_Task], unreadable: Mapping[CallKey, str], scores: list[Score]) -> _Outcome:
    outcome = _Outcome(scores)
    failed = {task.job.key: "; ".join(task.failed.values()) for task in tasks if task.failed}
    failed |= dict(unreadable)
    for job in claim.jobs:
        if job.key in failed:
            outcome.failures.append(Failure(job.key, job.attempts, failed[job.key]))
        else:
            outcome.finished.append(job.key)
    for task in tasks:
        is_fast = claim.lane == "fast"
        outcome.unscored[task.job.key] = [*_unscored(task), *(_absent_later(task) if is_fast else ())]
        if is_fast and any(name in task.panel.scorers for name in task.choice.later):
            outcome.later[task.job.key] = task.job.reason
    return outcome


def _unscored(task: _Task) -> Iterable[Unscored]:
    yield from (Unscored(name, "shed", 1) for name in task.choice.shed)
    yield from (Unscored(name, "unavailable", 1, reason) for name, reason in task.absent.items())
    yield from (Unscored(name, "quarantined", 1, reason) for name, reason in task.failed.items())


def _absent_later(task: _Task) -> Iterable[Unscored]:
    """Scorers of the slow lane that cannot run here: no job is made for them alone, so they are counted now."""
    absent = (name for name in task.choice.later if name not in task.panel.scorers)
    return (Unscored(name, "unavailable", 1, task.panel.absent[name]) for name in absent)


def _store(claim: Claim, outcome: _Outcome, now: datetime) -> None:
    is_new = True
    for left in reversed(range(_TRIES)):
        partitions.ensure({score.key.start_time.astimezone(UTC).date() for score in outcome.scores})
        try:
            with transaction.atomic(), db.raw_cursor() as cursor:
                _write(cursor, claim, outcome, now, is_new=is_new)
            return
        except psycopg.errors.UniqueViolation:
            is_new = False
        except psycopg.errors.CheckViolation:
            if not left:
                raise
            partitions.forget()


def _write(cursor: db.CursorType, claim: Claim, outcome: _Outcome, now: datetime, *, is_new: bool) -> None:
    """Only of jobs that are still this claim's: a worker that lost its lease leaves all of it to the next, and texts
    that arrived during the work are read before anything is said of them."""
    mine = jobs.hold(cursor, claim)
    keeping.add(cursor, claim.project_id, [score for score in outcome.scores if score.key in mine], is_new=is_new)
    done = mine.intersection(outcome.finished)
    jobs.finish(cursor, claim, done)
    failures = [failure for failure in outcome.failures if failure.key in mine]
    ended = done | jobs.fail(cursor, claim, failures, now)
    for reason in sorted({outcome.later[key] for key in ended if key in outcome.later}):
        places = [jobs.place_of(key) for key, why in outcome.later.items() if why == reason and key in ended]
        jobs.open_later(cursor, claim.project_id, places, now, reason)
    unscored = (one for key in ended for one in outcome.unscored.get(key, ()))
    keeping.count(cursor, claim.project_id, unscored, now)
