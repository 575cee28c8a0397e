"""Which clients we do not fully understand, before their owners notice missing numbers."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel import clock
from stanchion_server.traces import selectors
from stanchion_server.web.pages.frame import Visit, project_page

DAYS = {"1": 1, "7": 7, "30": 30}


@require_GET
@project_page
def radar(visit: Visit) -> HttpResponse:
    days = DAYS.get(visit.request.GET.get("days", "7"), 7)
    clients = selectors.radar(visit.project.pk, clock.now() - timedelta(days=days))
    return visit.render("pages/radar.html", "radar", clients=clients, days=days, choices=DAYS.values())
