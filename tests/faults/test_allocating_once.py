"""Whatever is killed: each hour is paid once and in full, and every joule is in one five minutes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kit import fleet, otlp, product
from kit.product import Product
from kit.sending import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
HOURS, CARDS = 30, 6
LIMIT_S = 240.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Product]:
    with product.running(tmp_path / "data") as running:
        yield running


def post(server: Product, path: str, key: str, body: bytes, media_type: str = "application/json") -> None:
    facts = json.loads((server.folder / "bootstrap.json").read_text())
    headers = {"Authorization": f"Bearer {facts[key]}", "Content-Type": media_type}
    address = f"http://127.0.0.1:{server.port}{path}"
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60) as answer:
        assert answer.status in (200, 201)


def one_minute(start: datetime, minute: int, card: int) -> otlp.Json:
    """A card that draws 60 W, counted from the day before."""
    at, since = start + timedelta(minutes=minute), start - timedelta(days=1)
    return fleet.sample(at, f"GPU-{card}", joules=3_600.0 * minute, since=since)


def due(server: Product) -> int:
    """Marks whose time has come; -1 while the database is away."""
    try:
        return server.number(
            "SELECT (SELECT count(*) FROM gpu_dirtyslot WHERE slot < now() - interval '6 minutes')"
            " + (SELECT count(*) FROM costs_dirtyhour WHERE hour < now() - interval '63 minutes')"
        )
    except psycopg.Error:
        return -1


def test_hours_are_split_once_through_kills_of_worker_and_database(server: Product) -> None:
    # An hour is paid some minutes after its end: one that has only just ended would not be due yet.
    end = (datetime.now(UTC) - timedelta(minutes=10)).replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(hours=HOURS)
    deployment: dict[str, Any] = {
        "name": "llama", "effective_from": start.isoformat(), "match_model": "m", "usd_per_hour": "1.37",
        "count": CARDS, "hosts": ["gpu-1"],
    }  # fmt: skip
    post(server, "/api/v1/deployments", "admin_key", json.dumps(deployment).encode())
    for hour in range(HOURS):
        requests = [
            one_minute(start, 60 * hour + minute, card)
            for card in range(CARDS)
            for minute in range(60 + (hour == HOURS - 1))
        ]
        joined = {"resourceMetrics": [one for request in requests for one in request["resourceMetrics"]]}
        post(server, "/v1/metrics", "api_key", otlp.as_protobuf(joined), "application/x-protobuf")
        if hour in (8, 16, 24):
            wait_until(lambda: due(server) > 0, LIMIT_S, "work")
            server.kill_all("celery", "worker")
    server.kill("bin/postgres", "-D")
    wait_until(server.answers, LIMIT_S, "recovery")
    server.kill_all("celery", "worker")
    wait_until(lambda: due(server) == 0, LIMIT_S, "the end of all marks")

    found = server.ask("SELECT hour, method, cost_usd, (SELECT sum(l.cost_usd) FROM costs_allocationline l"
                       " WHERE l.allocation_id = a.id) FROM costs_allocation a ORDER BY hour")  # fmt: skip
    paid = [row for row in found if row[0] < end]  # the next hour is paid too, once it is over
    assert len({row[0] for row in paid}) == len(paid) == HOURS
    assert all(float(cost) == 1.37 * CARDS and lines == cost for _hour, _method, cost, lines in paid)
    assert {method for _hour, method, _cost, _lines in paid} == {"measured"}
    joules = server.number("SELECT sum(energy_j) FROM gpu_gpuwindow")
    assert joules == 3_600 * 60 * HOURS * CARDS
