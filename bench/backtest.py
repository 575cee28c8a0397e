"""How fast recorded calls are replayed through a policy: calls a second of CPU, PostgreSQL's share told apart.

    script/bench backtest [--calls 20000] [--tokens 300] [--policies light,default] [--profile]

Stores the calls in a PostgreSQL of its own, through the same code as the door, and runs back-tests the way the worker
does, slice by slice, in this process. `light` holds personal data, secrets, words and patterns; `default` is the
built-in policy with its classifiers.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from kit import postgres, product

os.environ["DATABASE_URL"] = postgres.planned_url()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")
os.environ.setdefault("STANCHION_LOG_LEVEL", "WARNING")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from guard_texts import text  # noqa: E402

from kit.calls import NOON, call, content_of, span_of, trace  # noqa: E402
from stanchion_server.ingest import messages  # noqa: E402
from stanchion_server.ingest.ledger import LedgerEntry  # noqa: E402
from stanchion_server.ingest.records import Batch  # noqa: E402
from stanchion_server.policies import backtests, engine, services  # noqa: E402
from stanchion_server.policies.models import Backtest, Policy  # noqa: E402
from stanchion_server.tenants import services as tenants  # noqa: E402
from stanchion_server.tenants.models import Project  # noqa: E402
from stanchion_server.traces import store  # noqa: E402

BATCH = 1_000
CALLS_PER_S = 10
LIGHT = """policy: light
version: 1
defaults: {when_late: flag, when_failed: flag}
rules:
  - {id: pii, stages: [input, output], detector: pii, action: redact}
  - {id: secrets, stages: [input, output], detector: secrets, action: block}
  - {id: words, stages: [output], detector: words, action: flag, parameters: {words: [trade secret, internal use only]}}
  - id: markup
    stages: [input]
    detector: pattern
    action: flag
    parameters: {patterns: [{name: tag, regex: '<\\|im_start\\|>'}]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--tokens", type=int, default=300, help="of a call: question and answer together")
    parser.add_argument("--policies", default="light,default")
    parser.add_argument("--profile", action="store_true", help="where this process's time goes, instead of figures")
    options = parser.parse_args()
    with postgres.running() as server:
        call_command("migrate", verbosity=0)
        project = tenants.create_project(tenants.create_organisation("Bench"), "Bench")
        fill(project, options.calls, options.tokens)
        for name in options.policies.split(","):
            document = LIGHT if name == "light" else engine.starting_text(name)
            policy = services.create(project, f"bench-{name}", document, "bench")
            if options.profile:
                profile(policy, options.calls)
            else:
                postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
                print(json.dumps({"policy": name, **measure(policy, options, postmaster)}), flush=True)


def fill(project: Project, calls: int, tokens: int) -> None:
    for first in range(0, calls, BATCH):
        made = list(records(first, min(BATCH, calls - first), tokens))
        rows, contents = tuple(one[0] for one in made), tuple(one[1] for one in made)
        batch = Batch(spans=tuple(span_of(row) for row in rows), calls=rows, contents=contents)
        entry = LedgerEntry(api_key_id=1, signal="traces", client="bench", body_bytes=1, sent=len(rows))
        store.store(project.pk, batch, entry)


def records(first: int, count: int, tokens: int) -> Iterator[tuple[Any, Any]]:
    for number in range(first, first + count):
        row = call(trace_id=trace(number + 1), after_s=number / CALLS_PER_S)
        said = {
            "system": [messages.text_part("You answer questions of a shop's customers, briefly.")],
            "input": [messages.message("user", [messages.text_part(text(tokens // 2, f"q{number}"))])],
            "output": [messages.message("assistant", [messages.text_part(text(tokens // 2, f"a{number}"))])],
        }
        yield row, content_of(row, messages.pack(said).body)


def queued(policy: Policy, calls: int) -> Backtest:
    end = NOON + timedelta(seconds=calls / CALLS_PER_S + 1)
    return backtests.create(policy, backtests.Wanted(None, None, NOON, end, max_calls=calls), "bench")


def measure(policy: Policy, options: argparse.Namespace, postmaster: int) -> dict[str, object]:
    run = queued(policy, options.calls)
    engine.guard_of_text(policy.project_id, run.document)
    database_s, own_s, began_s = product.cpu_s(postmaster), time.process_time(), time.perf_counter()
    while backtests.step():
        pass
    own_s, wall_s = time.process_time() - own_s, time.perf_counter() - began_s
    database_s = product.cpu_s(postmaster) - database_s
    run.refresh_from_db()
    if run.state != Backtest.State.DONE or run.calls_done != options.calls:
        raise RuntimeError(f"the back-test ended as {run.state} after {run.calls_done} calls: {run.error}")
    return {
        "calls": run.calls_done,
        "judged": run.result["calls"],
        "stopped": run.result["newly_stopped_count"],
        "calls_per_worker_cpu_s": round(run.calls_done / own_s),
        "calls_per_cpu_s_with_postgres": round(run.calls_done / (own_s + database_s)),
        "calls_per_s_wall": round(run.calls_done / wall_s),
        "worker_cpu_us_per_call": round(own_s / run.calls_done * 1e6),
        "postgres_cpu_us_per_call": round(database_s / run.calls_done * 1e6),
        "judging_us_per_call": round(run.result["mean_us"]),
    }


def profile(policy: Policy, calls: int) -> None:
    queued(policy, calls)
    profiler = cProfile.Profile()
    profiler.enable()
    while backtests.step():
        pass
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
