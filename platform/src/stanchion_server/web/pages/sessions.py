"""Conversations: the calls of one session together, the busiest first."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.feedback import selectors as feedback
from stanchion_server.traces import selectors
from stanchion_server.web.pages.frame import Visit, project_page

MAX_SESSIONS = 100


@require_GET
@project_page
def sessions(visit: Visit) -> HttpResponse:
    query = selectors.MetricQuery(
        visit.span.start, visit.span.end, group_by=("session", "user"), limit=MAX_SESSIONS + 1
    )
    rows = selectors.metrics(visit.project.pk, query).rows
    named = [row for row in rows if row.group.get("session")]
    shown = named[:MAX_SESSIONS]
    tallies = feedback.of_sessions(visit.project.pk, [row.group["session"] for row in shown])
    return visit.render(
        "pages/sessions.html",
        "sessions",
        rows=[(row, tallies.get(row.group["session"])) for row in shown],
        is_cut=len(named) > MAX_SESSIONS,
    )
