"""Previews of rules over REST: what they answer, whose data they read, and what bad questions are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kit import alerting
from kit.calls import NOON, call, trace
from kit.stored import deliver, settled
from stanchion_server.alerts import services
from stanchion_server.alerts.models import Incident, Rule
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import alert_previews

pytestmark = pytest.mark.django_db

PLAIN: dict[str, Any] = {
    "name": "errors", "when": {"above": 0.4}, "keep_firing": "0s",
    "watch": {"source": "calls", "measure": "error_ratio", "by": ["feature"], "window": "5m", "min_samples": 2},
}  # fmt: skip
AS_YAML = """
name: errors
watch: {source: calls, measure: error_ratio, by: [feature], window: 5m, min_samples: 2}
when: {above: 0.4}
keep_firing: 0s
"""
ADDRESS = "/api/v1/rules/preview"


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{level + 1}: &a{level + 1} [{f'*a{level}, ' * 10}]\n" for level in range(9))


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Refunds fail from noon to 12:04 and from 12:30 to 12:34, four days before now; search never does."""
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: alerting.AT)
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    Project.objects.update(created_at=NOON)
    deliver(project.pk, *(
        call(
            trace_id=trace(90_000 + minute * 10 + place), after_s=60 * minute + place, feature=feature,
            status=Status.ERROR if feature == "refunds" and minute % 30 < 5 else Status.OK,
        )
        for minute in range(60)
        for place, feature in enumerate(("refunds", "search"))
    ))  # fmt: skip
    settled(project.pk)
    yield project
    access.forget_everything()


def bearer(project: Project, *scopes: Scope) -> dict[str, Any]:
    key = tenants.create_key(project, "test", scopes or (Scope.READ_METRICS,))
    return {"headers": {"Authorization": f"Bearer {key}"}}


def post(project: Project, body: Any, query: str = "", *scopes: Scope) -> Any:
    return Client().post(ADDRESS + query, json.dumps(body), "application/json", **bearer(project, *scopes))


def test_a_preview_tells_how_often_when_and_how_bad(project: Project) -> None:
    answer = post(project, PLAIN)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["fired"], told["days"], told["every_s"], told["unit"]) == (2, 14, 60, "ratio")
    assert [one["labels"] for one in told["episodes"]] == [{"feature": "refunds"}] * 2
    assert told["episodes"][0]["start"] == "2026-11-20T12:03:00Z"
    assert (told["episodes"][0]["worst"], told["episodes"][0]["threshold"]) == (1.0, 0.4)
    assert told["lines"][0]["labels"] == {"feature": "refunds"} and told["lines"][0]["fired"] == 2
    assert max(value for value in told["lines"][0]["values"] if value is not None) == 1.0
    assert len(told["times"]) == len(told["lines"][0]["values"]) <= 400
    assert told["groups"] == 2 and "Nothing is recorded before" in told["notes"][0]
    assert not Rule.objects.exists() and not Incident.objects.exists()


def test_yaml_and_the_stored_rule_answer_the_same_as_json(project: Project) -> None:
    rule = services.save(project, PLAIN, "ada")
    told = post(project, PLAIN, "?days=7").json()
    listed = "rules:\n  - " + AS_YAML.strip().replace("\n", "\n    ")
    assert told == post(project, {"yaml": AS_YAML}, "?days=7").json()
    assert told == post(project, {"yaml": listed}, "?days=7").json()
    stored = Client().get(f"/api/v1/rules/{rule.pk}/preview?days=7", **bearer(project))
    assert stored.json() == told


def test_a_time_without_data_fired_never_and_an_unrecorded_measure_is_not_known(project: Project) -> None:
    assert post(project, PLAIN, "?days=1").json()["fired"] == 0
    told = post(project, {"name": "spent", "watch": {"source": "budgets", "measure": "spent_ratio"},
                          "when": {"above": 1}}).json()  # fmt: skip
    assert told["fired"] is None and told["lines"] == []
    assert "only known as of now" in told["notes"][0]


@pytest.mark.parametrize("days", ["0", "31", "-1", "x", "1e1", "٣", "", "14&days=3"])
def test_days_out_of_bounds_are_refused_with_the_bounds(project: Project, days: str) -> None:
    answer = post(project, PLAIN, f"?days={days}")
    assert answer.status_code == 400 and "days" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({**PLAIN, "when": {"above": "much"}}, "when.above"),
        ({**PLAIN, "watch": {"source": "weather", "measure": "rain"}}, "watch.source"),
        ({**PLAIN, "days": 14}, "days is not known"),
        ({"yaml": "name: [half"}, "Line 1: This is no YAML"),
        ({"yaml": AS_YAML.replace("0.4", "much")}, "Line 4: when.above"),
        ({"yaml": "rules: []"}, "One rule is wanted"),
        ({"yaml": 7}, "yaml must be text"),
        ({"yaml": "a: &a [*a]"}, "Aliases (*name) are not read here"),
        ({"yaml": BOMB}, "Aliases (*name) are not read here"),
        ({"yaml": "name: x\nseverity: [[1, 2], [3]]"}, "severity is a list"),
        ({"yaml": f"? 0x{'f' * 5_000}\n: 1"}, "a number of over 38 digits is not known here"),
        ({"yaml": f"watch: {{min_samples: 0x{'f' * 5_000}}}"}, "min_samples is a number of over 38 digits"),
        ({"when": {"above": int("9" * 400)}}, "above is a number of over 38 digits"),
        ([], "must be a mapping"),
        (None, "must be a mapping"),
        ("half \ud800 a character", "must be a mapping"),
    ],
)
def test_a_wrong_rule_is_told_where_it_is_wrong(project: Project, body: Any, word: str) -> None:
    answer = post(project, body)
    assert answer.status_code == 400 and word in answer.json()["error"]["message"], answer.content


def test_others_rules_are_not_there_and_keys_without_the_scope_are_told_which(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    rule = services.save(project, PLAIN, "ada")
    address = f"/api/v1/rules/{rule.pk}/preview"
    assert Client().get(address, **bearer(other)).status_code == 404
    assert post(other, PLAIN).json()["groups"] == 0, "another project's calls are not read"
    assert Client().get(address).status_code == 401
    assert post(project, PLAIN, "", Scope.INGEST).status_code == 403
    assert Client().get(address, **bearer(project)).status_code == 200


def test_the_newest_episodes_are_listed_and_all_are_counted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_previews, "MOST_EPISODES", 1)
    told = post(project, PLAIN).json()
    assert told["fired"] == 2 and [one["start"] for one in told["episodes"]] == ["2026-11-20T12:34:00Z"]


def test_what_cannot_be_read_in_one_statement_is_refused_with_the_remedy(project: Project) -> None:
    scores = {
        "source": "scores", "measure": "mean", "by": ["feature", "model"], "where": {"release": "v1"},
        "params": {"scorer": "x"},
    }  # fmt: skip
    answer = post(project, {"name": "three", "watch": scores, "when": {"above": 0.5}})
    assert answer.status_code == 400 and "at most 2 dimensions" in answer.json()["error"]["message"]
