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
from stanchion_gpu.vocabularies import LARGEST_COUNTS, VOCABULARIES, CacheInfo, Match, Vocabulary
from stanchion_wire import gpu

# Of one wait, and of the whole answer: an engine that sends a byte a second never runs into the first.
WAIT_S, WHOLE_S = 2.0, 4.0
# A busy vLLM with every histogram writes about 200 kB in 2,500 lines; a stranger on the card may write anything.
MOST_BYTES = 2 * 1024 * 1024
MOST_SERIES = 20_000
MOST_BUCKETS = 64
# Nothing that an engine counts comes near; what is larger is a fault, and would not fit the wire's integers. Nothing
# is negative: vLLM before 0.9 writes a hit rate of -1 for "no cache".
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
    found, unread = exposition.parse(text, lambda line: line.startswith(vocabulary.names), MOST_SERIES)
    known = [one for one in found if one.name in vocabulary.names and 0 <= one.value < MOST_VALUE]
    series = _counted_once(vocabulary, known)
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
        gauges=_gauges(vocabulary, series),
        counters=_values(vocabulary.counters, series) | _sums(vocabulary, series),
        histograms={ours: one for ours, one in histograms.items() if one is not None},
        reason=f"{unread} lines left out" if unread else "",
    )


def _counted_once(vocabulary: Vocabulary, series: Sequence[Series]) -> list[Series]:
    """Without what other ranks and other models of an ensemble tell again."""
    if not vocabulary.rank_labels and not vocabulary.served_by:
        return list(series)
    served = {_model_of(vocabulary, one) for one in series if one.name == vocabulary.served_by}
    kept: dict[tuple[object, ...], Series] = {}
    for one in series:
        if served and _model_of(vocabulary, one) not in served:
            continue
        others = (pair for pair in sorted(one.labels.items()) if pair[0] not in vocabulary.rank_labels)
        key = (one.name, *others)
        if key not in kept or _rank(vocabulary, one) < _rank(vocabulary, kept[key]):
            kept[key] = one
    return list(kept.values())


def _rank(vocabulary: Vocabulary, series: Series) -> tuple[int, ...]:
    told = (series.labels.get(label, "")[:6] for label in vocabulary.rank_labels)
    return tuple(int(rank) if rank.isdecimal() else 0 for rank in told)


def _model_of(vocabulary: Vocabulary, series: Series) -> str:
    return next((series.labels[label] for label in vocabulary.model_labels if series.labels.get(label)), "")


def _model(vocabulary: Vocabulary, series: Iterable[Series]) -> str | None:
    """The one model that all lines are about; None for several."""
    found = {model for one in series if (model := _model_of(vocabulary, one))}
    return found.pop()[:200] if len(found) == 1 else None


def _gauges(vocabulary: Vocabulary, series: Sequence[Series]) -> dict[str, float]:
    whole = [one for one in series if not one.labels.get(vocabulary.part_label)] if vocabulary.part_label else series
    return (
        _quotients(vocabulary, whole)
        | _values(vocabulary.gauges, whole)
        | _products(vocabulary, whole)
        | _capacity(vocabulary.cache_info, whole)
    )


def _values(table: Mapping[str, Sequence[Match]], series: Sequence[Series]) -> dict[str, float]:
    found: dict[str, float] = {}
    for ours, theirs in table.items():
        values = next((values for match in theirs if (values := _matching(match, series))), [])
        if values:
            found[ours] = max(values) if ours in LARGEST_COUNTS else sum(values)
    return found


def _matching(match: Match, series: Iterable[Series]) -> list[float]:
    name, labels = match
    return [one.value for one in series if one.name == name and labels.items() <= one.labels.items()]


def _sums(vocabulary: Vocabulary, series: Sequence[Series]) -> dict[str, float]:
    told = {ours: [_matching(match, series) for match in parts] for ours, parts in vocabulary.sums.items()}
    return {ours: sum(map(sum, parts)) for ours, parts in told.items() if all(parts)}


def _pairs(pair: tuple[Match, Match], series: Sequence[Series]) -> list[tuple[float, float]]:
    """One for each model; none where one of the two is missing."""
    first, second = (_matching(match, series) for match in pair)
    return list(zip(first, second, strict=True)) if len(first) == len(second) else []


def _products(vocabulary: Vocabulary, series: Sequence[Series]) -> dict[str, float]:
    """Tokens from blocks: of several models, each one's blocks times its own size."""
    told = {ours: _pairs(factors, series) for ours, factors in vocabulary.products.items()}
    return {ours: sum(count * size for count, size in pairs) for ours, pairs in told.items() if pairs}


def _quotients(vocabulary: Vocabulary, series: Sequence[Series]) -> dict[str, float]:
    told = {ours: _pairs(parts, series) for ours, parts in vocabulary.quotients.items()}
    shares = {ours: [part / whole for part, whole in pairs if whole > 0] for ours, pairs in told.items()}
    return {ours: max(each) for ours, each in shares.items() if each}


def _capacity(info: CacheInfo | None, series: Sequence[Series]) -> dict[str, float]:
    """Of all engines together; nothing while one does not know its own: vLLM writes "None" until it has measured the
    memory."""
    if info is None:
        return {}
    told = [_tokens(info, one.labels) for one in series if one.name == info.name]
    return {gpu.KV_CACHE_CAPACITY: float(sum(told))} if told and all(told) else {}


def _tokens(info: CacheInfo, labels: Mapping[str, str]) -> int:
    """0 for not known."""
    tokens, count, size = (labels.get(label, "") for label in (info.tokens, info.blocks, info.block_size))
    if tokens.isdecimal() and len(tokens) <= 15:
        return int(tokens)
    is_told = count.isdecimal() and size.isdecimal() and len(count) <= 12 and len(size) <= 6
    return int(count) * int(size) if is_told else 0


def _histogram(names: Iterable[str], series: Sequence[Series]) -> Histogram | None:
    for name in names:
        bucket, below = f"{name}_bucket", dict[float, float]()
        for one in series:
            if one.name == bucket:
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
