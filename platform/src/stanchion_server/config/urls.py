"""Every address the server answers. None redirects: `web.otlp` says why."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from stanchion_server.web import health, otlp
from stanchion_server.web.compat import detectors

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(otlp.DOOR.pattern, otlp.receive),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    # An orchestrator of the Detectors API knows a host and a port, and no path before its own.
    path("", include(detectors.urlpatterns)),
    path("api/", include("stanchion_server.web.api.urls")),
    path("compat/", include("stanchion_server.web.compat.urls")),
    path("", include("stanchion_server.web.pages.urls")),
]
