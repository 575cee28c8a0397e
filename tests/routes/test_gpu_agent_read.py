"""What our agent says is what our server reads: names, ids, units and labels, from a driver's call to a row."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from kit import nvml_stub
from stanchion_server.gpu import selectors, summing
from stanchion_server.gpu.models import GpuWindow
from stanchion_server.kernel import clock
from stanchion_server.routes import telemetry
from stanchion_server.tenants import services as tenants
from stanchion_server.web.otlp import gate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_one_reading_of_the_agent_becomes_cards_an_agent_and_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = nvml_stub.build(tmp_path)
    told = {"STANCHION_GPU_HOST_NAME": "node-7", "STANCHION_GPU_DISCOVER_ENGINES": "false"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stanchion_gpu", "once"],
        env=nvml_stub.environment(library, **told), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    said = json.loads(done.stdout)
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    body = json.dumps(said).encode()
    outcome = telemetry.accept(
        telemetry.Sender(project.pk, 1, "kit/1", 30), "metrics", body, "json", body_bytes=len(body), gate=gate
    )
    assert outcome.rejected == 0
    (agent,) = selectors.agents(project.pk, clock.now())
    assert (agent.host, agent.service, agent.is_stale) == ("node-7", "stanchion-gpu-agent", False)
    cards = selectors.cards(project.pk)
    assert len(cards) >= 8
    assert all(card.host == "node-7" and card.hw_id and card.name for card in cards)
    assert any(card.memory_bytes for card in cards)
    later = clock.now() + timedelta(minutes=11)
    while summing.step(later) is not None:
        pass
    windows = list(GpuWindow.objects.filter(project=project))
    assert {window.device_id for window in windows} == {card.number for card in cards}
    assert any(window.utilization_ratio is not None and 0 <= window.utilization_ratio <= 1 for window in windows)
    assert any(window.temperature_c for window in windows)
    assert any(window.memory_bytes for window in windows)
