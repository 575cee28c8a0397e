"""The door's answers, and doors that stall."""

from __future__ import annotations

import gzip
import socket
import threading
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from kit.raw_server import answering
from stanchion_gpu import export


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, "stored"), (202, "stored"), (302, "setup"), (401, "setup"), (404, "setup"), (408, "later"),
        (429, "later"), (500, "later"), (503, "later"), (400, "final"), (413, "final"), (415, "final"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, fate: str) -> None:
    answer = export.answer_of(status, None, is_page=False)
    assert answer.is_stored == (fate == "stored")
    assert answer.is_final == (fate == "final")
    assert answer.is_setup == (fate == "setup")


def test_a_web_page_stored_nothing() -> None:
    assert not export.answer_of(200, None, is_page=True).is_stored


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("1e9", 300.0), ("-1", 0.0), ("Wed, 21 Oct", None), (None, None)]
)
def test_retry_after_is_bounded(told: str | None, seconds: float | None) -> None:
    assert export.answer_of(503, told, is_page=False).retry_after_s == seconds


def test_what_the_door_refused_of_a_request_is_told() -> None:
    response = ExportMetricsServiceResponse()
    response.partial_success.rejected_data_points = 3
    response.partial_success.error_message = "too old"
    answer = export.partly(export.Answer(is_stored=True), response.SerializeToString())
    assert (answer.is_stored, answer.rejected_points, answer.reason) == (True, 3, "too old")
    assert export.partly(export.Answer(is_stored=True), b"\xff\xff") == export.Answer(is_stored=True)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 2"])
def test_a_door_that_sends_a_byte_now_and_then_is_cut_off(head: bytes) -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while not ended.wait(0.01):
            connection.sendall(b"x")

    with answering(drip) as address:
        door = export.Door(f"http://{address}/v1/metrics", {}, timeout_s=0.05)
        thread = threading.Thread(target=door.post, args=(b"body",))
        thread.start()
        for _ in range(500):
            door.cut_off()
            thread.join(0.02)
            if not thread.is_alive():
                break
        ended.set()
        assert not thread.is_alive()


def test_while_a_door_stalls_requests_go_to_disk_and_not_only_to_memory(tmp_path: Path) -> None:
    going_on = threading.Event()
    asked = threading.Event()

    def stall(connection: socket.socket) -> None:
        asked.set()
        going_on.wait(10)

    with answering(stall) as address:
        door = export.Door(f"http://{address}/v1/metrics", {}, timeout_s=10.0)
        sender = export.Sender(door, tmp_path / "spool", 10**6, lambda _text: None)
        sender.start()
        sender.put(b"first", 1)
        assert asked.wait(10)
        for number in range(export.FEW + 1):
            sender.put(b"more %d" % number, 1)
        assert len(list((tmp_path / "spool").glob("*.gz"))) == export.FEW + 1
        going_on.set()
        assert sender.close(within_s=5.0)
    assert len(list((tmp_path / "spool").glob("*.gz"))) == export.FEW + 2
    assert sender.dropped_points == 0


def test_what_cannot_be_read_of_the_spool_is_counted_and_holds_up_nothing(tmp_path: Path) -> None:
    whole = gzip.compress(b"a request")
    (tmp_path / "00000000000000000001-5.gz").write_bytes(b"")
    (tmp_path / "00000000000000000002-7.gz").write_bytes(whole[:-3])
    (tmp_path / "00000000000000000003-2.gz").mkdir()
    (tmp_path / "00000000000000000004-9.gz").write_bytes(whole)
    dropped: list[int] = []
    spool = export.Spool(tmp_path, 10**6, dropped.append)
    parcel = spool.oldest()
    assert parcel is not None
    assert (parcel.body, parcel.points, dropped) == (whole, 9, [5, 7, 2])


def test_what_another_process_took_from_the_spool_is_not_counted_as_lost(tmp_path: Path) -> None:
    dropped: list[int] = []
    spool = export.Spool(tmp_path, 10**6, dropped.append)
    parcel = export.Parcel(gzip.compress(b"a request"), 3)
    assert spool.put(parcel)
    assert parcel.file is not None
    parcel.file.unlink()
    assert (spool.oldest(), spool.bytes, dropped) == (None, 0, [])
