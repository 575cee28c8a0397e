"""Reads serving engines by their Prometheus endpoints and puts what they say under our names."""

from __future__ import annotations

import http.client
import math
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from stanchion_gpu import exposition
from stanchion_gpu.exposition import Series
from stanchion_gpu.records import EngineReading, Histogram
from stanchion_gpu.vocabularies import LARGEST_COUNTS, VOCABULARIES, Match, Vocabulary
from stanchion_wire import gpu

# Of one wait, and of the whole answer: an engine that sends a byte a second never runs into the first.
WAIT_S, WHOLE_S = 2.0, 4.0
# A busy vLLM with every histogram writes about 200 kB.
MOST_BYTES = 4 * 1024 * 1024
MOST_BUCKETS = 64
# Nothing that an engine counts comes near; what is larger is a fault, and would not fit the wire's integers.
MOST_VALUE = 1e18


def read(engine: str, endpoint: str, path: str = "") -> EngineReading:
    """What the engine at `endpoint` (host:port) says now, within WHOLE_S. Never raises; an engine that does not answer
    is not up. `path` is the engine's usual one unless given. No proxy is used and no redirect followed."""
    host, _, port = endpoint.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=WAIT_S)
    limit: threading.Timer | None = None
    try:
        connection.connect()
        # The connection forgets its socket while a body without a length is read.
        limit = threading.Timer(WHOLE_S, _cut, (connection.sock,))
        limit.daemon = True
        limit.start()
        connection.request("GET", path or VOCABULARIES[engine].path, headers={"Accept": "text/plain"})
        response = connection.getresponse()
        body = response.read(MOST_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return EngineReading(engine, endpoint, False, reason=type(error).__name__)
    finally:
        if limit is not None:
            limit.cancel()
        connection.close()
    if response.status != 200:
        return EngineReading(engine, endpoint, False, reason=f"HTTP {response.status}")
    if len(body) == MOST_BYTES:
        body = body[: body.rfind(b"\n") + 1]  # half a line would be another number
    return parse(engine, endpoint, body.decode("utf-8", "replace"))


def _cut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def parse(engine: str, endpoint: str, text: str) -> EngineReading:
    """The reading in an exposition text. A text without any of the engine's metrics is an engine that is not up."""
    vocabulary = VOCABULARIES[engine]
    found, unread = exposition.parse(text, lambda line: line.startswith(vocabulary.names))
    series = [one for one in found if one.name in vocabulary.names and not math.isnan(one.value)]
    if not series:
        reason = (
            f"{unread} lines that are no Prometheus text" if unread else f"none of {engine}'s metrics in the answer"
        )
        return EngineReading(engine, endpoint, False, reason=reason)
    histograms = {ours: _histogram(theirs, series) for ours, theirs in vocabulary.histograms.items()}
    return EngineReading(
        engine,
        endpoint,
        True,
        model=_model(vocabulary, series),
        gauges=_values(vocabulary.gauges, series) | _products(vocabulary, series),
        counters=_values(vocabulary.counters, series),
        histograms={ours: one for ours, one in histograms.items() if one is not None},
        reason=f"{unread} lines left out" if unread else "",
    )


def _model(vocabulary: Vocabulary, series: Iterable[Series]) -> str | None:
    """The one model that all lines are about; None for several."""
    found = {one.labels[label] for one in series for label in vocabulary.model_labels if one.labels.get(label)}
    return found.pop()[:200] if len(found) == 1 else None


def _values(table: Mapping[str, Sequence[Match]], series: Sequence[Series]) -> dict[str, float]:
    found: dict[str, float] = {}
    for ours, theirs in table.items():
        values = next((values for match in theirs if (values := _matching(match, series))), [])
        if values:
            found[ours] = max(values) if ours in LARGEST_COUNTS else sum(values)
    return found


def _matching(match: Match, series: Iterable[Series]) -> list[float]:
    name, labels = match
    return [
        one.value
        for one in series
        if one.name == name and abs(one.value) < MOST_VALUE and labels.items() <= one.labels.items()
    ]


def _products(vocabulary: Vocabulary, series: Sequence[Series]) -> dict[str, float]:
    """Tokens from blocks: of several models, each one's blocks times its own size."""
    found: dict[str, float] = {}
    for ours, factors in vocabulary.products.items():
        blocks, sizes = (_matching(factor, series) for factor in factors)
        if blocks and len(blocks) == len(sizes):
            found[ours] = sum(count * size for count, size in zip(blocks, sizes, strict=True))
    if vocabulary.cache_labels is not None:
        capacity = [_capacity(one, vocabulary.cache_labels) for one in series if one.name == vocabulary.cache_labels[0]]
        if capacity and all(capacity):
            found[gpu.KV_CACHE_CAPACITY] = float(sum(part for part in capacity if part))
    return found


def _capacity(series: Series, labels: tuple[str, str, str]) -> int | None:
    """vLLM writes "None" until it has measured the memory."""
    count, size = series.labels.get(labels[1], ""), series.labels.get(labels[2], "")
    if not (count.isdecimal() and size.isdecimal() and len(count) <= 12 and len(size) <= 6):
        return None
    return int(count) * int(size)


def _histogram(names: Iterable[str], series: Sequence[Series]) -> Histogram | None:
    for name in names:
        bucket, below = f"{name}_bucket", dict[float, float]()
        for one in series:
            if one.name == bucket and abs(one.value) < MOST_VALUE:
                with suppress(ValueError):
                    bound = float(one.labels.get("le", "nan"))
                    below[bound] = below.get(bound, 0.0) + one.value
        bounds = sorted(bound for bound in below if math.isfinite(bound))
        if bounds and math.inf in below and len(bounds) < MOST_BUCKETS:
            return Histogram(tuple(bounds), _steps(below, bounds), sum(_matching((f"{name}_sum", {}), series)))
    return None


def _steps(below: Mapping[float, float], bounds: Sequence[float]) -> tuple[int, ...]:
    totals = [below[bound] for bound in bounds] + [below[math.inf]]
    return tuple(max(0, round(after - before)) for before, after in zip([0.0, *totals[:-1]], totals, strict=True))
