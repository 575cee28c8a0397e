"""When Celery's beat wakes which task."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

WAITS_S = 15.0
"""How long a wake-up waits for a worker at least. One that came to nothing is made up for by the next, unless the queue
is later than a wake-up lives: then each is dropped unread and the task never runs. So this is far longer than a queue
is late, and what it lets pile up is quickly done: a task with nothing to do returns at once."""

Entry = dict[str, Any]


def _every(seconds: float, task: str) -> Entry:
    return _entry(task, seconds, expires_s=max(seconds, WAITS_S))


def _hourly(minute: int, task: str) -> Entry:
    return _entry(task, crontab(minute=str(minute)), expires_s=1800)


def _entry(task: str, schedule: float | crontab, expires_s: float) -> Entry:
    return {"task": f"stanchion_server.routes.{task}", "schedule": schedule, "options": {"expires": expires_s}}


BEAT: dict[str, Entry] = {
    "settle": _every(2, "telemetry.settle"),
    "back-tests": _every(5, "backtest.run_backtests"),
    "score fast": _every(1, "scoring.score_fast"),
    "score slow": _every(2, "scoring.score_slow"),
    "sum scores": _every(5, "scoring.sum_scores"),
    "open re-scorings": _every(5, "rescoring.open_rescorings"),
    "expire scores": _hourly(57, "scoring.expire_scores"),
    "judge alert rules": _every(10, "watch.judge"),
    "expire evaluations": _hourly(27, "watch.expire_watch"),
    "sum windows": _every(10, "gpu_cost.sum_windows"),
    "allocate": _every(10, "gpu_cost.allocate"),
    "expire windows": _hourly(27, "gpu_cost.expire_windows"),
    "remember spending": _every(30, "spending.remember"),
    "stop what is spent": _every(10, "spending.stop_spent"),
    "expire spending": _hourly(22, "spending.expire_spending"),
    "count peaks": _every(10, "headroom.count_peaks"),
    "expire peaks": _hourly(24, "headroom.expire_peaks"),
    "plan savings": _every(300, "savings.plan_savings"),
    "savings": _every(10, "savings.look_for_savings"),
    "plan drift": _every(60, "drift.plan_drift"),
    "drift": _every(15, "drift.run_drift"),
    "expire drift": _hourly(17, "drift.expire_drift"),
    "drift reports": _every(15, "drift.make_drift_report"),
    "deliver": _every(2, "watch_delivery.deliver"),
    "alert heartbeat": _every(60, "watch_delivery.beat"),
    "expire deliveries": _hourly(52, "watch_delivery.expire_deliveries"),
    "keep partitions": _hourly(7, "telemetry.keep_partitions"),
    "expire": _hourly(37, "telemetry.expire"),
    "expire ratings": _hourly(47, "feedback.expire_ratings"),
}
