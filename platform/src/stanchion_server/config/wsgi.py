"""The WSGI entry point; ASGI halves the throughput of synchronous views."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stanchion_server.config.settings")
application = get_wsgi_application()
