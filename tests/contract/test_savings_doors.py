"""Savings over REST and on the page: who may look and ask, what strangers' text does there, and whose it is."""

from __future__ import annotations

import csv
import io
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils.html import escape

from kit import drifting, exchanges, fleet, traffic
from kit.drifting import Traffic
from stanchion_server.costs import savings
from stanchion_server.costs.models import PairVerdict
from stanchion_server.kernel import clock
from stanchion_server.reports import savings_read
from stanchion_server.routes.savings import look_for_savings
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User
from stanchion_server.web.pages import formats

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")[:150]
FORMULA = "=cmd()"
"""A service, which the entry on batches names in a cell of its own."""
ADDRESS = "/api/v1/savings"


@dataclass(frozen=True)
class Shop:
    """ada owns, ann analyses, vera looks, bob is a stranger. The shop has been looked at."""

    project: Project
    other: Project


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    for name, role in (("vera", Role.VIEWER), ("ann", Role.ANALYST)):
        user = User.objects.create_user(name, password="x" * 12)
        Membership.objects.create(user=user, organisation=organisation, role=role)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    like = Traffic(models=("gpt-4o",), feature=BAD, error_ratio=0.4)
    calls = drifting.calls(NOW - timedelta(days=2), NOW, 80, 1, like)
    unwatched = {"user_id": "", "session_id": "", "is_streamed": False, "tool_call_count": 0}
    drifting.store(project.pk, [replace(one, service=FORMULA, **unwatched) for one in calls])
    savings.request(project.pk, "ada")
    look_for_savings()
    yield Shop(project, other)
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    return Client(headers={"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def read(client: Client, address: str = ADDRESS) -> Any:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_findings_come_largest_first_with_what_they_rest_on(shop: Shop) -> None:
    told = read(api(shop.project, Scope.READ_METRICS))
    assert (told["state"], told["calls"], told["known_calls"]) == ("done", 80, 80)
    amounts = [float(one["usd"]) for one in told["findings"]]
    assert amounts == sorted(amounts, reverse=True) and len(amounts) >= 2
    assert all(one["assumptions"] and one["how"] and one["confidence"] for one in told["findings"])
    assert len(told["cache"]["settings"]) == 17 and "spelling" in told["cache"]["weakness"]


def test_the_same_findings_come_as_a_spreadsheet_in_which_nothing_is_a_formula(shop: Shop) -> None:
    client = api(shop.project, Scope.READ_METRICS)
    answer = client.get(f"{ADDRESS}?as=csv")
    assert answer["Content-Type"].startswith("text/csv")
    head, *rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert head[0] == "usd_per_month" and len(rows) == len(read(client)["findings"])
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    subjects = {row[head.index("kind")]: row[head.index("subject")] for row in rows}
    assert subjects["batch"] == f"'{FORMULA}"
    for name, places in (("usd", 9), ("spend_usd", 9), ("usd_per_month", 9), ("seconds", 3)):
        assert all(len(row[head.index(name)].partition(".")[2]) <= places for row in rows), name
    assert client_of("vera").get(f"{ADDRESS}?project=shop&as=csv").content == answer.content


def test_before_anybody_looked_there_is_an_answer_too(shop: Shop) -> None:
    client = api(shop.other, Scope.READ_METRICS)
    assert read(client)["state"] == "none" and read(client)["spend_usd"] is None
    assert client.get(f"{ADDRESS}?as=csv").content.decode().splitlines()[0].startswith("usd_per_month")
    assert "Nobody has looked yet" in client_of("bob").get("/p/other/savings").content.decode()


def test_one_feature_is_asked_for_while_the_first_look_is_waited_for(shop: Shop) -> None:
    savings.request(shop.other.pk, "bob")
    for feature in ("support", "(none)"):
        page = client_of("bob").get("/p/other/savings", {"feature": feature})
        assert page.status_code == 200 and "A worker takes this up" in page.content.decode()
        told = read(api(shop.other, Scope.READ_METRICS), f"{ADDRESS}?{urlencode({'feature': feature})}")
        assert (told["state"], told["findings"], told["feature_costs"]) == ("queued", [], [])


def test_of_too_many_calls_both_doors_tell_what_share_was_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(api(shop.project, Scope.READ_METRICS))["read"] is None
    traffic.settle_all(NOW)
    monkeypatch.setattr(savings_read, "MOST_CALLS", 50)
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    told = read(api(shop.project, Scope.READ_METRICS))
    assert told["calls"] <= 50 and told["known_calls"] == 80 and told["read"]["slices"] > 5
    ratio, known = told["read"]["ratio"], float(told["read"]["known_usd"])
    assert ratio == pytest.approx(float(told["spend_usd"]) / known) and 0.3 < ratio < 0.8
    page = client_of("vera").get("/p/shop/savings").content.decode()
    assert f"in {told['read']['slices']} stretches of time, of 80" in page and f"{ratio:.1%}"[:3] in page
    assert told["findings"]
    for finding in told["findings"]:
        assert finding["month_ratio"] > 30 / told["days"] and "Scaled to a month" in finding["assumptions"][-1]


def test_only_admins_ask_for_a_new_look(shop: Shop) -> None:
    assert api(shop.project, Scope.READ_METRICS).post(ADDRESS).status_code == 403
    answer = api(shop.project, Scope.ADMIN).post(ADDRESS)
    assert (answer.status_code, answer.json()["state"], answer.json()["calls"]) == (202, "queued", 80)
    assert client_of("ann").post("/p/shop/savings/look").status_code == 403
    assert client_of("bob").post("/p/shop/savings/look").status_code == 404
    assert client_of("ada").post("/p/shop/savings/look").status_code == 302
    assert client_of("ada").get("/p/shop/savings/look").status_code == 405


def test_a_stranger_sees_nothing_and_wrong_questions_name_what_is_wrong(shop: Shop) -> None:
    assert client_of("bob").get("/p/shop/savings").status_code == 404
    assert Client().get(ADDRESS).status_code == 401
    assert read(api(shop.other, Scope.READ_METRICS))["findings"] == []
    answer = api(shop.project, Scope.READ_METRICS).get(f"{ADDRESS}?as=xml")
    assert answer.status_code == 400 and "'xml'" in answer.json()["error"]["message"]


def of_pair(shop: Shop) -> dict[str, Any]:
    pair: dict[str, Any] = read(api(shop.project, Scope.READ_METRICS))["cache"]["pairs"][0]
    return pair


def test_a_pair_is_judged_by_those_who_may_rate_and_the_verdict_names_who(shop: Shop) -> None:
    pair = of_pair(shop)
    assert (pair["verdict"], pair["judged_by"], len(pair["id"])) == (None, None, 32)
    address, asked = f"{ADDRESS}/pairs/{pair['id']}", {"verdict": "same"}
    refused = api(shop.project, Scope.READ_METRICS).put(address, asked, content_type="application/json")
    assert refused.status_code == 403 and "write:scores" in refused.json()["error"]["message"]
    answer = api(shop.project, Scope.WRITE_SCORES).put(address, asked, content_type="application/json")
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["verdict"], told["judged_by"], told["judged_at"]) == ("same", "API key k", "2026-11-24T12:00:00Z")
    judged = next(one for one in read(api(shop.project, Scope.READ_METRICS))["cache"]["pairs"] if one["verdict"])
    assert judged == told


def test_a_wrong_word_an_unknown_pair_and_a_strangers_pair_are_refused(shop: Shop) -> None:
    mine, pair = api(shop.project, Scope.WRITE_SCORES), of_pair(shop)["id"]
    for body in ({"verdict": "fine"}, {"verdict": None}, {}, [1], {"verdict": ["same"]}):
        answer = mine.put(f"{ADDRESS}/pairs/{pair}", body, content_type="application/json")
        assert answer.status_code == 400, body
        assert answer.json()["error"]["message"]
    for unknown in ("0" * 32, "x", "%00"):
        answer = mine.put(f"{ADDRESS}/pairs/{unknown}", {"verdict": "same"}, content_type="application/json")
        assert answer.status_code == 404, unknown
    theirs = api(shop.other, Scope.WRITE_SCORES).put(
        f"{ADDRESS}/pairs/{pair}", {"verdict": "same"}, content_type="application/json"
    )
    assert theirs.status_code == 404
    assert PairVerdict.objects.count() == 0


def test_verdicts_are_given_on_the_page_and_not_by_viewers(shop: Shop) -> None:
    pair = of_pair(shop)["id"]
    address = f"/p/shop/savings/pairs/{pair}"
    assert client_of("vera").post(address, {"verdict": "same"}).status_code == 403
    assert client_of("bob").post(address, {"verdict": "same"}).status_code == 404
    assert client_of("ann").post(address, {"verdict": "perhaps"}).status_code == 400
    answer = client_of("ann").post(address, {"verdict": "wrong", "feature": BAD})
    assert answer.status_code == 302 and answer.headers["location"].startswith("/p/shop/savings?feature=%")
    assert [(row.says, row.judged_by) for row in PairVerdict.objects.all()] == [("wrong", "ann")]
    judged = [one["wrong"] for one in read(api(shop.project, Scope.READ_METRICS))["cache"]["settings"] if one["wrong"]]
    assert {(one["wrong"], one["ratio"]) for one in judged if one["pairs"]} == {(1, 1.0)}


def test_texts_of_pairs_are_for_those_who_may_read_them(shop: Shop) -> None:
    seen = {name: client_of(name).get("/p/shop/savings").content.decode() for name in ("ann", "vera")}
    assert "The answer it would have got" in seen["ann"] and "I have looked into it" in seen["ann"]
    assert "The answer it would have got" not in seen["vera"] and "I have looked into it" not in seen["vera"]


def test_one_feature_is_asked_for_by_name(shop: Shop) -> None:
    client = api(shop.project, Scope.READ_METRICS)
    everything = read(client)
    assert everything["features"] == [BAD]
    told = read(client, f"{ADDRESS}?{urlencode({'feature': BAD})}")
    assert {one["feature"] for one in told["findings"]} == {BAD} and len(told["cache"]["settings"]) == 17
    assert told["cache"]["questions"] == everything["cache"]["questions"]
    assert [one["hits"] for one in told["cache"]["settings"]] == [
        one["hits"] for one in everything["cache"]["settings"]
    ]
    for nobody in ("elsewhere", "(none)"):
        none = read(client, f"{ADDRESS}?{urlencode({'feature': nobody})}")
        assert (none["findings"], none["cache"]) == ([], None)
    page = client_of("ann").get(f"/p/shop/savings?{urlencode({'feature': BAD})}")
    assert page.status_code == 200 and "All features share the cache" in page.content.decode()


def test_what_was_looked_at_and_cost_is_that_of_the_feature_that_is_asked_for(shop: Shop) -> None:
    drifting.store(shop.project.pk, drifting.calls(NOW - timedelta(days=1), NOW, 30, 2, Traffic(feature="bot")))
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    client = api(shop.project, Scope.READ_METRICS)
    queries = ("", "?feature=bot", f"?{urlencode({'feature': BAD})}")
    whole, bot, rest = (read(client, f"{ADDRESS}{query}") for query in queries)
    assert [(one["calls"], one["known_calls"]) for one in (whole, bot, rest)] == [(110, 110), (30, 30), (80, 80)]
    assert Decimal(whole["spend_usd"]) == Decimal(bot["spend_usd"]) + Decimal(rest["spend_usd"]) > 0
    assert whole["unpriced_calls"] == bot["unpriced_calls"] + rest["unpriced_calls"]
    page = client_of("vera").get("/p/shop/savings?feature=bot").content.decode()
    tiles = page.partition('<dl class="tiles">')[2].partition("</dl>")[0]
    assert '<dd class="value">30</dd>' in tiles and formats.usd(Decimal(bot["spend_usd"])) in tiles
    assert "of language models, by bot: all of the last 30 days; no embeddings" in tiles and "110" not in tiles
    report = savings.of(shop.project.pk)
    assert report is not None
    del report.body["by_feature"]
    report.save(update_fields=["body"])
    assert read(client, f"{ADDRESS}?feature=bot")["calls"] is None
    assert "unknown" in client_of("vera").get("/p/shop/savings?feature=bot").content.decode()


def test_what_prompts_are_made_of_is_told_for_each(shop: Shop) -> None:
    told = [exchanges.Exchange(f"{number}?", "Yes.", "Answer as our handbook does. " * 20) for number in range(60)]
    exchanges.store(shop.project.pk, told, NOW - timedelta(hours=2), feature="hand <b>book", prompt_name="p <i>")
    savings.request(shop.project.pk, "ada")
    look_for_savings()
    (one,) = [
        one for one in read(api(shop.project, Scope.READ_METRICS))["templates"] if one["feature"] == "hand <b>book"
    ]
    assert (one["prompt"], one["calls"], one["sampled"], one["twins"]) == ("p <i>", 60, 40, [])
    assert one["fixed_ratio"] > 0.9 and one["fixed_tokens"] > 0
    page = client_of("vera").get("/p/shop/savings").content.decode()
    assert "What prompts are made of" in page and "hand &lt;b&gt;book" in page and "<b>book" not in page


def test_every_member_sees_the_page_and_strangers_text_stays_text(shop: Shop) -> None:
    for name in ("ada", "ann", "vera"):
        body = client_of(name).get("/p/shop/savings").content.decode()
        assert "&lt;script&gt;" in body and "<script>alert" not in body and "<img src=x" not in body
        assert ("Look now" in body) == (name == "ada")


def test_the_calls_behind_a_finding_are_listed_where_its_link_leads(shop: Shop) -> None:
    page = client_of("ada").get("/p/shop/savings")
    shown = page.context["found"]
    assert shown
    assert {bool(one.finding["where"]) for one in shown} == {True, False}
    for one in shown:
        label = "Calls behind it" if one.finding["where"] else "All calls looked at"
        assert f'<a href="{escape(one.calls_href)}">{label}<' in page.content.decode()
        listed = client_of("ada").get(one.calls_href)
        assert listed.status_code == 200, one.calls_href
        assert "/traces/" in listed.content.decode(), one.calls_href


def test_what_would_halve_a_features_cost_comes_by_its_name(shop: Shop) -> None:
    client = api(shop.project, Scope.READ_METRICS)
    told = client.get(ADDRESS, {"feature": BAD}).json()
    (view,) = told["feature_costs"]
    assert view["feature"] == BAD and read(client)["feature_costs"] == [view]
    assert view["halving"]["is_half"] and view["halving_with_idle"] is None
    left = float(view["halving"]["usd"]) - sum(float(step["usd"]) for step in view["halving"]["steps"])
    assert left == pytest.approx(float(view["halving"]["left_usd"]), abs=1e-5)
    assert {step["id"] for step in view["halving"]["steps"]} <= {one["id"] for one in told["findings"]}
    rows = list(csv.reader(io.StringIO(client.get(ADDRESS, {"feature": BAD, "as": "csv"}).content.decode())))
    assert len(rows) == 1 + len(told["findings"]) and rows[0][-1] == "shares"
    nobody = client.get(ADDRESS, {"feature": "no such thing"}).json()
    assert (nobody["findings"], nobody["feature_costs"], nobody["calls"]) == ([], [], 0)
    assert client.get(ADDRESS, {"feature": "x\0"}).status_code == 400


def test_the_page_of_a_feature_says_what_would_halve_it_and_keeps_strangers_text_text(shop: Shop) -> None:
    client = client_of("vera")
    page = client.get("/p/shop/savings", {"feature": BAD})
    body = page.content.decode()
    assert page.context["halved"].feature == BAD and "What would halve the cost of" in body
    assert "takes $" in body or "together take $" in body
    assert "<script>alert" not in body and "<img src=x" not in body
    for step in page.context["answers"][0].plan.steps:
        assert f'href="#way-{step.id}"' in body and f'id="way-{step.id}"' in body
    href = f"{urllib.parse.urlencode({'feature': BAD})}"
    assert f'href="?{href}"' in client.get("/p/shop/savings").content.decode()
    other = client.get("/p/shop/savings", {"feature": "(none)"}).content.decode()
    assert "not among the 30 dearest features" in other and "calls without a feature" in other
    assert client_of("bob").get("/p/shop/savings", {"feature": BAD}).status_code == 404


def test_the_cost_explorer_leads_from_a_features_row_to_what_makes_it_cheaper(shop: Shop) -> None:
    traffic.settle_all(NOW)
    client = client_of("vera")
    page = client.get("/p/shop/costs?from=now-7d")
    assert [bool(line.advice) for line in page.context["lines"]] == [True]
    href = f"/p/shop/savings?{page.context['lines'][0].advice}"
    assert f'href="{href}"' in page.content.decode()
    assert client.get(href).context["feature"] == BAD
    by_model = client.get("/p/shop/costs?from=now-7d&by=model").context["lines"]
    assert by_model and not any(line.advice for line in by_model)


def test_a_report_of_before_features_were_told_is_still_read(shop: Shop) -> None:
    report = savings.of(shop.project.pk)
    assert report is not None
    del report.body["feature_costs"]
    for one in report.body["findings"]:
        del one["shares"], one["page"]
    report.save(update_fields=["body"])
    client = api(shop.project, Scope.READ_METRICS)
    assert read(client)["findings"][0]["page"] == "calls" and read(client)["feature_costs"] == []
    assert client.get(ADDRESS, {"feature": BAD}).json()["findings"]
    assert client_of("vera").get("/p/shop/savings").status_code == 200
    assert client_of("vera").get("/p/shop/savings", {"feature": BAD}).status_code == 200


def test_cards_without_work_are_told_where_no_call_is_and_agree_with_the_page_that_sizes_them(shop: Shop) -> None:
    fleet.idle_nights(shop.other, NOW, chat="1")
    savings.request(shop.other.pk, "bob")
    look_for_savings()
    client = client_of("bob")
    page = client.get("/p/other/savings")
    shown = {one.finding["kind"]: one for one in page.context["found"]}
    assert shown.keys() == {"replicas", "idle_hours"} and "Hours behind it" in page.content.decode()
    assert ["Hosting too much", "$48.00 a day"] in shown["replicas"].finding["figures"]
    evidence = client.get(shown["replicas"].calls_href).content.decode()
    assert "1 of 3 would do" in evidence and "$48.00 a day" in evidence
    assert '/p/other/savings?feature=chat"' in evidence
    chat = client.get("/p/other/savings?feature=chat")
    assert [answer.title for answer in chat.context["answers"]] == ["What its calls cost", "With its part of idle time"]
    assert "of $1,454.40 for all features" not in chat.content.decode()
    told = api(shop.other, Scope.READ_METRICS).get(ADDRESS, {"feature": "chat"}).json()
    assert {one["of_usd_per_month"] == one["usd_per_month"] for one in told["findings"]} == {True}
