"""A network that swallows every alert keeps no other work of the workers waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit import product
from kit.load import Load
from kit.product import Product
from kit.receivers import receiving
from kit.sending import Sender, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]
SOURCES = [product.ROOT / "tests", *(product.ROOT / name / "src" for name in ("platform", "guardrails", "collectors"))]
CHANNELS = 8
STALL = """
import sys, django
django.setup()
from kit import alerting
from stanchion_server.alerts import channel_services
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.models import Notification
from stanchion_server.kernel import clock
from stanchion_server.tenants.models import Project
project, now = Project.objects.get(), clock.now()
incident = alerting.incident(alerting.rule(project))
for number in range(int(sys.argv[2])):
    wanted = Wanted(f"hook {number}", "webhook", {"url": sys.argv[1]})
    channel = channel_services.create(project, wanted, "ada").channel
    Notification.objects.create(
        project=project, incident=incident, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
        next_attempt_at=now, created_at=now,
    )
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Product]:
    with product.running(tmp_path / "data", {"STANCHION_OUTBOUND_ALLOW": "127.0.0.0/8"}) as running:
        yield running


def test_calls_are_scored_while_every_channel_stalls(server: Product) -> None:
    with receiving() as receiver:
        receiver.usual = "stall"
        run(server, STALL, receiver.url, str(CHANNELS))
        wait_until(lambda: attempts(server, "=") >= 3, 60, "messages on their way")
        load = Load(seed="stalled", end_s=time.time(), total=1, days=0.01, spans=64)
        assert Sender(server.target, [load.export(0)], retries=50).run(60).statuses[200] == 1
        server.wait_until_scored()
        assert attempts(server, "=") > 0, "no message is on its way any more, so the test shows nothing"
        assert attempts(server, "<>") < 6, "scoring waited for the senders"


def run(server: Product, code: str, *arguments: str) -> None:
    """Python with Django on the product's database."""
    lines = (server.folder / "environment").read_text().splitlines()
    settings = {
        "DJANGO_SETTINGS_MODULE": "stanchion_server.config.settings",
        "PYTHONPATH": os.pathsep.join(map(str, SOURCES)), "STANCHION_OUTBOUND_ALLOW": "127.0.0.0/8",
    }  # fmt: skip
    env = {**os.environ, **dict(line.split("=", 1) for line in lines), **settings}
    subprocess.run([sys.executable, "-P", "-c", code, *arguments], env=env, check=True, timeout=60)


def attempts(server: Product, sign: str) -> int:
    """On their way with "=", ended with "<>"."""
    return server.number(f"SELECT count(*) FROM alerts_attempt WHERE outcome {sign} 'sending'")
