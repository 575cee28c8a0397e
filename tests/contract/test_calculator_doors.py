"""Calculators over REST and from the shell: the same numbers, refusals that name the remedy, and who may ask."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from kit import calls, stored, traffic
from stanchion_server.costs.calculators import catalogue
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope, User

DOOR = "/api/v1/calculators"


@pytest.fixture
def api(db: None) -> Iterator[Client]:
    access.forget_everything()
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    key = tenants.create_key(project, "k", [Scope.READ_METRICS])
    yield Client(headers={"authorization": f"Bearer {key}"})
    access.forget_everything()


def asked(client: Client, name: str, values: Any) -> Any:
    return client.post(f"{DOOR}/{name}", values, content_type="application/json")


def told(*words: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("calculate", *words, stdout=out, **options)
    return out.getvalue()


def test_each_calculator_is_listed_with_what_it_asks_for_and_answers_without_values(api: Client) -> None:
    items = api.get(DOOR).json()["items"]
    assert [item["name"] for item in items] == list(catalogue.BY_NAME)
    sessions = next(field for field in items[0]["fields"] if field["name"] == "sessions")
    assert (sessions["default"], sessions["wanted"]) == ("100", "a whole number from 0 to 100000000")
    for item in items:
        answer = asked(api, item["name"], {})
        assert answer.status_code == 200, item["name"]
        assert answer.json()["lines"]


def test_money_is_exact_and_numbers_may_be_numbers_or_texts(api: Client) -> None:
    values = {"input_tokens": 100, "output_tokens": "100", "input_usd_per_mtok": 11.02, "output_usd_per_mtok": "32.68"}
    answer = asked(api, "api-cost", values).json()
    lines = {line["name"]: line for line in answer["lines"]}
    assert (lines["usd_per_turn"]["value"], lines["usd_per_hour"]["value"]) == ("0.00437", "43.7")
    assert lines["is_over_rpm"]["value"] is None
    assert answer["given"]["input_usd_per_mtok"] == "11.02"
    assert answer["given"]["sessions"] == "100"
    assert answer["assumptions"]


@pytest.mark.parametrize(
    ("name", "values", "status", "code", "names"),
    [
        ("dice", {}, 404, "not_found", "dice"), ("api-cost", {"sessions": -1}, 400, "bad_value", "sessions"),
        ("api-cost", {"sessions": "1e9999"}, 400, "bad_value", "sessions"),
        ("api-cost", {"sessions": True}, 400, "bad_value", "sessions"),
        ("api-cost", {"sessions": [1]}, 400, "bad_value", "sessions"),
        ("api-cost", {"colour": 1}, 400, "unknown_parameter", "colour"), ("api-cost", [], 400, "bad_body", "object"),
        ("api-cost", "{", 400, "bad_json", "JSON"), ("kv-cache", {"kv_heads": 80}, 400, "bad_value", "kv_heads"),
        ("api-cost", {"sessions": "9" * 70_000}, 413, "too_large", "KiB"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_by_name(
    api: Client, name: str, values: Any, status: int, code: str, names: str
) -> None:
    answer = asked(api, name, values)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert names in answer.json()["error"]["message"]


def test_strangers_are_not_answered(api: Client) -> None:
    assert asked(Client(), "api-cost", {}).status_code == 401
    project = tenants.create_project(tenants.create_organisation("Else"), "Other")
    key = tenants.create_key(project, "k", [Scope.INGEST])
    assert Client(headers={"authorization": f"Bearer {key}"}).get(DOOR).status_code == 403


def test_the_shell_lists_explains_and_computes() -> None:
    listed = told()
    assert all(name in listed for name in catalogue.BY_NAME)
    assert "sessions: Sessions at the same time; a whole number from 0 to 100000000; default '100'" in told(
        "api-cost", fields=True
    )
    text = told("api-cost", "input_usd_per_mtok=60", "output_usd_per_mtok=120")
    assert "A request costs: $0.018" in text
    assert "An hour costs: $180.00 " in text
    assert "* A demand exactly at a limit is within it." in text
    table = told("batch-trials")
    assert "500    2        not known  not known" in table


@pytest.mark.parametrize("values", [("sessions=-1",), ("sessions",), ("colour=red",)])
def test_the_shell_refuses_what_it_cannot_read(values: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        told("api-cost", *values)


@pytest.fixture
def pages(db: None) -> Iterator[Client]:
    access.forget_everything()
    organisation = tenants.create_organisation("Acme")
    tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    tenants.create_owner(tenants.create_organisation("Elsewhere"), "bob", "x" * 12)
    yield signed_in("ada")
    access.forget_everything()


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


PAGES = ("calculators", "capacity", *(f"calculators/{name}" for name in catalogue.BY_NAME))


def test_every_calculator_has_a_page_with_its_fields_formulas_and_assumptions(pages: Client) -> None:
    for path in PAGES:
        answer = pages.get(f"/p/shop/{path}")
        assert answer.status_code == 200, path
    text = pages.get("/p/shop/calculators/break-even").content.decode()
    for part in ("Costs meet at", "$ per instance and hour / $ per API request", "Both answer equally well"):
        assert part in text
    assert signed_in("bob").get("/p/shop/calculators").status_code == 404
    assert signed_in("bob").get("/p/shop/capacity").status_code == 404
    assert pages.get("/p/shop/calculators/dice").status_code == 404


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "\0", "-1", "NaN", "1e999", "9" * 5_000, "\u202e1"])
def test_what_a_page_cannot_read_is_said_and_shown_as_text(pages: Client, value: str) -> None:
    for path, field in (("calculators/api-cost", "sessions"), ("capacity", "context_tokens"), ("capacity", "model"),
                        ("calculators/comparison", "scores"), ("capacity", "colour")):  # fmt: skip
        answer = pages.get(f"/p/shop/{path}", {field: value})
        text = answer.content.decode()
        assert answer.status_code == 400
        assert 'role="alert"' in text
        assert "<script>alert" not in text


def test_a_model_with_numbers_of_ones_own_is_measured_by_them(pages: Client) -> None:
    own = {"model": "own numbers", "parameters_billion": "13", "layers": "40", "hidden": "5120", "heads": "40"}
    text = pages.get("/p/shop/capacity", {**own, "kv_heads": "40", "dtype": "fp16"}).content.decode()
    assert "800 KiB" in text
    refused = pages.get("/p/shop/capacity", {**own, "kv_heads": "80"})
    assert refused.status_code == 400
    assert "kv_heads=80 must be at most heads=40" in refused.content.decode()


def test_an_example_is_shown_and_never_taken_for_a_value_that_was_left_out(pages: Client, api: Client) -> None:
    first = pages.get("/p/shop/calculators/headroom").content.decode()
    assert 'value="1000"' in first
    assert "Requests per minute" in first
    own = pages.get("/p/shop/calculators/headroom", {"peaks_rpm": "5,6", "limit_rpm": ""}).content.decode()
    assert 'value="1000"' not in own
    assert "Give the peaks and the limit of one dimension at least." in own
    assert asked(api, "headroom", {"peaks_rpm": "5,6"}).json()["lines"][0]["value"] is None


def test_texts_are_sent_with_the_form_and_other_values_in_an_address_that_can_be_sent_on(pages: Client) -> None:
    text = "a very private sentence"
    form = pages.get("/p/shop/calculators/text-tokens").content.decode()
    assert '<form method="post"' in form and "csrfmiddlewaretoken" in form
    assert '<form method="get"' in pages.get("/p/shop/calculators/api-cost").content.decode()
    found = pages.post("/p/shop/calculators/text-tokens", {"text": text})
    assert found.status_code == 200 and text in found.content.decode()
    assert f"?text={text[:1]}" not in found.content.decode()
    long = pages.post("/p/shop/calculators/text-tokens", {"text": "x" * 4_001})
    assert long.status_code == 400 and "at most 4000" in long.content.decode()
    trial = pages.post("/p/shop/calculators/team-roles", {"roles": "data scientist"})
    assert trial.status_code == 200 and "Link without the texts" not in trial.content.decode()
    assert Client(enforce_csrf_checks=True).post("/p/shop/calculators/text-tokens", {"text": text}).status_code == 403


def test_an_emptied_field_shows_the_default_that_is_taken(pages: Client) -> None:
    text = pages.get("/p/shop/calculators/api-cost", {"input_tokens": "7", "sessions": ""}).content.decode()
    assert 'name="sessions"' in text
    assert text.count('value="100"') == 3


def test_the_last_hour_of_a_model_leads_to_its_headroom(pages: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: calls.NOON)
    project = Project.objects.get(slug="shop")
    for place, after_s in enumerate((-170, -110, -100, -50, -45, -40)):
        record = calls.call(trace_id=calls.trace(900 + place), after_s=after_s, model="<b>odd</b>")
        stored.deliver(project.pk, record)
    traffic.settle_all(calls.NOON)
    text = pages.get("/p/shop/capacity").content.decode()
    assert "&lt;b&gt;odd&lt;/b&gt;" in text
    query = html.unescape(text.partition("/p/shop/calculators/headroom?")[2].partition('"')[0])
    given = dict(parse_qsl(query))
    assert given["peaks_rpm"].split(",")[-3:] == ["1", "2", "3"]
    found = pages.get("/p/shop/calculators/headroom", {**given, "limit_rpm": "4"})
    assert found.status_code == 200
    assert "75 %" in found.content.decode()
