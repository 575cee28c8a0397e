"""What alert rules read of cards and serving engines: the five-minute sums that end within the window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stanchion_server.alerts import definitions, evaluating, moments
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.records import Ask, Group, Window
from stanchion_server.alerts.sources import READERS, answers
from stanchion_server.alerts.sources.asking import Failed
from stanchion_server.gpu.models import EngineWindow, GpuDevice, GpuWindow
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SLOT = timedelta(minutes=5)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def card(project: Project, name: str, host: str = "gpu-1") -> GpuDevice:
    return GpuDevice.objects.create(
        project=project, hw_id=f"{host}-{name}", host=host, name=name, model="NVIDIA L4", vendor="", parent="",
        driver_version="", memory_bytes=None, deployment="", job_kind="", run_id="", first_seen_at=AT, last_seen_at=AT,
    )  # fmt: skip


def summed(device: GpuDevice, start: datetime, **values: Any) -> None:
    told: dict[str, Any] = {
        "samples": 30, "covered_s": 300.0, "energy_method": "", "throttled_s": {}, "errors": {}, "state": "ok",
        "deployment": "llama", "job_kind": "", "run_id": "", "processes": [],
    }  # fmt: skip
    GpuWindow.objects.create(project=device.project, device=device, start=start, **{**told, **values})


def read(project: Project, source: str, measure: str, *by: str, **where: str) -> dict[Any, Any]:
    ask = Ask(source, measure, Window(AT, AT + 2 * SLOT), by, tuple(where.items()))
    found = READERS[source](project.pk, [ask], AT)[ask]
    assert isinstance(found, dict), found
    return {labels: (sample.value, sample.samples) for labels, sample in found.items()}


def test_the_sums_that_end_within_the_window_count_and_the_worst_speaks(project: Project) -> None:
    hot, cool = card(project, "gpu0"), card(project, "gpu1")
    for start, degrees in ((AT - SLOT, 99), (AT, 80), (AT + SLOT, 91), (AT + 2 * SLOT, 98)):
        summed(hot, start, temperature_c=degrees, utilization_ratio=0.9)
    summed(cool, AT, temperature_c=50, utilization_ratio=0.1)
    assert read(project, "gpu_cards", "temperature_c") == {(): (91, 3)}
    by_card = {(("card", "gpu0"),): (91, 2), (("card", "gpu1"),): (50, 1)}
    assert read(project, "gpu_cards", "temperature_c", "card") == by_card
    assert read(project, "gpu_cards", "temperature_c", card="gpu1") == {(): (50, 1)}
    assert read(project, "gpu_cards", "utilization_ratio", "host", card="gpu1") == {(("host", "gpu-1"),): (0.1, 1)}


@pytest.mark.parametrize(("window", "delay"), [("5m", "2m"), ("6m", "1m"), ("7m", "0s"), ("1h", "0s")])
def test_a_card_that_is_always_hot_fires_after_the_time_it_must_last(project: Project, window: str, delay: str) -> None:
    """Sums come as late as the source says; windows as short as the parser lets through."""
    definition = defined(window=window, delay=delay)
    hot, late = card(project, "gpu0"), SOURCES["gpu_cards"].delay
    for number in range(13):
        summed(hot, AT - (number + 2) * SLOT, temperature_c=99)
    groups: Mapping[str, Group] = {}
    fired = []
    for minute in range(21):
        at = AT + timedelta(minutes=minute)
        if (at - late - AT) % SLOT == timedelta(0):
            summed(hot, at - late - SLOT, temperature_c=99)
        asks = moments.asks_of(definition, at)
        judged = moments.judged_by(definition, asks, answers(READERS, project.pk, asks.values(), at), {})
        assert not isinstance(judged, Failed)
        after = evaluating.evaluate(groups, judged, at, definition.patience)
        groups, fired = after.groups, [*fired, *((minute, change.kind) for change in after.changes)]
    assert fired == [(5, "fire")]


def defined(**more: str) -> Definition:
    watch = {"source": "gpu_cards", "measure": "temperature_c", "window": more["window"]}
    plain = {"name": "hot", "watch": watch, "when": {"above": 90}, "for": "5m", "delay": more["delay"]}
    definition, problems = definitions.parse(plain)
    assert definition is not None, problems
    return definition


def test_what_no_card_tells_is_no_reading_and_other_projects_are_not_seen(project: Project) -> None:
    other = tenants.create_project(project.organisation, "Other")
    summed(card(other, "gpu0"), AT, temperature_c=99)
    summed(card(project, "gpu0"), AT)
    for measure in ("temperature_c", "memory_ratio", "throttled_ratio", "errors"):
        assert read(project, "gpu_cards", measure) == {}
    assert read(project, "gpu_cards", "unhealthy") == {(): (0, 1)}


def test_power_caps_and_corrected_errors_are_usual_and_the_rest_is_not(project: Project) -> None:
    worn = card(project, "gpu0")
    summed(
        worn, AT, throttled_s={"power_cap": 290.0, "hardware_thermal": 60.0, "power_brake": 30.0}, state="degraded",
        errors={"corrected": 900.0, "uncorrected": 2.0, "xid.63": 1.0}, memory_bytes=12, memory_limit_bytes=16,
    )  # fmt: skip
    told = {name: read(project, "gpu_cards", name)[()][0] for name in ("throttled_ratio", "errors", "memory_ratio")}
    assert told == {"throttled_ratio": 0.2, "errors": 3, "memory_ratio": 0.75}
    assert read(project, "gpu_cards", "unhealthy", "card") == {(("card", "gpu0"),): (1, 1)}


def test_of_engines_the_least_answering_and_the_fullest_speak(project: Project) -> None:
    for number, (up, waiting, cache) in enumerate(((1.0, 3.0, 0.4), (0.5, 12.0, 0.97))):
        EngineWindow.objects.create(
            project=project, host="gpu-1", engine="vllm", endpoint=f"http://127.0.0.1:{number}", model="llama",
            deployment="", start=AT, up_ratio=up, waiting_max=waiting, kv_cache_max_ratio=cache, preemptions=None,
        )  # fmt: skip
    told = {name: read(project, "gpu_engines", name) for name in ("up_ratio", "waiting", "kv_cache_ratio")}
    assert told == {"up_ratio": {(): (0.5, 2)}, "waiting": {(): (12.0, 2)}, "kv_cache_ratio": {(): (0.97, 2)}}
    assert read(project, "gpu_engines", "preemptions") == {}
    first = {(("endpoint", "http://127.0.0.1:0"),): (3.0, 1), (("endpoint", "http://127.0.0.1:1"),): (12.0, 1)}
    assert read(project, "gpu_engines", "waiting", "endpoint") == first
