"""Reads of rules and incidents: the project first."""

from __future__ import annotations

from stanchion_server.alerts.models import Incident

MOST_LISTED = 100


def incidents(project_id: int, is_open: bool | None) -> tuple[Incident, ...]:
    """The newest first; open ones only, resolved ones only, or both (None)."""
    rows = Incident.objects.filter(project_id=project_id).select_related("rule").order_by("-started_at", "-pk")
    if is_open is not None:
        rows = rows.filter(resolved_at__isnull=is_open)
    return tuple(rows[:MOST_LISTED])
