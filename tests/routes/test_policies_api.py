"""Policies over REST: draft, publish, roll out, take back; and the bundle an application pulls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from kit.guarding import CANARY, document
from stanchion_server.kernel import clock
from stanchion_server.policies import engine
from stanchion_server.policies.models import Policy, PolicyEvent, PolicyVersion
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope

pytestmark = pytest.mark.django_db(transaction=True)

FAILING = document(tests="tests:\n  - {name: greets, stage: input, text: hello, expect: {action: block}}\n")


class Api:
    def __init__(self, project: Project, *scopes: Scope) -> None:
        self._headers = {"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        call = getattr(Client(headers={**self._headers, **headers}), method)
        return (
            call(f"/api/v1/{path}", body, content_type="application/json")
            if body is not None
            else call(f"/api/v1/{path}")
        )


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
def api(project: Project) -> Api:
    return Api(project, Scope.ADMIN)


def published(api: Api, *documents: str) -> None:
    api("post", "policies", {"name": "chat", "document": documents[0]})
    for text in documents:
        api("put", "policies/chat/draft", {"document": text})
        assert api("post", "policies/chat/versions", {}).status_code == 201


def test_a_policy_goes_from_draft_to_force_and_back(api: Api) -> None:
    published(api, document(), document(action="flag"))
    assert [row["number"] for row in api("get", "policies/chat/versions").json()["items"]] == [2, 1]
    assert api("post", "policies/chat/rollout", {"live": 2}).json()["live"] == 2
    assert api("post", "policies/chat/rollout", {"live": 1}).json()["live"] == 1
    events = list(PolicyEvent.objects.order_by("at").values_list("action", flat=True))
    assert events == ["created", "published", "published", "live", "live"]


def test_a_version_that_was_published_never_changes(api: Api) -> None:
    published(api, document())
    before = api("get", "policies/chat/versions").json()["items"]
    api("put", "policies/chat/draft", {"document": document(action="flag")})
    assert api("get", "policies/chat/versions").json()["items"] == before


def test_the_same_text_makes_no_second_version(api: Api) -> None:
    published(api, document(), document())
    assert len(api("get", "policies/chat/versions").json()["items"]) == 1


def test_a_draft_that_does_not_compile_is_kept_and_cannot_be_published(api: Api) -> None:
    api("post", "policies", {"name": "chat", "document": "rules: [\n  broken"})
    answer = api("post", "policies/chat/versions", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_policy")
    assert "line" in answer.json()["error"]["message"]
    assert api("get", "policies/chat").json()["draft"] == "rules: [\n  broken"


def test_a_role_that_is_a_slip_cannot_be_published_and_a_version_that_has_it_goes_on_judging(api: Api) -> None:
    published(api, document())
    slip = document().replace("    action: block\n", "    action: block\n    roles: [usr]\n")
    api("put", "policies/chat/draft", {"document": slip})
    answer = api("post", "policies/chat/versions", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_policy")
    assert "did you mean 'user'?" in answer.json()["error"]["message"]

    PolicyVersion.objects.update(document=slip)
    api("post", "policies/chat/rollout", {"live": 1})
    checked = api("post", "guard/check", {"policy": "chat", "text": CANARY})
    assert (checked.status_code, checked.json()["action"]) == (200, "block")


def test_a_policy_that_fails_its_own_tests_cannot_be_published(api: Api) -> None:
    api("post", "policies", {"name": "chat", "document": FAILING})
    answer = api("post", "policies/chat/versions", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "policy_tests_fail")
    assert "greets" in answer.json()["error"]["message"]


def test_several_changes_of_force_happen_together_or_not_at_all(api: Api) -> None:
    published(api, document(), document(action="flag"))
    refused = api("post", "policies/chat/rollout", {"live": 2, "shadow": 9})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_such_version")
    assert api("get", "policies/chat").json()["live"] is None
    changed = api("post", "policies/chat/rollout", {"live": 1, "canary": 2, "canary_percent": 10, "is_enforced": True})
    view = changed.json()
    assert (view["live"], view["canary"], view["canary_percent"], view["is_enforced"]) == (1, 2, 10, True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "has space"}, "bad_name"),
        ({"name": "../../etc"}, "bad_name"),
        ({"name": ""}, "bad_field"),
        ({"document": "x"}, "bad_field"),
        ({"name": "n" * 64}, "bad_field"),
        ({"name": "n\u0000"}, "bad_field"),
    ],
)
def test_a_name_that_is_none_is_refused(api: Api, body: Any, code: str) -> None:
    answer = api("post", "policies", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "policies", {"name": "house", "doc": document()}),
        ("put", "policies/chat/draft", {"document": document(), "doc": ""}),
        ("post", "policies/chat/versions", {"notes": "a"}),
        ("post", "policies/chat/rollout", {"kill_switch": "block_all"}),
        ("post", "policies/chat/rollout", {"live": 1, "kill_switch": "block_all"}),
        (
            "post",
            "policies/chat/backtests",
            {"window_start": "2026-01-01T00:00Z", "window_end": "2026-01-02T00:00Z", "nummer": 1},
        ),
        ("post", "silences", {"reason": "a", "ends_at": "2030-01-01T00:00Z", "matcher": []}),
        ("post", "drift/monitors", {"name": "a", "paused": True}),
        ("post", "scoring/quarantine", {"do": "retry", "jobs": 1}),
        ("post", "budgets", {"nme": "a"}),
        ("post", "rate-limits", {"nme": "a"}),
        ("post", "prices", {"nme": "a"}),
    ],
)
def test_a_field_that_is_none_is_refused_by_name_and_nothing_happens(
    api: Api, method: str, path: str, body: dict[str, Any]
) -> None:
    published(api, document())
    before = list(PolicyEvent.objects.values_list("pk"))
    answer = api(method, path, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "unknown_field"), error
    assert next(reversed(body)) in error["message"], "the odd one stands last"
    assert "Known" in error["message"]
    assert list(PolicyEvent.objects.values_list("pk")) == before


def test_a_rollout_that_names_nothing_to_change_is_refused(api: Api) -> None:
    published(api, document())
    for body in ({}, {"reason": "an incident"}):
        answer = api("post", "policies/chat/rollout", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "nothing_to_change")
        assert "switch" in answer.json()["error"]["message"]


def test_a_name_is_given_once(api: Api) -> None:
    api("post", "policies", {"name": "chat"})
    assert api("post", "policies", {"name": "chat"}).status_code == 409


def test_only_administrators_change_policies(project: Project, api: Api) -> None:
    published(api, document())
    app = Api(project, Scope.GUARD)
    assert app("post", "policies", {"name": "mine"}).status_code == 403
    assert app("post", "policies/chat/rollout", {"live": None}).status_code == 403
    assert app("get", "policies/chat/bundle").status_code == 200


def test_the_bundle_holds_the_versions_in_force_and_is_sent_once(project: Project, api: Api) -> None:
    published(api, document(), document(action="flag"))
    api("post", "policies/chat/rollout", {"live": 1, "shadow": 2})
    app = Api(project, Scope.GUARD)
    first = app("get", "policies/chat/bundle")
    [bundle] = first.json()["policies"]
    assert (bundle["live"], bundle["shadow"], set(bundle["documents"])) == (1, 2, {"1", "2"})
    assert CANARY in bundle["documents"]["1"]
    again = app("get", "policies/chat/bundle", **{"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    api("post", "policies/chat/rollout", {"live": 2})
    changed = app("get", "policies/chat/bundle", **{"if-none-match": first["ETag"]})
    assert (changed.status_code, changed.json()["policies"][0]["live"]) == (200, 2)


def test_a_bundle_brings_the_enforced_policy_along(project: Project, api: Api) -> None:
    published(api, document())
    api("post", "policies", {"name": "house", "document": document("house-word-1").replace("chat", "house")})
    api("post", "policies/house/versions", {})
    api("post", "policies/house/rollout", {"live": 1, "is_enforced": True})
    names = [row["name"] for row in Api(project, Scope.GUARD)("get", "policies/chat/bundle").json()["policies"]]
    assert names == ["chat", "house"]


def test_a_built_in_policy_has_a_bundle_without_being_made(project: Project) -> None:
    app = Api(project, Scope.GUARD)
    assert app("get", "policies/default/bundle").json()["policies"] == [{"name": "default", "built_in": True}]
    assert app("get", "policies/nobodys/bundle").status_code == 404


@pytest.mark.parametrize("role", ["shadow", "canary"])
def test_a_version_named_anew_does_not_end_when_the_one_before_it_did(api: Api, role: str) -> None:
    published(api, document(), document(action="flag"))
    over = clock.now() - timedelta(hours=1)
    Policy.objects.update(**{role: 1, f"{role}_until": over}, canary_percent=100)
    view = api("post", "policies/chat/rollout", {role: 2}).json()
    assert (view[role], view[f"{role}_until"]) == (2, None)


@pytest.mark.parametrize("role", ["shadow", "canary"])
def test_a_rollout_that_is_over_before_it_begins_is_refused(api: Api, role: str) -> None:
    published(api, document(), document(action="flag"))
    over = (clock.now() - timedelta(hours=1)).isoformat()
    answer = api("post", "policies/chat/rollout", {role: 2, f"{role}_until": over})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_time")
    assert api("get", "policies/chat").json()[role] is None


def test_the_share_of_a_canary_that_has_ended_is_not_changed_in_silence(api: Api) -> None:
    published(api, document(), document(action="flag"))
    Policy.objects.update(canary=2, canary_percent=10, canary_until=clock.now() - timedelta(hours=1))
    assert api("post", "policies/chat/rollout", {"canary_percent": 50}).status_code == 400
    changed = api("post", "policies/chat/rollout", {"canary_percent": 50, "canary_until": None})
    assert (changed.status_code, changed.json()["canary_percent"]) == (200, 50)


def test_a_policy_that_would_judge_nothing_is_not_enforced(api: Api) -> None:
    published(api, document())
    answer = api("post", "policies/chat/rollout", {"is_enforced": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "enforced_without_live")
    assert api("post", "policies/chat/rollout", {"live": 1, "is_enforced": True}).status_code == 200
    answer = api("post", "policies/chat/rollout", {"live": None})
    assert (answer.status_code, "End its enforcement" in answer.json()["error"]["message"]) == (409, True)
    done = api("post", "policies/chat/rollout", {"live": None, "is_enforced": False}).json()
    assert (done["live"], done["is_enforced"]) == (None, False)
