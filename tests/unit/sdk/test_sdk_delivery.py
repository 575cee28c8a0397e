from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from kit.sdk_sink import Sink
from stanchion_sdk.delivery import Delivery
from stanchion_sdk.packing import Packer
from stanchion_sdk.processor import StanchionProcessor
from stanchion_sdk.settings import Settings
from stanchion_sdk.spool import Parcel, Spool


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


Made = tuple[Delivery, Callable[[int], None]]


def deliver(url: str, spool: Path | None, **more: object) -> Made:
    """A delivery, and what makes spans for it."""
    values = {"interval_s": 0.02, "request_timeout_s": 5.0, **more}
    settings = Settings(url, url + "/v1/traces", "stn_k", spool_dir=spool, **values)  # type: ignore[arg-type]
    delivery = Delivery(settings, Packer(settings, {"service.name": "svc"}))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(StanchionProcessor(delivery))
    tracer = provider.get_tracer("t")

    def make(count: int) -> None:
        for number in range(count):
            tracer.start_span(f"s{number}").end()

    return delivery, make


def wait_until(true: Callable[[], bool]) -> None:
    """Polls what another thread does; fails after 10 s."""
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_everything_arrives_once_compressed_and_with_the_key(sink: Sink, tmp_path: Path) -> None:
    delivery, make = deliver(sink.url, tmp_path)
    make(3000)
    assert delivery.flush(10)
    assert len({span.span_id for span in sink.spans}) == len(sink.spans) == 3000
    assert sink.headers[0]["authorization"] == "Bearer stn_k"
    assert sink.headers[0]["content-encoding"] == "gzip"
    assert sink.spans[0].resource["service.name"] == "svc"
    assert delivery.dropped == {}


def test_a_refusing_server_fills_the_spool_and_the_next_process_empties_it_in_order(sink: Sink, tmp_path: Path) -> None:
    sink.status = 503
    first, make = deliver(sink.url, tmp_path)
    for _ in range(3):
        make(10)
        first.flush(5)
    first.close(5)
    assert sink.spans == [] and first.dropped == {}
    first.after_fork()  # lets go of the lock as the end of the process would
    sink.status = 200
    second, make_more = deliver(sink.url, tmp_path)
    make_more(1)
    assert second.flush(5)
    assert len(sink.spans) == 31
    assert [span.name for span in sink.spans] == [f"s{n}" for n in range(10)] * 3 + ["s0"]
    assert not list(tmp_path.rglob("*.traces"))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 401, 404, 307])
def test_no_answer_but_a_stored_one_counts_as_stored(sink: Sink, tmp_path: Path, status: int) -> None:
    sink.answers = [status]
    delivery, make = deliver(sink.url, tmp_path)
    make(5)
    delivery.flush(5)
    assert sink.spans == [] and delivery.spool is not None and delivery.spool.waiting() == 1
    delivery._down_until = 0.001  # the wait is over
    make(1)
    assert delivery.flush(5)
    assert len(sink.spans) == 6


def test_a_batch_the_server_cannot_read_is_dropped_and_counted_and_reported(sink: Sink, tmp_path: Path) -> None:
    sink.answers = [400]
    delivery, make = deliver(sink.url, tmp_path)
    make(5)
    delivery.flush(5)
    assert delivery.dropped == {"refused_400": 5}
    wait_until(lambda: bool(sink.metrics))
    point = sink.metrics[0].resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    assert (point.as_int, point.attributes[0].value.string_value) == (5, "refused_400")


def test_a_batch_that_breaks_the_server_each_time_does_not_hold_up_the_rest(sink: Sink, tmp_path: Path) -> None:
    delivery, make = deliver(sink.url, tmp_path)
    sink.status = 500
    make(2)
    for _ in range(8):
        delivery.flush(5)
        delivery._down_until = 0.001
    sink.status = 200
    make(1)
    assert delivery.flush(5)
    assert delivery.dropped == {"refused_500": 2}
    assert len(sink.spans) == 1


@pytest.mark.parametrize("reply", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 fine\r\n\r\n"])
def test_nonsense_from_the_server_keeps_the_spans(sink: Sink, tmp_path: Path, reply: bytes) -> None:
    sink.reply = reply
    delivery, make = deliver(sink.url, tmp_path)
    make(4)
    delivery.flush(5)
    assert delivery.spool is not None and delivery.spool.waiting() == 1 and delivery.dropped == {}


def test_putting_a_span_never_waits_while_the_server_is_stalled(sink: Sink, tmp_path: Path) -> None:
    sink.gate.clear()
    delivery, make = deliver(sink.url, tmp_path)
    make(1)
    began = time.monotonic()
    make(5000)
    assert time.monotonic() - began < 3
    delivery.close(0.2)
    assert delivery.dropped == {}
    sink.gate.set()
    second, make_more = deliver(sink.url, tmp_path)
    delivery.after_fork()
    make_more(1)
    assert second.flush(10)
    wait_until(lambda: len({span.span_id for span in sink.spans}) == 5002)


def test_without_a_spool_memory_is_bounded_and_losses_are_counted(sink: Sink) -> None:
    sink.status = 503
    delivery, make = deliver(sink.url, None, queue_max_spans=50)
    delivery._threads = {"packer": None, "courier": None}  # type: ignore[dict-item]  # nobody packs
    make(80)
    assert delivery.dropped == {"queue_full": 30}


def test_a_full_queue_by_bytes_drops_too(sink: Sink) -> None:
    delivery, make = deliver(sink.url, None, queue_max_bytes=10 * 1024)
    delivery._threads = {"packer": None, "courier": None}  # type: ignore[dict-item]  # nobody packs
    make(20)
    assert delivery.dropped["queue_full"] > 5


def test_an_unusable_spool_folder_loses_nothing_while_memory_lasts(sink: Sink, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    sink.answers = [503]
    delivery, make = deliver(sink.url, file / "below")
    make(7)
    delivery.flush(5)
    delivery._down_until = 0.001
    make(1)
    assert delivery.flush(5)
    assert len(sink.spans) == 8 and delivery.dropped == {}


def spool_of(root: Path, limit: int = 100_000) -> tuple[Spool, list[tuple[str, int]]]:
    dropped: list[tuple[str, int]] = []
    return Spool(root, "address", limit, lambda reason, spans: dropped.append((reason, spans))), dropped


def test_the_spool_drops_the_oldest_first_and_says_how_many_spans(tmp_path: Path) -> None:
    spool, dropped = spool_of(tmp_path, 2 * 4096)
    for number in range(4):
        assert spool.put(Parcel("traces", bytes([number]) * 100, number + 1))
    assert dropped == [("spool_full", 1), ("spool_full", 2)]
    oldest = spool.oldest()
    assert oldest is not None and oldest.body == b"\x02" * 100 and oldest.spans == 3


def test_only_one_process_sends_and_a_dead_one_gives_the_lock_back(tmp_path: Path) -> None:
    first, _ = spool_of(tmp_path)
    second, _ = spool_of(tmp_path)
    first.put(Parcel("traces", b"x", 1))
    assert first.oldest() is not None and second.oldest() is None
    first.release()
    assert second.oldest() is not None


def test_half_written_parcels_are_never_sent(tmp_path: Path) -> None:
    spool, _ = spool_of(tmp_path)
    spool.put(Parcel("traces", b"whole", 1))
    (spool.folder / "00000000000000000000-1-000000-5.traces.tmp").write_bytes(b"half")
    oldest = spool.oldest()
    assert oldest is not None and oldest.body == b"whole" and spool.waiting() == 1


def test_the_spool_is_private_and_refuses_a_folder_that_others_can_write(tmp_path: Path) -> None:
    spool, _ = spool_of(tmp_path / "own")
    assert spool.put(Parcel("traces", b"x", 1))
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    shared, _ = spool_of(tmp_path / "shared")
    assert not shared.put(Parcel("traces", b"x", 1))


def test_a_full_disk_is_answered_and_not_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, _ = spool_of(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    assert not spool.put(Parcel("traces", b"x", 1))


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


def run_app(sink: Sink, spool: Path, body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", APP.format(body=body), sink.url, str(spool)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


WAYS_OUT = {
    "return": ("calls(200)", 0),
    "sys.exit": ("calls(200); sys.exit(3)", 3),
    "exception": ("calls(200); raise RuntimeError('x')", 1),
    "SIGINT": ("calls(200); os.kill(os.getpid(), signal.SIGINT); time.sleep(20)", -2),
    "SIGTERM": ("calls(200); os.kill(os.getpid(), signal.SIGTERM); time.sleep(20)", -15),
    "SIGTERM with a handler": (
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(7)); calls(200); os.kill(os.getpid(), signal.SIGTERM)",
        7,
    ),
    "SIGINT as the shell's default": (
        """signal.signal(signal.SIGINT, signal.SIG_DFL)
from stanchion_sdk import exits
exits._chain(signal.SIGINT)
calls(200)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(20)""",
        -2,
    ),
    "SIGTERM in the middle of a call": (
        "calls(1); threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()\ncalls(199)\nwhile True: pass",
        -15,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("body", "code"), WAYS_OUT.values(), ids=WAYS_OUT.keys())
def test_no_ordinary_way_out_of_a_process_loses_a_span(sink: Sink, tmp_path: Path, body: str, code: int) -> None:
    done = run_app(sink, tmp_path, body)
    assert done.returncode == code, done.stderr
    assert len({span.span_id for span in sink.spans}) == 200


def test_a_handler_that_was_there_is_called_after_the_flush(sink: Sink, tmp_path: Path) -> None:
    body = (
        "seen = []; signal.signal(signal.SIGTERM, lambda *a: seen.append(1)); from stanchion_sdk import exits\n"
        "exits._chain(signal.SIGTERM); calls(5); os.kill(os.getpid(), signal.SIGTERM); print('seen', seen); os._exit(0)"
    )
    done = run_app(sink, tmp_path, body)
    assert "seen [1]" in done.stdout
    assert len(sink.spans) == 5


FORKS = {
    "os.fork": "calls(3)\nif os.fork() == 0:\n    calls(2); sys.exit(0)\nos.wait(); calls(1)",
    "multiprocessing": """import multiprocessing as mp
calls(3)
child = mp.get_context('fork').Process(target=calls, args=(2,))
child.start(); child.join(); calls(1)""",
    "before any call": "if os.fork() == 0:\n    calls(2); sys.exit(0)\nos.wait(); calls(4)",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("body", FORKS.values(), ids=FORKS.keys())
def test_a_forked_child_sends_its_own_spans_and_none_twice(sink: Sink, tmp_path: Path, body: str) -> None:
    done = run_app(sink, tmp_path, body)
    assert done.returncode == 0, done.stderr
    assert sorted(len(span.span_id) for span in sink.spans) == [16] * 6
    assert len({span.span_id for span in sink.spans}) == 6


def test_an_exit_while_the_server_is_away_is_quick_and_keeps_everything(tmp_path: Path, sink: Sink) -> None:
    sink.status = 503
    began = time.monotonic()
    done = run_app(sink, tmp_path, "calls(50)")
    assert done.returncode == 0 and time.monotonic() - began < 8
    sink.status = 200
    run_app(sink, tmp_path, "calls(1); stanchion.flush(10)")
    assert len(sink.spans) == 51


def test_durable_mode_survives_a_kill_before_the_answer(tmp_path: Path, sink: Sink) -> None:
    sink.gate.clear()
    body = (
        "calls(50); d = __import__('stanchion_sdk.startup').startup.running().delivery\n"
        "d._to_pack.put(None)\n"
        "while not d.spool.waiting(): time.sleep(0.01)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", APP.format(body=body), sink.url, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "STANCHION_DURABLE": "1"},
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    sink.gate.set()
    run_app(sink, tmp_path, "calls(1); stanchion.flush(10)")
    assert len({span.span_id for span in sink.spans}) == 51
