"""A guard check by one stated version, by the draft or by a single detector; the enforced policy judges beside it.

its guard -> verdict to the caller -> recorder. A switch that is thrown goes before the pin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stanchion_guard.engine import Guard
from stanchion_guard.records import Subject
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, halting, selectors, single
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.models import Policy, Switch
from stanchion_server.routes import guard_check
from stanchion_server.routes.guard_check import Caller

DRAFT = "DRAFT"


def check(
    caller: Caller, policy: Policy, version: str, subject: Subject, origin: Origin, manner: engine.Manner
) -> engine.Checked:
    """`version` is a number or DRAFT. Raises SenderError for a version that is not there and a draft that is none."""
    guard = guard_of(caller.project_id, policy, version)
    if policy.switch != Switch.ON:
        return guard_check.check(caller, policy.name, subject, origin, manner)
    number = None if version == DRAFT else int(version)
    return _beside_enforced(caller, Own(policy.name, version, number, guard), subject, origin, manner)


def check_detector(
    caller: Caller, detector: str, subject: Subject, origin: Origin, manner: engine.Manner
) -> engine.Checked:
    """By a light detector alone. Raises SenderError 422 for one that needs parameters."""
    own = Own(single.policy_name(detector), "", None, single.guard_of(detector))
    return _beside_enforced(caller, own, subject, origin, manner)


@dataclass(frozen=True, slots=True)
class Own:
    """The guard that was asked for, and what its decisions are recorded as."""

    policy: str
    version: str
    number: int | None
    guard: Guard


def _beside_enforced(
    caller: Caller, own: Own, subject: Subject, origin: Origin, manner: engine.Manner
) -> engine.Checked:
    start_ns, began_s = clock.now_ns(), clock.monotonic_s()
    verdict = engine.run(own.guard, subject, manner)
    verdict = replace(verdict, policy=own.policy, policy_version=own.version)
    judged = engine.Judgement(own.policy, own.number, "live", verdict)
    enforced = engine.state_of(caller.project_id, "")
    is_alone = enforced is None or enforced.name == own.policy
    checked = engine.together(subject, (judged,), ())
    if is_alone:
        checked = guard_check.stopped(caller, checked, subject, origin, manner)
    guard_check.keep(caller, checked, subject, origin, start_ns)
    if enforced is None or is_alone:
        return checked
    beside = guard_check.check(caller, enforced.name, subject, origin, manner.left(began_s))
    return engine.together(subject, (judged, *beside.judged), beside.shadows)


def guard_of(project_id: int, policy: Policy, version: str) -> Guard:
    if version == DRAFT:
        return engine.guard_of_text(project_id, policy.draft)
    with db.away_is_unavailable():
        found = selectors.version(project_id, policy.pk, int(version))
    if found is None:
        raise SenderError("no_such_version", f"Policy “{policy.name}” has no version {version}.", 404)
    return engine.guard_of(project_id, policy.pk, found.number)


def behind(project_id: int, judged: engine.Judgement, policy: Policy | None = None) -> Guard | None:
    """The guard that made a judgement, `policy` being the one asked for; None where a switch or a stop answered."""
    if halting.is_stop(judged.policy) or not (judged.verdict.checks or judged.verdict.policy_version):
        return None
    if policy and judged.policy == policy.name and judged.verdict.policy_version == DRAFT:
        return engine.guard_of_text(project_id, policy.draft)
    if judged.number is None:
        return engine.built_in(judged.policy)
    state = engine.state_of(project_id, judged.policy)
    return engine.guard_of(project_id, state.policy_id, judged.number) if state else None
