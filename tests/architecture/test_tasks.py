"""The schedule and the routes name tasks that exist."""

from __future__ import annotations

from stanchion_server.config import settings
from stanchion_server.config.celery import app


def test_every_scheduled_and_routed_task_is_registered() -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled, "an empty schedule would settle nothing"
    assert scheduled | set(settings.CELERY_TASK_ROUTES) <= set(app.tasks)
