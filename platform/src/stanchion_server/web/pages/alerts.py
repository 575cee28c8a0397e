"""Alerts: what is wrong now, and what was."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.alerts import selectors
from stanchion_server.web.pages.frame import Visit, project_page


@require_GET
@project_page
def alerts(visit: Visit) -> HttpResponse:
    found = selectors.incidents(visit.project.pk, None)
    return visit.render("pages/alerts.html", "alerts", incidents=found)
