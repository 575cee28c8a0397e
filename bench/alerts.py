"""How long rules of many groups take to be judged over 30 days of rollups: 1,000 of 20 must stay within the minute.

    script/bench alerts [--rules 1000] [--groups 20] [--days 30]

Writes a project into a PostgreSQL of its own and judges three moments, as the watcher does.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from kit import postgres

os.environ["DATABASE_URL"] = postgres.planned_url()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")
os.environ.setdefault("STANCHION_LOG_LEVEL", "WARNING")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from stanchion_server.alerts import judging, services, timing  # noqa: E402
from stanchion_server.alerts.models import Standing  # noqa: E402
from stanchion_server.kernel import clock  # noqa: E402
from stanchion_server.routes import watch  # noqa: E402
from stanchion_server.tenants import services as tenants  # noqa: E402
from stanchion_server.tenants.models import Project  # noqa: E402

MINUTE = timedelta(minutes=1)
MOMENTS = 3
MEASURES = ("error_ratio", "latency_p95_ms", "cost_usd", "calls", "ttft_p90_ms", "tokens_per_call", "output_tokens",
            "cost_per_call_usd", "latency_mean_ms", "errors")  # fmt: skip
WINDOWS = ("5m", "10m", "15m", "30m", "1h")

ROLLUPS = """
INSERT INTO call_rollups (project_id, grain_minutes, bucket, feature, provider, model, environment, release, service,
    prompt_name, prompt_version, kind, calls, errors, unpriced_calls, untokened_calls, streamed_calls, input_tokens,
    output_tokens, cached_input_tokens, cache_write_tokens, reasoning_tokens, generation_tokens, generation_ms_sum,
    duration_ms_sum, duration_ms_max, cost_usd, duration_buckets, duration_counts, ttft_buckets, ttft_counts)
SELECT %s, %s, at, 'feature ' || g, 'openai', 'gpt-4o', 'production', '1', 'shop', '', '', 1, 60, 1, 0, 0, 0, 60000,
    6000, 0, 0, 0, 6000, 1000, 60000, 2000, 0.3, ARRAY[300,330,350,360,380], ARRAY[10,20,15,10,5], ARRAY[250,280],
    ARRAY[30,30]
FROM generate_series(%s::timestamptz, %s::timestamptz, make_interval(mins => %s)) at, generate_series(1, %s) g"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=1_000)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    with postgres.running():
        call_command("migrate", verbosity=0)
        project = tenants.create_project(tenants.create_organisation("Bench"), "Alerts")
        now = timing.floor(clock.now(), MINUTE)
        with timed("written"):
            write_rollups(project, now, options.groups, options.days)
            write_rules(project, options.rules)
        for minute in range(MOMENTS):
            with timed(f"{options.rules} rules of {options.groups} groups judged"):
                done = judging.tick(project.pk, watch.READERS, now + minute * MINUTE)
            assert done is not None and done.evaluations == options.rules and not done.failed, done
        groups = [len(standing.groups) for standing in Standing.objects.filter(project=project)]
        assert groups == [options.groups] * options.rules, "every rule saw every group"
        connection.close()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


@contextmanager
def timed(what: str) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    print(f"{what} in {time.monotonic() - began_s:.2f} s", flush=True)


def write_rollups(project: Project, now: datetime, groups: int, days: int) -> None:
    with connection.cursor() as cursor:
        for grain in (1, 60, 1440):
            start = timing.floor(now - timedelta(days=days), grain * MINUTE)
            cursor.execute(ROLLUPS, [project.pk, grain, start, now, grain, groups])
        cursor.execute("ANALYZE call_rollups")


def write_rules(project: Project, count: int) -> None:
    """Rules that never alarm, of all measures and windows in turn."""
    for number in range(count):
        measure, window = MEASURES[number % 10], WINDOWS[number // 10 % 5]
        plain: dict[str, Any] = {
            "name": f"rule {number}", "when": {"above": 0.9 if "ratio" in measure else 1e9},
            "watch": {"source": "calls", "measure": measure, "by": ["feature"], "window": window},
        }  # fmt: skip
        services.save(project, plain, "bench")


if __name__ == "__main__":
    main()
