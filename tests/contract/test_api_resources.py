"""The REST API as its callers meet it: what it answers, whom it refuses, and that no project sees another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import stored
from kit.calls import call, content_of, span_of, trace
from stanchion_server.costs import selectors as costs_selectors
from stanchion_server.ingest import messages
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies import services as policies
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Membership, Project, Role, User
from stanchion_server.web.api import urls

RANGE = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"}
LISTS = ("calls", "traces", "metrics", "facets", "radar", "ingest/health", "prices")
RANGED = ("calls", "traces", "metrics", "facets")


@dataclass(frozen=True)
class Tenant:
    project: Project
    owner: User
    keys: dict[str, str]
    trace_id: str
    span_id: str
    secret: str

    def get(self, path: str, key: str = "admin", **query: Any) -> Any:
        headers = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        return Client(raise_request_exception=True).get(f"/api/v1/{path}", query, headers=headers)


def tenant(name: str, number: int) -> Tenant:
    organisation = services.create_organisation(name)
    project = services.create_project(organisation, f"{name} main")
    owner = services.create_owner(organisation, f"{name}-owner", "a long password of hers")
    scopes = {"admin": ["admin"], "metrics": ["read:metrics"], "content": ["read:metrics", "read:content"],
              "ingest": ["ingest"]}  # fmt: skip
    keys = {label: services.create_key(project, label, wanted) for label, wanted in scopes.items()}
    secret = f"secret-of-{name}"
    record = call(trace_id=trace(number), feature=secret, user_id=secret, input_preview=secret, session_id=secret)
    record = replace(record, mapping=replace(record.mapping, scope_name=secret))
    body = messages.pack({"input": [messages.message("user", [messages.text_part(secret)])]}).body
    attributes = json.dumps({"note": secret}).encode()
    spans = (span_of(call(trace_id=trace(number), span_id=7), attributes_json=attributes, name=secret),)
    stored.deliver(project.pk, record, spans=spans, contents=(content_of(record, body),))
    stored.settled(project.pk)
    return Tenant(project, owner, keys, trace(number).hex, span_id_to_hex(record.span_id), secret)


@pytest.fixture
def ours(db: None) -> Iterator[Tenant]:
    access.forget_everything()
    costs_selectors.forget()
    yield tenant("ours", 1)
    access.forget_everything()


@pytest.fixture
def theirs(ours: Tenant) -> Tenant:
    return tenant("theirs", 2)


def test_lists_and_details_answer(ours: Tenant) -> None:
    for path in LISTS:
        assert ours.get(path, **(RANGE if path in RANGED else {})).status_code == 200, path
    [item] = ours.get("calls", **RANGE).json()["items"]
    assert (item["trace_id"], item["span_id"]) == (ours.trace_id, ours.span_id)
    assert (item["cost_usd"], item["start_time"]) == ("0.000027", "2026-11-20T12:00:00Z")
    detail = ours.get(f"calls/{ours.trace_id}/{ours.span_id}").json()
    assert detail["content"]["body"]["input"][0]["parts"][0]["text"] == ours.secret
    assert [span["name"] for span in ours.get(f"traces/{ours.trace_id}").json()["spans"]].count(ours.secret) == 1


def test_a_call_just_stored_is_in_the_metrics_at_once(ours: Tenant) -> None:
    stored.deliver(ours.project.pk, call(trace_id=trace(50), feature="new"))
    rows = ours.get("metrics", group_by="feature,model", **RANGE).json()["rows"]
    assert {row["group"]["feature"]: row["calls"] for row in rows} == {ours.secret: 1, "new": 1}


def test_scopes_hold(ours: Tenant) -> None:
    assert ours.get("calls", "").status_code == 401
    assert ours.get("calls", "ingest").status_code == 403
    assert ours.get("prices", "content").status_code == 403
    span = f"traces/{ours.trace_id}/{ours.span_id}"
    assert (ours.get(span, "metrics").status_code, ours.get(span, "content").status_code) == (403, 200)
    for query in ({"text": "x"}, {"attribute": "note=x"}, {"group_by": "attribute:note"}):
        path = "metrics" if "group_by" in query else "calls"
        assert ours.get(path, "metrics", **RANGE, **query).status_code == 403


def test_a_key_for_numbers_reads_no_text(ours: Tenant) -> None:
    for path in ("calls", f"calls/{ours.trace_id}/{ours.span_id}"):
        body = ours.get(path, "metrics", **(RANGE if path == "calls" else {})).json()
        summary = body["items"][0] if path == "calls" else body["summary"]
        assert summary["input_preview"] is None
        assert body.get("content") is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"colour": "red"}, "unknown_parameter"), ({"start": "yesterday"}, "bad_parameter"),
        ({"limit": "0"}, "bad_parameter"), ({"cursor": "junk"}, "bad_cursor"), ({"status": "sad"}, "bad_parameter"),
        ({"min_cost_usd": "NaN"}, "bad_parameter"), ({"attribute": "'=1"}, "bad_attribute_key"),
        ({"start": "now", "end": "now-1h"}, "empty_range"), ({"feature": "a\0b"}, "bad_parameter"),
        ({"project": "nobody"}, "project_not_found"), ({"start": "now-1h", "from": "now-2h"}, "repeated_parameter"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_read_says_why(ours: Tenant, query: dict[str, str], code: str) -> None:
    response = ours.get("calls", **query)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["code"] == code


NAMES = sorted({parameter.name for route in urls.urlpatterns for parameter in
                getattr(getattr(route.callback, "view_class", None), "known", ())})  # fmt: skip
JUNK = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["now-6h", "now", "1", "-1", "1e400", "9" * 40, "true", "", "%", "feature,feature", "attribute:x",
                     "0001-01-01", "9999-12-31T23:59:59-14:00", "1m", "0s", "999999w", "k=v", "__=1", "²"]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(LISTS), st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=4), st.text(max_size=40))
def test_nonsense_never_breaks_the_server(ours: Tenant, path: str, query: dict[str, str], junk: str) -> None:
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    assert ours.get(path, **query).status_code < 500
    word = "".join(letter for letter in junk if letter.isalnum()) or "x"
    assert ours.get(f"traces/{word}").status_code == 404
    assert ours.get(f"calls/{word}/{word}").status_code == 404


def test_every_route_keeps_projects_apart(ours: Tenant, theirs: Tenant) -> None:
    """Walks the routes themselves: a new one is tried without anybody remembering to add it."""
    policy = policies.create(theirs.project, "theirs", f"policy: {theirs.secret}", "somebody")
    policies.create(ours.project, "ours", "policy: ours", "somebody")
    ids = {"trace_id": theirs.trace_id, "span_id": theirs.span_id, "name": policy.name, "check_id": "c-1"}
    tried = 0
    for route in urls.urlpatterns:
        pattern = str(route.pattern)
        if pattern == "schema/":
            continue
        tried += 1
        path = pattern.removeprefix("v1/")
        for name, value in ids.items():
            path = path.replace(f"<str:{name}>", value)
        path = path.replace("<int:number>", "1")
        query = RANGE if path in RANGED else {}
        response = ours.get(path, **query)
        assert theirs.secret not in response.getvalue().decode(), path
        can_get = hasattr(route.callback.cls, "get")
        assert response.status_code == (405 if not can_get else 404 if "<" in pattern else 200), path
        assert ours.get(path, **query, project=theirs.project.slug).status_code == 404, path
    assert tried == len(urls.urlpatterns) - 1
    for name in ("feature", "user", "session", "text", "trace_id"):
        wanted = theirs.trace_id if name == "trace_id" else theirs.secret
        assert ours.get("calls", **RANGE, **{name: wanted}).json()["items"] == []


def test_people_see_their_projects_by_role(ours: Tenant, theirs: Tenant) -> None:
    viewer = User.objects.create_user("viewer", password="a long password of his")
    Membership.objects.create(user=viewer, organisation=ours.project.organisation, role=Role.VIEWER)
    browser = Client()
    browser.force_login(viewer)
    assert browser.get("/api/v1/calls", RANGE).json()["items"][0]["input_preview"] is None
    assert browser.get("/api/v1/prices").status_code == 403
    assert browser.get("/api/v1/calls", {"project": theirs.project.slug}).status_code == 404


PRICE = {"provider": "openai", "model": "gpt-4o-mini", "effective_from": "2026-01-01T00:00:00Z",
         "input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"}  # fmt: skip


def test_a_price_is_added_once_per_date(ours: Tenant) -> None:
    headers = {"authorization": f"Bearer {ours.keys['admin']}"}

    def post(body: Any) -> Any:
        return Client().post("/api/v1/prices", json.dumps(body), content_type="application/json", headers=headers)

    assert post(PRICE).status_code == 201
    assert post(PRICE).status_code == 409
    for bad in ([], {}, {**PRICE, "project": 1}, {**PRICE, "input_usd_per_mtok": "-1"}, {**PRICE, "model": "a\0"}):
        assert post(bad).status_code == 400
    assert [item["input_usd_per_mtok"] for item in ours.get("prices").json()["items"]] == ["0.1"]


def test_a_signed_in_person_needs_the_token_of_the_form_to_write(ours: Tenant) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ours.owner)
    assert browser.post("/api/v1/prices", json.dumps(PRICE), content_type="application/json").status_code == 403


def test_the_schema_is_valid_and_names_every_route(tmp_path: Path, db: None) -> None:
    file = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    text = file.read_text()
    for route in urls.urlpatterns:
        path = "/api/" + str(route.pattern).replace("<str:", "{").replace("<int:", "{").replace(">", "}")
        assert path in text or "schema" in path
    assert get_resolver().resolve("/api/schema/")


def test_a_time_before_all_time_is_the_earliest_one(ours: Tenant) -> None:
    assert ours.get("calls", start="now-999999w").status_code < 500


def test_a_price_nested_too_deeply_or_too_large_is_refused(ours: Tenant) -> None:
    def post(body: str) -> int:
        headers = {"authorization": f"Bearer {ours.keys['admin']}"}
        return Client().post("/api/v1/prices", body, content_type="application/json", headers=headers).status_code

    assert post("[" * 100_000) == 400
    assert post(" " * (3 << 20) + "{}") == 413
