"""The addresses of other people's formats."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from stanchion_server.web.compat import moderations

urlpatterns: list[URLPattern | URLResolver] = [
    path("openai/v1/moderations", moderations.moderations),
]
