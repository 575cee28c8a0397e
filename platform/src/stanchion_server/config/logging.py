"""One line per event on standard output: readable for people, or JSON for machines."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

FORMATS = ("text", "bare", "json")


class JsonFormatter(logging.Formatter):
    """time, level, logger, message and, where there is one, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configuration(style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. `bare` leaves the time out, for a supervisor that writes it before every line."""
    if style not in FORMATS:
        raise ImproperlyConfigured(f"STANCHION_LOG_FORMAT is {style!r}; use one of {', '.join(FORMATS)}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            "bare": {"format": "%(levelname)-7s %(name)s: %(message)s"},
            "json": {"()": JsonFormatter},
        },
        "handlers": {"output": {"class": "logging.StreamHandler", "formatter": style}},
        "root": {"handlers": ["output"], "level": level.upper()},
        "loggers": {
            # Each wake-up writes two lines on INFO; a task that fails is an ERROR and stays.
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.worker.request": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "kombu.connection": {"level": "ERROR"},  # warns that pgmq:// names no host: it needs none
            "pgmq": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
        },
    }
