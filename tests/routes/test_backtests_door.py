"""Back-tests from the API to the report: started by an administrator, run by the worker, read while they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from kit import stored
from kit.calls import NOON, call, content_of, trace
from kit.guarding import CANARY, policy_in_force
from stanchion_server.ingest import messages
from stanchion_server.policies import backtests, engine
from stanchion_server.policies.models import Backtest
from stanchion_server.routes.backtest import run_backtests
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope

pytestmark = pytest.mark.django_db
PATH = "/api/v1/policies/chat/backtests"
WINDOW = {"window_start": NOON.isoformat(), "window_end": (NOON + timedelta(hours=1)).isoformat()}


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    engine.forget_everything()
    yield
    access.forget_everything()
    engine.forget_everything()


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def admin(project: Project) -> Client:
    policy_in_force(project)
    return client_of(project, Scope.ADMIN)


def client_of(project: Project, *scopes: Scope) -> Client:
    return Client(headers={"authorization": f"Bearer {tenants.create_key(project, 'k', list(scopes))}"})


def post(client: Client, body: Any, path: str = PATH) -> Any:
    return client.post(path, body if isinstance(body, str) else json.dumps(body), content_type="application/json")


def answer(text: str) -> bytes:
    return messages.pack({"output": [messages.message("assistant", [messages.text_part(text)])]}).body


def recorded(project: Project, count: int) -> None:
    for number in range(count):
        row = call(trace_id=trace(number + 1), after_s=number)
        stored.deliver(project.pk, row, contents=(content_of(row, answer(CANARY if number % 4 == 0 else "hello")),))


def test_a_back_test_goes_from_the_api_through_the_workers_slices_to_its_report(
    project: Project, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 3)
    recorded(project, 8)
    made = post(admin, {**WINDOW, "number": 1})
    assert (made.status_code, made.json()["state"], made.json()["calls_total"]) == (201, "queued", 8)
    address = f"{PATH}/{made.json()['id']}"
    assert backtests.step()
    growing = admin.get(address).json()
    assert (growing["state"], growing["calls_done"], growing["result"]["calls"]) == ("queued", 3, 3)
    late = call(trace_id=trace(99), after_s=99)
    stored.deliver(project.pk, late, contents=(content_of(late, answer("hello")),))
    run_backtests()
    told = admin.get(address).json()
    assert (told["state"], told["calls_done"], told["calls_total"], told["error"]) == ("done", 9, 9, "")
    assert told["result"]["matrix"] == {"allow>allow": 7, "allow>block": 2}
    assert {one["trace_id"] for one in told["result"]["newly_stopped"]} == {trace(1).hex, trace(5).hex}
    assert told["result"]["mean_us"] > 0
    assert [row["id"] for row in admin.get(PATH).json()["items"]] == [told["id"]]
    assert CANARY not in json.dumps(told)


def test_deleting_cancels_and_the_worker_leaves_it_alone(project: Project, admin: Client) -> None:
    recorded(project, 2)
    address = f"{PATH}/{post(admin, WINDOW).json()['id']}"
    assert admin.delete(address).json()["state"] == "cancelled"
    run_backtests()
    assert (admin.get(address).json()["state"], admin.get(address).json()["calls_done"]) == ("cancelled", 0)
    assert admin.delete(address).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "bad_field"),
        ({**WINDOW, "window_end": WINDOW["window_start"]}, 400, "bad_window"),
        ({**WINDOW, "window_start": "0001-01-01T00:00:00Z"}, 400, "bad_window"),
        ({"window_start": "0001-01-01T00:00:00+14:00", "window_end": "9999-12-31T23:59:59-14:00"}, 400, None),
        ({"window_start": "0001-01-01T00:00:00Z", "window_end": "0001-01-02T00:00:00Z"}, 201, None),
        ({"window_start": "9999-12-30T00:00:00Z", "window_end": "9999-12-31T23:59:59.999999Z"}, 201, None),
        ({**WINDOW, "window_start": "yesterday"}, 400, "bad_field"),
        ({**WINDOW, "window_start": 10**400}, 400, "bad_field"),
        ({**WINDOW, "window_start": None}, 400, "bad_field"),
        ({**WINDOW, "max_calls": 0}, 400, "bad_field"),
        ({**WINDOW, "max_calls": 1e400}, 400, None),
        ({**WINDOW, "number": 2**31}, 400, "bad_field"),
        ({**WINDOW, "number": 7}, 404, "no_such_version"),
        ({**WINDOW, "baseline": 7}, 404, "no_such_version"),
        ({**WINDOW, "features": ["a\u0000"]}, 400, "bad_field"),
        ({**WINDOW, "features": ["\ud800"]}, 400, "bad_field"),
        ({**WINDOW, "features": "search"}, 400, "bad_field"),
        ({**WINDOW, "features": [["a"]]}, 400, "bad_field"),
        ({**WINDOW, "features": ["a"] * 51}, 400, "bad_field"),
        ([], 400, None),
        ("{", 400, None),
    ],
)
def test_hostile_windows_are_refused_or_find_nothing(admin: Client, body: Any, status: int, code: str | None) -> None:
    answer = post(admin, body)
    assert answer.status_code == status, answer.content
    if code:
        assert answer.json()["error"]["code"] == code
    run_backtests()
    assert list(Backtest.objects.values_list("state", "calls_done")) == ([("done", 0)] if status == 201 else [])


def test_only_administrators_start_and_cancel_and_other_projects_see_nothing(project: Project, admin: Client) -> None:
    made = post(admin, WINDOW).json()
    reader = client_of(project, Scope.READ_METRICS)
    assert post(reader, WINDOW).status_code == 403
    assert reader.delete(f"{PATH}/{made['id']}").status_code == 403
    assert reader.get(f"{PATH}/{made['id']}").status_code == 200
    other = tenants.create_project(tenants.create_organisation("Other"), "Other")
    policy_in_force(other)
    stranger = client_of(other, Scope.ADMIN)
    assert stranger.get(f"{PATH}/{made['id']}").status_code == 404
    assert stranger.delete(f"{PATH}/{made['id']}").status_code == 404
    assert stranger.get(PATH).json()["items"] == []
    assert admin.get(f"{PATH}/{10**30}").status_code == 404
