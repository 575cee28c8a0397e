"""Alert channels: listed, made, changed, tested, enabled again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.alerts import channel_secrets
from stanchion_server.alerts import channel_selectors as selectors
from stanchion_server.alerts import channel_services as services
from stanchion_server.alerts.channels import KINDS
from stanchion_server.alerts.models import Change, Channel
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import alert_history
from stanchion_server.web.pages.frame import Visit, project_page


@require_GET
@project_page
def channels(visit: Visit) -> HttpResponse:
    found = selectors.channels(visit.project.pk)
    return visit.render(
        "pages/channels.html", "alert_channels", channels=[(one, KINDS[one.kind].label) for one in found],
        broken=[one for one in found if one.broken_at], kinds=KINDS.values(),
        unreadable=[one for one in found if not one.broken_at and channel_secrets.opened(one) is None],
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def new_channel(visit: Visit, kind: str) -> HttpResponse:
    """A POST makes the channel; a signing secret that was made is shown in its answer, once."""
    visit.require_admin()
    if kind not in KINDS:
        raise Http404("No such kind of channel.")
    said = visit.request.POST
    refusal, status = "", 200
    if visit.request.method == "POST":
        try:
            made = services.create(visit.project, _wanted(kind, said), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            if made.shown_once:
                return _one(visit, made.channel, secret=made.shown_once)
            messages.success(visit.request, f"The channel “{made.channel.name}” is made. Send a test.")
            return redirect("alert_channel", visit.project.slug, made.channel.pk)
    # A secret that was typed is not sent back to the page.
    shown = {one.name: "" if one.is_secret else said.get(one.name, one.default) for one in KINDS[kind].settings}
    return visit.render(
        "pages/channel_new.html", "alert_channels", status, kind=KINDS[kind], refusal=refusal,
        name=said.get("name", ""), fields=[(one, shown[one.name], "") for one in KINDS[kind].settings],
        is_default=said.get("is_default"), fallback=said.get("fallback", ""),
        others=selectors.channels(visit.project.pk),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def channel(visit: Visit, number: int) -> HttpResponse:
    """A POST changes it; secrets that are left empty stay."""
    found = channel_of(visit, number)
    if visit.request.method == "GET":
        return _one(visit, found)
    visit.require_admin()
    wanted = _wanted(found.kind, visit.request.POST)
    changes = {
        "name": wanted.name,
        "values": wanted.values,
        "fallback": wanted.fallback,
        "is_default": wanted.is_default,
    }
    try:
        services.change(visit.project.pk, found.pk, changes, visit.who)
    except SenderError as error:
        return _one(visit, channel_of(visit, number), error.http_status, refusal=error.message)
    messages.success(visit.request, "The channel is changed.")
    return redirect("alert_channel", visit.project.slug, number)


@require_POST
@project_page
def test_channel(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    services.test(visit.project, channel_of(visit, number).pk, visit.who)
    messages.success(visit.request, "A test message is on its way; its row below says what came of it.")
    return redirect("alert_channel", visit.project.slug, number)


@require_POST
@project_page
def enable_channel(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    services.enable(visit.project.pk, channel_of(visit, number).pk, visit.who)
    messages.success(visit.request, "The channel is used again. Send what failed again below.")
    return redirect("alert_channel", visit.project.slug, number)


@require_POST
@project_page
def rotate_channel(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    made = services.rotate_secret(visit.project.pk, channel_of(visit, number).pk, visit.who)
    return _one(visit, made.channel, secret=made.shown_once)


@require_POST
@project_page
def archive_channel(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    services.archive(visit.project.pk, channel_of(visit, number).pk, visit.who)
    messages.success(visit.request, "The channel is archived.")
    return redirect("alert_channels", visit.project.slug)


def channel_of(visit: Visit, number: int) -> Channel:
    found = selectors.channel(visit.project.pk, number)
    if found is None:
        raise Http404("No such channel in this project.")
    return found


def _one(visit: Visit, row: Channel, status: int = 200, **more: Any) -> HttpResponse:
    kind, hints = KINDS[row.kind], selectors.hint(row)
    fields = [(one, row.settings.get(one.name, one.default), hints.get(one.name, "")) for one in kind.settings]
    others = [one for one in selectors.channels(visit.project.pk) if one.pk != row.pk]
    page = selectors.deliveries(visit.project.pk, row.pk, limit=20)
    return visit.render(
        "pages/channel.html", "alert_channels", status, channel=row, kind=kind, fields=fields, others=others,
        rows=page.items, lines=alert_history.of(visit, Change.Kind.CHANNEL, row.pk),
        is_unreadable=channel_secrets.opened(row) is None, unreadable=channel_secrets.UNREADABLE,
        fallback=str(row.fallback_id or ""), name=row.name, is_default=row.is_default, **more,
    )  # fmt: skip


def _wanted(kind: str, said: QueryDict) -> services.Wanted:
    fallback = said.get("fallback", "")
    if fallback and not (fallback.isascii() and fallback.isdecimal() and len(fallback) <= 18):
        raise SenderError("bad_fallback", "The fallback is another channel of the project.")
    return services.Wanted(
        name=said.get("name", ""), kind=kind,
        values={one.name: said.get(one.name, "") for one in KINDS[kind].settings if one.name in said},
        fallback=int(fallback) if fallback else None, is_default=bool(said.get("is_default")),
    )  # fmt: skip
