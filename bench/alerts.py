"""How long 1,000 rules of 20 groups take to be judged over 30 days of rollups: the minute's budget is 60 s.

    DATABASE_URL=postgresql://… python bench/alerts.py

Writes a project of its own into the database that DATABASE_URL names (a throwaway one), judges three moments, and
deletes what it wrote.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for source in ("platform", "guardrails", "gpu_agent", "collectors"):
    sys.path.insert(0, str(ROOT / source / "src"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")

RULES, GROUPS, DAYS = 1_000, 20, 30
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
    import django

    django.setup()
    from django.db import connection

    from stanchion_server.alerts import judging, services, timing
    from stanchion_server.alerts.models import Standing
    from stanchion_server.kernel import clock
    from stanchion_server.routes import watch
    from stanchion_server.tenants import services as tenants

    now = timing.floor(clock.now(), timedelta(minutes=1))
    organisation = tenants.create_organisation("Bench of alerts")
    project = tenants.create_project(organisation, "Bench of alerts")
    try:
        began_s = time.monotonic()
        with connection.cursor() as cursor:
            for grain in (1, 60, 1440):
                start = timing.floor(now - timedelta(days=DAYS), timedelta(minutes=grain))
                cursor.execute(ROLLUPS, [project.pk, grain, start, now, grain, GROUPS])
            cursor.execute("ANALYZE call_rollups")
        for number in range(RULES):
            measure, window = MEASURES[number % 10], WINDOWS[number // 10 % 5]
            plain = {
                "name": f"rule {number}", "when": {"above": 1e9} if "ratio" not in measure else {"above": 0.9},
                "watch": {"source": "calls", "measure": measure, "by": ["feature"], "window": window},
            }  # fmt: skip
            services.save(project, plain, "bench")
        print(f"written in {time.monotonic() - began_s:.0f} s", flush=True)
        for minute in range(3):
            began_s = time.monotonic()
            done = judging.tick(project.pk, watch.READERS, now + timedelta(minutes=minute))
            assert done is not None and done.evaluations == RULES and not done.failed, done
            print(f"{RULES} rules of {GROUPS} groups judged in {time.monotonic() - began_s:.2f} s", flush=True)
        groups = [len(standing.groups) for standing in Standing.objects.filter(project=project)]
        assert groups == [GROUPS] * RULES, "every rule saw every group"
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM call_rollups WHERE project_id = %s", [project.pk])
        organisation.delete()


if __name__ == "__main__":
    main()
