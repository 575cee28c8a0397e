"""Recorded calls scored again: slices of jobs, which `routes.scoring` does with the others."""

from __future__ import annotations

from celery import shared_task

from stanchion_server.kernel import clock, turns
from stanchion_server.quality import rescoring


@shared_task
@turns.at_most(1)
def open_rescorings() -> None:
    """Every five seconds: the next slice of each re-scoring that has room."""
    rescoring.step(clock.now())
