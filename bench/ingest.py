"""What it costs to store spans: CPU of the whole server, PostgreSQL included, spans per second, bytes on disk.

Starts the real product in a fresh folder, sends GenAI requests over loopback, waits until the sums of every touched
minute are written, and reports. The requests are made before the clock starts; the sender's own CPU is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from otlp_load import add_mix, load_of, summary

from kit import product
from kit.load import Export
from kit.sending import Sender

QUIET_S = 5.0  # start-up work of the worker is not the price of a span


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_mix(parser)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--limit-s", type=float, default=300)
    parser.add_argument("--warm-up", type=int, default=4, help="requests sent before the measured ones")
    options = parser.parse_args()
    load = load_of(options)
    exports = [load.export(index) for index in range(load.total)]
    warm = [
        load_of(argparse.Namespace(**{**vars(options), "seed": "warm-up"})).export(i) for i in range(options.warm_up)
    ]
    with tempfile.TemporaryDirectory(prefix="stanchion-bench-") as folder, product.running(Path(folder)) as server:
        print(json.dumps(measure(server, exports, warm, options), indent=2))


def measure(
    server: product.Product, exports: list[Export], warm: list[Export], options: argparse.Namespace
) -> dict[str, object]:
    Sender(server.target, warm, connections=options.connections).run(options.limit_s)
    server.wait_until_settled()
    time.sleep(QUIET_S)
    cpu_before_s, parts_before_s, disk_before = product.cpu_s(server.pid), cpu_by_part(server), disk_bytes(server)
    stored_before = server.number("SELECT count(*) FROM spans")
    delivery = Sender(server.target, exports, connections=options.connections, retries=20).run(options.limit_s)
    accepted_s = product.cpu_s(server.pid) - cpu_before_s
    server.wait_until_settled()
    used_s, parts_s = product.cpu_s(server.pid) - cpu_before_s, cpu_by_part(server)
    thousands = (server.number("SELECT count(*) FROM spans") - stored_before) / 1000
    body_bytes = sum(len(export.body) for export in exports)
    return {
        "stored_spans": round(thousands * 1000),
        "cpu_s_per_1000_spans": round(used_s / thousands, 4),
        "of_it_until_the_last_answer": round(accepted_s / thousands, 4),
        "by_process": {name: round((parts_s[name] - parts_before_s[name]) / thousands, 4) for name in parts_s},
        "disk_bytes_per_span": round((disk_bytes(server) - disk_before) / thousands / 1000),
        "body_bytes_per_span": round(body_bytes / len(exports) / len(exports[0].keys)),
        "resident_mib": round(product.resident_bytes(server.pid) / 2**20),
        **summary(delivery),
    }


def cpu_by_part(server: product.Product) -> dict[str, float]:
    roles = {"postgres": ("postgres",), "web": ("granian",), "worker": ("celery", "worker"), "beat": ("celery.beat",)}
    outermost = {name: server.processes(*words) for name, words in roles.items()}
    return {name: product.cpu_s(pids[0]) if pids else 0.0 for name, pids in outermost.items()}


def disk_bytes(server: product.Product) -> int:
    """Tables and indexes; the write-ahead log is recycled and its size says nothing about the data."""
    return server.number("SELECT pg_database_size(current_database())")


if __name__ == "__main__":
    main()
