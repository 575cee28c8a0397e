"""The agent as it is started, beside a made-up driver: against our door, bad doors and a scraper."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from kit import nvml_stub
from kit.product import free_port
from kit.sdk_sink import Sink
from kit.sending import wait_until
from stanchion_wire import gpu

pytestmark = pytest.mark.slow

SECONDS = 40.0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_stub.build(tmp_path_factory.mktemp("nvml"))


@contextmanager
def agent(library: Path | None, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`run` with an export each second; ended by SIGTERM. What it logged is in `agent.log` of the folder."""
    told = {
        "STANCHION_GPU_EXPORT_S": "1",
        "STANCHION_GPU_SAMPLE_S": "0.5",
        "STANCHION_GPU_SPOOL": str(folder / "spool"),
    }
    with (folder / "agent.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stanchion_gpu", "run"],
            env=nvml_stub.environment(library, **told, **variables),
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)


def names(requests: list[ExportMetricsServiceRequest]) -> dict[str, int]:
    """Points by metric over all requests."""
    found: dict[str, int] = {}
    for request in requests:
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            points = getattr(metric, metric.WhichOneof("data")).data_points
            found[metric.name] = found.get(metric.name, 0) + len(points)
    return found


def ends_ns(requests: list[ExportMetricsServiceRequest]) -> list[int]:
    """Of each request the time of its heartbeat."""
    found = []
    for request in requests:
        metrics = {one.name: one for one in request.resource_metrics[0].scope_metrics[0].metrics}
        found.append(metrics[gpu.AGENT_UP].gauge.data_points[0].time_unix_nano)
    return found


def test_eight_cards_and_two_instances_arrive_with_a_heartbeat(library: Path, tmp_path: Path) -> None:
    with Sink() as sink, agent(library, tmp_path, STANCHION_ENDPOINT=sink.url, STANCHION_API_KEY="key-1") as process:
        wait_until(lambda: len(sink.metrics) >= 2, SECONDS, "two exports")
        process.terminate()
        assert process.wait(20) == 0
    found = names(sink.metrics)
    exports = len(sink.metrics)
    assert found[gpu.AGENT_UP] == exports
    assert found[gpu.MEMORY_USAGE] == 10 * exports
    assert found[gpu.POWER] == 7 * exports  # gpu3 supports none, MIG instances have none
    assert sink.headers[0]["x-api-key"] == "key-1"
    assert "reading cards by nvml" in (tmp_path / "agent.log").read_text()


@pytest.mark.django_db(transaction=True)
def test_our_own_door_takes_and_keeps_every_point(library: Path, tmp_path: Path, live_server: Any) -> None:
    from stanchion_server.tenants import services
    from stanchion_server.traces import partitions
    from stanchion_server.traces.models import MetricPoint

    partitions.forget()
    project = services.create_project(services.create_organisation("Acme"), "Cards")
    key = services.create_key(project, "agent", ["ingest"])
    with agent(library, tmp_path, STANCHION_ENDPOINT=live_server.url, STANCHION_API_KEY=key):
        wait_until(lambda: MetricPoint.objects.filter(name=gpu.ENERGY).count() >= 12, SECONDS, "stored energy")
    kept = MetricPoint.objects.filter(project_id=project.pk)
    assert set(kept.filter(name=gpu.ENERGY).values_list("attributes__hw.id", flat=True)) >= {"GPU-0", "GPU-7"}
    assert kept.filter(name=gpu.AGENT_UP).exists()
    assert not (tmp_path / "spool").exists() or not list((tmp_path / "spool").glob("*.gz"))


def test_an_outage_loses_nothing_that_the_spool_has_room_for(library: Path, tmp_path: Path) -> None:
    """Refused connections, then 503s, then a server: every interval arrives, in order."""
    port = free_port()
    with agent(library, tmp_path, STANCHION_ENDPOINT=f"http://127.0.0.1:{port}"):
        wait_until(lambda: len(list((tmp_path / "spool").glob("*.gz"))) >= 3, SECONDS, "three on disk")
    waiting = len(list((tmp_path / "spool").glob("*.gz")))
    with Sink() as sink:
        sink.answers = [503, 429]
        with agent(library, tmp_path, STANCHION_ENDPOINT=sink.url):
            wait_until(lambda: len(sink.metrics) > waiting, SECONDS, "the spool and more")
    assert ends_ns(sink.metrics) == sorted(ends_ns(sink.metrics))
    assert len(set(ends_ns(sink.metrics))) == len(sink.metrics)
    assert not list((tmp_path / "spool").glob("*.gz"))


def test_a_full_spool_drops_the_oldest_and_the_count_of_it_arrives(library: Path, tmp_path: Path) -> None:
    with Sink() as sink:
        sink.status = 503
        with agent(library, tmp_path, STANCHION_ENDPOINT=sink.url, STANCHION_GPU_SPOOL_BYTES="9000"):
            wait_until(lambda: _spooled(tmp_path) > 6000, SECONDS, "a full spool")
            first = min((tmp_path / "spool").glob("*.gz"))
            wait_until(lambda: not first.exists(), SECONDS, "the oldest to go")
            assert _spooled(tmp_path) <= 9000
            sink.status = 200
            wait_until(lambda: _dropped(sink) > 0, SECONDS, "the count of what was dropped")


def test_a_wrong_key_is_said_once_and_the_points_wait(library: Path, tmp_path: Path) -> None:
    with Sink() as sink:
        sink.status = 401
        with agent(library, tmp_path, STANCHION_ENDPOINT=sink.url):
            wait_until(lambda: len(list((tmp_path / "spool").glob("*.gz"))) >= 3, SECONDS, "three on disk")
    assert (tmp_path / "agent.log").read_text().count("not sent: HTTP 401") == 1


def test_sigkill_loses_at_most_the_interval_under_way(library: Path, tmp_path: Path) -> None:
    with agent(library, tmp_path, STANCHION_ENDPOINT=f"http://127.0.0.1:{free_port()}") as process:
        wait_until(lambda: len(list((tmp_path / "spool").glob("*.gz"))) >= 2, SECONDS, "two on disk")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    left = len(list((tmp_path / "spool").glob("*.gz")))
    assert left >= 2
    with Sink() as sink, agent(library, tmp_path, STANCHION_ENDPOINT=sink.url):
        wait_until(lambda: len(sink.metrics) >= left, SECONDS, "what was on disk")


def test_a_host_without_cards_is_said_and_its_heartbeat_goes_on(tmp_path: Path) -> None:
    with Sink() as sink, agent(None, tmp_path, STANCHION_ENDPOINT=sink.url, PATH="/nowhere"):
        wait_until(lambda: len(sink.metrics) >= 2, SECONDS, "two heartbeats")
    assert names(sink.metrics)[gpu.AGENT_UP] >= 2
    assert gpu.MEMORY_USAGE not in names(sink.metrics)
    assert "no GPU is read: no NVIDIA driver on this host" in (tmp_path / "agent.log").read_text()


def test_a_host_without_cards_ends_the_agent_when_it_is_not_to_wait(tmp_path: Path) -> None:
    with agent(None, tmp_path, STANCHION_GPU_PROMETHEUS="127.0.0.1:0", STANCHION_GPU_WAIT_FOR_GPU="no") as process:
        assert process.wait(20) == 1


def test_a_scraper_reads_the_last_interval(library: Path, tmp_path: Path) -> None:
    port = free_port()
    with agent(library, tmp_path, STANCHION_GPU_PROMETHEUS=f"127.0.0.1:{port}"):
        wait_until(lambda: "hw_power{" in _scraped(port), SECONDS, "a reading")
        text = _scraped(port)
    assert 'hw_gpu_memory_usage{hw_id="MIG-5-0"' in text


def test_once_prints_a_reading_and_doctor_says_what_is_not_reported(library: Path, tmp_path: Path) -> None:
    environment = nvml_stub.environment(library, STANCHION_GPU_SAMPLE_S="0.1")
    command = [sys.executable, "-P", "-m", "stanchion_gpu"]
    once = subprocess.run([*command, "once"], env=environment, capture_output=True, text=True, check=True, timeout=60)
    (resource,) = json.loads(once.stdout)["resourceMetrics"]
    assert gpu.UTILIZATION in {one["name"] for one in resource["scopeMetrics"][0]["metrics"]}
    told = subprocess.run(
        [*command, "doctor"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "cards: 10 read by nvml" in told.stdout
    assert "no endpoint is set, nothing is sent" in told.stdout
    assert told.returncode == 1


def test_a_wrong_setting_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with agent(None, tmp_path, STANCHION_GPU_ENGINES="vllm@nowhere") as process:
        assert process.wait(20) == 2
    assert "endpoint is 'nowhere'; write host:port" in (tmp_path / "agent.log").read_text()


def _spooled(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "spool").glob("*.gz"))


def _dropped(sink: Sink) -> float:
    if not sink.metrics:
        return 0
    metrics = {one.name: one for one in sink.metrics[-1].resource_metrics[0].scope_metrics[0].metrics}
    return float(metrics[gpu.AGENT_DROPPED].sum.data_points[0].as_double)


def _scraped(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return ""
