"""Cards that send through the door, and calls that ran on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from kit import otlp
from kit.calls import call, trace
from stanchion_server.costs import deployments
from stanchion_server.costs.allocation import IDLE, USE
from stanchion_server.costs.models import Allocation, AllocationLine, Deployment
from stanchion_server.ingest.records import CallRecord
from stanchion_server.routes import gpu_cost, telemetry
from stanchion_server.tenants.models import Project
from stanchion_server.web.otlp import gate
from stanchion_wire import gpu

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MODEL = "llama-3.1-8b"


def nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def sample(
    at: datetime, card: str = "GPU-a", *, busy: float = 0.5, joules: float | None = None, host: str = "gpu-1",
    watts: float | None = None, since: datetime | None = None, **labels: str,
) -> otlp.Json:  # fmt: skip
    """One export of an agent about one card. `joules` is what its energy counter stands at."""
    told: dict[str, object] = {gpu.HW_ID: card, gpu.HW_TYPE: "gpu", gpu.HW_NAME: "gpu0", gpu.HW_MODEL: "NVIDIA L4"}
    told |= {f"stanchion.{key}": value for key, value in labels.items()}
    time_ns = nanoseconds(at)
    points = [
        _gauge(gpu.UTILIZATION, busy, time_ns, told), _gauge(gpu.MEMORY_USAGE, 17e9, time_ns, told),
        _gauge(gpu.MEMORY_LIMIT, 24e9, time_ns, told), _gauge(gpu.TEMPERATURE, 61, time_ns, told),
        _gauge(gpu.AGENT_UP, 1, time_ns, {}),
    ]  # fmt: skip
    if watts is not None:
        points.append(_gauge(gpu.POWER, watts, time_ns, told))
    if joules is not None:
        built = _gauge(gpu.ENERGY, joules, time_ns, told)
        inner = built.pop("gauge")["dataPoints"]
        inner[0]["startTimeUnixNano"] = str(nanoseconds(since or at - timedelta(days=9)))
        points.append({**built, "sum": {"dataPoints": inner, "isMonotonic": True, "aggregationTemporality": 2}})
    resource = {"host.name": host, "service.name": gpu.SERVICE_NAME, "service.version": "0.1"}
    return otlp.metrics(points, resource)


def _gauge(name: str, value: float, time_ns: int, told: dict[str, object]) -> otlp.Json:
    built = otlp.gauge(name, value, time_ns=time_ns)
    built["gauge"]["dataPoints"][0]["attributes"] = otlp.attributes(told)
    return built


def send(project_id: int, requests: Iterable[otlp.Json]) -> None:
    """Through the flow behind the door, all of them in one body."""
    joined = {"resourceMetrics": [one for request in requests for one in request["resourceMetrics"]]}
    body = otlp.as_protobuf(joined)
    sender = telemetry.Sender(project_id, 1, "kit/1", 30)
    telemetry.accept(sender, "metrics", body, "protobuf", body_bytes=len(body), gate=gate)


def hour_of_samples(
    start: datetime, card: str = "GPU-a", *, joules_at_start: float = 0.0, **more: Any
) -> list[otlp.Json]:
    """Every minute at 60 W, from the hour's start to its end; the counter began long before."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        sample(start + timedelta(minutes=minute), card, joules=joules_at_start + 3_600.0 * minute, since=since, **more)
        for minute in range(61)
    ]


def served(at: datetime, number: int, **values: Any) -> CallRecord:
    told = {"provider": "vllm", "request_model": MODEL, "model": MODEL, "feature": "support-bot", **values}
    record = call(**told)
    return replace(record, trace_id=trace(number), start_time=at, start_ns=nanoseconds(at))


def deployment(project: Project, at: datetime, **values: Any) -> Deployment:
    given = {
        "name": "llama", "effective_from": at, "match_model": MODEL, "hosts": ["gpu-1"], "usd_per_hour": Decimal(1),
        "usd_per_kwh": Decimal("0.2"), "pue": Decimal("1.5"), "grid_g_per_kwh": Decimal(400),
    }  # fmt: skip
    return deployments.add(project, {**given, **values}, "ada")


def idle_nights(project: Project, end: datetime, days: int = 15, name: str = "llama", **parts: str) -> Deployment:
    """Closed hours of three cards at $1, each with $0.03 of electricity for 300 Wh: a fifth busy by day, for features
    in these parts, and idle from 22 to 6 UTC."""
    row = deployment(project, end - timedelta(days=days), name=name, count=3)
    starts = [row.effective_from + timedelta(hours=number) for number in range(days * 24)]
    made = Allocation.objects.bulk_create([_closed(row, start) for start in starts])
    lines = [_line(one, IDLE, "", 1 - one.busy_ratio) for one in made]
    lines += [
        _line(one, USE, name, one.busy_ratio * float(part)) for one in made if one.busy_ratio
        for name, part in parts.items()
    ]  # fmt: skip
    AllocationLine.objects.bulk_create(lines)
    return row


def _closed(row: Deployment, start: datetime) -> Allocation:
    return Allocation(
        project=row.project, deployment=row, hour=start, revision=1, method="measured", cost_usd=Decimal(3),
        energy_usd=Decimal("0.03"), energy_wh=Decimal(300), energy_method="counter", gpu_hours=Decimal(3), gpus_seen=3,
        busy_ratio=0.2 if 6 <= start.hour < 22 else 0.0, covered_ratio=1.0, calls=0, untokened_calls=0, input_tokens=0,
        output_tokens=0,
    )  # fmt: skip


def _line(one: Allocation, kind: str, feature: str, ratio: float) -> AllocationLine:
    part = Decimal(repr(round(ratio, 6)))
    return AllocationLine(
        project=one.project, allocation=one, hour=one.hour, kind=kind, feature=feature, model="", user_id="", calls=0,
        input_tokens=0, output_tokens=0, cost_usd=3 * part, energy_usd=Decimal("0.03") * part, energy_wh=300 * part,
    )  # fmt: skip


def settle() -> None:
    """What the scheduler does until there is nothing to do."""
    gpu_cost.sum_windows()
    gpu_cost.allocate()
