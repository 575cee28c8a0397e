"""The server's settings as the tests use them: plain `pytest` needs no environment variable and no running server.

pytest-django reads the settings before any conftest is loaded, so this is where the environment is completed. Without
DATABASE_URL the address points at the server that `kit.postgres` starts when the first test needs a database.
"""

from __future__ import annotations

import os

from kit import postgres

os.environ.setdefault("STANCHION_ALLOW_EPHEMERAL_SECRET", "1")
if "DATABASE_URL" not in os.environ or postgres.OWN_SERVER in os.environ:
    os.environ["DATABASE_URL"] = postgres.planned_url()
    os.environ[postgres.OWN_SERVER] = "1"  # pytest-xdist's workers inherit both and plan servers of their own

from stanchion_server.config.settings import *  # noqa: F403
