"""Ratings on the pages: read beside their span, found in lists, given by hand, and never trusted as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from kit import traffic
from stanchion_server.costs import selectors as prices
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.models import Rating as Row
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest.records import Charge
from stanchion_server.kernel.ids import span_id_from_hex, span_id_to_hex
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Membership, Project, Role, User
from stanchion_server.traces import partitions
from stanchion_server.traces.models import LlmCall

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Shop:
    """A project with one agent trace among a day's calls. ada owns it, ann analyses, vera looks, bob is a stranger."""

    project: Project
    trace_id: str
    span_id: str
    now: datetime

    @property
    def trace(self) -> str:
        return f"/p/shop/traces/{self.trace_id}"

    @property
    def span(self) -> str:
        return f"{self.trace}/{self.span_id}"

    def rate(self, rating_id: str = "r", **values: Any) -> None:
        said = {
            "name": "helpful", "score": 1.0, "label": "", "comment": "", "correction": "", "span_id": None,
            "trace_id": UUID(hex=self.trace_id), "session_id": "", "user": "", "source": Source.SDK,
            "rated_at": self.now,
        }  # fmt: skip
        feedback.keep(self.project.pk, [Rating(id=rating_id, **{**said, **values})])


@pytest.fixture
def shop() -> Iterator[Shop]:
    partitions.forget()
    prices.forget()
    access.forget_everything()
    organisation = services.create_organisation("Acme")
    project = services.create_project(organisation, "Shop")
    services.create_owner(organisation, "ada", "x" * 12)
    for name, role in (("vera", Role.VIEWER), ("ann", Role.ANALYST)):
        user = User.objects.create_user(name, password="x" * 12)
        Membership.objects.create(user=user, organisation=organisation, role=role)
    elsewhere = services.create_organisation("Elsewhere")
    services.create_project(elsewhere, "Other")
    services.create_owner(elsewhere, "bob", "x" * 12)
    services.create_key(project, "first", ["ingest"])
    now = datetime.now(UTC)
    trace_id = traffic.a_day(project.pk, project.api_keys.get().pk, now, calls=5)
    chat = LlmCall.objects.get(trace_id=UUID(hex=trace_id), operation="chat", charge=Charge.CHARGED)
    yield Shop(project, trace_id, span_id_to_hex(chat.span_id), now)


def client_of(name: str, **more: Any) -> Client:
    client = Client(**more)
    client.force_login(User.objects.get(username=name))
    return client


def page(name: str, address: str) -> str:
    answer = client_of(name).get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_a_trace_shows_every_rating_by_its_span_with_comment_and_correction(shop: Shop) -> None:
    assert "No ratings yet" in page("ada", shop.trace)
    shop.rate("a", span_id=span_id_from_hex(shop.span_id), score=0.0, comment="too vague", correction="By Friday.")
    shop.rate("b", label="thumbs_up", score=None, user="ab12")
    shop.rate("c", trace_id=None, session_id="session-4", comment="the whole talk was fine", score=None)
    shop.rate("d", trace_id=UUID(int=7), comment="of another trace")
    body = page("ada", shop.trace)
    for word in ("too vague", "By Friday.", "thumbs_up", "by ab12", "whole trace", "session session-4", "whole talk"):
        assert word in body, word
    assert "of another trace" not in body
    shop.rate("e", span_id=4711)
    assert "span 0000000000001267, which is not here" in page("ada", shop.trace)
    assert f'href="{shop.span}"' in body[body.index('id="ratings"') : body.index('id="span-detail"')]
    row = body[body.index(f'id="row-{shop.span_id}"') :]
    assert "1 negative rating" in row[: row.index("</tr>")]


def test_strangers_text_in_ratings_stays_text(shop: Shop) -> None:
    bad = traffic.HOSTILE
    shop.rate("a", span_id=span_id_from_hex(shop.span_id), name=bad[:100], label=bad[:100], comment=bad,
              correction=bad, user=bad)  # fmt: skip
    shop.rate("b", trace_id=None, session_id="session-4", comment="</textarea>" + bad, score=None)
    for address in (shop.trace, shop.span, "/p/shop/calls?rating=any", "/p/shop/sessions"):
        body = page("ada", address)
        assert "<script>alert" not in body
        assert "<img" not in body
        assert "<svg onload" not in body
        assert "\u202e" not in body and "\U000e006f" not in body


def test_what_a_person_wrote_stands_in_the_form_as_text(shop: Shop) -> None:
    ada = client_of("ada")
    said = {"choice": "bad", "comment": "</textarea><script>alert(1)</script>", "correction": "key sk-proj-" + "a" * 30}
    assert ada.post(f"{shop.span}/rate", said).status_code == 302
    body = ada.get(shop.span).content.decode()
    assert "<script>alert" not in body
    assert "&lt;/textarea&gt;" in body
    assert Row.objects.get().correction == "key [secret masked]"


def test_a_person_has_one_rating_of_a_target_and_may_change_it(shop: Shop) -> None:
    ann = client_of("ann")
    for choice, comment in (("bad", "wrong"), ("good", "now I see"), ("good", "now I see")):
        answer = ann.post(f"{shop.span}/rate", {"choice": choice, "comment": comment})
        assert (answer.status_code, answer["Location"]) == (302, shop.span)
    assert client_of("ada").post(f"{shop.trace}/rate", {"choice": "neutral"}).status_code == 302
    rows = {row.rated_by: row for row in Row.objects.all()}
    assert (rows["ann"].score, rows["ann"].comment, rows["ann"].source) == (1.0, "now I see", "page")
    assert (rows["ada"].span_id, rows["ada"].tone) == (None, 0)
    assert "Change your rating of this span" in ann.get(shop.span).content.decode()
    assert "now I see" in ann.get(shop.span).content.decode()


def test_rating_the_duplicate_of_a_call_rates_the_call(shop: Shop) -> None:
    duplicate = LlmCall.objects.get(trace_id=UUID(hex=shop.trace_id), charge=Charge.DUPLICATE)
    body = page("ada", f"{shop.trace}/{span_id_to_hex(duplicate.span_id)}")
    assert f'action="{shop.trace}/{span_id_to_hex(duplicate.primary_span_id)}/rate"' in body


def test_viewers_neither_rate_nor_read_comments(shop: Shop) -> None:
    shop.rate("a", score=0.0, comment="my salary", correction="my address")
    assert '/rate"' in page("ada", shop.trace)
    body = page("vera", shop.trace)
    assert "▼ negative" in body
    assert "my salary" not in body and "my address" not in body and '/rate"' not in body
    assert client_of("vera").post(f"{shop.span}/rate", {"choice": "good"}).status_code == 403
    assert client_of("vera").post(f"{shop.trace}/rate", {"choice": "good"}).status_code == 403
    assert Row.objects.count() == 1


def test_nobody_rates_without_the_forms_token_or_in_anothers_project(shop: Shop) -> None:
    strict = client_of("ada", enforce_csrf_checks=True)
    assert strict.post(f"{shop.span}/rate", {"choice": "good"}).status_code == 403
    bob = client_of("bob")
    assert bob.post(f"{shop.span}/rate", {"choice": "good"}).status_code == 404
    assert bob.post(f"{shop.trace}/rate".replace("/shop/", "/other/"), {"choice": "good"}).status_code == 404
    assert Client().post(f"{shop.span}/rate", {"choice": "good"})["Location"].startswith("/login")
    assert client_of("ada").get(f"{shop.span}/rate").status_code == 405
    assert Row.objects.count() == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "Choice"), ({"choice": "splendid"}, "Choice"), ({"choice": "good", "comment": "x" * 65_537}, "65536"),
        ({"choice": "good", "comment": "a\0b"}, "Comment"),
    ],
)  # fmt: skip
def test_a_rating_by_hand_that_cannot_be_kept_says_why(shop: Shop, said: dict[str, str], message: str) -> None:
    answer = client_of("ada").post(f"{shop.span}/rate", said)
    assert (answer.status_code, message in answer.content.decode()) == (400, True)


@pytest.mark.parametrize("place", ["traces/zzz/rate", "traces/" + "1" * 32 + "/rate", "traces/TRACE/zz/rate"])
def test_what_is_not_stored_cannot_be_rated_by_hand(shop: Shop, place: str) -> None:
    address = f"/p/shop/{place.replace('TRACE', shop.trace_id)}"
    assert client_of("ada").post(address, {"choice": "good"}).status_code == 404


def spans_in(body: str) -> set[str]:
    return set(re.findall(r'class="open"\s+href="/p/shop/traces/\w+/(\w+)"', body))


def test_the_list_of_calls_marks_and_filters_by_rating(shop: Shop) -> None:
    everything = spans_in(page("ada", "/p/shop/calls"))
    assert "Ratings come from applications" in page("ada", "/p/shop/calls?rating=negative")
    shop.rate("a", span_id=span_id_from_hex(shop.span_id), score=0.0)
    body = page("ada", "/p/shop/calls?rating=negative")
    assert spans_in(body) == {shop.span_id}
    assert "1 negative rating" in body and "Rating: negative" in body
    assert spans_in(page("ada", "/p/shop/calls?rating=positive")) == set()
    assert spans_in(page("ada", "/p/shop/calls?rating=any")) == {shop.span_id}
    assert spans_in(page("ada", "/p/shop/calls?rating=none")) == everything - {shop.span_id}
    wrong = client_of("ada").get("/p/shop/calls?rating=sad")
    assert (wrong.status_code, "negative, positive" in wrong.content.decode()) == (400, True)


def test_sessions_show_what_was_said_of_them(shop: Shop) -> None:
    shop.rate("a", trace_id=None, session_id="session-4", score=0.0)
    shop.rate("b", session_id="session-4", rated_at=shop.now - timedelta(hours=1))
    body = page("vera", "/p/shop/sessions")
    assert "1 negative rating" in body and "1 positive rating" in body
