"""A dispatcher killed between send and commit: the message arrives again, and nothing else is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection

from kit import alerting
from kit.receivers import receiving
from kit.sending import wait_until
from stanchion_server.alerts import channel_services, outgoing
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Attempt, Incident, Notification
from stanchion_server.kernel import clock
from stanchion_server.routes import watch_delivery
from stanchion_server.tenants import services as tenants

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(str(ROOT / name / "src") for name in ("platform", "guardrails", "collectors"))
WORK = "import django; django.setup()\nfrom stanchion_server.routes import watch_delivery\nwatch_delivery.deliver()"


def dispatcher() -> subprocess.Popen[bytes]:
    """A process of its own on the test's database."""
    held = connection.get_connection_params()
    query = {name: str(held[name]) for name in ("host", "port", "user", "password") if held.get(name)}
    where = f"postgresql:///{held['dbname']}?{urlencode(query)}"
    more = {
        "DATABASE_URL": where, "PYTHONPATH": SOURCES, "STANCHION_ALLOW_EPHEMERAL_SECRET": "1",
        "DJANGO_SETTINGS_MODULE": "stanchion_server.config.settings", "STANCHION_OUTBOUND_ALLOW": "127.0.0.0/8",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-P", "-c", WORK], env={**os.environ, **more})


def test_a_killed_dispatcher_delivers_again_and_the_incident_has_one_row(settings: Any, monkeypatch: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
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
        process = dispatcher()
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
