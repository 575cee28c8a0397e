"""From samples at the door to dollars, joules and grams by feature; late, doubled and missing data included."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test import Client

from kit import fleet, otlp, traffic
from kit.stored import deliver
from stanchion_server.costs import deployments, hours, selectors_allocation
from stanchion_server.costs.models import (
    AllocatedHour,
    Allocation,
    AllocationLine,
    Deployment,
    DirtyHour,
)
from stanchion_server.gpu import selectors
from stanchion_server.gpu.models import DirtySlot, GpuAgent, GpuDevice, GpuWindow
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.routes import gpu_cost, telemetry
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.web.otlp import gate

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
NOW = TEN + HOUR + timedelta(minutes=5)


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def serve(project: Project, *calls: object) -> None:
    deliver(project.pk, *calls)  # type: ignore[arg-type]
    traffic.settle_all(NOW)


def lines(project: Project) -> dict[tuple[str, str], AllocationLine]:
    return {(one.kind, one.feature): one for one in AllocationLine.objects.filter(project=project, hour=TEN)}


def a_working_hour(project: Project) -> None:
    fleet.deployment(project, TEN)
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=0.5))
    minute = timedelta(minutes=1)
    serve(
        project,
        fleet.served(TEN + 5 * minute, 1, input_tokens=4_000, output_tokens=0),
        fleet.served(TEN + 6 * minute, 2, input_tokens=0, output_tokens=1_000, user_id="ann"),
        fleet.served(TEN + 7 * minute, 3, input_tokens=9, output_tokens=9, provider="openai", model="gpt-4o",
                     request_model="gpt-4o"),
    )  # fmt: skip
    fleet.settle()


def test_an_hour_is_split_among_those_who_used_it_with_idle_on_its_own_line(project: Project) -> None:
    a_working_hour(project)
    rows = AllocationLine.objects.filter(project=project, hour=TEN)
    assert sum(row.cost_usd for row in rows) == 1
    by_user = {(row.kind, row.user_id): row for row in rows}
    assert by_user["use", ""].cost_usd == by_user["use", "ann"].cost_usd == Decimal("0.25")
    assert by_user["idle", ""].cost_usd == Decimal("0.5")
    header = Allocation.objects.get(project=project, hour=TEN)
    assert (header.method, header.energy_method, header.calls) == ("measured", "counter", 2)
    assert header.energy_wh == Decimal(60)  # 60 W for an hour
    assert header.energy_usd == Decimal("0.060") * Decimal("1.5") * Decimal("0.2")
    assert sum(row.energy_wh for row in rows) == 60


def test_energy_becomes_grams_with_pue_factor_and_certificates(project: Project) -> None:
    fleet.deployment(project, TEN, rec_ratio=Decimal("0.25"))
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=1.0))
    serve(project, fleet.served(TEN + timedelta(minutes=5), 1, input_tokens=500, output_tokens=500))
    fleet.settle()
    (bot,) = [row for row in selectors_allocation.by_feature(project.pk, TEN, TEN + HOUR) if row.kind == "use"]
    assert bot.group == {"feature": "support-bot"}
    assert bot.gross_co2e_g == Decimal("0.060") * Decimal("1.5") * 400  # kWh x PUE x g/kWh
    assert bot.co2e_g == bot.gross_co2e_g * Decimal("0.75")
    assert bot.wh_per_1k_tokens == 60
    assert bot.wh_per_call == 60


def test_a_retried_export_and_a_second_run_change_nothing(project: Project) -> None:
    a_working_hour(project)
    before = [(one.kind, one.user_id, one.cost_usd, one.energy_wh) for one in AllocationLine.objects.order_by("pk")]
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=0.5))
    fleet.settle()
    again = [(one.kind, one.user_id, one.cost_usd, one.energy_wh) for one in AllocationLine.objects.order_by("pk")]
    assert again == before
    assert AllocatedHour.objects.get(hour=TEN).revision == 1
    assert GpuWindow.objects.filter(start__gte=TEN, start__lt=TEN + HOUR).count() == 12


def test_a_late_call_opens_its_hour_again_and_is_a_new_revision(project: Project) -> None:
    a_working_hour(project)
    serve(project, fleet.served(TEN + timedelta(minutes=50), 9, input_tokens=4_000, output_tokens=0, feature="search"))
    assert DirtyHour.objects.filter(hour=TEN).exists()
    fleet.settle()
    assert sum(row.cost_usd for row in lines(project).values()) < 1  # two rows of the bot share a key here
    total = sum(row.cost_usd for row in AllocationLine.objects.filter(hour=TEN))
    assert total == 1
    assert AllocatedHour.objects.get(hour=TEN).revision == 2
    assert Allocation.objects.get(hour=TEN).revision == 2


def test_late_samples_turn_an_estimate_into_a_measurement(project: Project) -> None:
    fleet.deployment(project, TEN)
    serve(project, fleet.served(TEN + timedelta(minutes=7), 1))
    fleet.settle()
    header = Allocation.objects.get(hour=TEN)
    assert (header.method, header.energy_wh, header.busy_ratio) == ("estimated", None, pytest.approx(1 / 12))
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=0.25))
    fleet.settle()
    header = Allocation.objects.get(hour=TEN)
    assert (header.method, header.busy_ratio, header.revision) == ("measured", 0.25, 2)


def test_a_card_that_nobody_uses_costs_all_the_same(project: Project) -> None:
    fleet.deployment(project, TEN)
    fleet.settle()
    assert {key: row.cost_usd for key, row in lines(project).items()} == {("idle", ""): 1}


def test_hours_before_a_version_keep_its_price(project: Project) -> None:
    fleet.deployment(project, TEN - HOUR, usd_per_hour=Decimal(3))
    fleet.deployment(project, TEN, usd_per_hour=Decimal(5), count=2)
    fleet.settle()
    found = dict(Allocation.objects.values_list("hour", "cost_usd"))
    assert found == {TEN - HOUR: 3, TEN: 10}


def test_after_its_end_a_deployment_costs_nothing(project: Project) -> None:
    fleet.deployment(project, TEN - HOUR)
    fleet.deployment(project, TEN, is_retired=True)
    fleet.settle()
    assert list(Allocation.objects.values_list("hour", flat=True)) == [TEN - HOUR]
    assert hours.plan(NOW) == 0


def test_storage_and_data_are_an_hours_part_of_a_month(project: Project) -> None:
    fleet.deployment(
        project, TEN, basis="instance_hour", usd_per_hour=Decimal(2), count=3, storage_gib=Decimal(730),
        storage_usd_per_gib_month=Decimal("0.1"), data_gib_per_month=Decimal(73), data_usd_per_gib=Decimal(1),
    )  # fmt: skip
    fleet.settle()
    assert Allocation.objects.get(hour=TEN).cost_usd == Decimal("6.2")


def test_a_dead_agent_leaves_a_hole_that_traffic_fills_as_an_estimate(project: Project) -> None:
    fleet.deployment(project, TEN)
    requests = fleet.hour_of_samples(TEN, busy=0.5)
    fleet.send(project.pk, requests[:31])
    serve(project, fleet.served(TEN + timedelta(minutes=32), 1))
    fleet.settle()
    header = Allocation.objects.get(hour=TEN)
    assert header.method == "estimated"
    assert header.covered_ratio == pytest.approx(0.5, abs=0.02)
    assert header.busy_ratio == pytest.approx((6 * 0.5 + 1) / 12)
    (agent,) = selectors.agents(project.pk, NOW)
    assert agent.is_stale
    assert agent.silent_s == 35 * 60
    assert not selectors.agents(project.pk, NOW, stale_after_s=36 * 60)[0].is_stale


def test_a_call_that_told_no_tokens_takes_no_part_and_is_counted(project: Project) -> None:
    fleet.deployment(project, TEN)
    serve(
        project,
        fleet.served(TEN + timedelta(minutes=7), 1, input_tokens=None, output_tokens=None, feature="silent"),
        fleet.served(TEN + timedelta(minutes=8), 2),
    )
    fleet.settle()
    assert lines(project)["use", "silent"].cost_usd == 0
    assert lines(project)["use", "support-bot"].cost_usd > 0
    assert Allocation.objects.get(hour=TEN).untokened_calls == 1


def test_an_agent_is_heard_in_the_transaction_that_stores_its_points(project: Project) -> None:
    fleet.send(project.pk, [fleet.sample(NOW - timedelta(seconds=20))])
    (agent,) = selectors.agents(project.pk, NOW)
    assert (agent.host, agent.service, agent.is_stale, agent.silent_s) == ("gpu-1", "stanchion-gpu-agent", False, 20)
    (card,) = selectors.cards(project.pk)
    assert (card.hw_id, card.model, card.memory_bytes) == ("GPU-a", "NVIDIA L4", 24_000_000_000)


def test_a_retired_agent_that_speaks_again_is_watched_again(project: Project) -> None:
    fleet.send(project.pk, [fleet.sample(NOW - timedelta(hours=3))])
    GpuAgent.objects.update(retired_at=NOW - HOUR)
    assert not selectors.agents(project.pk, NOW)[0].is_stale
    fleet.send(project.pk, [fleet.sample(NOW - timedelta(minutes=9))])
    assert selectors.agents(project.pk, NOW)[0].is_stale


def test_a_label_on_the_card_beats_the_host_it_stands_in(project: Project) -> None:
    fleet.deployment(project, TEN)
    fleet.deployment(project, TEN, name="embedder", match_model="bge-m3", hosts=[])
    fleet.send(project.pk, fleet.hour_of_samples(TEN))
    fleet.send(project.pk, fleet.hour_of_samples(TEN, "GPU-b", deployment="embedder"))
    fleet.settle()
    seen = dict(Allocation.objects.filter(hour=TEN).values_list("deployment__name", "gpus_seen"))
    assert seen == {"llama": 1, "embedder": 1}


def test_a_call_belongs_to_the_deployment_that_says_most_of_it(project: Project) -> None:
    fleet.deployment(project, TEN, name="a-any-llama")
    fleet.deployment(project, TEN, name="the-llama", match_provider="VLLM")
    serve(project, fleet.served(TEN + timedelta(minutes=5), 1))
    fleet.settle()
    found = dict(Allocation.objects.filter(hour=TEN).values_list("deployment__name", "calls"))
    assert found == {"a-any-llama": 0, "the-llama": 1}


def test_a_call_is_found_by_its_server_and_by_an_attribute(project: Project) -> None:
    fleet.deployment(project, TEN, name="by-server", match_model="", match_server="llm.internal:8000")
    fleet.deployment(project, TEN, name="by-pool", match_model="", match_attribute="pool", match_value="a % of {it}")
    at = clock.now() - HOUR
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5,
                  "gen_ai.usage.output_tokens": 5}  # fmt: skip
    spans = [
        otlp.span("a", start_ns=fleet.nanoseconds(at), attributes=attributes | extra)
        for extra in ({"server.address": "llm.internal", "server.port": 8000}, {"pool": "a % of {it}"}, {"pool": "b"})
    ]
    traffic.send(project.pk, 1, otlp.traces(spans), NOW)
    traffic.settle_all(NOW)
    fleet.settle()
    found = dict(Allocation.objects.filter(hour=TEN).values_list("deployment__name", "calls"))
    assert found == {"by-server": 1, "by-pool": 1}


def test_other_peoples_collectors_count_too(project: Project) -> None:
    fleet.deployment(project, TEN)
    requests = []
    for minute in range(61):
        time_ns = fleet.nanoseconds(TEN + timedelta(minutes=minute))
        points = [
            otlp.gauge("hw.gpu.utilization", 0.75, time_ns=time_ns),
            otlp.gauge("hw.power", 100, unit="W", time_ns=time_ns),
        ]
        for built in points:
            built["gauge"]["dataPoints"][0]["attributes"] = otlp.attributes({"id": "GPU-z", "hw.type": "gpu"})
        requests.append(otlp.metrics(points, {"host.name": "gpu-1", "service.name": "otelcol"}))
    fleet.send(project.pk, requests)
    fleet.settle()
    header = Allocation.objects.get(hour=TEN)
    assert (header.method, header.energy_method, header.busy_ratio) == ("measured", "estimated", 0.75)
    assert header.energy_wh == pytest.approx(Decimal(100), abs=Decimal("1e-6"))


def test_another_projects_cards_calls_and_costs_stay_its_own(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Else"), "Other")
    a_working_hour(project)
    fleet.deployment(other, TEN)
    fleet.settle()
    assert Allocation.objects.get(project=other, hour=TEN).calls == 0
    assert Allocation.objects.get(project=other, hour=TEN).gpus_seen == 0
    assert selectors.cards(other.pk) == ()
    assert GpuDevice.objects.get().project_id == project.pk


def test_a_worker_that_dies_before_the_commit_leaves_its_marks(project: Project) -> None:
    fleet.deployment(project, TEN)
    fleet.send(project.pk, fleet.hour_of_samples(TEN))
    slots, marked = DirtySlot.objects.count(), DirtyHour.objects.count()
    assert slots > 0
    with pytest.raises(RuntimeError), transaction.atomic():
        gpu_cost.sum_some()
        hours.step(NOW)
        raise RuntimeError("killed")
    assert (DirtySlot.objects.count(), DirtyHour.objects.count()) == (slots, marked)
    assert not Allocation.objects.exists()
    fleet.settle()
    assert Allocation.objects.get(hour=TEN).method == "measured"


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_split_each_hour_once(project: Project) -> None:
    fleet.deployment(project, TEN - 2 * HOUR)
    for hour in range(3):
        fleet.send(project.pk, fleet.hour_of_samples(TEN + (hour - 2) * HOUR, joules_at_start=3_600.0 * 60 * hour))

    def work() -> None:
        try:
            fleet.settle()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _worker in range(4)]:
            future.result()
    fleet.settle()
    found = list(Allocation.objects.order_by("hour").values_list("hour", "cost_usd", "method", "energy_wh"))
    assert found == [(TEN + (hour - 2) * HOUR, 1, "measured", 60) for hour in range(3)]
    paid = AllocationLine.objects.aggregate(usd=Sum("cost_usd"), wh=Sum("energy_wh"))
    assert paid == {"usd": 3, "wh": 180}


def test_an_open_hour_waits(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: TEN + timedelta(minutes=59))
    fleet.deployment(project, TEN)
    fleet.settle()
    assert not Allocation.objects.exists()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"effective_from": TEN + timedelta(minutes=5)}, "effective_from"),
        ({"match_model": ""}, "match_model"),
        ({"usd_per_hour": Decimal(-1)}, "usd_per_hour"),
        ({"usd_per_hour": Decimal("NaN")}, "usd_per_hour"),
        ({"pue": Decimal("0.5")}, "pue"),
        ({"rec_ratio": Decimal(2)}, "rec_ratio"),
        ({"match_attribute": "pool"}, "match_value"),
        ({"batching": "magic"}, "batching"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"prefill_weight": Decimal(0), "decode_weight": Decimal(0)}, "decode_weight"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused_by_field(
    project: Project, values: dict[str, object], named: str
) -> None:
    with pytest.raises(SenderError) as refused:
        fleet.deployment(project, TEN, **values) if "effective_from" not in values else deployments.add(
            project,
            {"name": "x", "match_model": "m", "usd_per_hour": Decimal(1), **values},
            "ada",
        )
    assert named in refused.value.message
    assert not Deployment.objects.exists()


def test_a_second_version_from_the_same_hour_is_refused(project: Project) -> None:
    fleet.deployment(project, TEN)
    with pytest.raises(SenderError, match="Choose another"):
        fleet.deployment(project, TEN, usd_per_hour=Decimal(9))


@pytest.mark.parametrize(
    "identity",
    ["GPU\0x", "\ud800", "x" * 5_000, "", 7, True, ["a"], {"k": "v"}, 1.5, "'; DROP TABLE spans; --", "%s %(x)s {0}"],
)
def test_whatever_a_sender_calls_its_card_is_stored_or_left_out(project: Project, identity: object) -> None:
    told: dict[str, object] = {
        "hw.id": identity,
        "hw.type": "gpu",
        "hw.name": identity,
        "stanchion.deployment": identity,
    }
    points = [
        otlp.gauge(name, value, time_ns=fleet.nanoseconds(TEN + timedelta(minutes=7)))
        for name, value in (
            ("hw.gpu.utilization", 5.0), ("hw.gpu.memory.limit", -1e14), ("hw.gpu.memory.usage", 9.9e14),
            ("stanchion.gpu.process.memory.usage", -5.0), ("hw.energy", float("nan")), ("hw.power", -3.0),
            ("stanchion.engine.requests.waiting", 1.0), ("hw.errors", 3.0), ("hw.status", 1.0),
        )
    ]  # fmt: skip
    for built in points:
        built["gauge"]["dataPoints"][0]["attributes"] = otlp.attributes({**told, "process.pid": identity})
    request = otlp.metrics(points, {"host.name": identity, "service.name": identity})
    body = otlp.as_json(request)
    telemetry.accept(
        telemetry.Sender(project.pk, 1, "kit/1", 30), "metrics", body, "json", body_bytes=len(body), gate=gate
    )
    fleet.deployment(project, TEN)
    fleet.settle()
    assert sum(row.cost_usd for row in AllocationLine.objects.filter(hour=TEN)) == 1
    client = Client()
    owner = tenants.create_owner(project.organisation, "ada", "x" * 12)
    client.force_login(owner)
    for address in ("gpus", "hosting", *(f"gpus/{card.number}" for card in selectors.cards(project.pk))):
        asked = {"from": "2026-11-25T09:00", "to": "2026-11-25T12:00"}
        assert client.get(f"/p/{project.slug}/{address}", asked).status_code == 200
