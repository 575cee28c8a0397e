"""The loop: sample each second, send each ten. An error of one reading is counted and the loop goes on."""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from stanchion_gpu import __version__, engines, host, meters, nvml, points, processes, scrape, smi
from stanchion_gpu.export import Door, Sender
from stanchion_gpu.records import EngineReading, Owner, Sample
from stanchion_gpu.settings import Engine, Settings
from stanchion_wire import gpu

# Cards are looked for again this often while there are none.
LOOK_AGAIN_S = 30.0
OWNERS_LAST_S = 30.0
MOST_ENGINES = 16


class Source(Protocol):
    """Where samples come from."""

    @property
    def errors(self) -> int: ...

    def read(self) -> list[Sample]: ...

    def close(self) -> None: ...


class Smi:
    """`nvidia-smi` as a source; a failed call is an error and no samples."""

    def __init__(self) -> None:
        self.errors = 0
        smi.read()

    def read(self) -> list[Sample]:
        try:
            return smi.read()
        except smi.NoTool:
            self.errors += 1
            return []

    def close(self) -> None:
        """Nothing is held between calls."""


def open_source(wanted: str) -> tuple[str, Source]:
    """NVML, or the tool where NVML cannot be loaded. NoDriver says why there is neither."""
    if wanted in ("auto", "nvml"):
        try:
            return "nvml", nvml.Reader()
        except nvml.NoDriver as error:
            if wanted == "nvml":
                raise
            reason = str(error)
    else:
        reason = ""
    try:
        return "nvidia-smi", Smi()
    except smi.NoTool as error:
        raise nvml.NoDriver("; ".join(part for part in (reason, str(error)) if part)) from error


class Agent:
    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._source: Source | None = None
        self._source_name = ""
        self._start_ns = time.time_ns()
        self._meters: dict[str, meters.CardMeter] = {}
        self._owners: dict[int, tuple[float, Owner]] = {}
        self._loop_errors = 0
        self._looked_s = float("-inf")
        self.stop = threading.Event()
        self._sender = _sender(settings, say)
        self._endpoint = _endpoint(settings)

    def run(self) -> None:
        """Until `stop` is set; then what is left is sent or kept on disk, within a few seconds."""
        self._open()
        if self._sender is not None:
            self._sender.start()
        next_sample_s = time.monotonic()
        next_export_s = next_sample_s + self._settings.export_s
        while not self.stop.is_set():
            self._guarded(self._sample)
            now_s = time.monotonic()
            if now_s >= next_export_s:
                self._guarded(self._export)
                next_export_s += max(self._settings.export_s, now_s - next_export_s)
            # A reading that took too long is not made up for: the next one is a whole step later.
            next_sample_s = max(next_sample_s + self._settings.sample_s, now_s)
            self.stop.wait(next_sample_s - time.monotonic())
        self._end()

    def once(self) -> ExportMetricsServiceRequest:
        """One reading as a request, nothing sent. Rates need two samples, so it takes a second."""
        self._open()
        self._sample()
        self.stop.wait(min(self._settings.sample_s, 1.0))
        self._sample()
        request, _points = points.request(self._interval(), self.resource())
        return request

    def resource(self) -> dict[str, str]:
        name = self._settings.host_name or os.environ.get("NODE_NAME") or socket.gethostname()
        return {
            "service.name": gpu.SERVICE_NAME,
            "service.version": __version__,
            "service.instance.id": name,
            "host.name": name,
            "host.arch": platform.machine(),
            **self._settings.labels,
        }

    def _open(self) -> None:
        try:
            self._source_name, self._source = open_source(self._settings.source)
            self._say(f"reading cards by {self._source_name}")
        except nvml.NoDriver as error:
            if self._source is None and self._looked_s == float("-inf"):
                self._say(f"no GPU is read: {error}" + self._plan())
            if not self._settings.wait_for_gpu:
                raise
        self._looked_s = time.monotonic()

    def _plan(self) -> str:
        return f"; looking again every {LOOK_AGAIN_S:.0f} s" if self._settings.wait_for_gpu else ""

    def _sample(self) -> None:
        if self._source is None:
            if time.monotonic() - self._looked_s >= LOOK_AGAIN_S:
                self._open()
            return
        before = {uuid: meter.state for uuid, meter in self._meters.items()}
        meters.add_all(self._meters, self._source.read(), time.monotonic())
        for uuid, meter in self._meters.items():
            if uuid in before and before[uuid] is not meter.state:
                self._say(f"{meter.card.name} ({uuid}) is {meter.state.value}, was {before[uuid].value}")

    def _export(self) -> None:
        request, count = points.request(self._interval(), self.resource())
        for meter in self._meters.values():
            meter.start_again()
        if self._endpoint is not None:
            self._endpoint.show(scrape.text(request))
        if self._sender is not None:
            self._sender.put(request.SerializeToString(), count)

    def _interval(self) -> points.Interval:
        cards = tuple(self._meters.values())
        owners = self._owners_of({process.pid for card in cards for process in card.processes})
        found = self._engines(owners)
        return points.Interval(
            start_ns=self._start_ns,
            end_ns=time.time_ns(),
            cards=cards,
            owners=owners,
            card_labels={one.card.uuid: self._card_labels(one) for one in cards},
            engines=tuple(reading for reading, _labels in found),
            engine_labels={reading.endpoint: labels for reading, labels in found},
            host=host.read(),
            source=self._source_name,
            dropped_points=0 if self._sender is None else self._sender.dropped_points,
            read_errors=self._loop_errors + (0 if self._source is None else self._source.errors),
            spooled_bytes=0 if self._sender is None else self._sender.spooled_bytes,
        )

    def _card_labels(self, meter: meters.CardMeter) -> Mapping[str, str]:
        cards = self._settings.cards
        return cards.get(meter.card.uuid) or cards.get(meter.card.name) or {}

    def _owners_of(self, pids: set[int]) -> dict[int, Owner]:
        """Looked up again now and then: a PID may come to mean another process."""
        now_s = time.monotonic()
        kept = {pid: seen for pid, seen in self._owners.items() if pid in pids and now_s - seen[0] < OWNERS_LAST_S}
        for pid in pids - kept.keys():
            found = processes.owner(pid)
            if found is not None:
                kept[pid] = (now_s, found)
        self._owners = kept
        return {pid: owner for pid, (_at, owner) in kept.items()}

    def _engines(self, owners: Mapping[int, Owner]) -> list[tuple[EngineReading, Mapping[str, str]]]:
        known = {one.endpoint: one for one in self._settings.engines}
        if self._settings.discover_engines:
            for one in discovered(owners):
                known.setdefault(one.endpoint, one)
        return [(engines.read(one.kind, one.endpoint), one.labels) for one in list(known.values())[:MOST_ENGINES]]

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except nvml.NoDriver:
            raise
        except Exception as error:  # the border of one tick
            self._loop_errors += 1
            if self._loop_errors in (1, 10, 100, 1000):
                self._say(f"a reading failed ({self._loop_errors} so far): {type(error).__name__}: {error}")

    def _end(self) -> None:
        self._guarded(self._sample)  # the last export may have been a moment ago
        self._guarded(self._export)
        if self._sender is not None and not self._sender.close(within_s=5.0):
            self._say(f"{self._sender.dropped_points} points could neither be sent nor kept")
        if self._endpoint is not None:
            self._endpoint.close()
        if self._source is not None:
            self._source.close()


def discovered(owners: Mapping[int, Owner]) -> list[Engine]:
    """Engines among the processes on the cards, at the port they listen on that is the engine's usual one, or else
    the lowest. Their labels are those of their process."""
    serving = {pid: owner for pid, owner in owners.items() if owner.engine is not None}
    ports = processes.listening_ports(serving) if serving else {}
    found: list[Engine] = []
    for pid, owner in serving.items():
        assert owner.engine is not None
        open_ports = ports.get(pid, [])
        if open_ports:
            usual = engines.VOCABULARIES[owner.engine].port
            port = usual if usual in open_ports else open_ports[0]
            found.append(Engine(owner.engine, f"127.0.0.1:{port}", dict(owner.labels)))
    return found


def _sender(settings: Settings, say: Callable[[str], None]) -> Sender | None:
    if settings.url is None:
        return None
    headers = dict(settings.headers)
    if settings.api_key:
        headers["x-api-key"] = settings.api_key
    sender = Sender(Door(settings.url, headers, settings.timeout_s), settings.spool, settings.spool_bytes, say)
    if settings.spool_bytes and not sender.keeps_on_disk:
        say(f"{settings.spool} cannot be written: through an outage at most an hour is kept, in memory")
    return sender


def _endpoint(settings: Settings) -> scrape.Endpoint | None:
    if not settings.prometheus:
        return None
    name, _, port = settings.prometheus.rpartition(":")
    return scrape.Endpoint(name or "127.0.0.1", int(port))
