"""What a project's own traffic, prices and deployments put into a calculator's form."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from kit import calls, fleet, stored, traffic
from stanchion_server.costs import known, observed, selectors
from stanchion_server.costs.models import PriceOverride
from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel import clock
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db
NOON = calls.NOON


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    selectors.forget()


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def called(project: Project, *sizes: tuple[int, int]) -> None:
    for place, (fresh, output) in enumerate(sizes):
        record = calls.call(
            trace_id=calls.trace(700 + place), after_s=-3600 - 60 * place, input_tokens=fresh, output_tokens=output,
            cached_input_tokens=0,
        )  # fmt: skip
        stored.deliver(project.pk, record)
    traffic.settle_all(NOON)


def test_a_project_without_calls_says_nothing(project: Project) -> None:
    assert known.known(project.pk, NOON) is None


def test_means_of_the_week_and_the_price_of_the_list(project: Project) -> None:
    called(project, (100, 50), (300, 150))
    found = known.known(project.pk, NOON)
    assert found is not None
    assert (found.model, found.calls) == ("gpt-4o-mini", 2)
    assert (found.values["input_tokens"], found.values["output_tokens"]) == ("200", "100")
    assert (found.values["input_usd_per_mtok"], found.values["output_usd_per_mtok"]) == ("0.15", "0.6")
    assert Decimal(found.values["usd_per_call"]) == Decimal("0.00009")
    assert "usd_per_instance_hour" not in found.values


def test_embeddings_do_not_stand_for_the_language_model(project: Project) -> None:
    for place in range(3):
        record = calls.call(
            trace_id=calls.trace(750 + place), after_s=-60, kind=SpanKind.EMBEDDING, request_model="embedder",
            response_model="embedder", model="embedder", input_tokens=9, output_tokens=None,
        )  # fmt: skip
        stored.deliver(project.pk, record)
    called(project, (100, 50))
    found = known.known(project.pk, NOON)
    assert found is not None
    assert (found.model, found.calls) == ("gpt-4o-mini", 1)


def test_a_price_and_a_deployment_of_ones_own_come_first(project: Project) -> None:
    called(project, (100, 50))
    PriceOverride.objects.create(
        project=project, provider="", model="gpt-4o-mini", effective_from=NOON - timedelta(days=1),
        input_usd_per_mtok=Decimal(7), output_usd_per_mtok=Decimal(9),
    )  # fmt: skip
    selectors.forget()
    fleet.deployment(project, NOON - timedelta(hours=2), usd_per_hour=Decimal("2.5"), count=3)
    found = known.known(project.pk, NOON)
    assert found is not None
    assert Decimal(found.values["input_usd_per_mtok"]) == 7
    assert (Decimal(found.values["usd_per_instance_hour"]), found.values["instances"]) == (Decimal("2.5"), "3")


def test_a_model_that_costs_per_token_comes_before_one_that_is_called_more_and_costs_nothing(project: Project) -> None:
    for place in range(3):
        record = calls.call(
            trace_id=calls.trace(770 + place), after_s=-60, provider="vllm", request_model="own-model",
            response_model="own-model", model="own-model", input_tokens=900, output_tokens=90,
        )  # fmt: skip
        stored.deliver(project.pk, record)
    PriceOverride.objects.create(
        project=project, provider="", model="own-model", effective_from=NOON - timedelta(days=1),
        input_usd_per_mtok=Decimal(0), output_usd_per_mtok=Decimal(0),
    )  # fmt: skip
    selectors.forget()
    traffic.settle_all(NOON)
    alone = known.known(project.pk, NOON)
    assert alone is not None
    assert alone.model == "own-model"

    called(project, (100, 50))
    found = known.known(project.pk, NOON)
    assert found is not None
    assert (found.model, found.calls, found.values["input_tokens"]) == ("gpt-4o-mini", 1, "100")


def test_another_projects_calls_and_prices_are_not_known(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    called(other, (100, 50))
    assert known.known(project.pk, NOON) is None


def test_the_last_hour_is_told_minute_by_minute_with_its_quiet_ones(project: Project) -> None:
    for place, after_s in enumerate((-120, -100, -3_000, 5, -3_700)):
        record = calls.call(
            trace_id=calls.trace(800 + place), after_s=after_s, input_tokens=100, output_tokens=20,
            cached_input_tokens=0,
        )  # fmt: skip
        stored.deliver(project.pk, record)
    traffic.settle_all(NOON)
    (found,) = observed.last_hour(project.pk, NOON)
    assert (len(found.rpm), sum(found.rpm), found.rpm[58], found.rpm[10]) == (60, 3, 2, 1)
    assert (found.tpm[58], found.tpm[10], sum(found.tpm)) == (240, 120, 360)
    assert found.at_a_time[58] > 0
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    assert observed.last_hour(other.pk, NOON) == ()
