"""The agents on the shop's GPU hosts, as the server sees them: OTLP metrics through its door."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from stanchion_demo import cards
from stanchion_demo.storyline import Story
from stanchion_wire import gpu

STEPS_AT_ONCE = 24
"""Two hours in one body."""
TIMEOUT_S, ATTEMPTS, WAIT_S = 30, 8, 2.0


class Machines:
    """Sends with the applications' key. `stop` ends waiting and telling."""

    def __init__(self, url: str, api_key: str, story: Story, stop: threading.Event) -> None:
        self._url, self._key, self._story, self._stop = url, api_key, story, stop
        self._meters = [cards.Meters(story, card) for card in cards.CARDS]

    def tell_history(self) -> bool:
        """Newest first; False when it was stopped or the server would not take it. Told twice it is stored once."""
        times = cards.history_times(self._story)
        while steps := list(islice(times, STEPS_AT_ONCE)):
            if not self._send(steps):
                return False
        return True

    def go_on(self) -> None:
        """Until `stop`; what could not be sent is left out, as by a host without a disk."""
        while not self._stop.wait(cards.LIVE_STEP_S):
            self._send([datetime.now(UTC)])

    def _send(self, times: list[datetime]) -> bool:
        body = self.body(times)
        for _attempt in range(ATTEMPTS):
            if self._stop.is_set():
                return False
            try:
                self._post(body)
            except OSError:  # refused, away, overloaded: as an exporter would, again a little later
                self._stop.wait(WAIT_S)
            else:
                return True
        return False

    def body(self, times: list[datetime]) -> bytes:
        """What the agents of all hosts send of these moments, as OTLP/JSON."""
        return json.dumps({"resourceMetrics": [self._of_host(host, times) for host in cards.HOSTS]}).encode()

    def _post(self, body: bytes) -> None:
        headers = {"x-api-key": self._key, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + "/v1/metrics", body, headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            answer.read()

    def _of_host(self, host: str, times: Iterable[datetime]) -> dict[str, Any]:
        metrics = [
            _metric(number, at, cards.started(self._story, host, at))
            for at in times
            if not cards.is_dead(self._story, host, at)
            for number in self._numbers(host, at)
        ]
        named = {"host.name": host, "service.name": gpu.SERVICE_NAME, "service.version": "demo"}
        return {
            "resource": {"attributes": _pairs(named)},
            "scopeMetrics": [{"scope": {"name": gpu.SERVICE_NAME}, "metrics": metrics}],
        }

    def _numbers(self, host: str, at: datetime) -> list[cards.Number]:
        meters = [each for each in self._meters if each.card.host == host]
        found: list[cards.Number] = [
            (gpu.AGENT_UP, "1", 1, {}, False),
            (gpu.AGENT_GPUS, "{gpu}", len(meters), {}, False),
        ]
        return found + [number for each in meters for number in cards.numbers(self._story, each, at)]


def _metric(number: cards.Number, at: datetime, since: datetime) -> dict[str, Any]:
    name, unit, value, attributes, is_counter = number
    point = {"timeUnixNano": _ns(at), "asDouble": float(value), "attributes": _pairs(attributes)}
    if not is_counter:
        return {"name": name, "unit": unit, "gauge": {"dataPoints": [point]}}
    counted = {"dataPoints": [{**point, "startTimeUnixNano": _ns(since)}]}
    return {"name": name, "unit": unit, "sum": {**counted, "aggregationTemporality": 2, "isMonotonic": True}}


def _ns(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000) * 1_000_000)


def _pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in values.items()]
