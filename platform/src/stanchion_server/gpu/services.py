"""What people say of agents."""

from __future__ import annotations

from stanchion_server.gpu.models import GpuAgent
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError


def retire(project_id: int, number: int) -> str:
    """An agent that was taken out of service is no longer waited for; returns its host."""
    row = GpuAgent.objects.filter(project_id=project_id, pk=number).first() if number < 2**63 else None
    if row is None:
        raise SenderError("not_found", f"Your project has no GPU agent {number}.", 404)
    GpuAgent.objects.filter(pk=row.pk).update(retired_at=clock.now())
    return row.host
