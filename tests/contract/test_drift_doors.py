"""Drift over REST and on pages: who may do what, what strangers' text does there, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zstandard
from django.test import Client

from kit import drifting, traffic
from kit.drifting import Traffic
from stanchion_server.drift import runs, services
from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftRun
from stanchion_server.kernel import clock
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, Scope, User

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
BAD = traffic.HOSTILE.replace("\u202e", "").replace("\u202c", "")


@dataclass(frozen=True)
class Shop:
    """ada owns, ann analyses, vera looks, bob is a stranger. One monitor has one run that found drift."""

    project: Project
    other: Project
    monitor: DriftMonitor
    run: DriftRun


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
    like = Traffic(models=(BAD[:180],), topics=drifting.POEMS, feature=BAD[:100])
    drifting.store(project.pk, drifting.calls(NOW - 3 * DAY, NOW - DAY, 120, 1))
    drifting.store(project.pk, drifting.calls(NOW - DAY, NOW, 100, 2, like))
    wanted = services.Wanted("daily", reference_hours=48, columns=("model", "prompt", "feature"))
    monitor = services.create(project, wanted, "ada")
    run = services.run_now(project.pk, monitor.pk, "ada")
    while runs.step():
        pass
    DriftReport.objects.filter(run=run).update(
        state="ready", reason="", html=zstandard.compress(b"<p>hi"), html_bytes=5
    )
    yield Shop(project, other, monitor, DriftRun.objects.get(pk=run.pk))
    access.forget_everything()


class Api:
    def __init__(self, project: Project, *scopes: Scope) -> None:
        self._headers = {"authorization": f"Bearer {tenants.create_key(project, 'k', scopes)}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        call = getattr(Client(headers=self._headers), method)
        path = f"/api/v1/drift/{path}"
        return call(path) if body is None else call(path, body, content_type="application/json")


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def addresses(shop: Shop) -> list[str]:
    return [
        "/p/shop/drift",
        f"/p/shop/drift/monitors/{shop.monitor.pk}",
        f"/p/shop/drift/runs/{shop.run.pk}",
        f"/p/shop/drift/runs/{shop.run.pk}/report",
    ]


def changes(shop: Shop) -> list[str]:
    monitor = f"/p/shop/drift/monitors/{shop.monitor.pk}"
    return [
        "/p/shop/drift/monitors/new", f"{monitor}/run", f"{monitor}/pause", f"{monitor}/archive",
        f"/p/shop/drift/runs/{shop.run.pk}/retry",
    ]  # fmt: skip


def test_every_member_looks_and_a_stranger_finds_nothing(shop: Shop) -> None:
    for address in addresses(shop):
        for name, status in (("ada", 200), ("ann", 200), ("vera", 200), ("bob", 404)):
            assert client_of(name).get(address).status_code == status, (name, address)
        other = address.replace("/p/shop/", "/p/other/")
        assert client_of("bob").get(other).status_code == (200 if other.endswith("/drift") else 404), other


def test_only_admins_change_anything(shop: Shop) -> None:
    for address in changes(shop):
        assert client_of("ann").post(address).status_code == 403, address
        assert client_of("bob").post(address).status_code == 404, address
    assert DriftMonitor.objects.get(pk=shop.monitor.pk).archived_at is None
    for address in changes(shop)[1:]:
        assert client_of("ada").post(address).status_code == 302, address


def test_strangers_text_is_shown_as_text(shop: Shop) -> None:
    body = client_of("ada").get(addresses(shop)[2]).content.decode()
    assert "&lt;script&gt;" in body and "<script>alert" not in body and "<img src=x" not in body
    assert " style=" not in body and "onclick" not in body


def test_words_of_prompts_are_for_those_who_may_read_prompts(shop: Shop) -> None:
    page = addresses(shop)[2]
    assert "More often now" in client_of("ann").get(page).content.decode()
    assert "More often now" not in client_of("vera").get(page).content.decode()
    path = f"runs/{shop.run.pk}"
    told = {
        scopes: Api(shop.project, *scopes)("get", path).json()["results"]
        for scopes in ((Scope.READ_METRICS,), (Scope.READ_METRICS, Scope.READ_CONTENT))
    }
    words = {scopes: [row["words"] for row in rows if row["column"] == "prompt"] for scopes, rows in told.items()}
    assert words[Scope.READ_METRICS,] == [None]
    assert words[Scope.READ_METRICS, Scope.READ_CONTENT][0]["more"]


def test_the_report_is_in_an_origin_of_its_own(shop: Shop) -> None:
    answer = client_of("vera").get(addresses(shop)[3])
    policy = answer["Content-Security-Policy"]
    assert "sandbox allow-scripts;" in policy and "allow-same-origin" not in policy and "connect-src" not in policy
    assert "default-src 'none'" in policy and answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("inline")
    saved = client_of("vera").get(addresses(shop)[3], {"download": "1"})
    assert saved["Content-Disposition"] == f'attachment; filename="drift-{shop.run.pk}.html"'
    assert Api(shop.project, Scope.READ_METRICS)("get", f"runs/{shop.run.pk}/report").content == b"<p>hi"


def test_a_monitor_lives_its_life_over_rest(shop: Shop) -> None:
    api = Api(shop.project, Scope.ADMIN)
    made = api("post", "monitors", {"name": "hourly", "current_hours": 1, "reference_hours": 24, "every_hours": 1})
    assert made.status_code == 201 and made.json()["reference"] == "trailing"
    number = made.json()["id"]
    assert api("patch", f"monitors/{number}", {"alpha": 0.1, "columns": ["latency_ms"]}).json()["alpha"] == 0.1
    run = api("post", f"monitors/{number}/runs")
    assert (run.status_code, run.json()["state"]) == (201, "queued")
    assert [row["monitor_name"] for row in api("get", f"runs?monitor={number}").json()["items"]] == ["hourly"]
    assert api("delete", f"monitors/{number}").json()["archived_at"]
    assert [row["name"] for row in api("get", "monitors").json()["items"]] == ["daily"]
    assert api("post", f"monitors/{number}/runs").status_code == 409


def test_runs_are_listed_page_by_page_and_by_verdict(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for minute in (1, 2, 3):
        monkeypatch.setattr(clock, "now", lambda minute=minute: NOW + timedelta(minutes=minute))
        services.run_now(shop.project.pk, shop.monitor.pk, "ada")
    api = Api(shop.project, Scope.READ_METRICS)
    seen, cursor = [], ""
    while cursor is not None:
        page = api("get", f"runs?limit=2{'&cursor=' + cursor if cursor else ''}").json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == list(DriftRun.objects.order_by("-scheduled_for").values_list("pk", flat=True))
    assert [row["id"] for row in api("get", "runs?verdict=drift").json()["items"]] == [shop.run.pk]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "a b"}, "letters, digits"),
        ({"name": "x", "alpha": 7}, "not 7.0"),
        ({"name": "x", "columns": ["<b>"]}, "<b>"),
        ({"name": "x", "current_hours": 0}, "current_hours"),
        ({"name": "x", "reference": "frozen"}, "reference_start"),
        ({"name": "daily"}, "daily"),
        ({}, "name"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(shop: Shop, body: dict[str, Any], says: str) -> None:
    answer = Api(shop.project, Scope.ADMIN)("post", "monitors", body)
    assert answer.status_code in (400, 409) and says in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["runs?cursor=x", "runs?monitor=-1", "runs?verdict=maybe", "runs?limit=0"])
def test_a_bad_question_is_answered_with_400(shop: Shop, path: str) -> None:
    assert Api(shop.project, Scope.READ_METRICS)("get", path).status_code == 400


def test_scopes_and_projects_are_kept_apart(shop: Shop) -> None:
    paths = [f"monitors/{shop.monitor.pk}", f"runs/{shop.run.pk}", f"runs/{shop.run.pk}/report"]
    for path in paths:
        assert Api(shop.other, Scope.ADMIN)("get", path).status_code == 404, path
        assert Api(shop.project, Scope.INGEST)("get", path).status_code == 403, path
    for method, path in (("post", "monitors"), ("patch", paths[0]), ("delete", paths[0]), ("post", f"{paths[0]}/runs")):
        assert Api(shop.project, Scope.READ_METRICS)(method, path, {}).status_code == 403, path
        assert Api(shop.other, Scope.ADMIN)(method, path, {}).status_code in (400, 404), path
    assert Api(shop.other, Scope.ADMIN)("get", "runs").json()["items"] == []
    assert Api(shop.project, Scope.READ_METRICS)("get", "runs/99999999999999999999").status_code == 404


def test_a_run_put_aside_starts_again_from_its_page(shop: Shop) -> None:
    DriftRun.objects.filter(pk=shop.run.pk).update(state="quarantined", error="ValueError", attempts=3)
    body = client_of("ada").get(addresses(shop)[2]).content.decode()
    assert "Put aside after 3 attempts" in body and "Try again" in body
    client_of("ada").post(changes(shop)[4])
    assert DriftRun.objects.get(pk=shop.run.pk).state == "queued"


def test_a_form_that_cannot_be_read_keeps_what_was_typed(shop: Shop) -> None:
    hours = {"reference_hours": "168", "current_hours": "24", "every_hours": "24"}
    said = {"name": "x y", "reference": "trailing", "alpha": "0.05", **hours}
    answer = client_of("ada").post(changes(shop)[0], said)
    assert answer.status_code == 400 and 'value="x y"' in answer.content.decode()
    assert client_of("ada").post(changes(shop)[0], {**said, "name": "xy", "scores": "toxicity"}).status_code == 302
    assert DriftMonitor.objects.get(name="xy").columns == ["score:toxicity"]
