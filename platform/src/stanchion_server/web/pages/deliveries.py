"""The log of deliveries: every message, every attempt, and sending a failed one again."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from stanchion_server.alerts import channel_selectors as selectors
from stanchion_server.alerts import channel_services as services
from stanchion_server.alerts.models import Notification
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import paging
from stanchion_server.web.pages.frame import Visit, project_page

STATES = ("waiting", "delivered", "failed", "superseded")


@require_GET
@project_page
def deliveries(visit: Visit) -> HttpResponse:
    asked = visit.request.GET
    state, channel = asked.get("state", ""), asked.get("channel", "")
    if state and state not in STATES:
        raise SenderError("bad_state", f"A state is one of {', '.join(STATES)}.")
    if channel and not (channel.isascii() and channel.isdecimal() and len(channel) <= 18):
        raise SenderError("bad_channel", "A channel is named by its number.")
    cursor = asked.get("cursor", "")
    page = selectors.deliveries(visit.project.pk, int(channel) if channel else None, state or None, cursor or None)
    return visit.render(
        "pages/deliveries.html", "alert_deliveries", rows=page.items, states=STATES, state=state, chosen=channel,
        channels=selectors.channels(visit.project.pk), older=paging.older(asked, cursor, page.next_cursor),
        newer=paging.newer(asked) if cursor else "",
    )  # fmt: skip


@require_GET
@project_page
def delivery(visit: Visit, number: int) -> HttpResponse:
    row = delivery_of(visit, number)
    tries = selectors.attempts(visit.project.pk, row.pk)
    return visit.render("pages/delivery.html", "alert_deliveries", row=row, tries=tries)


@require_POST
@project_page
def resend_delivery(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    row = delivery_of(visit, number)
    try:
        services.resend(visit.project.pk, row.pk)
    except SenderError as error:
        messages.error(visit.request, error.message)
    else:
        messages.success(visit.request, "The message is in line again.")
    return redirect("alert_delivery", visit.project.slug, number)


def delivery_of(visit: Visit, number: int) -> Notification:
    found = selectors.delivery(visit.project.pk, number)
    if found is None:
        raise Http404("No such delivery in this project.")
    return found
