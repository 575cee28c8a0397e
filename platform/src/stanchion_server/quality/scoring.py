"""One step of scoring: claim jobs of one project, run the scorers that are wanted, store what came of it.

The claim is committed before the work, results and the end of the jobs together after it. A worker that dies in between
leaves leased jobs, which are taken again when the lease is over; scores that are there by then are not made twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from stanchion_server.quality.sampling import Choice, Place, Rules, Shed, Wanted
from stanchion_server.quality.scorers.texts import MOST_KEPT_CHARACTERS
from stanchion_server.quality.selectors import settings
from stanchion_server.quality.selectors.scores import stored_versions
from stanchion_server.traces import partitions

_TRIES = 3
MOST_SHARED_CHARACTERS = MOST_KEPT_CHARACTERS // 2
"""Of the calls that scorers see together: what else is read for them finds room beside them."""

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
    make = _Making(by_feature, rules, lane, shed)
    tasks = [make.task(by_key[call.example.key], call) for call in found.calls]
    done = _done(project_id, claim.jobs)
    scores = [score for some in _together(tasks) for score in _run(some, rules, done)]
    if lane == "fast":
        scores += outside.of_calls(project_id, {task.job.key: task.call.example.facts for task in tasks})
    outcome = _outcome(claim, tasks, found.unreadable, scores)
    _store(claim, outcome, now)
    return len(claim.jobs)


class _Making:
    """Chooses what one step does with its calls; what the rules want of a feature is worked out once."""

    def __init__(self, by_feature: Mapping[str, Panel], rules: Rules, lane: Lane, shed: Shed) -> None:
        self._by_feature, self._rules, self._lane, self._shed = by_feature, rules, lane, shed
        self._wanted: dict[str, tuple[Wanted, ...]] = {}

    def task(self, job: Job, call: Gathered) -> _Task:
        feature = call.example.facts["feature"]
        panel = self._by_feature.get(feature) or self._by_feature[""]
        asked = sampling.asked_for(panel.offers, job.scorers, self._lane)
        if job.reason == jobs.RESCORE:
            return _Task(job, call, panel, asked)
        if feature not in self._wanted:
            self._wanted[feature] = sampling.wanted(panel.offers, self._rules, feature)
        place = Place(job.key.project_id, job.key.trace_id, call.is_kept)
        choice = sampling.choose(self._wanted[feature], place, self._lane, self._shed)
        return _Task(job, call, panel, sampling.joined(choice, asked) if asked.now else choice)


def _done(project_id: int, claimed: Sequence[Job]) -> Done:
    """Scores that are there already; none can be for calls that have just arrived."""
    again = [job.key for job in claimed if job.attempts > 1 or job.reason != jobs.ARRIVED]
    return stored_versions(project_id, again) if again else frozenset()


def _together(tasks: Sequence[_Task]) -> Iterator[Sequence[_Task]]:
    """The tasks in order, as many at a time as scorers can share readings of: one read by the first scorer must still
    be there for the last."""
    some: list[_Task] = []
    characters = 0
    for task in tasks:
        more = task.call.example.characters
        if some and characters + more > MOST_SHARED_CHARACTERS:
            yield some
            some, characters = [], 0
        some.append(task)
        characters += more
    if some:
        yield some


def _run(tasks: Sequence[_Task], rules: Rules, done: Done) -> list[Score]:
    """Scorer by scorer, each with all the calls it is to see at once."""
    groups: dict[tuple[int, str], list[_Task]] = {}
    for task in tasks:
        panel = task.panel
        for name in task.choice.now:
            scorer = panel.scorers.get(name)
            if scorer is None:
                task.absent[name] = panel.absent[name]
            elif not done or (task.job.key, name, scorer.version) not in done:
                groups.setdefault((id(panel), name), []).append(task)
    by_key = {task.job.key: task for task in tasks}
    return [score for (_panel, name), group in groups.items() for score in _of_group(name, group, by_key, rules)]


def _of_group(name: str, group: Sequence[_Task], by_key: Mapping[CallKey, _Task], rules: Rules) -> Iterator[Score]:
    scorer = group[0].panel.scorers[name]
    verdicts = judging.judge(scorer, [task.call.example for task in group])
    for key, reason in verdicts.failed.items():
        by_key[key].failed[name] = reason
    for key, reason in verdicts.absent.items():
        by_key[key].absent[name] = reason
    now = clock.now()
    for key, result, elapsed_us in verdicts.judged:
        facts = by_key[key].call.example.facts
        rule = rules.of(name, facts["feature"])
        threshold = scorer.threshold if rule.threshold is None else rule.threshold
        told = judging.flagged(result, scorer, rule)
        yield Score(key, name, scorer.version, told, threshold, elapsed_us, "worker", now, facts)


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
    is_all = len(mine) == len(claim.jobs)
    scores = outcome.scores if is_all else [score for score in outcome.scores if score.key in mine]
    keeping.add(cursor, claim.project_id, scores, is_new=is_new)
    done = mine.intersection(outcome.finished)
    jobs.finish(cursor, claim, done)
    failures = [failure for failure in outcome.failures if failure.key in mine]
    ended = done | jobs.fail(cursor, claim, failures, now)
    for reason in sorted({outcome.later[key] for key in ended if key in outcome.later}):
        places = [jobs.place_of(key) for key, why in outcome.later.items() if why == reason and key in ended]
        jobs.open_later(cursor, claim.project_id, places, now, reason)
    unscored = (one for key in ended for one in outcome.unscored.get(key, ()))
    keeping.count(cursor, claim.project_id, unscored, now)
