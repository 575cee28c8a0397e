"""The Celery application of beat: it sends names of tasks, so it loads none of them, nor Django's applications."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
app = Celery("stanchion", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.include = []


@setup_logging.connect
def _log_as_the_others_do(**_: Any) -> None:
    logging.config.dictConfig(settings.LOGGING)
