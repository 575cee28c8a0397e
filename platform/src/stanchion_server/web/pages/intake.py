"""Is my data arriving? What came, what was refused or changed and why, and how to mend it at the sender."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel import clock
from stanchion_server.reports import intake as reports
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.hints import hint_for

HOURS = {"1": "1 h", "24": "24 h", "168": "7 d", "720": "30 d"}


@require_GET
@project_page
def intake(visit: Visit) -> HttpResponse:
    hours = visit.request.GET.get("hours", "24")
    hours = hours if hours in HOURS else "24"
    found = reports.intake(visit.project.pk, clock.now() - timedelta(hours=int(hours)))
    return visit.render(
        "pages/intake.html",
        "intake",
        found=found,
        reasons=[(name, count, hint_for(name)) for name, count in found.reasons],
        alterations=[(name, count, hint_for(name)) for name, count in found.alterations],
        hours=hours,
        choices=HOURS.items(),
    )
