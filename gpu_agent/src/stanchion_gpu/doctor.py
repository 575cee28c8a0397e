"""What the agent can read on this host, and whether its door takes what it sends."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import fields

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from stanchion_gpu import engines, nvml, processes, sources, watching
from stanchion_gpu.export import Door
from stanchion_gpu.records import Owner, Sample
from stanchion_gpu.settings import Settings


def main(settings: Settings, tell: Callable[[str], None]) -> int:
    """0 when cards are read and the door, if one is set, takes a request; else 1. Sends no metrics."""
    owners: dict[int, Owner] = {}
    cards = _cards(settings, tell, owners)
    found = watching.discovered(owners) if settings.discover_engines else []
    for engine in (*settings.engines, *found):
        reading = engines.read(engine.kind, engine.endpoint, engine.path)
        tell(f"engine {engine.kind} at {engine.endpoint}: {'answers' if reading.is_up else reading.reason}")
    answers = _door(settings, tell)
    return 0 if cards and answers else 1


def _cards(settings: Settings, tell: Callable[[str], None], owners: dict[int, Owner]) -> bool:
    try:
        source = sources.open_source(settings.source)
    except nvml.NoDriver as error:
        tell(f"cards: none are read: {error}")
        return False
    samples = source.read()
    tell(f"cards: {len(samples)} read by {source.name}")
    for sample in samples:
        tell(f"  {sample.card.name} {sample.card.model or 'of unknown model'} {sample.card.uuid}: {sample.state.value}")
        tell(f"    not reported: {', '.join(missing(sample)) or 'nothing'}")
        _processes(sample, tell, owners)
    source.close()
    return bool(samples)


def missing(sample: Sample) -> Iterable[str]:
    """Names of the fields that this card does not report."""
    return [one.name for one in fields(sample) if getattr(sample, one.name) is None]


def _processes(sample: Sample, tell: Callable[[str], None], owners: dict[int, Owner]) -> None:
    for process in sample.processes or ():
        owner = processes.owner(process.pid)
        if owner is None:
            tell(f"    process {process.pid}: not to be seen from here (another PID namespace? run with the host's)")
        else:
            owners[process.pid] = owner
            place = owner.pod_uid or owner.container_id or owner.systemd_unit or "no container or unit"
            labels = ", ".join(f"{key}={value}" for key, value in owner.labels) or "no labels"
            tell(f"    process {process.pid} {owner.executable}: {place}; {labels}")


def _door(settings: Settings, tell: Callable[[str], None]) -> bool:
    if settings.url is None:
        tell("door: no endpoint is set, nothing is sent")
        return bool(settings.prometheus)
    headers = dict(settings.headers) | ({"x-api-key": settings.api_key} if settings.api_key else {})
    answer = Door(settings.url, headers, settings.timeout_s).post(
        gzip.compress(ExportMetricsServiceRequest().SerializeToString())
    )
    tell(f"door {settings.url}: {'takes metrics' if answer.is_stored else answer.reason}")
    return answer.is_stored
