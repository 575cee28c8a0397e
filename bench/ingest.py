"""What it costs to store spans: CPU of the whole server, PostgreSQL included, spans per second, bytes on disk.

Starts the real product in a fresh folder, sends GenAI requests over loopback, waits until the sums of every touched
minute are written, and reports. The requests are made before the clock starts; the sender's own CPU is not counted.

The scores of the same calls are a line of their own: jobs are written as always but held back until the sums are there,
then let go. Otherwise chance would decide how many of them fall into the time that is measured.

The server sees a default installation (requirements/core.lock): extras that are installed beside it, like the sentence
encoder, are hidden from it unless they are asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from otlp_load import add_mix, load_of, summary

from kit import plain_python, product
from kit.load import Export
from kit.sending import Sender, wait_until

QUIET_S = 5.0  # start-up work of the worker is not the price of a span
IDLE_S = 10.0
SUMS_LIMIT_S = 120.0
HOLD = """
CREATE FUNCTION bench_hold() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.not_before := 'infinity'; RETURN NEW; END $$;
CREATE TRIGGER bench_hold BEFORE INSERT ON score_jobs FOR EACH ROW EXECUTE FUNCTION bench_hold();
"""
LET_GO = "DROP TRIGGER bench_hold ON score_jobs; UPDATE score_jobs SET not_before = now() WHERE not_before = 'infinity'"

Parts = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mix(parser)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--limit-s", type=float, default=300)
    parser.add_argument("--warm-up", type=int, default=4, help="requests sent before the measured ones")
    parser.add_argument("--extras", action="store_true", help="let the server see every package that is installed")
    parser.add_argument("--no-scoring", action="store_true", help="end when the sums are written")
    options = parser.parse_args()
    load = load_of(options)
    exports = [load.export(index) for index in range(load.total)]
    warm = [
        load_of(argparse.Namespace(**{**vars(options), "seed": "warm-up"})).export(i) for i in range(options.warm_up)
    ]
    with tempfile.TemporaryDirectory(prefix="stanchion-bench-") as name:
        folder = Path(name)
        lock = product.ROOT / "requirements" / "core.lock"
        python = sys.executable if options.extras else str(plain_python.made(folder / "python", lock))
        with product.running(folder / "data", python=python) as server:
            print(json.dumps(measure(server, exports, warm, options), indent=2))


def measure(
    server: product.Product, exports: list[Export], warm: list[Export], options: argparse.Namespace
) -> dict[str, object]:
    Sender(server.target, warm, connections=options.connections).run(options.limit_s)
    server.wait_until_settled()
    server.wait_until_scored()
    execute(server, HOLD)
    time.sleep(QUIET_S)
    idle_ratio = resting(server)
    begun, disk_before = cpu_by_part(server), disk_bytes(server)
    stored_before = server.number("SELECT count(*) FROM spans")
    delivery = Sender(server.target, exports, connections=options.connections, retries=20).run(options.limit_s)
    answered = cpu_by_part(server)
    wait_until_none(server, "dirty_minutes")
    settled = cpu_by_part(server)
    thousands = (server.number("SELECT count(*) FROM spans") - stored_before) / 1000
    body_bytes = sum(len(export.body) for export in exports)
    told: dict[str, object] = {
        "installation": "every package of this environment" if options.extras else "requirements/core.lock",
        "load_of_the_machine": round(os.getloadavg()[0], 1),
        "stored_spans": round(thousands * 1000),
        "ingest_cpu_s_per_1000_spans": used(begun, settled, thousands),
        "of_it_until_the_last_answer": used(begun, answered, thousands)["whole server"],
        "disk_bytes_per_span": round((disk_bytes(server) - disk_before) / thousands / 1000),
        "body_bytes_per_span": round(body_bytes / len(exports) / len(exports[0].keys)),
        "resident_mib": round(product.resident_bytes(server.pid) / 2**20),
        "idle_cpu_s_per_s": idle_ratio,
        **summary(delivery),
    }
    return told if options.no_scoring else {**told, **scored(server, thousands, idle_ratio)}


def wait_until_none(server: product.Product, rows: str) -> None:
    """On one connection: a new one for each look would cost PostgreSQL more than what is looked at."""
    with server.connect() as connection:
        look = f"SELECT NOT EXISTS (SELECT FROM {rows})".encode()
        wait_until(lambda: connection.execute(look).fetchone() == (True,), SUMS_LIMIT_S, f"the end of {rows}")


def scored(server: product.Product, thousands: float, idle_ratio: float) -> dict[str, object]:
    """CPU of scoring the calls among the spans that were just stored, the sums of the scores included."""
    calls = server.number("SELECT count(*) FROM score_jobs")
    before = server.number("SELECT count(*) FROM scores")
    begun, began_s = cpu_by_part(server), time.monotonic()
    execute(server, LET_GO)
    wait_until_none(server, "score_jobs WHERE state = 0")
    wait_until_none(server, "dirty_score_minutes")
    ended, wall_s = cpu_by_part(server), time.monotonic() - began_s
    return {
        "scoring_cpu_s_per_1000_spans": used(begun, ended, thousands),
        "of_it_at_rest": round(idle_ratio * wall_s / thousands, 4),
        "scored_calls": calls,
        "scores": server.number("SELECT count(*) FROM scores") - before,
        "scoring_cpu_ms_per_call": used(begun, ended, calls / 1000)["whole server"],
        "scoring_wall_s": round(wall_s, 1),
    }


def resting(server: product.Product) -> float:
    """CPU seconds per second of a server that nobody asks anything: it is part of every figure, by the wall clock."""
    begun, began_s = cpu_by_part(server), time.monotonic()
    time.sleep(IDLE_S)
    return used(begun, cpu_by_part(server), time.monotonic() - began_s)["whole server"]


def execute(server: product.Product, sql: str) -> None:
    with server.connect() as connection:
        connection.execute(sql.encode())


def used(begun: Parts, ended: Parts, units: float) -> Parts:
    return {name: round((ended[name] - begun[name]) / units, 4) for name in ended}


def cpu_by_part(server: product.Product) -> Parts:
    roles: dict[str, Any] = {
        "postgres": ("postgres",), "web": ("granian",), "worker": ("celery", "worker"), "beat": ("celery.beat",),
    }  # fmt: skip
    outermost = {name: server.processes(*words) for name, words in roles.items()}
    parts = {name: product.cpu_s(pids[0]) if pids else 0.0 for name, pids in outermost.items()}
    return {"whole server": product.cpu_s(server.pid), **parts}


def disk_bytes(server: product.Product) -> int:
    """Tables and indexes; the write-ahead log is recycled and its size says nothing about the data."""
    return server.number("SELECT pg_database_size(current_database())")


if __name__ == "__main__":
    main()
