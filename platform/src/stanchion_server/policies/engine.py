"""The one door to the guard engine: compiled policies by version, and what judges a check right now.

Compiled versions never change, so they are kept; what is in force is read again every five seconds, so a switch thrown
in one process is obeyed by all within that time, and at once where it was thrown. While the database is away what was
last read stands: nobody can throw a switch there either.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from importlib import resources
from typing import cast

from django.conf import settings

from stanchion_guard import policy as policies
from stanchion_guard import policy_tests
from stanchion_guard.combining import combined, failed
from stanchion_guard.engine import Guard
from stanchion_guard.policy import Policy as CompiledPolicy
from stanchion_guard.records import ACTIONS, Coverage, Subject, Verdict
from stanchion_guard.rollout import BLOCKED, Mode, State, SwitchName, choose
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.policies.models import Policy, PolicyVersion

STATE_SECONDS = 5
MAX_COMPILED = 256
MAX_TEXTS = 32
_TEST_KEY = bytes(32)
BUILT_IN = policies.BUILT_IN

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_lock = threading.Lock()
_compiled: OrderedDict[tuple[int, int, int], Guard] = OrderedDict()
_texts: OrderedDict[tuple[int, str], Guard] = OrderedDict()
_states: OrderedDict[tuple[int, str], tuple[float, State | None]] = OrderedDict()
_forgotten = 0
"""How often something was forgotten: what was read before that is not kept."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a check is to be made: which parts are judged (None for all), and how long all of it may take, the enforced
    policy included. `unread` are the types of what came with it and no check reads."""

    judged: tuple[int, ...] | None = None
    deadline_ms: float | None = None
    unread: tuple[str, ...] = ()

    def left(self, began_s: float) -> Manner:
        """The same with what is left of the time; with next to none, every check of the next policy is late."""
        if self.deadline_ms is None:
            return self
        return replace(self, deadline_ms=max(1e-6, self.deadline_ms - 1000 * (clock.monotonic_s() - began_s)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one version said. `number` is None for a built-in policy and where no version judged."""

    policy: str
    number: int | None
    mode: Mode | str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Beside:
    """A version that is to judge the same without effect, when the caller has its verdict: `judge_beside`."""

    project_id: int
    state: State
    number: int
    subject: Subject
    manner: Manner


@dataclass(frozen=True, slots=True)
class Checked:
    """`verdict` is what the caller must obey: the action of `decided`, the strongest of `judged`, and the masks of them
    all. `shadows` are still to judge."""

    verdict: Verdict
    decided: Judgement
    judged: tuple[Judgement, ...]
    shadows: tuple[Beside, ...]


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def compile_text(document: str) -> CompiledPolicy:
    """Raises SenderError 422 with every problem of the text, each with its line."""
    try:
        return policies.load(document)
    except policies.PolicyError as error:
        raise SenderError("bad_policy", str(error), 422) from error


def compile_draft(document: str) -> CompiledPolicy:
    """As `compile_text`, for what is not in use yet: rules that look at nothing are refused as well."""
    if found := problems_of(document):
        raise SenderError("bad_policy", str(policies.PolicyError([*found])), 422)
    return compile_text(document)


def problems_of(document: str) -> tuple[policies.Problem, ...]:
    """Everything for which the text should not be published, each with its line."""
    try:
        return policies.load(document).dead
    except policies.PolicyError as error:
        return error.problems


def starting_text(name: str) -> str:
    """The text of a built-in policy, comments and tests included, to begin a draft with."""
    if name not in BUILT_IN:
        raise SenderError("policy_not_found", f"No built-in policy “{name[:80]}”: {', '.join(BUILT_IN)}.", 404)
    return resources.files("stanchion_guard").joinpath("policies", f"{name}.yaml").read_text("utf-8")


def failing_cases(compiled: CompiledPolicy) -> list[str]:
    """A sentence for each of the policy's own test cases that does not hold."""
    failed = [result for result in policy_tests.run(Guard(compiled, hash_key=_TEST_KEY)) if not result.passed]
    return [f"{result.case.name}: {_said(result.differences)}" for result in failed]


def _said(differences: Sequence[policy_tests.Difference]) -> str:
    return ", ".join(f"{one.what} is {one.got}, expected {one.expected}" for one in differences)


def check(project_id: int, name: str, subject: Subject, *, key: str, manner: Manner) -> Checked:
    """Judges a subject by the named policy and by the project's enforced one. `key` decides on which side of a canary
    the check falls. Raises SenderError 404 for a policy that the project does not have."""
    judged: list[Judgement] = []
    shadows: list[Beside] = []
    now, began_s = clock.now(), clock.monotonic_s()
    for state_name in _names(project_id, name):
        one, beside = _check_one(project_id, state_name, subject, key, now, manner.left(began_s))
        judged.append(one)
        shadows.extend(beside)
    return together(subject, tuple(judged), tuple(shadows))


def together(subject: Subject, judged: tuple[Judgement, ...], shadows: tuple[Beside, ...]) -> Checked:
    """What several policies say of one subject, as the caller must obey it."""
    decided = max(judged, key=lambda one: ACTIONS.index(one.verdict.action))
    return Checked(combined(subject, [one.verdict for one in judged]), decided, judged, shadows)


def guard_of(project_id: int, policy_id: int, number: int) -> Guard:
    """A published version, compiled once per process."""
    key = (project_id, policy_id, number)
    with _lock:
        if found := _compiled.get(key):
            _compiled.move_to_end(key)
            return found
    with db.away_is_unavailable():
        version = PolicyVersion.objects.get(project_id=project_id, policy_id=policy_id, number=number)
    guard = Guard(compile_text(version.document), hash_key=hash_key(project_id))
    with _lock:
        _compiled[key] = guard
        if len(_compiled) > MAX_COMPILED:
            _compiled.popitem(last=False)
    return guard


def guard_of_text(project_id: int, document: str) -> Guard:
    """A text that may be no version; compiled once per process as long as few others come between."""
    key = (project_id, document)
    with _lock:
        if found := _texts.get(key):
            _texts.move_to_end(key)
            return found
    guard = Guard(compile_text(document), hash_key=hash_key(project_id))
    with _lock:
        _texts[key] = guard
        if len(_texts) > MAX_TEXTS:
            _texts.popitem(last=False)
    return guard


def hash_key(project_id: int) -> bytes:
    """Masks of one project mean nothing in another."""
    return blake2b(str(project_id).encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=32).digest()


def forget(project_id: int, name: str) -> None:
    global _forgotten
    with _lock:
        _forgotten += 1
        _states.pop((project_id, name), None)
        _states.pop((project_id, ""), None)


def forget_everything() -> None:
    global _forgotten
    with _lock:
        _forgotten += 1
        _states.clear()
        _compiled.clear()
        _texts.clear()


def state_of(project_id: int, name: str) -> State | None:
    """What is in force under this name; the empty name stands for the enforced policy, whatever it is called."""
    if name and not is_name(name):
        return None
    now_s = clock.monotonic_s()
    with _lock:
        known, forgotten = _states.get((project_id, name)), _forgotten
    if known and now_s - known[0] < STATE_SECONDS:
        return known[1]
    found = _read_again(project_id, name, known)
    with _lock:
        if forgotten == _forgotten:
            _states[project_id, name] = (now_s, found)
        if len(_states) > MAX_COMPILED * 4:
            _states.popitem(last=False)
    return found


def _read_again(project_id: int, name: str, known: tuple[float, State | None] | None) -> State | None:
    try:
        with db.away_is_unavailable():
            return _read_state(project_id, name)
    except Unavailable:
        if known is None:
            raise
        return known[1]


def _names(project_id: int, name: str) -> list[str]:
    enforced = state_of(project_id, "")
    return [name] if enforced is None or enforced.name == name else [name, enforced.name]


def _check_one(
    project_id: int, name: str, subject: Subject, key: str, now: datetime, manner: Manner
) -> tuple[Judgement, list[Beside]]:
    state = state_of(project_id, name)
    if state is None:
        return Judgement(name, None, "live", run(built_in(name), subject, manner)), []
    choice = choose(state, key, now)
    if choice.judge is None:
        return Judgement(name, None, "live", _unjudged(state, subject, choice.reason)), []
    verdict = _judge(project_id, state, choice.judge, subject, manner)
    beside = []
    if choice.shadow is not None and choice.shadow != choice.judge:
        beside.append(Beside(project_id, state, choice.shadow, subject, manner))
    return Judgement(name, choice.judge, choice.mode, verdict), beside


def judge_beside(beside: Beside) -> Judgement:
    """With the time that the version in force had. A shadow that cannot judge says so."""
    try:
        verdict = _judge(beside.project_id, beside.state, beside.number, beside.subject, beside.manner)
    except (SenderError, Unavailable) as error:
        return not_judged(beside, f"version {beside.number} cannot judge: {getattr(error, 'code', 'unavailable')}")
    return Judgement(beside.state.name, beside.number, "shadow", verdict)


def not_judged(beside: Beside, reason: str) -> Judgement:
    verdict = replace(_unjudged(beside.state, beside.subject, reason), policy_version=str(beside.number))
    return Judgement(beside.state.name, beside.number, "shadow", verdict)


def _judge(project_id: int, state: State, number: int, subject: Subject, manner: Manner) -> Verdict:
    verdict = run(guard_of(project_id, state.policy_id, number), subject, manner)
    return replace(verdict, policy=state.name, policy_version=str(number))


def run(guard: Guard, subject: Subject, manner: Manner) -> Verdict:
    """Where the engine itself breaks, the policy's own `when_failed` decides, as where one of its checks fails."""
    try:
        verdict = guard.judge(subject, judged=manner.judged, deadline_ms=manner.deadline_ms)
    except Exception as error:
        _log.error("the guard engine raised %s for policy %s", type(error).__name__, guard.policy.name)
        verdict = failed(guard.policy, subject, manner.judged, error)
    return _with_unread(verdict, manner.unread) if manner.unread else verdict


def _with_unread(verdict: Verdict, unread: Sequence[str]) -> Verdict:
    """Told as guarded clients tell of it."""
    missed = (("client", f"{kind}: no check reads it") for kind in unread)
    coverage = replace(verdict.coverage, not_run=(*verdict.coverage.not_run, *missed))
    return replace(verdict, coverage=coverage)


def built_in(name: str) -> Guard:
    """The engine's own policies are there before anybody has written one; a project's of the same name hides them."""
    if name not in policies.BUILT_IN:
        raise SenderError("policy_not_found", f"There is no policy “{name[:80]}”. Use “default”, or make it.", 404)
    number = policies.BUILT_IN.index(name)
    with _lock:
        found = _compiled.get((0, 0, number))
    guard = found or Guard(policies.named(name))
    with _lock:
        return _compiled.setdefault((0, 0, number), guard)


def _unjudged(state: State, subject: Subject, reason: str) -> Verdict:
    """A verdict that no check stands behind, and that says so."""
    total = sum(len(part.text) for part in subject.parts)
    return Verdict(
        action="block" if state.switch == "block_all" else "allow",
        texts=tuple(part.text for part in subject.parts),
        findings=(),
        checks=(),
        coverage=Coverage(total, 0, 0, (("policy", reason),)),
        policy=state.name,
        policy_version="",
        message=BLOCKED if state.switch == "block_all" else None,
        elapsed_us=0,
    )


def _read_state(project_id: int, name: str) -> State | None:
    rows = Policy.objects.filter(project_id=project_id, archived_at=None)
    row = (rows.filter(name=name) if name else rows.filter(is_enforced=True)).first()
    if row is None:
        return None
    return State(
        policy_id=row.pk,
        name=row.name,
        live=row.live,
        shadow=row.shadow,
        shadow_until=row.shadow_until,
        canary=row.canary,
        canary_percent=row.canary_percent,
        canary_until=row.canary_until,
        switch=cast(SwitchName, row.switch),
        switch_reason=row.switch_reason,
    )
