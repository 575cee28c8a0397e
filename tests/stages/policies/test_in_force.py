"""What is in force, between processes and through a database that goes away: how late a switch may bite, and races."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from kit.guarding import CANARY, document, policy_in_force
from stanchion_guard.records import Part, Subject
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.policies import engine, services
from stanchion_server.policies.models import Policy, PolicyVersion
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    now_s = 1_000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "now_s", 1_000.0)
    monkeypatch.setattr(clock, "monotonic_s", lambda: Clock.now_s)
    return Clock


@pytest.fixture
def project() -> Iterator[Project]:
    engine.forget_everything()
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    engine.forget_everything()


def action(project: Project, name: str = "chat", text: str = CANARY) -> str:
    return judged(project, name, text).verdict.action


def judged(project: Project, name: str = "chat", text: str = CANARY) -> engine.Checked:
    subject = Subject((Part("input", text),))
    return engine.check(project.pk, name, subject, key="k", manner=engine.Manner())


def by_another_process(policy: Policy, **changes: Any) -> None:
    """What another web process commits; this one is told nothing."""
    Policy.objects.filter(pk=policy.pk).update(**changes)


@pytest.mark.parametrize(
    ("changes", "after"),
    [({"switch": "off"}, "allow"), ({"live": None}, "allow"), ({"live": 2}, "flag"), ({"is_enforced": True}, "block")],
)
def test_a_change_by_another_process_bites_within_five_seconds(
    project: Project, time: type[Clock], changes: dict[str, Any], after: str
) -> None:
    policy = policy_in_force(project, "chat", document(), document(action="flag"))
    assert action(project) == "block"
    by_another_process(policy, **changes)
    time.now_s += 5 - 0.001
    assert action(project) == "block"
    time.now_s += 0.001
    assert action(project) == after


def test_a_policy_enforced_by_another_process_judges_every_check_within_five_seconds(
    project: Project, time: type[Clock]
) -> None:
    policy = policy_in_force(project)
    assert action(project, "observe") == "allow"
    by_another_process(policy, is_enforced=True)
    time.now_s += 5
    assert action(project, "observe") == "block"


def test_where_a_switch_is_thrown_it_bites_at_once_even_on_a_check_that_reads_at_that_moment(
    project: Project, time: type[Clock]
) -> None:
    """A check has read the old state and not kept it yet when the switch is thrown: it must not keep it."""
    policy = policy_in_force(project)
    thrown = iter([True])

    def overtake(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = execute(sql, params, many, context)
        if "policies_policy" in sql and params and "chat" in params and next(thrown, False):
            services.set_switch(project.pk, policy.pk, "off", "", "tester")
        return found

    with connection.execute_wrapper(overtake):
        action(project)
    assert next(thrown, None) is None, "the switch was thrown in between"
    assert action(project) == "allow"


def test_while_the_database_is_away_what_was_in_force_goes_on(project: Project, time: type[Clock]) -> None:
    policy_in_force(project)
    assert action(project) == "block"
    host = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = "/nonexistent"
    try:
        time.now_s += 60
        assert action(project) == "block"
        with pytest.raises(Unavailable):
            action(project, "never-asked-for")
    finally:
        connection.settings_dict["HOST"] = host
        connection.close()


@pytest.mark.parametrize("name", ["a\0b", "n" * 1_000_000, "no such", "\ud800", "x" * 64])
def test_a_name_that_is_none_is_not_found_and_not_kept(project: Project, name: str) -> None:
    before = len(engine._states)
    with pytest.raises(SenderError) as refused:
        action(project, name)
    assert (refused.value.code, refused.value.http_status) == ("policy_not_found", 404)
    assert len(engine._states) <= before + 1


def test_a_shadow_that_cannot_be_compiled_any_more_costs_nobody_an_answer(project: Project) -> None:
    policy = policy_in_force(project, "chat", document(), document(action="flag"))
    services.set_shadow(project.pk, policy.pk, 2, "tester")
    PolicyVersion.objects.filter(policy=policy, number=2).update(document="policy: [")
    checked = judged(project)
    assert checked.verdict.action == "block"
    [shadow] = map(engine.judge_beside, checked.shadows)
    assert (shadow.number, shadow.verdict.coverage.complete) == (2, False)
    assert "version 2 cannot judge" in shadow.verdict.coverage.not_run[0][1]


def test_one_deadline_is_shared_by_the_enforced_policy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds pass whenever the clock is read: after the first policy nothing is left of twelve."""
    policy_in_force(project)
    services.enforce(project.pk, policy_in_force(project, "house").pk, "tester")
    judged(project)
    seconds = itertools.count(clock.monotonic_s(), 5)
    monkeypatch.setattr(clock, "monotonic_s", lambda: next(seconds))
    subject = Subject((Part("input", CANARY),))
    checked = engine.check(project.pk, "chat", subject, key="k", manner=engine.Manner(deadline_ms=600_000))
    assert [one.verdict.coverage.complete for one in checked.judged] == [True, True]
    late = engine.check(project.pk, "chat", subject, key="k", manner=engine.Manner(deadline_ms=12_000))
    assert [one.verdict.coverage.complete for one in late.judged] == [True, False]
    assert late.judged[1].verdict.action == "block", "the policy says what being late means"


def test_two_who_enforce_two_policies_at_once_leave_one_enforced(project: Project) -> None:
    policies = [policy_in_force(project, name) for name in ("one", "two")]
    for _round in range(5):
        at_once([lambda policy=policy: services.enforce(project.pk, policy.pk, "t") for policy in policies])
        assert Policy.objects.filter(project=project, is_enforced=True).count() == 1
        at_once([
            lambda policy=policy: services.roll_out(project.pk, policy.pk, {"live": 1, "is_enforced": True}, "t")
            for policy in policies
        ])  # fmt: skip
        assert Policy.objects.filter(project=project, is_enforced=True).count() == 1


def test_two_who_publish_at_once_get_one_number_each(project: Project) -> None:
    policy = policy_in_force(project)
    services.save_draft(project.pk, policy.pk, document(action="flag"), "t")
    at_once([lambda: services.publish(project.pk, policy.pk, "t") for _ in range(4)])
    assert sorted(PolicyVersion.objects.values_list("number", flat=True)) == [1, 2]


def at_once(changes: list[Any]) -> None:
    """Runs them in threads with connections of their own; an error in one fails the test."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(changes))

    def run(change: Any) -> None:
        try:
            start.wait(10)
            change()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors, errors


def breaks(project: Project, policy: Policy, number: int = 1) -> None:
    """From here the engine of this version raises before it has looked at anything."""

    def no_time() -> int:
        raise RuntimeError("no time")

    engine.guard_of(project.pk, policy.pk, number).clock = no_time


@pytest.mark.parametrize("stated", ["flag", "block"])
def test_where_the_engine_breaks_the_policys_own_when_failed_decides(project: Project, stated: str) -> None:
    text = document().replace("when_failed: block", f"when_failed: {stated}")
    breaks(project, policy_in_force(project, "chat", text))
    told = judged(project, text="good morning").verdict
    assert (told.action, told.policy, told.policy_version) == (stated, "chat", "1")
    assert told.coverage.not_run == (("canary", "failed: the engine raised RuntimeError"),)
    assert not told.coverage.complete


def test_a_shadow_whose_engine_breaks_says_so_and_costs_the_caller_nothing(project: Project) -> None:
    policy = policy_in_force(project, "chat", document("another"), document())
    services.set_shadow(project.pk, policy.pk, 2, "tester")
    breaks(project, policy, 2)
    told = judged(project)
    assert (told.verdict.action, told.verdict.coverage.complete) == ("allow", True)
    [shadow] = map(engine.judge_beside, told.shadows)
    assert shadow.verdict.coverage.not_run == (("canary", "failed: the engine raised RuntimeError"),)
