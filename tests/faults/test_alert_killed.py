"""Kill -9 of the dispatcher between send and commit, and of the judge between an incident and its message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from kit import alerting
from kit.receivers import receiving
from kit.sending import wait_until
from stanchion_server.alerts import channel_services, outgoing
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Attempt, Evaluation, Incident, Notification, WatchRound
from stanchion_server.gpu.models import GpuAgent
from stanchion_server.kernel import clock
from stanchion_server.routes import watch, watch_delivery
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(str(ROOT / name / "src") for name in ("platform", "guardrails", "collectors"))
SET_UP = "import django; django.setup()\n"
DELIVER = SET_UP + "from stanchion_server.routes import watch_delivery\nwatch_delivery.deliver()"
JUDGE = SET_UP + "from stanchion_server.routes import watch\nwatch.judge()"


def database_url() -> str:
    held = connection.get_connection_params()
    query = {name: str(held[name]) for name in ("host", "port", "user", "password") if held.get(name)}
    return f"postgresql:///{held['dbname']}?{urlencode(query)}"


def started(work: str) -> subprocess.Popen[bytes]:
    """A process of its own on the test's database."""
    more = {
        "DATABASE_URL": database_url(), "PYTHONPATH": SOURCES, "STANCHION_SECRET_KEY": settings.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "stanchion_server.config.settings", "STANCHION_OUTBOUND_ALLOW": "127.0.0.0/8",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-P", "-c", work], env={**os.environ, **more})


def test_a_killed_dispatcher_delivers_again_and_the_incident_has_one_row(monkeypatch: Any) -> None:
    monkeypatch.setattr(settings, "OUTBOUND_ALLOW", ["127.0.0.0/8"])
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    incident = alerting.incident(alerting.rule(project))
    now = clock.now
    with receiving() as receiver:
        channel = channel_services.create(project, Wanted("hook", "webhook", {"url": receiver.url}), "ada").channel
        row = Notification.objects.create(
            project=project, incident=incident, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
            next_attempt_at=now(), created_at=now(),
        )  # fmt: skip
        receiver.answers = ["stall"]
        process = started(DELIVER)
        try:
            wait_until(lambda: bool(receiver.got), 60, "the first send")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert Attempt.objects.get().outcome == "sending", "the attempt was not committed before the send"
        assert outgoing.claim(now()) is None, "the lease of the killed one was not kept"
        monkeypatch.setattr(clock, "now", lambda: now() + outgoing.LEASE + timedelta(seconds=5))
        watch_delivery.deliver()
    row.refresh_from_db()
    assert row.state == "delivered"
    assert [got.headers["webhook-id"] for got in receiver.got] == [f"msg_{project.pk}_{row.pk}"] * 2
    assert list(Attempt.objects.order_by("pk").values_list("outcome", flat=True)) == ["unknown", "delivered"]
    assert Incident.objects.count() == Notification.objects.count() == 1


def test_a_killed_judge_leaves_nothing_half_done_and_the_next_round_does_it_all() -> None:
    """Nobody may write to the table of messages, so the judge dies where its incident is written and that is not."""
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    now = clock.now()
    Project.objects.filter(pk=project.pk).update(created_at=now - timedelta(hours=1))
    GpuAgent.objects.create(
        project=project, host="gpu-1", service="stanchion-gpu-agent", version="1",
        first_heard_at=now - timedelta(hours=1), last_heard_at=now - timedelta(minutes=10),
    )  # fmt: skip
    alerting.channel(project, is_default=True)
    with psycopg.connect(database_url()) as blocker:
        blocker.execute("LOCK TABLE alerts_notification IN SHARE ROW EXCLUSIVE MODE")
        process = started(JUDGE)
        try:
            wait_until(_waits_for_the_lock, 60, "the judge to reach its message")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        blocker.rollback()
    wait_until(lambda: not _waits_for_the_lock(), 60, "the server to notice")
    assert not Incident.objects.exists()
    assert not Evaluation.objects.exists()
    WatchRound.objects.all().delete()  # the round of this moment was the killed one's
    watch.judge()
    incident = Incident.objects.get()
    assert incident.rule.name == "gpu-agent-dead"
    assert list(Notification.objects.values_list("incident", "kind")) == [(incident.pk, "trigger")]


def _waits_for_the_lock() -> bool:
    """Whether a process that has written an incident waits to write a message."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)"
            " WHERE waiting.relation = 'alerts_notification'::regclass AND NOT waiting.granted"
            " AND held.relation = 'alerts_incident'::regclass AND held.mode = 'RowExclusiveLock' AND held.granted"
        )
        return bool(cursor.fetchone()[0])
