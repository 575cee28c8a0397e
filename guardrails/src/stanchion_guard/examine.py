"""One run of a policy's rules over a subject: cheap checks inline, expensive ones in rounds, each with its outcome.

An `Examination` waits for nothing by itself. `advance` does what can be done now and hands back the expensive checks
that are under way; the caller waits for them, blocking or not, for at most `remaining_s`, and advances again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from stanchion_guard.detectors import Unavailable
from stanchion_guard.policy import Policy, Probe, Rule
from stanchion_guard.pool import Pool
from stanchion_guard.reading import read
from stanchion_guard.records import ACTIONS, STAGES, Action, Check, Detection, Finding, Outcome, Part, Subject
from stanchion_guard.views import Reading

RANK: Mapping[Action, int] = {action: rank for rank, action in enumerate(ACTIONS)}
NOT_RUN = frozenset({"late", "failed", "unavailable"})
SIZE = "size"
"""The rule's name under which a part longer than the policy's limit is reported."""

LATE: tuple[Outcome, None, str] = ("late", None, "the deadline had passed before this check began")

_NEVER = 1 << 63

Clock = Callable[[], int]


class Answer(NamedTuple):
    outcome: Outcome
    detection: Detection | None
    reason: str | None
    elapsed_us: int


class Hit(NamedTuple):
    """A finding that triggered a rule, and what the detector would put in its place."""

    rule: Rule
    finding: Finding
    replacement: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules of each stage, by index in the policy and in its order."""

    policy: Policy
    stages: Mapping[str, tuple[tuple[int, Rule, Probe], ...]]
    levels: int
    heavy: bool
    shared: frozenset[int]
    """Probes of more than one rule."""

    @classmethod
    def of(cls, policy: Policy, chosen: Callable[[Rule], bool] = lambda rule: True) -> Plan:
        steps = [(index, rule, policy.probes[rule.probe]) for index, rule in enumerate(policy.rules) if chosen(rule)]
        stages: dict[str, tuple[tuple[int, Rule, Probe], ...]] = {
            stage: tuple(step for step in steps if stage in step[1].stages) for stage in STAGES
        }
        levels = 1 + max((rule.level for _, rule, _ in steps), default=0)
        uses = Counter(rule.probe for _, rule, _ in steps)
        shared = frozenset(probe for probe, count in uses.items() if count > 1)
        return cls(policy, stages, levels, any(probe.heavy for _, _, probe in steps), shared)


class Watched:
    """One part under examination."""

    __slots__ = ("answers", "checked", "done", "index", "part", "reading", "steps")

    def __init__(self, index: int, part: Part, plan: Plan) -> None:
        self.index, self.part, self.checked = index, part, len(part.text)
        self.steps = plan.stages[part.stage]
        self.reading: Reading = read(part.text)
        self.answers: dict[int, Answer] = {}
        self.done: dict[int, Check] = {}


class Examination:
    """`calm` says that nothing was found and nothing was missed."""

    def __init__(
        self,
        plan: Plan,
        subject: Subject,
        judged: Sequence[int] | None,
        deadline_ns: int | None,
        clock: Clock,
        pool: Pool,
    ) -> None:
        """`deadline_ns` is a moment on `clock`; None is no deadline."""
        self.plan, self.clock, self.pool, self.deadline_ns = plan, clock, pool, deadline_ns
        self.original = subject
        self.subject = readable(subject, plan.policy.max_characters)
        self.hits: list[Hit] = []
        self.calm = True
        self.parts = [
            Watched(index, part, plan)
            for index, part in enumerate(self.subject.parts)
            if judged is None or index in judged
        ]
        self._level = 0
        self._waiting: list[tuple[Watched, int, Future[Answer] | None]] = []
        self._late: list[tuple[Watched, int, Rule, Probe]] = []

    def advance(self) -> list[Future[Answer]] | None:
        """The expensive checks now under way, none left to wait for if empty; None when the examination is over."""
        self._collect()
        if self._level >= self.plan.levels:
            return None
        for watched in self.parts:
            self._pass(watched)
        self._level += 1
        return [future for _, _, future in self._waiting if future is not None]

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, None without one."""
        return None if self.deadline_ns is None else max(0.0, (self.deadline_ns - self.clock()) / 1e9)

    def checks(self) -> list[Check]:
        """Every rule on every part, by part and then in the policy's order."""
        if self.plan.levels == 1 and not self.plan.heavy:
            return [check for watched in self.parts for check in watched.done.values()]
        return [watched.done[index] for watched in self.parts for index in sorted(watched.done)]

    def _pass(self, watched: Watched) -> None:
        """One round over the rules of a part. One look at the clock a check: its end is the next one's begin."""
        clock, deadline_ns = self.clock, _NEVER if self.deadline_ns is None else self.deadline_ns
        now, level, role = clock(), self._level, watched.part.role
        answers, shared = watched.answers, self.plan.shared
        for index, rule, probe in watched.steps:
            if rule.level != level or (rule.roles is not None and role is not None and role not in rule.roles):
                continue
            if rule.after is not None and not self._wanted(watched, index, rule, probe):
                continue
            answer = answers.get(rule.probe)
            if answer is not None:
                self._decide(watched, index, rule, probe, *answer[:3], 0)
            elif probe.heavy and probe.detector is not None:
                self._submit(watched, index, rule, probe)
            else:
                late = now >= deadline_ns
                outcome, detection, reason = LATE if late else ask(probe, watched.reading, watched.index, self.subject)
                ended = clock()
                if ended >= deadline_ns and detection is not None:
                    outcome, reason = "late", f"ended {(ended - deadline_ns) / 1e6:,.1f} ms after the deadline"
                elapsed_us, now = (ended - now) // 1000, ended
                if rule.probe in shared:
                    answers[rule.probe] = Answer(outcome, detection, reason, elapsed_us)
                self._decide(watched, index, rule, probe, outcome, detection, reason, elapsed_us)

    def _wanted(self, watched: Watched, index: int, rule: Rule, probe: Probe) -> bool:
        """Whether a rule that comes after another has to run; if not, it is recorded as skipped."""
        assert rule.after is not None
        reason = _gate(rule, watched.done.get(rule.after))
        if reason is not None:
            watched.done[index] = _skipped(rule, probe, watched.index, reason)
        return reason is None

    def _submit(self, watched: Watched, index: int, rule: Rule, probe: Probe) -> None:
        self._late.append((watched, index, rule, probe))
        if any(other is watched and waiting == rule.probe for other, waiting, _ in self._waiting):
            return
        remaining = self.remaining_s()
        work = partial(_timed, self.clock, probe, watched.reading, watched.index, self.subject)
        future = self.pool.submit(work) if remaining is None or remaining > 0 else None
        self._waiting.append((watched, rule.probe, future))

    def _collect(self) -> None:
        """Takes what the expensive checks of the last round answered; leaves behind those that did not."""
        for watched, probe, future in self._waiting:
            watched.answers[probe] = _result(future)
        for watched, index, rule, probe_ in self._late:
            self._decide(watched, index, rule, probe_, *watched.answers[rule.probe])
        self._waiting, self._late = [], []

    def _decide(
        self,
        watched: Watched,
        index: int,
        rule: Rule,
        probe: Probe,
        outcome: Outcome,
        detection: Detection | None,
        reason: str | None,
        elapsed_us: int,
    ) -> None:
        """The last four are what an `Answer` holds."""
        if detection is None:
            self.calm = self.calm and outcome == "skipped"
            answer = Answer(outcome, None, reason, elapsed_us)
            watched.done[index] = _unchecked(rule, probe, watched.index, answer)
            return
        score = detection.score
        if not detection.findings and rule.labels is None and (score is None or score < rule.lowest_threshold):
            triggered = False  # by far the commonest case, decided without a call
        else:
            triggered, score = self._matches(watched, rule, probe, detection)
        action: Action = "allow"
        if triggered:
            action, self.calm = rule.action, False
        if outcome == "late":  # it came to its end after the deadline: what it found counts, that it was late as well
            action, self.calm = action if triggered else rule.when_late, False
        watched.done[index] = Check(
            rule.id,
            probe.name,
            probe.version,
            watched.index,
            outcome,
            watched.checked,
            elapsed_us,
            score,
            triggered,
            action,
            reason or detection.limit,
            detection.spent,
        )

    def _matches(self, watched: Watched, rule: Rule, probe: Probe, detection: Detection) -> tuple[bool, float | None]:
        """Whether the rule is triggered, and the score it was judged by. Adds the rule's hits."""
        score, labels = detection.score, rule.labels
        if not detection.findings and (score is None or labels is not None):
            return False, None if labels is not None else score
        threshold = rule.threshold_for(watched.part)
        if not detection.findings:
            if score is None or score < threshold:
                return False, score
            self.hits.append(Hit(rule, _of_the_whole(probe, watched, score), None))
            return True, score
        before, best = len(self.hits), None if labels is not None else score
        for number, finding in enumerate(detection.findings):
            if labels is None or finding.label in labels:
                best = finding.score if best is None or finding.score > best else best
                if finding.score >= threshold:
                    self.hits.append(Hit(rule, finding, detection.replacements.get(number)))
        if len(self.hits) == before and labels is None and best is not None and best >= threshold:
            self.hits.append(Hit(rule, _of_the_whole(probe, watched, best), None))
        return len(self.hits) > before, best


def ask(probe: Probe, reading: Reading, part: int, subject: Subject) -> tuple[Outcome, Detection | None, str | None]:
    """Runs a detector. Its exceptions are told by type alone: their text may quote what was checked."""
    if probe.detector is None:
        return "unavailable", None, probe.unavailable
    try:
        detection = probe.detector.detect(reading, part, subject)
        fault = _fault(detection, part, len(reading.raw))
    except Unavailable as error:
        return "unavailable", None, str(error)
    except (Exception, SystemExit) as error:  # a detector that wants to end the process ends its check
        return "failed", None, f"the detector raised {type(error).__name__}"
    if fault is not None:
        return "failed", None, fault
    if detection.score is None and not detection.findings:
        return "skipped", None, detection.skipped or "nothing to judge"
    return "ran", detection, None


def _fault(detection: Detection, part: int, length: int) -> str | None:
    """What breaks the contract of a detection: nothing that is not sound reaches a verdict."""
    score = detection.score
    if score is not None and not 0.0 <= score <= 1.0:
        return "the detector gave a score outside 0..1"
    for finding in detection.findings:
        if not 0 <= finding.start <= finding.end <= length or finding.part != part:
            return "the detector gave a finding outside the text"
        if not 0.0 <= finding.score <= 1.0:
            return "the detector gave a score outside 0..1"
    return None


def _timed(clock: Clock, probe: Probe, reading: Reading, part: int, subject: Subject) -> Answer:
    started = clock()
    outcome, detection, reason = ask(probe, reading, part, subject)
    return Answer(outcome, detection, reason, (clock() - started) // 1000)


def _result(future: Future[Answer] | None) -> Answer:
    if future is None:
        return Answer("late", None, "no worker was free before the deadline", 0)
    if not future.done():
        waited = future.cancel()
        return Answer("late", None, "still waiting at the deadline" if waited else "still running at the deadline", 0)
    error = future.exception()
    if error is not None:
        return Answer("failed", None, f"the detector raised {type(error).__name__}", 0)
    return future.result()


def _gate(rule: Rule, before: Check | None) -> str | None:
    """Why the rule need not run. A cheap check that did not run, or gave no score, leaves the question open."""
    if before is None or before.outcome in NOT_RUN:
        return None
    if before.outcome == "skipped":
        return f"'{before.rule}' had nothing to judge"
    low, high = rule.band
    if before.score is None or low <= before.score <= high:
        return None
    return f"'{before.rule}' is sure: its score lies outside {low:g} to {high:g}"


def _unchecked(rule: Rule, probe: Probe, part: int, answer: Answer) -> Check:
    outcome, _, reason, elapsed_us = answer
    action: Action = rule.when_late if outcome == "late" else rule.when_failed
    action = "allow" if outcome == "skipped" else action
    return Check(rule.id, probe.name, probe.version, part, outcome, 0, elapsed_us, None, False, action, reason)


def _skipped(rule: Rule, probe: Probe, part: int, reason: str) -> Check:
    return Check(rule.id, probe.name, probe.version, part, "skipped", 0, 0, None, False, "allow", reason)


def _of_the_whole(probe: Probe, watched: Watched, score: float) -> Finding:
    labels = probe.detector.labels if probe.detector is not None else ()
    label = labels[0] if len(labels) == 1 else probe.name
    return Finding(
        probe.name, label, score, watched.index, 0, watched.checked, "score at or above the rule's threshold"
    )


_SURROGATES = dict.fromkeys(range(55296, 57344), "�")


def readable(subject: Subject, limit: int | None) -> Subject:
    """The subject as detectors may see it: no text beyond the limit, and every lone surrogate, which patterns cannot
    read, as one replacement character, so that offsets stay those of the original."""
    if all(part.text.isascii() and (limit is None or len(part.text) <= limit) for part in subject.parts):
        return subject
    texts = [_readable_text(part.text, limit) for part in subject.parts]
    if all(text is part.text for text, part in zip(texts, subject.parts, strict=True)):
        return subject
    parts = tuple(replace(part, text=text) for text, part in zip(texts, subject.parts, strict=True))
    return replace(subject, parts=parts)


def _readable_text(text: str, limit: int | None) -> str:
    if limit is not None and len(text) > limit:
        text = text[:limit]
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_SURROGATES)
    return text
