"""JSON that two readers could take for different things, or that is too deep to read, at every address of the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from kit.compat import Compat, clean_caches, compat
from kit.guarding import policy_in_force
from stanchion_server.tenants.models import Scope

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
DEEP = "[" * 960 + "]" * 960
ADDRESSES = [
    ("POST", "guard/check"), ("POST", "policies"), ("PUT", "policies/chat/draft"), ("POST", "policies/chat/rollout"),
    ("POST", "policies/chat/backtests"), ("POST", "rules"), ("POST", "budgets"), ("POST", "rate-limits"),
    ("POST", "scores"), ("POST", "prices"), ("POST", "channels"), ("POST", "calculators/api-cost"),
    ("POST", "deployments"), ("POST", "drift/monitors"),
]  # fmt: skip


@pytest.fixture
def shop() -> Compat:
    found = compat("Shop", Scope.GUARD, Scope.ADMIN, Scope.WRITE_SCORES, Scope.READ_METRICS)
    policy_in_force(found.project)
    return found


def send(shop: Compat, method: str, path: str, body: str) -> Any:
    client = Client(headers={"authorization": f"Bearer {shop.key}"})
    return client.generic(method, f"/api/v1/{path}", body, content_type="application/json")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("[" * 10_000, "bad_json", "deeper than 100"),
        ('{"a":' * 10_000, "bad_json", "deeper than 100"),
        (f'{{"a": {DEEP}}}', "bad_json", "deeper than 100"),
        ('{"a": [{"b": 1, "b": 2}]}', "duplicate_key", "“b” stands twice"),
        ('{"\\ud800": 1, "\\ud800": 2}', "duplicate_key", "stands twice"),
        ('{"a": NaN}', "bad_json", "NaN is no number"),
        ('{"a": -Infinity}', "bad_json", "-Infinity is no number"),
        ('{"a": ' + "9" * 5_000 + "}", "bad_json", "not readable"),
        ('{"a": ', "bad_json", "not readable"),
    ],
    ids=["open lists", "open objects", "deep", "twice", "half", "NaN", "infinity", "digits", "cut"],
)
def test_json_that_cannot_be_read_in_one_way_is_refused_everywhere(
    shop: Compat, body: str, code: str, told: str
) -> None:
    for method, path in ADDRESSES:
        answer = send(shop, method, path, body)
        assert (answer.status_code, answer["content-type"]) == (400, "application/json"), path
        assert answer.json()["error"]["code"] == code, path
        assert told in answer.json()["error"]["message"], path


def test_a_hundred_levels_are_read(shop: Compat) -> None:
    arguments = "[" * 96 + "]" * 96
    body = f'{{"policy": "chat", "tool_calls": [{{"name": "f", "arguments": {arguments}}}]}}'
    assert send(shop, "POST", "guard/check", body).json()["texts"] == [arguments]


def test_deep_feedback_is_no_fault_of_ours(shop: Compat) -> None:
    for body in (f'{{"score": {DEEP}}}', f'{{"score": 1, "comment": {DEEP}}}', "[" * 100_000):
        assert send(shop, "POST", "feedback", body).status_code < 500
