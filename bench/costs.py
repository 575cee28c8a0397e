"""How long the pages of costs and headroom take with a million calls of a month.

    script/bench costs [--calls 1000000] [--days 31] [--runs 3] [--only headroom]

Writes a project into a PostgreSQL of its own: calls of six features, seven models, some thousand users and 200,000
sessions of five calls, of one user and feature each, a span to each call that names a team, every hour of two
self-hosted deployments, twenty budgets, twelve rate limits and a month's bill. Each question is asked once before the
runs that are timed. Beside the clock stands the CPU time, PostgreSQL's included: it says more on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from kit import postgres, product

os.environ["DATABASE_URL"] = postgres.planned_url()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")
os.environ.setdefault("STANCHION_LOG_LEVEL", "ERROR")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

from stanchion_server.costs import budgets, deployments, invoices, peaks, rate_limits, remembering  # noqa: E402
from stanchion_server.kernel import clock, db  # noqa: E402
from stanchion_server.reports import savings  # noqa: E402
from stanchion_server.tenants import services as tenants  # noqa: E402
from stanchion_server.tenants.models import Project, User  # noqa: E402
from stanchion_server.traces import partitions, rollups  # noqa: E402

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FEATURES, MODELS = 6, 7
HOSTED = "llama-3.1-8b"

CALLS = """
INSERT INTO llm_calls SELECT %(project)s, ('00000000-' || lpad(to_hex(%(day)s), 4, '0') || '-4000-8000-' ||
    lpad(to_hex(i), 12, '0'))::uuid, i + 1, NULL, t, t, d, 1, NULL, NULL, NULL, NULL, inp, out, inp / 3, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, CASE WHEN i %% 3 = 0 THEN d / 5e6 END, 0.7, NULL, NULL, 0, 1, 0,
    CASE WHEN i %% 60 = 0 THEN 2 ELSE 1 END, i %% 3 = 0, false,
    CASE WHEN i %% 40 > 0 THEN inp * 15e-8 + out * 6e-7 END, NULL,
    'genai-prices 0.0.71 openai/gpt-4o', 'plain', CASE WHEN i %% 90 = 0 THEN 'low' ELSE 'high' END, '', 'chat', 'otel',
    (ARRAY['openai','openai','openai','anthropic','anthropic','google','vllm'])[m + 1], model, model, model, '',
    'reported', '', CASE WHEN i %% 60 = 0 THEN 'RateLimitError' ELSE '' END, '{stop}', 'feature-' || f, 'user-' || u,
    'session-' || (i / 5) || '-' || %(day)s, CASE WHEN i %% 10 = 0 THEN 'staging' ELSE 'production' END,
    '1.' || %(day)s / 7, 'service-' || f %% 3, 'prompt-' || f, (1 + f %% 2)::text, '{}', NULL, '', '', NULL
FROM (
    SELECT i, m, timestamptz %(start)s + least(86399.9, greatest(0, 43200 + 86400 * (0.25 * (random() + random()
            + random() - 1.5) + 0.4 * (random() - 0.5)))) * interval '1 second' AS t,
        (exp(random() * 4) * 2e8)::bigint AS d, (random() * 2000 + 50)::bigint AS inp,
        (random() * 500)::bigint AS out, (i / 5 * 7 %% 100 * (i / 5 * 11 %% 100) * %(features)s / 10000) AS f,
        (i / 5 * 13 %% 1000 * (i / 5 * 17 %% 1000) * 3 / 1000) AS u,
        (ARRAY['gpt-4o','gpt-4o-mini','o3','claude-sonnet-4-5','claude-haiku-4-5','gemini-flash','llama-3.1-8b'])[m + 1]
        AS model
    FROM (SELECT i, (random() * random() * 7)::int %% 7 AS m FROM generate_series(0, %(count)s - 1) i) x
) y
"""
SPANS = """
INSERT INTO spans SELECT c.project_id, c.trace_id, c.span_id, NULL, c.start_time, c.received_at, c.duration_ns, 1, 0,
    1, 3, c.status, 'chat', '', c.service, c.environment, c.feature, c.session_id, 'openai-v2', '1',
    jsonb_build_object('team', 'team-' || c.span_id %% 20, 'gen_ai.request.model', c.model), NULL, NULL
FROM llm_calls c WHERE c.project_id = %(project)s AND c.start_time >= %(start)s AND c.start_time < %(end)s
"""
HOURS = """
INSERT INTO costs_allocatedhour (project_id, hour, revision, computed_at)
SELECT %(project)s, at, 1, at FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz, '1 hour') at;
INSERT INTO costs_allocation (project_id, deployment_id, hour, revision, method, cost_usd, energy_usd, energy_wh,
    energy_method, gpu_hours, gpus_seen, busy_ratio, covered_ratio, calls, untokened_calls, input_tokens, output_tokens)
SELECT %(project)s, d.id, at, 1, 'measured', 0.76, 0.04, 120, 'counter', 2, 2, 0.4, 1, 400, 0, 400000, 100000
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz, '1 hour') at,
    costs_deployment d WHERE d.project_id = %(project)s;
INSERT INTO costs_allocationline (project_id, allocation_id, hour, kind, feature, model, user_id, calls, input_tokens,
    output_tokens, cost_usd, energy_usd, energy_wh)
SELECT a.project_id, a.id, a.hour, CASE WHEN n = 0 THEN 'idle' ELSE 'use' END,
    CASE WHEN n > 0 THEN 'feature-' || n %% 6 ELSE '' END, CASE WHEN n > 0 THEN 'llama-3.1-8b' ELSE '' END,
    CASE WHEN n > 0 THEN 'user-' || (n * 7 + a.id) %% 3000 ELSE '' END, 4, 4000, 1000, 0.0076, 0.0004, 1.2
FROM costs_allocation a, generate_series(0, %(users)s) n WHERE a.project_id = %(project)s
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="questions whose name holds this")
    options = parser.parse_args()
    settings.ALLOWED_HOSTS = ["*"]
    with postgres.running() as server:
        call_command("migrate", verbosity=0)
        organisation = tenants.create_organisation("Bench")
        project = tenants.create_project(organisation, "Costs")
        tenants.create_owner(organisation, "bench", "x" * 12)
        now = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        fill(project, now, options.calls, options.days)
        ask(project, now, options, int((server.data / "postmaster.pid").read_text().split()[0]))
        connection.close()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


@contextmanager
def timed(what: str) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    print(f"{what} in {time.monotonic() - began_s:.1f} s", flush=True)


def fill(project: Project, now: datetime, calls: int, days: int) -> None:
    starts = [now - back * DAY for back in range(days, 0, -1)]
    partitions.ensure([start.date() for start in starts])
    with timed(f"{calls} calls written"):
        for number, start in enumerate(starts):
            values = {"project": project.pk, "day": number, "start": start, "end": start + DAY, "count": calls // days,
                      "features": FEATURES}  # fmt: skip
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(CALLS, values)
                cursor.execute(SPANS, values)
    with timed("rollups"):
        for start in starts:
            with transaction.atomic(), db.raw_cursor() as raw:
                raw.execute("SET LOCAL jit = off")
                rollups.recompute(raw, project.pk, [start + minute * MINUTE for minute in range(1440)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE spans, llm_calls, call_rollups, call_totals")
    with timed("limits, budgets, hours and a bill"):
        fill_costs(project, starts[0], now)
    with timed("peaks counted back"):
        for _project in peaks.work(now):
            pass
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def fill_costs(project: Project, start: datetime, now: datetime) -> None:
    for provider, model in (("openai", ""), ("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("openai", "o3"),
                            ("anthropic", ""), ("anthropic", "claude-sonnet-4-5"), ("anthropic", "claude-haiku-4-5"),
                            ("google", ""), ("google", "gemini-flash"), ("vllm", ""), ("vllm", HOSTED),
                            ("mistral", "")):  # fmt: skip
        limits = dict.fromkeys(("rps", "rpm", "input_tpm", "output_tpm", "tps", "concurrency"), Decimal(1_000_000))
        rate_limits.add(project, {"provider": provider, "model": model, **limits}, "bench")
    for number in range(20):
        scope = ({"scope": "project"}, {"scope": "feature", "scope_value": f"feature-{number % FEATURES}"},
                 {"scope": "environment", "scope_value": "production"},
                 {"scope": "attribute", "scope_key": "team", "scope_value": f"team-{number}"})[number % 4]  # fmt: skip
        budgets.add(project, {"name": f"budget {number}", "owner": "bench", "limit_usd": Decimal(500),
                              "period": ("month", "week")[number % 2], **scope}, "bench")  # fmt: skip
    for name in ("chat", "batch"):
        values = {"name": name, "effective_from": start, "match_provider": "vllm", "match_model": name,
                  "usd_per_hour": Decimal("0.38"), "count": 2}  # fmt: skip
        deployments.add(project, values, "bench")
    with connection.cursor() as cursor:
        cursor.execute(HOURS, {"project": project.pk, "start": start, "end": now - timedelta(hours=1), "users": 100})
        cursor.execute("DELETE FROM costs_dirtyhour")
    rows = [f"{start + day * DAY:%Y-%m-%d},{model},{12.5 + day},1000000,200000" for day in range((now - start) // DAY)
            for model in ("gpt-4o", "gpt-4o-mini", "o3")]  # fmt: skip
    bill = "\n".join(["day,model,usd,input_tokens,output_tokens", *rows]).encode()
    invoices.add(project, "Bill", "openai", bill, "bench")
    with timed("attribute budgets remembered"):
        for _budget in remembering.work(now):
            pass


def ask(project: Project, now: datetime, options: argparse.Namespace, database_pid: int) -> None:
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    month, week = f"from={now - options.days * DAY:%Y-%m-%dT%H:%M:%SZ}&to={now:%Y-%m-%dT%H:%M:%SZ}", now - 7 * DAY
    span = f"from={week:%Y-%m-%dT%H:%M:%SZ}&to={now:%Y-%m-%dT%H:%M:%SZ}"

    def page(path: str) -> Callable[[], None]:
        def get() -> None:
            answer = client.get(f"/p/{project.slug}/{path}")
            assert answer.status_code == 200, (path, answer.status_code, answer.content[-2_000:])

        return get

    number = invoices.invoices(project.pk)[0].pk
    questions = {
        "explorer, month, by feature": page(f"costs?{month}"),
        "explorer, month, by feature and model": page(f"costs?{month}&by=feature&by2=model"),
        "explorer, month, by model, one feature": page(f"costs?{month}&by=model&feature=feature-1"),
        "explorer, month, by deployment": page(f"costs?{month}&by=deployment"),
        "explorer, month, by user": page(f"costs?{month}&by=user"),
        "explorer, month, by session": page(f"costs?{month}&by=session"),
        "explorer, month, by attribute": page(f"costs?{month}&by=attribute&key=team"),
        "explorer, week, by feature": page(f"costs?{span}"),
        "explorer, week, by user": page(f"costs?{span}&by=user"),
        "explorer, week, by session": page(f"costs?{span}&by=session"),
        "explorer, week, by attribute": page(f"costs?{span}&by=attribute&key=team"),
        "self-hosted, month": page(f"hosting?{month}"),
        "budgets": page("budgets"),
        "invoices": page("costs/invoices"),
        "invoice": page(f"costs/invoices/{number}"),
        "headroom (rate limits)": page("rate-limits"),
        "savings, a look": lambda: savings.look(project.pk, now),
    }
    for name, question in questions.items():
        if options.only in name:
            print(f"{name:42} {_told(question, options.runs, database_pid)}", flush=True)


def _told(question: Callable[[], object], runs: int, database_pid: int) -> str:
    """Of the runs after the first: seconds on the clock, and of CPU, PostgreSQL's included."""
    try:
        question()
        took_s, cpu_s = [], []
        for _run in range(runs):
            began_s, used_s = time.monotonic(), time.process_time() + product.cpu_s(database_pid)
            question()
            took_s.append(time.monotonic() - began_s)
            cpu_s.append(time.process_time() + product.cpu_s(database_pid) - used_s)
    except AssertionError as error:
        return f"refused: {str(error)[:400]}"
    return f"{median(took_s):8.2f} s on the clock, {median(cpu_s):6.2f} s of CPU"


if __name__ == "__main__":
    main()
