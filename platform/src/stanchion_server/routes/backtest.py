"""Back-tests: a policy's draft over recorded traffic, a slice at a time, so that other work gets its turn."""

from __future__ import annotations

from celery import shared_task

from stanchion_server.kernel import clock, turns
from stanchion_server.policies import backtests

BUDGET_S = 4.0


@shared_task
@turns.at_most(1)
def run_backtests() -> None:
    """Every few seconds, for at most four: what is left waits for the next tick."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    while clock.monotonic_s() < deadline_s and backtests.step():
        pass
