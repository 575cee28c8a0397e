"""What runs: a thread that reads cards, one that reads engines, one that sends, and this loop, which puts together what
they found each ten seconds."""

from __future__ import annotations

import os
import platform
import socket
import threading
import time
from collections.abc import Callable, Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from stanchion_gpu import __version__, host, meters, points, processes, scrape
from stanchion_gpu.export import Door, Sender
from stanchion_gpu.records import Owner
from stanchion_gpu.sampling import Sampler
from stanchion_gpu.settings import Engine, Settings
from stanchion_gpu.watching import Watch, discovered
from stanchion_wire import gpu

OWNERS_LAST_S = 30.0
ENDING_LASTS_S = 5.0


class Agent:
    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._start_ns = time.time_ns()
        self._owners: dict[int, tuple[float, Owner]] = {}
        self._discovered_s = float("-inf")
        self._failures = 0
        self.stop = threading.Event()
        self._sampler = Sampler(settings.source, settings.sample_s, say, self.stop)
        self._watch = Watch(settings.engines, settings.export_s, self.stop)
        self._sender: Sender | None = None
        self._endpoint: scrape.Endpoint | None = None

    def run(self) -> None:
        """Until `stop` is set; then what is left is sent or kept on disk, within a few seconds. NoDriver when there is
        no card and the settings say not to wait for one; NoAddress when the one to be scraped at cannot be had."""
        self._endpoint = _endpoint(self._settings)
        self._sampler.start()
        if self._sampler.refusal is not None and not self._settings.wait_for_gpu:
            raise self._sampler.refusal
        self._sender = _sender(self._settings, self._say)
        if self._sender is not None:
            self._sender.start()
        self._watch.start()
        next_export_s = time.monotonic() + self._settings.export_s
        while not self.stop.wait(next_export_s - time.monotonic()):
            self._guarded(self._export)
            next_export_s = max(next_export_s + self._settings.export_s, time.monotonic())
        self._end()

    def once(self) -> ExportMetricsServiceRequest:
        """One reading as a request, nothing sent or kept. Rates need two samples, so it takes a second."""
        self._sampler.once()
        self.stop.wait(min(self._settings.sample_s, 1.0))
        self._sampler.once()
        owners = self._known_owners()
        self._look_for_engines(owners)
        self._watch.read_all()
        request, _points = points.request(self._interval(owners), self.resource())
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

    def _export(self) -> None:
        owners = self._known_owners()
        self._look_for_engines(owners)
        with self._sampler.guard:
            self._sampler.judge_silence()
            request, count = points.request(self._interval(owners), self.resource())
            for meter in self._sampler.meters.values():
                meter.start_again()
        if self._endpoint is not None:
            self._endpoint.show(scrape.text(request))
        if self._sender is not None:
            self._sender.put(request.SerializeToString(), count)

    def _interval(self, owners: Mapping[int, Owner]) -> points.Interval:
        cards = tuple(self._sampler.meters.values())
        watched = self._watch.readings()
        failed = {"gpu": self._sampler.errors, "engine": self._watch.errors, "late": self._sampler.late_samples}
        return points.Interval(
            start_ns=self._start_ns,
            end_ns=time.time_ns(),
            cards=cards,
            owners=owners,
            card_labels={one.card.uuid: self._card_labels(one) for one in cards},
            engines=tuple(one.reading for one in watched),
            engine_labels={one.reading.endpoint: _engine_labels(one.engine) for one in watched},
            host=host.read(),
            source=self._sampler.source_name,
            dropped_points=0 if self._sender is None else self._sender.dropped_points,
            read_errors={**failed, "agent": self._failures},
            spooled_bytes=0 if self._sender is None else self._sender.spooled_bytes,
        )

    def _card_labels(self, meter: meters.CardMeter) -> Mapping[str, str]:
        """An instance that has none of its own takes its card's."""
        told, card = self._settings.cards, meter.card
        names = (card.uuid, card.name, card.parent or "", card.name.partition("/")[0])
        return next((told[name] for name in names if name in told), {})

    def _known_owners(self) -> dict[int, Owner]:
        """Of the processes on the cards; looked up again now and then: a PID may come to mean another process."""
        with self._sampler.guard:
            pids = {process.pid for meter in self._sampler.meters.values() for process in meter.processes or ()}
        now_s = time.monotonic()
        kept = {pid: seen for pid, seen in self._owners.items() if pid in pids and now_s - seen[0] < OWNERS_LAST_S}
        for pid in pids - kept.keys():
            found = processes.owner(pid)
            if found is not None:
                kept[pid] = (now_s, found)
        self._owners = kept
        return {pid: owner for pid, (_at, owner) in kept.items()}

    def _look_for_engines(self, owners: Mapping[int, Owner]) -> None:
        now_s = time.monotonic()
        if self._settings.discover_engines and now_s - self._discovered_s >= OWNERS_LAST_S:
            self._discovered_s = now_s
            self._watch.look(discovered(owners))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # the border of one tick
            self._failures += 1
            if self._failures in (1, 10, 100, 1000):
                self._say(f"an export failed ({self._failures} so far): {type(error).__name__}: {error}")

    def _end(self) -> None:
        self._sampler.close()
        self._guarded(self._export)
        if self._sender is not None and not self._sender.close(within_s=ENDING_LASTS_S):
            self._say(f"{self._sender.dropped_points} points could neither be sent nor kept")
        if self._endpoint is not None:
            self._endpoint.close()


def _engine_labels(engine: Engine) -> dict[str, str]:
    parallel = {} if engine.tensor_parallel is None else {gpu.TENSOR_PARALLEL: str(engine.tensor_parallel)}
    return {**engine.labels, **parallel}


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
    return scrape.Endpoint(name.strip("[]"), int(port))
