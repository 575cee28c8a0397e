"""Where Celery's messages travel. They are only wake-ups: what must not be lost lies in our own tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import make_conninfo

LOCAL = "pgmq"  # a queue in our own PostgreSQL; needs no server
SCHEMES = (LOCAL, "redis", "rediss", "amqp", "amqps", "memory")

# A message that was read and not acknowledged, because its worker was killed, is delivered again after this time. It
# must exceed the longest task, since nothing renews it.
VISIBILITY_TIMEOUT_S = 600


def scheme(url: str) -> str:
    """The broker's kind; raises ImproperlyConfigured for one that was never tried."""
    found = urlsplit(url).scheme
    if found not in SCHEMES:
        raise ImproperlyConfigured(f"STANCHION_BROKER_URL starts with {found!r}; use one of {', '.join(SCHEMES)}.")
    return found


def transport_options(url: str, database: Mapping[str, Any]) -> dict[str, Any]:
    """What kombu needs to know beside the URL."""
    kind = scheme(url)
    if kind == LOCAL:
        return {
            "conn_string": connection_string(database),
            "init_extension": False,  # the bootstrap command installs its SQL
            "wait_time_seconds": 1,  # bounds how long an idle worker needs to stop
            "poll_interval_ms": 20,
            # How soon a worker that has its fill looks again; kombu's own second makes each message wait that long.
            "polling_interval": 0.02,
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "pool_size": 4,
        }
    if kind in ("redis", "rediss"):
        return {"visibility_timeout": VISIBILITY_TIMEOUT_S}
    return {}


def connection_string(database: Mapping[str, Any]) -> str:
    """libpq's form of Django's settings. The queue need not survive a power cut, so it does not wait for the disk."""
    options = dict(database.get("OPTIONS", {}))
    fields = {
        "dbname": database["NAME"],
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
        "host": database.get("HOST") or options.get("host"),
        "port": database.get("PORT") or options.get("port"),
        "sslmode": options.get("sslmode"),
        "sslrootcert": options.get("sslrootcert"),
        "options": "-c synchronous_commit=off",
    }
    return make_conninfo(**{name: value for name, value in fields.items() if value})
