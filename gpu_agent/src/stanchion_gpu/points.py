"""Readings to OTLP metrics: pure, one request per interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
)

from stanchion_gpu import __version__
from stanchion_gpu.meters import CardMeter
from stanchion_gpu.records import EngineReading, GpuProcess, Histogram, HostReading, Owner, State
from stanchion_wire import gpu

Labels = Mapping[str, str]
VENDOR = "NVIDIA"
MOST_PROCESSES = 64  # of one card

UNITS = {
    gpu.UTILIZATION: "1",
    gpu.UTILIZATION_MAX: "1",
    gpu.MEMORY_BUSY: "1",
    gpu.MEMORY_UTILIZATION: "1",
    gpu.MEMORY_USAGE: "By",
    gpu.MEMORY_LIMIT: "By",
    gpu.POWER: "W",
    gpu.POWER_LIMIT: "W",
    gpu.ENERGY: "J",
    gpu.TEMPERATURE: "Cel",
    gpu.FREQUENCY: "Hz",
    gpu.PERFORMANCE_STATE: "1",
    gpu.THROTTLED: "s",
    gpu.IO: "By",
    gpu.ERRORS: "{error}",
    gpu.STATUS: "1",
    gpu.PROCESSES: "{process}",
    gpu.PROCESS_MEMORY: "By",
    gpu.PROCESS_UTILIZATION: "1",
    gpu.ENGINE_UP: "1",
    gpu.RUNNING: "{request}",
    gpu.WAITING: "{request}",
    gpu.KV_CACHE_USE: "1",
    gpu.KV_CACHE_TOKENS: "{token}",
    gpu.KV_CACHE_CAPACITY: "{token}",
    gpu.BATCH_SIZE: "{request}",
    gpu.PREEMPTIONS: "{preemption}",
    gpu.PREFIX_QUERIES: "{token}",
    gpu.PREFIX_HITS: "{token}",
    gpu.PREFIX_HIT_RATE: "1",
    gpu.PROMPT_TOKENS: "{token}",
    gpu.GENERATED_TOKENS: "{token}",
    gpu.TOKENS_PER_S: "{token}/s",
    gpu.REQUESTS: "{request}",
    gpu.TTFT: "s",
    gpu.TIME_PER_TOKEN: "s",
    gpu.REQUEST_DURATION: "s",
    gpu.QUEUE_DURATION: "s",
    gpu.HOST_CPU: "1",
    gpu.HOST_MEMORY_USAGE: "By",
    gpu.HOST_MEMORY_LIMIT: "By",
    gpu.AGENT_UP: "1",
    gpu.AGENT_GPUS: "{gpu}",
    gpu.AGENT_DROPPED: "{point}",
    gpu.AGENT_ERRORS: "{error}",
    gpu.AGENT_SPOOLED: "By",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """Everything known at `end_ns`, about the time since the export before; counters count from `start_ns` (the
    agent's start). Both are Unix nanoseconds."""

    start_ns: int
    end_ns: int
    cards: tuple[CardMeter, ...] = ()
    owners: Mapping[int, Owner] = field(default_factory=dict)
    card_labels: Mapping[str, Labels] = field(default_factory=dict)
    engines: tuple[EngineReading, ...] = ()
    engine_labels: Mapping[str, Labels] = field(default_factory=dict)
    host: HostReading | None = None
    source: str = "nvml"
    dropped_points: int = 0
    read_errors: Mapping[str, int] = field(default_factory=dict)
    spooled_bytes: int = 0


class _Points:
    """Points by metric, in the order of their first one."""

    def __init__(self, start_ns: int, end_ns: int) -> None:
        self.start_ns, self.end_ns = start_ns, end_ns
        self.metrics: dict[str, Metric] = {}

    def gauge(self, name: str, value: float | None, attributes: Labels) -> None:
        if value is not None:
            self._point(self._metric(name).gauge.data_points.add(), value, attributes)

    def counter(self, name: str, value: float | None, attributes: Labels) -> None:
        if value is None:
            return
        metric = self._metric(name)
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        point = metric.sum.data_points.add()
        point.start_time_unix_nano = self.start_ns
        self._point(point, value, attributes)

    def histogram(self, name: str, told: Histogram, attributes: Labels) -> None:
        metric = self._metric(name)
        metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        point = metric.histogram.data_points.add()
        point.start_time_unix_nano, point.time_unix_nano = self.start_ns, self.end_ns
        point.explicit_bounds.extend(told.bounds)
        point.bucket_counts.extend(told.counts)
        point.count, point.sum = sum(told.counts), told.total
        point.attributes.extend(_pairs(attributes))

    def _metric(self, name: str) -> Metric:
        if name not in self.metrics:
            self.metrics[name] = Metric(name=name, unit=UNITS[name])
        return self.metrics[name]

    def _point(self, point: NumberDataPoint, value: float, attributes: Labels) -> None:
        point.time_unix_nano = self.end_ns
        point.as_double = value
        point.attributes.extend(_pairs(attributes))


def request(interval: Interval, resource: Labels) -> tuple[ExportMetricsServiceRequest, int]:
    """The request and how many points it holds. `resource` names this host and agent."""
    points = _Points(interval.start_ns, interval.end_ns)
    points.gauge(gpu.AGENT_UP, 1, {})
    points.gauge(gpu.AGENT_GPUS, sum(one.state is not State.FAILED for one in interval.cards), {})
    points.counter(gpu.AGENT_DROPPED, interval.dropped_points, {})
    for kind, errors in interval.read_errors.items():
        points.counter(gpu.AGENT_ERRORS, errors, {gpu.ERROR_TYPE: kind})
    points.gauge(gpu.AGENT_SPOOLED, interval.spooled_bytes, {})
    for card in interval.cards:
        _card(points, card, interval)
    for engine in interval.engines:
        _engine(points, engine, interval.engine_labels.get(engine.endpoint, {}))
    if interval.host is not None:
        points.gauge(gpu.HOST_CPU, interval.host.cpu_ratio, {})
        points.gauge(gpu.HOST_MEMORY_USAGE, interval.host.memory_used_bytes, {})
        points.gauge(gpu.HOST_MEMORY_LIMIT, interval.host.memory_limit_bytes, {})
    return _wrapped(points, resource), count(points.metrics.values())


def count(metrics: Iterable[Metric]) -> int:
    return sum(len(getattr(one, one.WhichOneof("data") or "gauge").data_points) for one in metrics)


def _card(points: _Points, meter: CardMeter, interval: Interval) -> None:
    name = _card_attributes(meter, interval)
    gauges = meter.gauges
    points.gauge(gpu.UTILIZATION, gauges["utilization_ratio"].mean, {**name, gpu.HW_GPU_TASK: "general"})
    points.gauge(gpu.UTILIZATION, gauges["encoder_ratio"].mean, {**name, gpu.HW_GPU_TASK: "encoder"})
    points.gauge(gpu.UTILIZATION, gauges["decoder_ratio"].mean, {**name, gpu.HW_GPU_TASK: "decoder"})
    points.gauge(gpu.UTILIZATION_MAX, gauges["utilization_ratio"].largest, name)
    points.gauge(gpu.MEMORY_BUSY, gauges["memory_busy_ratio"].mean, name)
    used, limit = gauges["memory_used_bytes"].largest, meter.card.memory_bytes
    points.gauge(gpu.MEMORY_USAGE, used, name)
    points.gauge(gpu.MEMORY_LIMIT, limit, name)
    points.gauge(gpu.MEMORY_UTILIZATION, used / limit if used is not None and limit else None, name)
    points.gauge(gpu.POWER, gauges["power_w"].mean, name)
    points.gauge(gpu.POWER_LIMIT, gauges["power_limit_w"].last, name)
    points.gauge(gpu.TEMPERATURE, gauges["temperature_c"].largest, {**name, gpu.SENSOR: "core"})
    points.gauge(gpu.TEMPERATURE, gauges["memory_temperature_c"].largest, {**name, gpu.SENSOR: "memory"})
    for clock in ("graphics", "sm", "memory"):
        points.gauge(gpu.FREQUENCY, gauges[f"{clock}_hz"].last, {**name, gpu.CLOCK: clock})
    points.gauge(gpu.PERFORMANCE_STATE, gauges["performance_state"].last, name)
    for state in State:
        points.gauge(gpu.STATUS, float(meter.state is state), {**name, gpu.HW_STATE: state.value})
    _counters(points, meter, name)
    points.gauge(gpu.PROCESSES, None if meter.processes is None else len(meter.processes), name)
    largest_first = sorted(meter.processes or (), key=lambda one: -(one.memory_bytes or 0))
    for process in largest_first[:MOST_PROCESSES]:
        _process(points, process, name, interval.owners.get(process.pid))


def _counters(points: _Points, meter: CardMeter, name: Labels) -> None:
    totals = {key: counter.total for key, counter in meter.counters.items()}
    method = "integrated" if meter.is_energy_integrated else "counter"
    points.counter(gpu.ENERGY, totals.get("energy_j"), {**name, gpu.ENERGY_METHOD: method})
    for reason, slowed_s in meter.throttled_s.items():
        points.counter(gpu.THROTTLED, slowed_s, {**name, gpu.REASON: reason})
    for link in ("pcie", "nvlink"):
        for way, direction in (("received", "receive"), ("sent", "transmit")):
            attributes = {**name, gpu.LINK: link, gpu.DIRECTION: direction}
            points.counter(gpu.IO, totals.get(f"{link}_{way}"), attributes)
    for kind in ("corrected", "uncorrected"):
        points.counter(gpu.ERRORS, totals.get(f"ecc_{kind}"), {**name, gpu.ERROR_TYPE: kind})
    for xid, times in meter.xids.items():
        points.counter(gpu.ERRORS, times, {**name, gpu.ERROR_TYPE: f"xid.{xid}"})


def _process(points: _Points, process: GpuProcess, card: Labels, owner: Owner | None) -> None:
    attributes = {key: card[key] for key in (gpu.HW_ID, gpu.HW_TYPE) if key in card}
    attributes[gpu.PROCESS_PID] = str(process.pid)
    if owner is not None:
        named = {
            gpu.PROCESS_NAME: owner.executable,
            gpu.CONTAINER_ID: owner.container_id,
            gpu.POD_UID: owner.pod_uid,
            gpu.SYSTEMD_UNIT: owner.systemd_unit,
            gpu.ENGINE: owner.engine,
        }
        attributes |= {key: value for key, value in named.items() if value} | dict(owner.labels)
    points.gauge(gpu.PROCESS_MEMORY, process.memory_bytes, attributes)
    points.gauge(gpu.PROCESS_UTILIZATION, process.utilization_ratio, attributes)


def _card_attributes(meter: CardMeter, interval: Interval) -> dict[str, str]:
    card = meter.card
    known = {
        gpu.HW_ID: card.uuid,
        gpu.HW_TYPE: gpu.HW_TYPE_GPU,
        gpu.HW_NAME: card.name,
        gpu.HW_MODEL: card.model,
        gpu.HW_VENDOR: VENDOR,
        gpu.HW_PARENT: card.parent,
        gpu.HW_SERIAL_NUMBER: card.serial,
        gpu.HW_DRIVER_VERSION: card.driver_version,
        gpu.SOURCE: interval.source,
    }
    return {key: value for key, value in known.items() if value} | dict(interval.card_labels.get(card.uuid, {}))


def _engine(points: _Points, engine: EngineReading, labels: Labels) -> None:
    attributes = {gpu.ENGINE: engine.engine, gpu.ENGINE_ENDPOINT: engine.endpoint, **labels}
    if engine.model:
        attributes[gpu.ENGINE_MODEL] = engine.model
    points.gauge(gpu.ENGINE_UP, float(engine.is_up), attributes)
    for name, value in engine.gauges.items():
        points.gauge(name, value, attributes)
    for name, value in engine.counters.items():
        points.counter(name, value, attributes)
    for name, histogram in engine.histograms.items():
        points.histogram(name, histogram, attributes)


def _wrapped(points: _Points, resource: Labels) -> ExportMetricsServiceRequest:
    wrapped = ExportMetricsServiceRequest()
    resource_metrics = wrapped.resource_metrics.add()
    resource_metrics.resource.attributes.extend(_pairs(resource))
    scope = ScopeMetrics()
    scope.scope.name, scope.scope.version = "stanchion_gpu", __version__
    scope.metrics.extend(points.metrics.values())
    resource_metrics.scope_metrics.append(scope)
    return wrapped


def _pairs(attributes: Labels) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in attributes.items()]
