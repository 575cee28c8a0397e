"""The agent as it is started, beside a made-up driver: against our door, bad doors and a scraper."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

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
    from stanchion_server.gpu.models import GpuDevice
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
    devices = {one.hw_id: one for one in GpuDevice.objects.filter(project=project)}
    assert len(devices) == 10
    assert (devices["GPU-4"].model, devices["GPU-4"].memory_bytes) == ("NVIDIA H100", 80 << 30)
    assert devices["MIG-5-1"].parent == "GPU-5"
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


def test_an_address_to_be_scraped_at_that_is_taken_ends_the_start_with_a_sentence(
    library: Path, tmp_path: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        agent(library, tmp_path, STANCHION_GPU_PROMETHEUS=f"127.0.0.1:{taken.getsockname()[1]}") as process,
    ):
        assert process.wait(20) == 2
    assert "cannot be listened on: Address already in use" in (tmp_path / "agent.log").read_text()


def test_a_driver_that_hangs_does_not_stop_the_heartbeat_and_its_cards_are_failed(
    library: Path, tmp_path: Path
) -> None:
    control = tmp_path / "control"
    control.write_text("")
    with Sink() as sink, agent(library, tmp_path, STANCHION_ENDPOINT=sink.url, STUB_CONTROL=str(control)) as process:
        wait_until(lambda: len(sink.metrics) >= 2, SECONDS, "two exports")
        control.write_text("hang")
        wait_until(lambda: _states(sink) == {"failed"}, SECONDS, "cards said to be failed")
        process.terminate()
        assert process.wait(20) == 0
    assert "the driver does not answer" in (tmp_path / "agent.log").read_text()


def test_what_a_door_refuses_of_a_request_is_counted(library: Path, tmp_path: Path) -> None:
    refusal = ExportMetricsServiceResponse()
    refusal.partial_success.rejected_data_points = 5
    refusal.partial_success.error_message = "points of tomorrow"
    body = refusal.SerializeToString()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
    with Sink() as sink, agent(library, tmp_path, STANCHION_ENDPOINT=sink.url):
        sink.reply = head.encode() + body
        log = tmp_path / "agent.log"
        wait_until(lambda: "refused 5 points: points of tomorrow" in log.read_text(), SECONDS, "the refusal to be said")
        sink.reply = None
        wait_until(lambda: _dropped(sink) >= 5, SECONDS, "the count of what was refused")


SERVING = """
import http.server, os, subprocess, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    tokens = 1000
    def do_GET(self):
        Handler.tokens += 10
        self.send_response(200); self.end_headers()
        self.wfile.write(b'vllm:num_requests_running{model_name="llama"} 3\\n'
                         b'vllm:generation_tokens_total{model_name="llama"} %d\\n' % Handler.tokens)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
worker = subprocess.Popen([sys.executable, sys.argv[1], "worker"], stdin=subprocess.PIPE)
print(server.server_port, worker.pid, flush=True)
try: server.serve_forever()
finally: worker.kill()
"""


@pytest.fixture
def vllm(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A made-up vLLM: its port, and the PID of its worker, which holds the card and listens to nothing."""
    server, worker = tmp_path / "vllm_server.py", tmp_path / "vllm_worker.py"
    server.write_text(SERVING)
    worker.write_text("import sys; sys.stdin.read()\n")
    process = subprocess.Popen(
        [sys.executable, str(server), str(worker), "--tensor-parallel-size=2"],
        env={**os.environ, "STANCHION_DEPLOYMENT": "chat", "STANCHION_JOB_KIND": "serve", "API_SECRET": "hush"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port, pid = map(int, process.stdout.readline().split())
    yield port, pid
    process.terminate()
    process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    process.stdout.close()


def test_an_engine_is_found_through_its_worker_and_its_tokens_count_from_nothing(
    library: Path, tmp_path: Path, vllm: tuple[int, int]
) -> None:
    port, pid = vllm
    with Sink() as sink, agent(library, tmp_path, STANCHION_ENDPOINT=sink.url, STUB_PID=str(pid)):
        wait_until(lambda: len(_points(sink, gpu.GENERATED_TOKENS)) >= 4, SECONDS, "readings of the engine")
    tokens = _points(sink, gpu.GENERATED_TOKENS)
    counts = [value for value, _ in itertools.groupby(value for value, _ in tokens)]
    # Ten a scrape, not the engine's thousand; an export tells the newest, so a slow one may not have seen nothing yet.
    assert counts[0] < counts[1] < 1_000 and not any(value % 10 for value in counts)
    said = tokens[0][1]
    assert said == {
        gpu.ENGINE: "vllm",
        gpu.ENGINE_ENDPOINT: f"127.0.0.1:{port}",
        gpu.ENGINE_MODEL: "llama",
        gpu.DEPLOYMENT: "chat",
        gpu.JOB_KIND: "serve",
        gpu.TENSOR_PARALLEL: "2",
    }
    assert any(said.get(gpu.DEPLOYMENT) == "chat" for _, said in _points(sink, gpu.PROCESS_MEMORY))
    assert not any(b"hush" in request.SerializeToString() for request in sink.metrics)


def test_an_engine_that_stalls_does_not_hold_up_the_cards(library: Path, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Sink() as sink,
        agent(
            library,
            tmp_path,
            STANCHION_ENDPOINT=sink.url,
            STANCHION_GPU_ENGINES=f"vllm@127.0.0.1:{silent.getsockname()[1]}",
        ),
    ):
        wait_until(lambda: bool(_points(sink, gpu.ENGINE_UP)), SECONDS, "the engine to be said to be away")
    assert {value for value, _ in _points(sink, gpu.ENGINE_UP)} == {0}
    gaps_s = [(after - before) / 1e9 for before, after in itertools.pairwise(ends_ns(sink.metrics))]
    assert max(gaps_s[:-1]) < 2.0  # the engine is waited for two seconds


def test_once_prints_a_reading_and_doctor_says_what_is_not_reported(library: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with socket.create_server(("127.0.0.1", 0)) as taken:  # by the daemon beside which someone looks
        port = taken.getsockname()[1]
        environment = nvml_stub.environment(
            library,
            STANCHION_GPU_SAMPLE_S="0.1",
            STANCHION_GPU_SPOOL=str(spool),
            STANCHION_GPU_PROMETHEUS=f"127.0.0.1:{port}",
        )
        command = [sys.executable, "-P", "-m", "stanchion_gpu"]
        run = {"env": environment, "capture_output": True, "text": True, "timeout": 60}
        once = subprocess.run([*command, "once"], check=True, **run)
    assert not spool.exists()
    (resource,) = json.loads(once.stdout)["resourceMetrics"]
    assert gpu.UTILIZATION in {one["name"] for one in resource["scopeMetrics"][0]["metrics"]}
    told = subprocess.run([*command, "doctor"], check=False, **run)
    assert "cards: 10 read by nvml" in told.stdout
    assert "no endpoint is set, nothing is sent" in told.stdout
    assert told.returncode == 0  # to be scraped is enough


def test_a_wrong_setting_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with agent(None, tmp_path, STANCHION_GPU_ENGINES="vllm@nowhere") as process:
        assert process.wait(20) == 2
    assert "endpoint is 'nowhere'; write host:port" in (tmp_path / "agent.log").read_text()


def _points(sink: Sink, name: str) -> list[tuple[float, dict[str, str]]]:
    """Value and attributes of each point of a metric, in the order of arrival."""
    found = []
    for request in list(sink.metrics):
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            if metric.name == name:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    said = {one.key: one.value.string_value for one in point.attributes}
                    found.append((point.as_double, said))
    return found


def _states(sink: Sink) -> set[str]:
    """Of all cards in the last export."""
    last = Sink(metrics=sink.metrics[-1:])
    return {said[gpu.HW_STATE] for value, said in _points(last, gpu.STATUS) if value == 1}


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
