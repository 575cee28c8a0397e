"""The address to be scraped at: what it shows, and who cannot hold it up."""

from __future__ import annotations

import socket
import struct
import time
import urllib.request
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stanchion_gpu import __main__, meters, points, scrape
from stanchion_gpu.records import Card, GpuProcess, Owner, Sample


@pytest.fixture
def endpoint() -> Iterator[scrape.Endpoint]:
    endpoint = scrape.Endpoint("127.0.0.1", 0)
    endpoint.show("up 1\n")
    yield endpoint
    endpoint.close()


def connected(endpoint: scrape.Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)


def scraped(endpoint: scrape.Endpoint) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def until_served(endpoint: scrape.Endpoint, seconds: float = 10.0) -> str:
    """Asks again while places are taken."""
    until = time.monotonic() + seconds
    while True:
        try:
            return scraped(endpoint)
        except OSError:
            if time.monotonic() > until:
                raise


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_process_is_called_a_scraper_reads_it_as_one_label(name: str, label: str) -> None:
    card = Card("GPU-1", "gpu0")
    meter = meters.CardMeter(card)
    meter.add(Sample(card, processes=(GpuProcess(7, 512),)), 0.0)
    owners = {7: Owner(executable=name, labels=(("stanchion.feature", label),))}
    request, _count = points.request(points.Interval(1, 2, (meter,), owners), {})
    families = {one.name: one for one in text_string_to_metric_families(scrape.text(request))}
    (found,) = families["stanchion_gpu_process_memory_usage"].samples
    assert found.labels.get("process_executable_name", "") == name
    assert (found.labels["stanchion_feature"], found.value) == (label, 512)


def test_a_client_that_goes_away_writes_nothing_to_the_log(
    endpoint: scrape.Endpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    endpoint.show("x" * 10_000_000)
    for _ in range(3):
        client = connected(endpoint)
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        client.recv(100)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a farewell
        client.close()
    endpoint.show("up 1\n")
    assert until_served(endpoint) == "up 1\n"
    endpoint.close()
    assert capfd.readouterr().err == ""


def test_slow_clients_take_a_bounded_number_of_places_and_are_cut_off(
    endpoint: scrape.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = [connected(endpoint) for _ in range(scrape.MOST_AT_ONCE)]
    for client in slow:
        client.sendall(b"GET /met")
    late = connected(endpoint)
    assert late.recv(1) == b""
    monkeypatch.setattr(scrape, "LASTS_S", -1.0)
    endpoint.show("up 1\n")
    assert [client.recv(1) for client in slow] == [b""] * len(slow)
    assert until_served(endpoint) == "up 1\n"
    for client in (*slow, late):
        client.close()


def test_the_log_is_one_line_whatever_a_door_said(capsys: pytest.CaptureFixture[str]) -> None:
    __main__.say("the door refused 3 points: bad\nstanchion-gpu-agent: all is well\x1b[2J")
    assert capsys.readouterr().err == (
        "stanchion-gpu-agent: the door refused 3 points: bad stanchion-gpu-agent: all is well [2J\n"
    )


def test_an_address_of_the_other_family_can_be_had_where_the_host_has_it() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this host")
    try:
        endpoint = scrape.Endpoint("::1", 0)
    except scrape.NoAddress as error:
        pytest.skip(str(error))
    endpoint.close()
