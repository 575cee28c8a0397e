"""Rules against the real database: evaluated once per moment, one incident per group, every end told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from kit import alerting
from stanchion_server.alerts import judging, rounds, services
from stanchion_server.alerts.models import Evaluation, Incident, Notification, Rule, Silence, Standing
from stanchion_server.alerts.records import Ask, Sample
from stanchion_server.alerts.sources.asking import Answer, Failed
from stanchion_server.routes import watch
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

AT = alerting.AT
MINUTE = timedelta(minutes=1)
PLAIN = {
    "name": "errors", "watch": {"source": "calls", "measure": "error_ratio", "by": ["feature"], "min_samples": 0},
    "when": {"above": 0.05}, "keep_firing": "0s",
}  # fmt: skip


class Values:
    """A source whose readings the test sets: value by feature."""

    def __init__(self, **values: float) -> None:
        self.values = values
        self.asked: list[Ask] = []
        self.failure = ""

    def __call__(self, project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
        self.asked += asks
        if self.failure:
            return dict.fromkeys(asks, Failed(self.failure))
        readings = {(("feature", name),): Sample(value, 100, 5) for name, value in self.values.items()}
        return dict.fromkeys(asks, readings)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def source() -> Values:
    return Values(refunds=0.2)


def tick(project: Project, source: Values, at: datetime) -> judging.Tick:
    done = judging.tick(project.pk, {"calls": source}, at)
    assert done is not None
    return done


def made(project: Project, **more: Any) -> Rule:
    return services.save(project, {**PLAIN, **more}, "ann")


def kinds(incident: Incident) -> list[tuple[str, str]]:
    return list(Notification.objects.filter(incident=incident).order_by("pk").values_list("kind", "state"))


def test_a_broken_rule_opens_one_incident_and_its_end_closes_it(project: Project, source: Values) -> None:
    made(project)
    alerting.channel(project, is_default=True)
    tick(project, source, AT)
    tick(project, source, AT + MINUTE)
    incident = Incident.objects.get()
    assert (incident.labels, incident.value, incident.resolved_at) == ({"feature": "refunds"}, 0.2, None)
    assert kinds(incident) == [("trigger", "waiting")]
    Notification.objects.update(attempts=1, state="delivered")
    source.values = {"refunds": 0.01}
    tick(project, source, AT + 2 * MINUTE)
    incident.refresh_from_db()
    assert incident.resolved_at == AT + 2 * MINUTE and incident.is_settled
    assert kinds(incident) == [("trigger", "delivered"), ("resolve", "waiting")]


def test_what_is_over_before_the_wait_ended_is_told_to_nobody(project: Project, source: Values) -> None:
    made(project)
    alerting.channel(project, is_default=True)
    tick(project, source, AT)
    source.values = {"refunds": 0.0}
    tick(project, source, AT + MINUTE)
    assert kinds(Incident.objects.get()) == [("trigger", "superseded")]


def test_a_moment_is_judged_once_however_often_it_is_asked_for(project: Project, source: Values) -> None:
    made(project)
    assert tick(project, source, AT).evaluations == 1
    assert tick(project, source, AT).evaluations == 0
    assert tick(project, source, AT + timedelta(seconds=30)).evaluations == 0
    assert Evaluation.objects.count() == Incident.objects.count() == 1


def test_late_evaluations_read_the_windows_they_were_meant_for_and_old_ones_are_counted(
    project: Project, source: Values
) -> None:
    made(project)
    tick(project, source, AT)
    source.asked.clear()
    done = tick(project, source, AT + 10 * MINUTE)
    assert (done.evaluations, done.skipped) == (4, 6)
    assert [ask.window.end for ask in source.asked] == [AT + number * MINUTE for number in (6, 7, 8, 9)]
    assert Standing.objects.get().skipped == 6


def test_a_reading_that_fails_keeps_the_incident_and_says_why(project: Project, source: Values) -> None:
    made(project)
    tick(project, source, AT)
    source.failure = "too many groups"
    assert tick(project, source, AT + MINUTE).failed == 1
    assert Standing.objects.get().error == "too many groups"
    assert Incident.objects.get().resolved_at is None


def test_nothing_is_written_in_a_silence_and_everything_after_it(project: Project, source: Values) -> None:
    made(project)
    alerting.channel(project, is_default=True)
    Silence.objects.create(
        project=project, matchers=[{"label": "feature", "op": "=", "value": "refunds"}], starts_at=AT,
        ends_at=AT + 5 * MINUTE, reason="migration", created_at=AT, created_by="ann",
    )  # fmt: skip
    tick(project, source, AT)
    incident = Incident.objects.get()
    assert kinds(incident) == [] and "migration" in incident.muted_by
    tick(project, source, AT + 6 * MINUTE)
    assert kinds(incident) == [("trigger", "waiting")]


def test_a_rule_that_is_archived_ends_its_incidents(project: Project, source: Values) -> None:
    rule = made(project)
    tick(project, source, AT)
    services.archive(project.pk, rule.pk, "ann")
    assert Incident.objects.get().resolved_at is not None
    assert rounds.projects() == []


def test_every_group_has_its_own_incident_unless_the_rule_wants_them_together(project: Project, source: Values) -> None:
    source.values = {"refunds": 0.2, "search": 0.3, "chat": 0.0}
    made(project)
    made(project, name="together", together=True)
    tick(project, source, AT)
    assert Incident.objects.filter(rule__name="errors").count() == 2
    whole = Incident.objects.get(rule__name="together")
    assert whole.value == 0.3 and len(whole.members) == 2


def test_new_projects_get_the_starter_pack_which_finds_nothing_wrong_with_nothing(project: Project) -> None:
    services.ensure_defaults()
    services.ensure_defaults()
    assert Rule.objects.filter(project=project).count() == 12
    done = judging.tick(project.pk, watch.READERS, AT)
    assert done is not None and (done.evaluations, done.failed) == (12, 0)
    assert Incident.objects.count() == 0 and not Standing.objects.exclude(error="").exists()


def test_two_beats_make_one_round() -> None:
    assert rounds.begin(AT, watch.EVERY) is not None
    assert rounds.begin(AT + timedelta(seconds=3), watch.EVERY) is None


def test_applying_a_document_twice_changes_nothing_and_mistakes_have_lines(project: Project) -> None:
    text = "rules:\n  - name: one\n    watch: {source: calls, measure: calls}\n    when: {above: 10}\n"
    steps, _none = services.apply(project, text, "ann", is_dry_run=True)
    assert [step.action for step in steps] == ["create"] and not Rule.objects.exists()
    services.apply(project, text, "ann", is_dry_run=False)
    steps, _none = services.apply(project, services.export(project.pk), "ann", is_dry_run=False)
    assert [step.action for step in steps] == ["keep"]
    _steps, mistakes = services.apply(project, text.replace("above: 10", "above: ten"), "ann", is_dry_run=False)
    assert mistakes[0].line == 4 and "when.above" in mistakes[0].message


def test_the_command_tells_the_line_and_changes_nothing_on_a_dry_run(project: Project, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("rules:\n  - name: one\n    watch: {source: calls, measure: calls}\n    when: {above: 10}\n")
    bad.write_text("rules:\n  - name: one\n    watch: {source: calls, measure: rain}\n    when: {above: 10}\n")
    call_command("alert_rules", "apply", project.slug, str(good), "--dry-run")
    assert not Rule.objects.exists()
    with pytest.raises(CommandError, match="line 3"):
        call_command("alert_rules", "apply", project.slug, str(bad))
    call_command("alert_rules", "apply", project.slug, str(good))
    assert Rule.objects.get().name == "one"
