"""GPUs, deployments, allocations and energy over REST and on pages: who may do what, and what strangers' text does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from kit import fleet, traffic
from kit.stored import deliver
from stanchion_server.costs.models import Deployment
from stanchion_server.gpu.models import GpuAgent, GpuDevice, GpuWindow
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
NOW = TEN + HOUR + timedelta(minutes=5)
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")
RANGE = {"start": TEN.isoformat(), "end": (TEN + HOUR).isoformat()}
NEW = {"name": "llama", "effective_from": TEN.isoformat(), "match_model": "m", "usd_per_hour": "1.5"}


@dataclass(frozen=True)
class Shop:
    """ada owns, vera looks, bob is a stranger. One card served two features for an hour."""

    project: Project
    other: Project
    card: GpuDevice


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    access.forget_everything()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    vera = User.objects.create_user("vera", password="x" * 12)
    Membership.objects.create(user=vera, organisation=organisation, role=Role.VIEWER)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    fleet.deployment(project, TEN, note=BAD[:150])
    fleet.send(project.pk, fleet.hour_of_samples(TEN, BAD[:150], busy=0.5))
    deliver(
        project.pk,
        fleet.served(TEN + timedelta(minutes=5), 1, input_tokens=100, output_tokens=100),
        fleet.served(TEN + timedelta(minutes=6), 2, input_tokens=100, output_tokens=100, feature="=cmd|' /C calc'!A0"),
        fleet.served(TEN + timedelta(minutes=7), 3, feature=BAD[:150]),
    )
    traffic.settle_all(NOW)
    fleet.settle()
    yield Shop(project, other, GpuDevice.objects.get())
    access.forget_everything()


def api(project: Project, *scopes: Scope) -> Client:
    key = tenants.create_key(project, "k", scopes or (Scope.READ_METRICS,))
    return Client(headers={"authorization": f"Bearer {key}"})


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def get(client: Client, path: str, **query: str) -> Any:
    return client.get(f"/api/v1/{path}", query)


def test_allocations_add_up_to_the_hours_price(shop: Shop) -> None:
    found = get(api(shop.project), "allocations", **RANGE).json()["items"]
    assert sum(Decimal(row["gpu_usd"]) for row in found) == 1
    kinds = {row["kind"] for row in found}
    assert kinds == {"use", "idle"}
    assert sum(row["calls"] for row in found) == 3
    by_day = get(api(shop.project), "allocations", **RANGE, group_by="deployment,model", step="day").json()["items"]
    assert {row["group"]["deployment"] for row in by_day} == {"llama"}
    assert {row["bucket"] for row in by_day} == {"2026-11-25T00:00:00Z"}


def test_energy_is_told_per_call_and_per_thousand_tokens(shop: Shop) -> None:
    found = get(api(shop.project), "energy", **RANGE, group_by="model").json()["items"]
    (used,) = [row for row in found if row["kind"] == "use"]
    assert Decimal(used["energy_wh"]) == 30
    assert Decimal(used["wh_per_call"]) == 10
    assert Decimal(used["co2e_g"]) == Decimal("30") / 1000 * Decimal("1.5") * 400
    assert used["is_estimated"] is False


def test_a_months_report_tells_serving_idling_and_training_apart(shop: Shop) -> None:
    fleet.send(shop.project.pk, fleet.hour_of_samples(TEN, "GPU-t", host="trainer", **{"job.kind": "train"}))
    fleet.settle()
    found = get(api(shop.project), "energy/report", start="2026-11-01T00:00:00Z").json()["items"]
    kwh = {(row["deployment"], row["purpose"]): Decimal(row["energy_kwh"]) for row in found}
    assert kwh == {
        ("llama", "serving"): Decimal("0.03"),
        ("llama", "idle"): Decimal("0.03"),
        ("", "training"): Decimal("0.06"),
    }
    (serving,) = [row for row in found if row["purpose"] == "serving"]
    assert Decimal(serving["co2e_kg"]) == Decimal("0.03") * Decimal("1.5") * 400 / 1000
    assert [row["co2e_kg"] for row in found if row["purpose"] == "training"] == [None]
    answer = get(api(shop.project), "energy/report", start="2026-11-01T00:00:00Z", **{"as": "csv"})
    assert [row["month"] for row in csv.DictReader(io.StringIO(answer.content.decode()))] == [
        "2026-11-01T00:00:00Z"
    ] * 3
    assert get(api(shop.other), "energy/report").json() == {"items": []}


def test_a_trace_leads_to_the_cards_of_its_time(shop: Shop) -> None:
    page = client_of("ada").get(f"/p/shop/traces/{1:032x}").content.decode()
    assert "/p/shop/gpus?from=2026-11-25T09:50:00Z&amp;to=2026-11-25T10:20:01Z" in page


def test_a_table_for_spreadsheets_starts_no_formula(shop: Shop) -> None:
    answer = get(api(shop.project), "allocations", **RANGE, **{"as": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert "'=cmd|' /C calc'!A0" in {row["feature"] for row in rows}
    assert sum(Decimal(row["gpu_usd"]) for row in rows) == 1


def test_cards_and_their_agents_are_listed_with_silence_as_a_number(shop: Shop) -> None:
    found = get(api(shop.project), "gpus").json()
    (card,) = found["items"]
    assert card["card"]["hw_id"] == shop.card.hw_id
    assert card["utilization_ratio"] == 0.5
    (agent,) = found["agents"]
    assert (agent["silent_s"], agent["is_stale"], found["shared_hosts"]) == (300, True, [])
    assert not get(api(shop.project), "gpus", stale_after_s="301").json()["agents"][0]["is_stale"]


def test_a_deployment_is_added_once_and_only_by_an_admin(shop: Shop) -> None:
    body = {**NEW, "name": "second"}

    def post(client: Client, given: object = body) -> Any:
        return client.post("/api/v1/deployments", json.dumps(given), content_type="application/json")

    assert post(api(shop.project)).status_code == 403
    admin = api(shop.project, Scope.ADMIN)
    answer = post(admin)
    assert (answer.status_code, answer.json()["usd_per_hour"], answer.json()["prefill_weight"]) == (201, "1.5", "1")
    assert post(admin).status_code == 409
    assert {row["name"] for row in get(api(shop.project), "deployments").json()["items"]} == {"llama", "second"}
    assert get(api(shop.other), "deployments").json()["items"] == []
    for wrong, named in (
        ([], "object"),
        ({**body, "colour": "red"}, "colour"),
        ({**body, "effective_from": "2026-11-25T10:30:00Z"}, "effective_from"),
        ({**body, "usd_per_hour": "1e99"}, "usd_per_hour"),
        ({**body, "usd_per_hour": "NaN"}, "usd_per_hour"),
        ({**body, "hosts": "gpu-1"}, "hosts"),
        ({**body, "hosts": [""]}, "hosts"),
        ({**body, "hosts": ["\0"]}, "hosts"),
        ({**body, "effective_from": "9999-12-31T23:00:00Z"}, "effective_from"),
        ({**body, "pue": "0.9"}, "pue"),
        ({**body, "rec_ratio": "1.5"}, "rec_ratio"),
        ({**body, "count": -1}, "count"),
        ({"name": "x"}, "effective_from"),
    ):
        refused = post(admin, wrong)
        assert refused.status_code == 400, wrong
        assert named in refused.json()["error"]["message"], refused.json()


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": "colour"}, {"group_by": "user,model,feature"}, {"group_by": "model,model"}, {"step": "year"},
        {"as": "xml"}, {"start": "now", "end": "now-1h"}, {"start": "yesterday"}, {"colour": "red"},
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_by_name(shop: Shop, query: dict[str, str]) -> None:
    for path in ("allocations", "energy"):
        answer = get(api(shop.project), path, **query)
        assert answer.status_code == 400, (path, query)
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["allocations", "energy", "energy/report"])
def test_a_range_of_two_centuries_or_of_nothing_is_refused(shop: Shop, path: str) -> None:
    for query, code in (
        ({"start": "2001-01-01", "end": "2199-12-31"}, "range_too_long"),
        ({"start": NOW.isoformat(), "end": (NOW + timedelta(microseconds=30)).isoformat()}, "empty_range"),
    ):
        answer = api(shop.project).get(f"/api/v1/{path}", query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_no_silence_is_shorter_than_nothing(shop: Shop) -> None:
    answer = api(shop.project).get("/api/v1/gpus", {"stale_after_s": "-5"})
    assert answer.status_code == 400 and "must be 0 or more" in answer.json()["error"]["message"]


def test_strangers_find_nothing(shop: Shop) -> None:
    theirs = api(shop.other)
    for path in ("allocations", "energy", "deployments"):
        assert get(theirs, path).json() == {"items": []}
        assert get(client_of("bob"), path, project=shop.project.slug).status_code == 404
        assert Client().get(f"/api/v1/{path}").status_code == 401
    assert get(theirs, "gpus").json() == {"items": [], "agents": [], "shared_hosts": []}


def addresses(shop: Shop) -> list[str]:
    return ["/p/shop/gpus", f"/p/shop/gpus/{shop.card.pk}", "/p/shop/hosting"]


def test_every_member_sees_the_pages_and_a_stranger_none(shop: Shop) -> None:
    for address in addresses(shop):
        for name, status in (("ada", 200), ("vera", 200), ("bob", 404)):
            assert client_of(name).get(address).status_code == status, (name, address)
    assert client_of("bob").get(f"/p/other/gpus/{shop.card.pk}").status_code == 404
    assert client_of("ada").get("/p/shop/gpus/999999999999999999999999").status_code == 404


def test_strangers_text_is_shown_and_not_run(shop: Shop) -> None:
    for address in addresses(shop):
        page = client_of("ada").get(address, {"from": "2026-11-25T09:00", "to": "2026-11-25T12:00"}).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "alert(&#x27;stanchion&#x27;)" in page or address == "/p/shop/gpus"


def test_only_admins_add_deployments_and_retire_agents(shop: Shop) -> None:
    agent = GpuAgent.objects.get()
    retire = f"/p/shop/gpus/agents/{agent.pk}/retire"
    form = {**NEW, "name": "from the page", "effective_from": "2026-11-25 11:00"}
    for address, values in ((retire, {}), ("/p/shop/hosting", form)):
        assert client_of("vera").post(address, values).status_code == 403
        assert client_of("bob").post(address, values).status_code == 404
    assert client_of("bob").post(retire.replace("/p/shop/", "/p/other/")).status_code == 404
    assert "No word from the agent" in client_of("ada").get("/p/shop/gpus").content.decode()
    assert client_of("ada").post(retire).status_code == 302
    assert "No word from the agent" not in client_of("ada").get("/p/shop/gpus").content.decode()
    assert client_of("ada").post("/p/shop/hosting", form).status_code == 302
    assert Deployment.objects.get(name="from the page").created_by == "ada"


def test_a_form_that_cannot_be_keeps_what_was_typed_and_says_why(shop: Shop) -> None:
    for wrong, said in (
        ({**NEW, "effective_from": "2026-11-25 11:30"}, "full hours"),
        ({**NEW, "name": "x", "match_model": ""}, "Say which calls"),
        ({**NEW, "name": "x", "usd_per_hour": "dear"}, "Enter a number"),
        ({**NEW}, "Choose another"),
    ):
        answer = client_of("ada").post("/p/shop/hosting", wrong)
        assert answer.status_code in (400, 409)
        assert said in answer.content.decode()


def test_a_card_that_has_just_spoken_is_not_called_silent(shop: Shop) -> None:
    assert "silent</span>" in client_of("ada").get("/p/shop/gpus").content.decode()
    fleet.send(shop.project.pk, [fleet.sample(NOW - timedelta(seconds=9), shop.card.hw_id)])
    page = client_of("ada").get("/p/shop/gpus").content.decode()
    assert "silent</span>" not in page
    assert "1 of 1" in page


def test_power_now_is_that_of_cards_heard_lately_and_says_how_many_are_left_out(shop: Shop) -> None:
    fleet.send(
        shop.project.pk,
        [fleet.sample(NOW - timedelta(minutes=minutes), card, watts=watts)
         for minutes in range(12, 5, -1) for card, watts in (("GPU-live", 70.0), ("GPU-dead", 300.0))],
    )  # fmt: skip
    fleet.settle()
    fleet.send(shop.project.pk, [fleet.sample(NOW - timedelta(seconds=9), "GPU-live", watts=70.0)])
    page = " ".join(client_of("ada").get("/p/shop/gpus").content.decode().split())
    assert "70 W" in page and "370 W" not in page
    assert "of 1 card, 2 silent left out" in page


def test_a_card_off_the_bus_is_called_failed_and_errors_of_the_whole_range_are_told(shop: Shop) -> None:
    windows = GpuWindow.objects.filter(device=shop.card).order_by("start")
    GpuWindow.objects.filter(pk=windows[0].pk).update(errors={"xid.79": 2}, throttled_s={"software_thermal": 90})
    GpuWindow.objects.filter(pk=windows[1].pk).update(errors={"xid.79": 1})
    ada = client_of("ada")
    told = " ".join(ada.get(f"/p/shop/gpus/{shop.card.pk}").content.decode().split())
    assert "3 xid.79<" in told
    assert "software thermal for" in told
    fleet.send(shop.project.pk, [fleet.sample(NOW - timedelta(seconds=9), shop.card.hw_id)])
    assert "failed</span>" not in ada.get("/p/shop/gpus").content.decode()
    windows.update(state="failed", utilization_ratio=None)
    assert "failed</span>" in ada.get("/p/shop/gpus").content.decode()


def test_an_hour_that_waits_is_told_also_where_the_range_ends_with_it(shop: Shop) -> None:
    deliver(shop.project.pk, fleet.served(TEN + timedelta(minutes=20), 9))
    traffic.settle_all(NOW)
    span = {"from": f"{TEN:%Y-%m-%dT%H:%M}", "to": f"{TEN + timedelta(hours=1):%Y-%m-%dT%H:%M}"}
    page = " ".join(client_of("ada").get("/p/shop/hosting", span).content.decode().split())
    assert "1 hour of this range waits to be split" in page


def test_a_range_without_anything_and_a_project_without_cards_have_pages(shop: Shop) -> None:
    for query in ({"from": "2026-11-20T00:00", "to": "2026-11-20T01:00"}, {"from": "now-700d", "to": "now"}):
        for address in addresses(shop):
            assert client_of("ada").get(address, query).status_code == 200, (address, query)
    for address in ("/p/other/gpus", "/p/other/hosting"):
        assert client_of("bob").get(address).status_code == 200
