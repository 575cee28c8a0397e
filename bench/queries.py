"""How long the reads behind the pages and the API take with a million stored spans.

    DATABASE_URL=… python bench/queries.py [--spans 1000000] [--runs 20] [--keep]

Fills project 990001 of that database by SQL, unless it is filled already (--keep keeps it for the next run), and prints
p50 and p95 per read beside plain SQL for the same rows.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path = [str(ROOT / part / "src") for part in ("platform", "collectors", "guardrails")] + sys.path[1:]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")

import django  # noqa: E402

django.setup()

from django.db import connection, transaction  # noqa: E402

from stanchion_server.kernel import db  # noqa: E402
from stanchion_server.traces import partitions, rollups, selectors  # noqa: E402

PROJECT, DAYS, SPANS_PER_TRACE, BIG = 990001, 14, 4, 2_000
BIG_TRACE = "ffffffffffffffffffffffffffffffff"

CALLS_SQL = """
INSERT INTO llm_calls SELECT %(project)s, ('00000000-' || lpad(to_hex(%(day)s), 4, '0') || '-4000-8000-' ||
    lpad(to_hex(i), 12, '0'))::uuid, i * 4 + 1, i * 4, t, t, d, 1, NULL, NULL, NULL, NULL, inp, out, inp / 3, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, CASE WHEN i %% 3 = 0 THEN d / 5e6 END, 0.7, NULL, NULL, 0, 1, 0,
    CASE WHEN i %% 50 = 0 THEN 2 ELSE 1 END, i %% 3 = 0, false,
    CASE WHEN i %% 40 > 0 THEN inp * 15e-8 + out * 6e-7 END, NULL,
    'genai-prices', 'plain', 'high', '', 'chat', 'otel', provider, model, model, model, 'r' || i, 'reported', '',
    CASE WHEN i %% 50 = 0 THEN 'RateLimitError' ELSE '' END, '{stop}', 'feature-' || f, 'user-' || u, 'session-' || u,
    CASE WHEN i %% 10 = 0 THEN 'staging' ELSE 'production' END, 'v' || %(day)s / 7, 'service-' || f %% 3,
    'prompt-' || f,
    (1 + f %% 2)::text, '{}', NULL, 'What is the weather in ' || md5(i::text), 'It is ' || md5((i * 7)::text), NULL
FROM (
    SELECT i, timestamptz %(start)s + i * interval '1 second' * 86400.0 / %(count)s AS t,
        (exp(random() * 3) * 3e8)::bigint AS d, (random() * 2000 + 50)::bigint AS inp,
        (random() * 500)::bigint AS out,
        (random() * random() * 12)::int %% 12 AS f, (random() * 500)::int AS u,
        (ARRAY['openai','openai','anthropic','google','mistral','openai','anthropic'])[m + 1] AS provider,
        (ARRAY['gpt-4o','gpt-4o-mini','claude-sonnet','gemini-flash','mistral-small','o3','claude-haiku'])[m + 1]
        AS model
    FROM (SELECT i, (random() * random() * 7)::int %% 7 AS m FROM generate_series(0, %(count)s - 1) i) x
) y
"""
SPANS_SQL = """
INSERT INTO spans SELECT c.project_id, c.trace_id, (c.span_id / 4) * 4 + k,
    CASE WHEN k > 0 THEN (c.span_id / 4) * 4 END, c.start_time, c.received_at, c.duration_ns, 1, 0,
    (ARRAY[6, 1, 3, 5])[k + 1], 1, c.status, (ARRAY['agent run', 'chat', 'retrieve', 'tool'])[k + 1], '', c.service,
    c.environment, c.feature, c.session_id, 'openai-v2', '1',
    jsonb_build_object('tenant', 't' || c.span_id %% 20, 'gen_ai.request.model', c.model, 'http.status', 200),
    NULL, NULL
FROM llm_calls c, generate_series(0, 3) k
WHERE c.project_id = %(project)s AND c.start_time >= %(start)s AND c.start_time < %(end)s
"""
BIG_SQL = """
WITH one AS (SELECT * FROM llm_calls WHERE project_id = %(project)s AND start_time >= %(start)s
    ORDER BY start_time LIMIT 1),
spans_in AS (
    INSERT INTO spans SELECT project_id, %(trace)s::uuid, n, CASE WHEN n > 0 THEN (n - 1) / 5 END,
        start_time + n * interval '3 ms', received_at, duration_ns, 1, 0, 1, 1, 1, 'span ' || n, '', service,
        environment, feature, session_id, 'openai-v2', '1', '{}', NULL, NULL FROM one, generate_series(0, %(last)s) n
)
INSERT INTO llm_calls SELECT (jsonb_populate_record(NULL::llm_calls, to_jsonb(one) || jsonb_build_object(
    'trace_id', %(trace)s::text, 'span_id', n, 'start_time', start_time + n * interval '3 ms'))).*
FROM one, generate_series(0, %(last)s) n WHERE n %% 4 = 0
"""


def fill(now: datetime, spans: int) -> None:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(DAYS, 0, -1)]
    partitions.ensure([day.date() for day in days])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO key_mappings VALUES (%s, 1, now(), 'otel', 'openai-v2', '1', '{}', '{x.y}')"
            " ON CONFLICT DO NOTHING",
            [PROJECT],
        )
    for number, day in enumerate(days):
        values = {"project": PROJECT, "day": number, "start": day, "end": day + timedelta(days=1),
                  "count": spans // SPANS_PER_TRACE // DAYS}  # fmt: skip
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(CALLS_SQL.replace("%(start)s", f"'{day.isoformat()}'"), values)
            cursor.execute(SPANS_SQL, values)
            if number == DAYS - 1:
                cursor.execute(BIG_SQL, {**values, "trace": BIG_TRACE, "last": BIG - 1})
        with transaction.atomic(), db.raw_cursor() as raw:
            rollups.recompute(raw, PROJECT, [day + timedelta(minutes=minute) for minute in range(1440)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE spans, llm_calls, call_rollups, call_totals")


def clear() -> None:
    with connection.cursor() as cursor:
        for table in ("spans", "llm_calls", "call_rollups", "call_totals", "key_mappings"):
            cursor.execute(f"DELETE FROM {table} WHERE project_id = %s", [PROJECT])


def is_filled() -> bool:
    return bool(selectors.trace(PROJECT, BIG_TRACE))


def sql(text: str, *values: object) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall()


def reads(end: datetime) -> dict[str, Callable[[], object]]:
    week, day = end - timedelta(days=7), end - timedelta(days=1)
    first = selectors.calls(PROJECT, selectors.CallFilter(), None, 50)
    deep = selectors.calls(PROJECT, selectors.CallFilter(end=week), None, 50).next_cursor

    def by(*groups: str, start: datetime = week, step: timedelta | None = None) -> selectors.Metrics:
        return selectors.metrics(PROJECT, selectors.MetricQuery(start, end, step, groups))

    return {
        "floor: 50 newest calls": lambda: sql(
            "SELECT * FROM llm_calls WHERE project_id = %s ORDER BY start_time DESC, span_id DESC LIMIT 50", PROJECT
        ),
        "calls, first page": lambda: selectors.calls(PROJECT, selectors.CallFilter(start=week, end=end)),
        "calls, second page": lambda: selectors.calls(PROJECT, selectors.CallFilter(), first.next_cursor),
        "calls, a week back": lambda: selectors.calls(PROJECT, selectors.CallFilter(), deep),
        "calls, one user": lambda: selectors.calls(PROJECT, selectors.CallFilter(start=week, user_id="user-7")),
        "calls, text search 1 day": lambda: selectors.calls(PROJECT, selectors.CallFilter(start=day, text="c0ffee")),
        "call": lambda: selectors.call(PROJECT, first.items[0].trace_id, first.items[0].span_id),
        "traces": lambda: selectors.traces(PROJECT, selectors.TraceFilter(start=week, end=end)),
        "trace of 2,000 spans": lambda: selectors.trace(PROJECT, BIG_TRACE),
        "floor: sum of day rollups": lambda: sql(
            "SELECT sum(calls), sum(cost_usd) FROM call_rollups WHERE project_id = %s AND grain_minutes = 1440", PROJECT
        ),
        "overview, 6 hours": lambda: selectors.overview(PROJECT, end - timedelta(hours=6), end),
        "overview, 1 day": lambda: selectors.overview(PROJECT, day, end),
        "overview, 7 days": lambda: selectors.overview(PROJECT, week, end),
        "overview, 14 days": lambda: selectors.overview(PROJECT, end - timedelta(days=14), end),
        "facets, 7 days": lambda: selectors.facets(PROJECT, week, end),
        "metrics by feature and model, 7 days": lambda: by("feature", "model"),
        "metrics by hour and feature, 7 days": lambda: by("feature", step=timedelta(hours=1)),
        "metrics by user, 7 days (raw)": lambda: by("user"),
        "metrics by attribute, 1 day (raw)": lambda: by("attribute:tenant", start=day),
        "radar, 7 days": lambda: selectors.radar(PROJECT, week),
    }


def measure(read: Callable[[], object], runs: int) -> tuple[float, float]:
    read()
    times = []
    for _run in range(runs):
        began = time.perf_counter()
        read()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.95))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--spans", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--keep", action="store_true")
    chosen = options.parse_args()
    now = datetime.now(UTC)
    if not is_filled():
        clear()
        began = time.perf_counter()
        fill(now, chosen.spans)
        print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)
    end = sql("SELECT max(start_time) FROM llm_calls WHERE project_id = %s", PROJECT)[0][0]
    for grain in rollups_per_grain():
        print("rollup rows, grain of {} minutes: {}".format(*grain))
    for name, read in reads(end + timedelta(seconds=1)).items():
        p50, p95 = measure(read, chosen.runs)
        print(f"{name:40} p50 {p50:8.1f} ms   p95 {p95:8.1f} ms", flush=True)
    if not chosen.keep:
        clear()


def rollups_per_grain() -> list[Any]:
    return sql("SELECT grain_minutes, count(*) FROM call_rollups WHERE project_id = %s GROUP BY 1 ORDER BY 1", PROJECT)


if __name__ == "__main__":
    main()
