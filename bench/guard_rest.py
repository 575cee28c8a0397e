"""What a check over REST takes on loopback: milliseconds on the clock, and CPU of the server behind it.

    script/bench guard_rest [--tokens 100,300,1000] [--checks 500]

Starts the real product, asks one check after the other over one kept connection, and tells the web process's CPU and
PostgreSQL's (which writes the decisions) apart. Beside them stands `GET /api/v1/me`, which costs what any request does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from guard_texts import texts

from kit import product
from kit.guard_door import Door, open_key

WARM_UP = 40
WRITTEN_AFTER_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", default="100,300,1000")
    parser.add_argument("--checks", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stanchion-bench-") as folder, product.running(Path(folder)) as server:
        print(json.dumps(measured(server, options), indent=2))


def measured(server: product.Product, options: argparse.Namespace) -> dict[str, object]:
    told: dict[str, object] = {}
    with Door(server.port, open_key(server)) as door:
        told["me"] = measure(server, lambda _: door.send("GET", "me")[0], [""], options.checks)
        for size in map(int, options.tokens.split(",")):
            given = texts(size, 40)
            told[f"{size} tokens"] = measure(server, lambda text: door.check(text)[0], given, options.checks)
    return {**told, "decisions_recorded": server.number("SELECT count(*) FROM guard_decisions")}


def measure(server: product.Product, ask: Callable[[str], int], given: list[str], checks: int) -> dict[str, float]:
    for number in range(WARM_UP):
        ask(given[number % len(given)])
    time.sleep(WRITTEN_AFTER_S)
    web, database = server.processes("granian")[0], server.processes("bin/postgres")[0]
    web_s, database_s, took = product.cpu_s(web), product.cpu_s(database), []
    for number in range(checks):
        began_s = time.perf_counter()
        if ask(given[number % len(given)]) != 200:
            raise RuntimeError("a request was refused")
        took.append(time.perf_counter() - began_s)
    time.sleep(WRITTEN_AFTER_S)
    took.sort()
    return {
        "p50_ms": round(1000 * took[len(took) // 2], 2),
        "p95_ms": round(1000 * took[int(len(took) * 0.95)], 2),
        "least_ms": round(1000 * took[0], 2),
        "web_cpu_ms": round(1000 * (product.cpu_s(web) - web_s) / checks, 2),
        "postgres_cpu_ms": round(1000 * (product.cpu_s(database) - database_s) / checks, 2),
    }


if __name__ == "__main__":
    main()
