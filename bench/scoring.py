"""What scoring costs and how long it takes.

`throughput`: stored calls through claim, gather, score and store in this process: calls per CPU second of the worker,
and what PostgreSQL adds. `door`: what writing the jobs adds to storing a request of 512 spans. `lag`: the real product
under a steady rate of calls: time from acknowledged to scored, and the worker's memory.

Texts are seeded pseudo-English of four characters a token.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from kit import postgres, product
from kit.load import Export, Load, Vocabulary
from kit.sending import Sender

CHARS_PER_TOKEN = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="throughput,door,lag", help="parts, with commas")
    parser.add_argument("--calls", type=int, default=3000, help="calls of the throughput part")
    parser.add_argument("--tokens", type=int, default=300, help="of prompt and answer together, two thirds prompt")
    parser.add_argument("--contexts", type=int, default=0, help="retrieved documents a call, 150 tokens each")
    parser.add_argument("--idle", type=int, default=0, help="so many scorers that do nothing, instead of the real ones")
    parser.add_argument("--rounds", type=int, default=60, help="requests of the door part, each way")
    parser.add_argument("--rate", type=float, default=50, help="calls a second of the lag part")
    parser.add_argument("--seconds", type=float, default=60, help="how long the lag part sends")
    options = parser.parse_args()
    parts = {"throughput": throughput, "door": door, "lag": lag}
    print(json.dumps({name: parts[name](options) for name in options.only.split(",")}, indent=2))


@contextmanager
def database() -> Iterator[None]:
    """This process as the server, on an empty database of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "kit.settings"
    import django

    django.setup()
    with postgres.running():
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        yield
        connection.close()


def postgres_pid() -> int:
    return int((postgres.FOLDER / "postmaster.pid").read_text().splitlines()[0])


def throughput(options: argparse.Namespace) -> dict[str, Any]:
    with database():
        stored(options, 1, 400)
        stored(options, 2, options.calls)
        warm = score(1, options.idle)
        pid = postgres_pid()
        database_s, began_s, wall_s = product.cpu_s(pid), time.process_time(), time.monotonic()
        taken = score(2, options.idle)
        used_s, database_s = time.process_time() - began_s, product.cpu_s(pid) - database_s
        assert (warm, taken) == (400, options.calls)
        return {
            "calls": taken,
            "calls_per_worker_cpu_s": round(taken / used_s),
            "worker_cpu_ms_per_call": round(1000 * used_s / taken, 2),
            "postgres_cpu_ms_per_call": round(1000 * database_s / taken, 2),
            "calls_per_cpu_s_of_both": round(taken / (used_s + database_s)),
            "wall_s": round(time.monotonic() - wall_s, 1),
            **told_by_the_scores(2),
        }


def door(options: argparse.Namespace) -> dict[str, Any]:
    """Requests in turn without and with the step that writes jobs, so that both meet the same machine."""
    with database():
        from stanchion_server.quality import jobs

        load = Load(seed="door", end_s=time.time(), total=2 * options.rounds + 8, days=0.02, spans=512)
        spent: dict[str, list[float]] = {"without": [], "with": []}
        for index in range(load.total):
            kind = ("without", "with")[index % 2]
            used_s = _stored_s(load.export(index), (jobs.of_written,) if kind == "with" else ())
            if index >= 8:
                spent[kind].append(used_s)
        medians = {kind: statistics.median(values) for kind, values in spent.items()}
        return {
            "requests_each": options.rounds,
            "cpu_ms_per_request": {kind: round(1000 * value, 2) for kind, value in medians.items()},
            "ratio_of_medians": round(medians["with"] / medians["without"], 3),
            "ratio_of_sums": round(sum(spent["with"]) / sum(spent["without"]), 3),
        }


def _stored_s(export: Export, then: Sequence[Any]) -> float:
    """CPU of this process and of PostgreSQL for one request, from its bytes to the commit."""
    from stanchion_server.costs import pricing
    from stanchion_server.ingest import decode, normalise
    from stanchion_server.ingest.ledger import LedgerEntry
    from stanchion_server.ingest.records import Batch
    from stanchion_server.kernel import clock
    from stanchion_server.traces import store

    pid = postgres_pid()
    began_s = time.process_time() + product.cpu_s(pid)
    decoded = decode.decode_traces(export.body, "protobuf", clock.now_ns(), decode.Limits())
    found = normalise.normalise_spans(decoded.spans, clock.now_ns())
    calls = tuple(replace(call, cost=pricing.price(call, pricing.PriceBook())) for call in found.calls)
    entry = LedgerEntry(api_key_id=1, signal="traces", client="bench", body_bytes=1, sent=decoded.sent)
    store.store(1, Batch(spans=found.spans, calls=calls, contents=found.contents), entry, then)
    return time.process_time() + product.cpu_s(pid) - began_s


def told_by_the_scores(project_id: int) -> dict[str, Any]:
    from stanchion_server.traces.selectors import reading

    rows = reading.rows(
        "SELECT scorer, count(*), sum(elapsed_us) FROM scores WHERE project_id = %s GROUP BY 1 ORDER BY 3 DESC",
        (project_id,),
    )
    return {
        "scores": sum(row[1] for row in rows),
        "wall_ms_of_each_scorer": {row[0]: round(row[2] / 1000) for row in rows},
    }


def score(project_id: int, idle: int) -> int:
    from kit.scorers import Fake, panel_of
    from stanchion_server.kernel import clock
    from stanchion_server.quality import scoring
    from stanchion_server.quality.panels import panels
    from stanchion_server.quality.records import Result
    from stanchion_server.quality.sampling import Shed

    nothing = [Fake(f"idle_{number}", lambda _: Result(0.25, is_flagged=False)) for number in range(idle)]
    panel = panel_of(*nothing) if idle else panels.of

    taken = 0
    now = clock.now() + timedelta(seconds=30)
    while more := scoring.step(panel, "fast", project_id, Shed.NOTHING, now):
        taken += more
    return taken


def stored(options: argparse.Namespace, project_id: int, count: int) -> None:
    """Calls of the last ten minutes, delivered as the door does it and settled."""
    from kit import scored
    from stanchion_server.ingest import messages
    from stanchion_server.kernel import clock

    chance, words = random.Random(f"scoring {project_id}"), Vocabulary("scoring")
    now, size = clock.now(), options.tokens * CHARS_PER_TOKEN

    def one() -> tuple[Any, Any]:
        record = scored.asked(
            trace_id=UUID(int=chance.getrandbits(128)), start_time=now - timedelta(seconds=chance.uniform(1, 600))
        )
        sections: dict[str, Any] = {
            "input": [messages.message("user", [messages.text_part(words.text(chance, size * 2 // 3))])],
            "output": [messages.message("assistant", [messages.text_part(words.text(chance, size // 3))])],
            "documents": [{"content": words.text(chance, 150 * CHARS_PER_TOKEN)} for _ in range(options.contexts)],
        }
        return record, scored.content(record, **sections)

    for first in range(0, count, 200):
        pairs = [one() for _ in range(min(200, count - first))]
        records = [record for record, _text in pairs]
        scored.deliver(project_id, *records, contents=tuple(text for _record, text in pairs))


def lag(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stanchion-bench-") as folder, product.running(Path(folder)) as server:
        send(options, server, options.rate * 5, "warm-up")
        wait_until_scored(server)
        began = server.ask("SELECT now()")[0][0]
        cpu_s, database_s = worker_cpu_s(server), database_cpu_s(server)
        sent_s = send(options, server, options.rate * options.seconds, "measured")
        wait_until_scored(server)
        used_s, database_s = worker_cpu_s(server) - cpu_s, database_cpu_s(server) - database_s
        lags = measured_lags(server, began.isoformat())
        return {
            "calls": len(lags),
            "sent_per_s": round(len(lags) / sent_s, 1),
            "lag_s": {f"p{percent}": percentile(lags, percent) for percent in (50, 95, 99, 100)},
            "shed": server.number("SELECT coalesce(sum(calls), 0) FROM score_counts WHERE outcome = 'shed'"),
            "worker_cpu_ms_per_call": round(1000 * used_s / max(1, len(lags)), 2),
            "postgres_cpu_ms_per_call": round(1000 * database_s / max(1, len(lags)), 2),
            "worker_mib": round(sum(product.resident_bytes(pid) for pid in workers(server)) / 2**20),
            "load_average": os.getloadavg()[0],
        }


def measured_lags(server: product.Product, began: str) -> list[float]:
    """From the moment a call's transaction began, which is before its acknowledgement, to its last light score. Heavy
    scorers have a lane and a pace of their own."""
    return [
        float(row[0])
        for row in server.ask(
            "SELECT extract(epoch FROM max(s.scored_at) - c.received_at) FROM llm_calls c JOIN scores s"
            " USING (project_id, trace_id, span_id, start_time)"
            f" WHERE c.received_at >= '{began}' GROUP BY c.trace_id, c.span_id, c.received_at"
        )
    ]


def send(options: argparse.Namespace, server: product.Product, calls: float, seed: str) -> float:
    """Five requests a second, at the pace of the clock, of calls that began three seconds before; returns how long it
    took."""
    per_request = max(1, round(options.rate / 5))
    size = options.tokens * CHARS_PER_TOKEN
    total = max(1, round(calls / per_request))
    load = Load(
        seed=seed, end_s=time.time() + total / 5 + 12, total=total, days=total / 5 / 86_400, spans=4 * per_request,
        answer_bytes=size // 3, prompt_bytes=max(700, size * 2 // 3),
    )  # fmt: skip
    exports = [load.export(index) for index in range(total)]
    began_s = time.monotonic()
    for number, export in enumerate(exports):
        time.sleep(max(0.0, began_s + number / 5 - time.monotonic()))
        assert Sender(server.target, [export], connections=1, retries=5).run(30).statuses[200] == 1
    return time.monotonic() - began_s


def wait_until_scored(server: product.Product) -> None:
    while server.number("SELECT count(*) FROM score_jobs WHERE state = 0"):
        time.sleep(0.5)


def workers(server: product.Product) -> list[int]:
    return server.processes("celery", "worker")[:1]


def worker_cpu_s(server: product.Product) -> float:
    return sum(product.cpu_s(pid) for pid in workers(server))


def database_cpu_s(server: product.Product) -> float:
    return product.cpu_s(server.processes("bin/postgres", "-D")[0])


def percentile(values: Sequence[float], percent: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))], 2) if ordered else None


if __name__ == "__main__":
    main()
