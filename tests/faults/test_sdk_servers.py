"""A telemetry server in every bad state: the application goes on, and its spans wait on disk for a good one."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from kit.sdk_sink import Sink
from stanchion_sdk.delivery import Delivery
from stanchion_sdk.packing import Packer
from stanchion_sdk.processor import StanchionProcessor
from stanchion_sdk.settings import Settings
from stanchion_sdk.transport import Fate, Transport

Talk = Callable[[socket.socket, threading.Event], None]


def repeat(head: bytes, piece: bytes, pause_s: float = 0.0) -> Talk:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while not over.wait(pause_s):
            connection.sendall(piece)

    return talk


def answer(reply: bytes) -> Talk:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(reply)

    return talk


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


BOMB = gzip.compress(bytes(50_000_000))
OK = b"HTTP/1.1 200 OK\r\n"
SERVERS: dict[str, Talk] = {
    "accepts and never answers": silent,
    "hangs up": lambda connection, over: None,
    "talks nonsense": answer(os.urandom(512) + b"\r\n\r\n"),
    "redirects elsewhere": answer(b"HTTP/1.1 307 M\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
    "shows a login page": answer(OK + b"Content-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>"),
    "answers 503 with a body without end": repeat(b"HTTP/1.1 503 Away\r\n\r\n", b"x" * 65536),
    "answers 503 one byte at a time": repeat(b"HTTP/1.1 503 Away\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.02),
    "says continue for ever": repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.0),
    "sends headers for ever": repeat(b"HTTP/1.1 503 Away\r\n", b"X-A: b\r\n", 0.01),
    "sends one header without end": repeat(b"HTTP/1.1 503 Away\r\nX-A: ", b"b" * 65536),
    "sends a gzip bomb": answer(
        b"HTTP/1.1 503 Away\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    ),
    "gives an absurd Retry-After": answer(b"HTTP/1.1 503 A\r\nRetry-After: 1e309\r\nContent-Length: 0\r\n\r\n"),
    "gives a length that is none": answer(b"HTTP/1.1 503 A\r\nContent-Length: -5\r\n\r\n"),
}  # fmt: skip


@contextmanager
def serving(talk: Talk) -> Iterator[str]:
    """A server that treats every connection so."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.settimeout(0.05)
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, over)

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                thread = threading.Thread(target=one, args=(listener.accept()[0],), daemon=True)
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        accepting.join(5)
        for thread in threads:
            thread.join(5)
        listener.close()


def deliver(url: str, spool: Path | None) -> tuple[Delivery, Callable[[int], None]]:
    settings = Settings(url, url + "/v1/traces", "stn_k", spool_dir=spool, interval_s=0.02, request_timeout_s=0.2)
    delivery = Delivery(settings, Packer(settings, {}))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(StanchionProcessor(delivery))

    def make(count: int) -> None:
        for number in range(count):
            provider.get_tracer("t").start_span(f"s{number}").end()

    return delivery, make


def spooled(folder: Path) -> int:
    return sum(int(path.stem.rpartition("-")[2]) for path in folder.rglob("*.traces"))


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_keeps_the_courier_or_makes_it_forget_a_span(name: str, tmp_path: Path) -> None:
    with serving(SERVERS[name]) as url:
        delivery, make = deliver(url, tmp_path)
        make(20)
        delivery.flush(3)
        delivery.close(1.0)
        assert delivery.dropped == {}
        assert spooled(tmp_path) == 20


@pytest.mark.parametrize(
    "url", ["http://nowhere.invalid", "https://127.0.0.1:1", "http://[::1", "gopher://x", "http://"]
)
def test_an_address_that_leads_nowhere_costs_no_span(url: str, tmp_path: Path) -> None:
    delivery, make = deliver(url, tmp_path)
    make(20)
    delivery.flush(3)
    delivery.close(1.0)
    assert spooled(tmp_path) == 20 and delivery.dropped == {}


def test_a_server_that_never_finishes_its_tls_greeting_is_given_up(tmp_path: Path) -> None:
    with serving(silent) as url:
        delivery, make = deliver(url.replace("http:", "https:"), tmp_path)
        make(3)
        delivery.flush(3)
        delivery.close(1.0)
        assert spooled(tmp_path) == 3


def test_an_answer_that_drips_is_cut_off_and_counts_as_none() -> None:
    with serving(SERVERS["answers 503 one byte at a time"]) as url:
        transport = Transport({}, 0.1)
        found: list[Fate] = []
        waiting = threading.Thread(target=lambda: found.append(transport.post(url, b"", {}).fate))
        waiting.start()
        limit = time.monotonic() + 20
        while waiting.is_alive():
            transport.cut_off()
            waiting.join(0.02)
            assert time.monotonic() < limit
    assert found == [Fate.LATER]


def test_once_the_server_is_good_again_everything_arrives_in_order(tmp_path: Path) -> None:
    with Sink() as sink:
        sink.status = 503
        delivery, make = deliver(sink.url, tmp_path)
        for _ in range(30):
            make(5)
            delivery.flush(5)
        assert 1 <= len(list(tmp_path.rglob("*.traces"))) <= 3, "small parcels share a file"
        sink.status = 200
        delivery._down_until = 0.001
        make(1)
        assert delivery.flush(10)
        assert [span.name for span in sink.spans] == [f"s{n}" for n in range(5)] * 30 + ["s0"]
        assert len({span.span_id for span in sink.spans}) == 151
        assert not list(tmp_path.rglob("*.traces"))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of that size; where this user may not mount one, the test is skipped."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def flush_now(delivery: Delivery) -> bool:
    delivery._down_until = 0.001
    return delivery.flush(10)


def test_a_full_disk_costs_no_span_while_memory_lasts(tmp_path: Path) -> None:
    with Sink() as sink, small_disk(tmp_path / "disk", "64k") as disk:
        sink.status = 503
        delivery, make = deliver(sink.url, disk / "spool")
        make(1)
        delivery.flush(5)
        with contextlib.suppress(OSError):
            (disk / "filler").write_bytes(os.urandom(256 * 1024))
        for _ in range(5):
            make(200)
            delivery.flush(5)
        assert delivery.dropped == {} and not list(disk.rglob("*.tmp"))
        sink.status = 200
        make(1)
        assert any(flush_now(delivery) for _ in range(3))  # an attempt that was under way may still have met the 503
        assert len({span.span_id for span in sink.spans}) == 1002


APP = """
import os, signal, sys, threading, time
import stanchion_sdk as stanchion
# A shell that starts the tests in its background has them ignore SIGINT, and Python leaves that so.
signal.signal(signal.SIGINT, signal.default_int_handler)
assert stanchion.init(sys.argv[1], "stn_k", service_name="app", spool_dir=sys.argv[2], interval_s=30)
def calls(n):
    for i in range(n):
        stanchion.record_call(provider="p", model="m", input="hello " + str(i))
{body}
"""


def run_app(sink: Sink, spool: Path, body: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", APP.format(body=body), sink.url, str(spool)],
        capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
    )  # fmt: skip


PREFORK = """
calls(3)                                    # the master preloads the application and records, threads running
workers = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        def leave(*_):
            raise SystemExit(0)             # as gunicorn's workers do on SIGTERM
        signal.signal(signal.SIGTERM, leave)
        calls(5)
        if number == 3:
            grandchild = os.fork()
            calls(2)
            if grandchild == 0:
                sys.exit(0)
            os.waitpid(grandchild, 0)
        open(sys.argv[2] + f"/ready-{number}", "w").close()
        while True:
            time.sleep(1)
    workers.append(pid)
while sum(name.startswith("ready-") for name in os.listdir(sys.argv[2])) < 4:
    time.sleep(0.02)
calls(2)
for pid in workers:
    os.kill(pid, signal.SIGTERM)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers])
"""


@pytest.mark.slow
def test_a_preforking_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Sink() as sink:
        done = run_app(sink, tmp_path, PREFORK)
        assert done.stdout.strip() == "[0, 0, 0, 0]", done.stderr
        assert len(sink.spans) == len({span.span_id for span in sink.spans}) == 3 + 4 * 5 + 2 * 2 + 2


LATE = {
    "an exit handler that runs behind ours": """
import atexit
from stanchion_sdk import exits
atexit.unregister(exits._at_exit)
atexit.register(calls, 4)
atexit.register(exits._at_exit)
calls(1)""",
    "a thread pool that is still busy": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(4)
for _ in range(5):
    pool.submit(lambda: (time.sleep(0.1), calls(1)))""",
    "threads that are not daemons": """
for _ in range(5):
    threading.Thread(target=lambda: (time.sleep(0.1), calls(1))).start()""",
    "after a public shutdown": "calls(2)\nstanchion.shutdown()\ncalls(3)",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", LATE.values(), ids=LATE.keys())
def test_what_is_recorded_while_the_interpreter_goes_down_is_kept(body: str, tmp_path: Path) -> None:
    with Sink() as sink:
        done = run_app(sink, tmp_path, body)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        run_app(sink, tmp_path, "calls(1); stanchion.flush(10)")
        assert len({span.span_id for span in sink.spans}) == 6


def test_without_a_thread_to_be_had_the_exit_sends(tmp_path: Path) -> None:
    body = 'def no(*_): raise RuntimeError("can\'t start new thread")\nthreading.Thread.start = no\ncalls(7)'
    with Sink() as sink:
        done = run_app(sink, tmp_path, body)
        assert done.returncode == 0 and len(sink.spans) == 7, done.stderr


@pytest.mark.slow
def test_memory_stays_bounded_when_nothing_can_be_sent_or_stored(tmp_path: Path) -> None:
    """The queue's bound is 64 MiB and the outbox's 16; a gigabyte of events goes through."""
    body = """
from opentelemetry import trace
tracer = trace.get_tracer("app")
def rss():
    return int(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0]) // 1024
before = rss()
for number in range(1000):
    with tracer.start_as_current_span("s") as span:
        span.add_event("log", {"body": os.urandom(500_000).hex()})
print(rss() - before, sum(stanchion.dropped().values()) > 0)
os._exit(0)
"""
    with Sink() as sink:
        sink.gate.clear()
        done = run_app(sink, Path("off"), body)
        grown, dropped = done.stdout.split()
        assert int(grown) < 250 and dropped == "True", done.stdout + done.stderr
        sink.gate.set()


SECRETS = re.compile(rb"ann@example|hunter2|4111|abcdefghijklmnopqrst")


@pytest.mark.parametrize("content", ["masked", "off"])
def test_nothing_planted_reaches_the_disk_either(tmp_path: Path, content: str) -> None:
    body = """
text = "mail ann@example.org card 4111 1111 1111 1111 key sk-proj-abcdefghijklmnopqrst password=hunter2hunter2"
from opentelemetry import trace
with trace.get_tracer("t").start_as_current_span("ask " + text) as span:
    span.add_event(text, {"body": text})
    span.set_attribute("input.value", text)
    stanchion.record_call(provider="p", model="m", input=text, output=text, error=ValueError(text))
    stanchion.feedback(comment=text, label=text, correction=text, session_id="ann@example.org")
stanchion.flush(3)
"""
    with Sink() as sink:
        sink.status = 503
        done = run_app(sink, tmp_path, body, STANCHION_CONTENT=content)
        assert done.returncode == 0, done.stderr
        files = [path for path in tmp_path.rglob("*") if path.suffix in (".traces", ".feedback")]
        assert len(files) == 2
        for path in files:
            assert not SECRETS.search(gzip.decompress(path.read_bytes())), path
