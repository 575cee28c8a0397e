"""The schedule and the routes name tasks that exist."""

from __future__ import annotations

import os
import subprocess
import sys

from stanchion_server.config import beat, settings
from stanchion_server.config.celery import app


def test_every_scheduled_and_routed_task_is_registered() -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled, "an empty schedule would settle nothing"
    assert scheduled | set(settings.CELERY_TASK_ROUTES) <= set(app.tasks)


def test_a_wake_up_lives_longer_than_the_queue_is_late() -> None:
    """Else a late queue drops each of them unread, and its task never runs."""
    assert {
        name: entry for name, entry in settings.CELERY_BEAT_SCHEDULE.items() if entry["options"]["expires"] < 10
    } == {}


def test_a_worker_that_has_its_fill_soon_looks_again() -> None:
    with app.connection_for_read() as connection:
        assert connection.transport.polling_interval < 0.1


def test_beat_sends_what_the_workers_know_where_they_listen() -> None:
    assert beat.app.conf.beat_schedule == app.conf.beat_schedule
    assert beat.app.conf.task_routes == app.conf.task_routes
    assert beat.app.conf.task_default_queue == app.conf.task_default_queue
    assert beat.app.conf.broker_url == app.conf.broker_url


def test_beat_loads_no_application_of_ours() -> None:
    code = (
        "import sys; from stanchion_server.config import beat; beat.app.loader.init_worker(); beat.app.finalize();"
        " print(*(name for name in sys.modules if name.startswith('stanchion_server.')))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    parts = {name.split(".")[1] for name in done.stdout.split()}
    assert parts == {"config", "kernel"}
