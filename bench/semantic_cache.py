"""Recorded calls replayed through caches: seconds and memory, embeddings given. Needs no database.

`--calls 100000 --dimensions 384` are the defaults, with the settings that the product replays. Three sorts of made
traffic: `mixed` (few thousand topics, repeats), `strangers` (no two alike: most is held) and `crowd` (all alike: most
pairs near a threshold).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

import numpy as np

from kit.all_pairs import by_all_pairs
from stanchion_server.costs.caching import sweep
from stanchion_server.costs.caching.records import Outcome, Rows, Traffic
from stanchion_server.costs.caching.replay import replay

SORTS = ("mixed", "strangers", "crowd")
DAYS = 30
CHECKED = 400


def made(sort: str, calls: int, dimensions: int) -> tuple[Traffic, Rows]:
    draw = np.random.default_rng(1)
    text, keys = np.arange(calls), np.zeros(calls, dtype=np.int64)
    if sort == "strangers":
        rows = draw.standard_normal((calls, dimensions), dtype=np.float32)
    elif sort == "crowd":
        rows = draw.standard_normal(dimensions, dtype=np.float32) + np.float32(0.45) * draw.standard_normal(
            (calls, dimensions), dtype=np.float32
        )
    else:
        texts = calls // 3
        middles = draw.standard_normal((2_000, dimensions), dtype=np.float32)
        far = draw.uniform(0.1, 0.7, (texts, 1)).astype(np.float32)
        rows = middles[draw.integers(0, 2_000, texts)]
        rows = rows + far * draw.standard_normal((texts, dimensions), dtype=np.float32)
        text, keys = draw.integers(0, texts, calls), draw.integers(0, 8, calls)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    traffic = Traffic(
        at_s=np.sort(draw.uniform(0, DAYS * 86_400, calls)), duration_s=draw.uniform(0.5, 3, calls), key=keys,
        text=text, model=draw.integers(0, 3, calls), usd=np.full(calls, 0.001), is_priced=np.ones(calls, bool),
        is_answered=draw.random(calls) > 0.02,
    )  # fmt: skip
    return traffic, rows


def told(outcome: Outcome) -> str:
    assert outcome.kept is not None
    return f"{outcome.hits:>8,} hits, at most {outcome.kept.entries:>7,} kept: {outcome.setting}"


def measure(sort: str, calls: int, dimensions: int, settings: int) -> None:
    traffic, rows = made(sort, calls, dimensions)
    began, began_cpu = time.perf_counter(), time.process_time()
    found = replay(traffic, rows, sweep.SETTINGS[:settings])
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{sort}: {calls:,} calls, {dimensions} dimensions, {settings} settings: "
        f"{wall:.1f} s, {cpu:.1f} CPU s, peak {peak_mib:.0f} MiB with {rows.nbytes / 2**20:.0f} MiB of embeddings"
    )
    print(told(found.outcomes[0]), flush=True)
    check(sort, min(calls, CHECKED), dimensions)


def check(sort: str, calls: int, dimensions: int) -> None:
    """The same hits as a loop over all pairs finds, for every setting, on fewer calls of the same sort."""
    traffic, rows = made(sort, calls, dimensions)
    for setting in sweep.SETTINGS:
        served = replay(traffic, rows, [setting]).served[0]
        hits, _evicted, _expired = by_all_pairs(traffic, rows, setting)
        assert list(zip(served.asked.tolist(), served.answered.tolist(), strict=True)) == hits, setting
    print(f"{sort}: the hits of {calls:,} calls are those of a loop over all pairs, for every setting", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--settings", type=int, default=len(sweep.SETTINGS), help="so many of the product's, from 1")
    parser.add_argument("--only", default=",".join(SORTS))
    given = parser.parse_args()
    for sort in given.only.split(","):
        # A process each, so that the memory of one is not counted for the next.
        process = multiprocessing.get_context("spawn").Process(
            target=measure, args=(sort, given.calls, given.dimensions, given.settings)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
