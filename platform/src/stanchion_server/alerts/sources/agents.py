"""Readings of GPU agents: how long each has been silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.alerts.sources.asking import Answer
from stanchion_server.gpu import selectors
from stanchion_server.tenants.models import Project

SETTLING = timedelta(minutes=10)
"""A project that has just begun to send may be sending what was kept: its agents were heard of, not heard."""


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    """Of now, whatever the window; retired agents are expected to be silent and left out."""
    is_new = Project.objects.filter(pk=project_id, created_at__gt=now - SETTLING).exists()
    known = [] if is_new else [agent for agent in selectors.agents(project_id, now) if not agent.is_retired]
    return {ask: _readings(known, ask) for ask in asks}


def _readings(agents: Sequence[selectors.AgentReading], ask: Ask) -> Readings:
    found: dict[Labels, Sample] = {}
    for agent in agents:
        values = {"host": agent.host, "service": agent.service}
        if any(values[name] != wanted for name, wanted in ask.where):
            continue
        labels = tuple((name, values[name]) for name in ask.by)
        before = found.get(labels)
        silent_s = max(agent.silent_s, before.value or 0.0) if before else agent.silent_s
        found[labels] = Sample(silent_s, (before.samples if before else 0) + 1)
    return found
