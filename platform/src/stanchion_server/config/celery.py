"""The Celery application. All tasks live in `stanchion_server.routes`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")

# The warning about root is for workers that unpickle messages; ours accept JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

# Celery's Django support puts the working directory first on the path. If that is the repository's root,
# `import guardrails` would find our folder.
_path = list(sys.path)
app = Celery("stanchion")
sys.path[:] = _path
app.config_from_object("django.conf:settings", namespace="CELERY")


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Celery leaves the root logger alone once somebody listens to this signal; Django has configured it."""
