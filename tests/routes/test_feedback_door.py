"""Ratings over HTTP: in by any road that an application has, out by page, and apart by project."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import stored
from kit.calls import NOON, call, trace
from stanchion_server.feedback.models import Rating
from stanchion_server.kernel import clock
from stanchion_server.routes import telemetry
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Membership, Project, Role, User

pytestmark = pytest.mark.django_db
GOOD: dict[str, Any] = {"trace_id": trace(1).hex, "score": 1}


@dataclass(frozen=True)
class App:
    project: Project
    key: str

    def send(self, body: Any, **headers: str) -> Any:
        return self.post(json.dumps(body).encode(), **headers)

    def post(self, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
        client = Client(headers={"authorization": f"Bearer {self.key}", **headers})
        return client.post("/api/v1/feedback", body, content_type=content_type)

    def read(self, scopes: tuple[str, ...] = ("read:metrics", "read:content"), **query: str) -> Any:
        key = services.create_key(self.project, "reader", scopes)
        return Client(headers={"x-api-key": key}).get("/api/v1/feedback", query)


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    telemetry.refusals.take(0, is_forced=True)
    yield
    access.forget_everything()


def app_of(name: str) -> App:
    project = services.create_project(services.create_organisation(name), name)
    return App(project, services.create_key(project, "app", ["ingest"]))


@pytest.fixture
def app() -> App:
    return app_of("Shop")


def test_a_rating_comes_back_as_it_was_sent_and_again_changes_nothing(app: App) -> None:
    sent = {
        **GOOD, "id": "r-1", "name": "helpful", "score": 0.25, "comment": "meh", "correction": "Paris", "user": "ab12",
        "span_id": "b7ad6b7169203331", "session_id": "s-1", "time_ns": clock.now_ns(),
    }  # fmt: skip
    first, again = app.send(sent), app.send(sent)
    assert (first.status_code, first.json()) == (200, {"id": "r-1", "status": "stored"})
    assert (again.status_code, again.content) == (200, first.content)
    [item] = app.read().json()["items"]
    assert {name: item[name] for name in sent if name != "time_ns"} == {k: v for k, v in sent.items() if k != "time_ns"}
    assert (item["rating"], item["source"]) == ("negative", "api")


def test_a_rating_without_an_id_gets_one_and_one_sent_by_the_sdk_says_so(app: App) -> None:
    answer = app.send(GOOD, **{"user-agent": "stanchion-sdk/0.1.0"}).json()
    assert Rating.objects.get(rating_id=answer["id"]).source == "sdk"


def test_changing_ones_mind_takes_a_later_time_and_never_moves_the_target(app: App) -> None:
    now = clock.now_ns()
    first = {**GOOD, "id": "r", "time_ns": now}
    assert app.send(first).status_code == 200
    taken = app.send({**first, "score": 0})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "id_taken")
    assert app.send({**first, "score": 0, "time_ns": now + 1_000_000}).json() == {"id": "r", "status": "stored"}
    assert app.send(first).json() == {"id": "r", "status": "outdated"}
    assert Rating.objects.get().score == 0
    moved = app.send({"id": "r", "session_id": "s", "score": 1})
    assert (moved.status_code, "cannot move" in moved.json()["error"]["message"]) == (409, True)


def test_a_list_is_answered_one_by_one_and_what_is_good_of_it_is_kept(app: App) -> None:
    answer = app.send([{**GOOD, "id": "a"}, {"score": 1}, None, {**GOOD, "id": "a", "score": 0}, {**GOOD, "id": "b"}])
    assert answer.status_code == 200
    body = answer.json()
    assert [item["status"] for item in body["items"]] == ["stored", "rejected", "rejected", "stored", "stored"]
    assert [item.get("error", {}).get("code") for item in body["items"]][1:3] == ["no_target", "bad_item"]
    assert body["rejected"] == 2
    assert set(Rating.objects.values_list("rating_id", flat=True)) == {"a", "b"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_compressed_bodies_are_read_and_broken_ones_refused(app: App, encoding: str) -> None:
    assert app.post(b"nonsense", **{"content-encoding": encoding}).status_code == 400
    if encoding == "gzip":
        body = gzip.compress(json.dumps([GOOD, GOOD]).encode())
        assert app.post(body, **{"content-encoding": encoding}).status_code == 200
        assert Rating.objects.count() == 2


def test_a_body_that_is_too_large_before_or_after_unpacking_is_refused(app: App) -> None:
    assert app.post(b" " * ((1 << 20) + 1)).status_code == 413
    bomb = gzip.compress(b'{"comment":"' + b"a" * (20 << 20) + b'"}')
    assert app.post(bomb, **{"content-encoding": "gzip"}).status_code == 413
    assert app.send([GOOD] * 501).status_code == 413
    assert Rating.objects.count() == 0


def test_a_form_is_told_what_to_send(app: App) -> None:
    answer = app.post(b"score=1", "application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "Send application/json" in answer.json()["error"]["message"]
    assert app.post(b"--x\r\n", "multipart/form-data; boundary=x").status_code == 415


HOSTILE = [
    b" ", b"null", b"[[]]", b"[" * 100_000, b'{"score":' * 5_000, b"1" * 10_000, b'{"score":1e400}', b'{"score":NaN}',
    b'{"trace_id":"\\u0000","score":1}', b'{"session_id":"\\ud800","score":1}', b'{"session_id":"\\u0000","score":1}',
    b"\xff", b'{"\\ud800":1}', b'{"session_id":"s","score":-0.0,"comment":"\\udfff\\u0000"}',
    b"\x00", b'["\xed\xa0\x80"]',
    b'{"session_id":"s","time_ns":1e99,"score":1}', b'{"session_id":{"a":[]},"score":1}', b"\xff\xfe{\x00}\x00",
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:40]))
def test_no_body_breaks_the_server(app: App, body: bytes) -> None:
    assert app.post(body).status_code in (200, 400)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=4,
)
ITEM = st.dictionaries(
    st.sampled_from(["id", "name", "label", "comment", "user", "session_id", "score", "time_ns", "span_id"]), JSON
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ITEM | JSON, min_size=1, max_size=4))
def test_lists_of_garbage_are_answered_item_by_item(app: App, items: list[Any]) -> None:
    items = [{**GOOD, **item} if isinstance(item, dict) else item for item in items]
    answer = app.send(items)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == len(items)


def test_who_may_send_and_who_may_read(app: App) -> None:
    def status(*scopes: str) -> tuple[int, int]:
        key = services.create_key(app.project, "k", scopes)
        return App(app.project, key).send(GOOD).status_code, app.read(scopes).status_code

    assert status("ingest") == (200, 403)
    assert status("write:scores") == (200, 403)
    assert status("read:metrics", "read:content", "guard") == (403, 200)
    assert status("admin") == (200, 200)
    assert Client().post("/api/v1/feedback", b"{}", content_type="application/json").status_code == 401
    assert App(app.project, "stn_live_nonsense").send(GOOD).status_code == 401


def test_texts_need_the_scope_for_texts(app: App) -> None:
    app.send({**GOOD, "comment": "my salary", "correction": "my address"})
    [item] = app.read(("read:metrics",)).json()["items"]
    assert (item["comment"], item["correction"], item["score"]) == (None, None, 1.0)


def test_people_rate_by_role_and_with_the_token_of_the_form(app: App) -> None:
    def status(role: str, *, has_token: bool = False) -> int:
        user = User.objects.create_user(f"{role}{has_token}", password="x" * 12)
        Membership.objects.create(user=user, organisation=app.project.organisation, role=role)
        browser = Client(enforce_csrf_checks=not has_token)
        browser.force_login(user)
        return browser.post("/api/v1/feedback", json.dumps(GOOD), content_type="application/json").status_code

    assert [status(role, has_token=True) for role in (Role.VIEWER, Role.ANALYST, Role.OWNER)] == [403, 200, 200]
    assert status(Role.ANALYST) == 403


def test_no_project_sees_or_touches_anothers_ratings(app: App) -> None:
    theirs = app_of("Elsewhere")
    for one, word in ((app, "ours"), (theirs, "theirs")):
        one.send({**GOOD, "id": "same", "comment": word, "session_id": "s"})
    for query in ({}, {"trace_id": trace(1).hex}, {"session": "s"}, {"rating": "positive"}):
        assert [item["comment"] for item in app.read(**query).json()["items"]] == ["ours"]
    app.send({**GOOD, "id": "same", "score": 0, "session_id": "s"})
    assert [item["comment"] for item in theirs.read().json()["items"]] == ["theirs"]
    assert app.read(project=theirs.project.slug).status_code == 404


def test_calls_are_filtered_by_rating_within_the_project(app: App) -> None:
    theirs = app_of("Elsewhere")
    for one in (app, theirs):
        stored.deliver(one.project.pk, call(trace_id=trace(1), span_id=1), call(trace_id=trace(2), span_id=2))
    app.send({**GOOD, "score": 0})

    def spans(one: App, rating: str) -> set[int]:
        key = services.create_key(one.project, "reader", ["read:metrics"])
        query = {"rating": rating, "start": "2026-11-20T00:00:00Z", "end": "2026-11-21T00:00:00Z"}
        found = Client(headers={"x-api-key": key}).get("/api/v1/calls", query).json()
        return {int(item["span_id"], 16) for item in found["items"]}

    assert [spans(app, rating) for rating in ("negative", "positive", "any", "none")] == [{1}, set(), {1}, {2}]
    assert [spans(theirs, rating) for rating in ("negative", "any", "none")] == [set(), set(), {1, 2}]


def test_lists_are_read_page_by_page(app: App) -> None:
    app.send([{**GOOD, "id": f"r{number}"} for number in range(5)])
    seen, query = [], {"limit": "2"}
    while True:
        page = app.read(**query).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == [f"r{number}" for number in range(5)]
    for query in ({"rating": "sad"}, {"rating": "none"}, {"source": "mail"}, {"cursor": "x"}, {"colour": "red"}):
        assert app.read(**query).status_code == 400


def test_refusals_stand_on_the_ingest_health_page(app: App) -> None:
    app.send({**GOOD, "score": 5})
    app.post(b"{")
    telemetry.write_refusals(is_forced=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT signal, reasons FROM ingest_batches WHERE project_id = %s", [app.project.pk])
        rows = cursor.fetchall()
    assert {signal for signal, _ in rows} == {"feedback"}
    reasons = [json.loads(found) if isinstance(found, str) else found for _, found in rows]
    assert {name for found in reasons for name in found} == {"bad_score", "bad_body"}


def test_an_application_may_know_the_server_by_any_name(app: App) -> None:
    answer = app.send(GOOD, host="stanchion.internal:8000")
    assert answer.status_code == 200
    assert not answer.cookies


def test_a_rating_is_of_now_unless_it_says_when(app: App) -> None:
    app.send({**GOOD, "id": "now"})
    assert abs((Rating.objects.get().rated_at - clock.now()).total_seconds()) < 60
    assert app.send({**GOOD, "time_ns": int(NOON.timestamp())}).json()["error"]["code"] == "bad_time"
