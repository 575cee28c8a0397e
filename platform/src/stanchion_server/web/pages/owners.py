"""Owners: who is told about a feature; listed, said, changed, taken back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.alerts import channel_selectors, owners
from stanchion_server.alerts.models import Change, Owner
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import alert_history
from stanchion_server.web.pages.frame import Visit, project_page

FIELDS = ("feature", "topic", "person", "channel")


@require_http_methods(["GET", "POST"])
@project_page
def alert_owners(visit: Visit) -> HttpResponse:
    """The owners, and a form for another one."""
    form, refusal, status = {**dict.fromkeys(FIELDS, ""), "topic": "any"}, "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = _said(visit.request.POST)
        try:
            made = owners.add(visit.project, _values(form), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, f"{made.person} is an owner.")
            return redirect("alert_owners", visit.project.slug)
    return visit.render(
        "pages/alert_owners.html", "alert_channels", status, owners=owners.owners(visit.project.pk), refusal=refusal,
        **_form(visit, form),
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
@project_page
def alert_owner(visit: Visit, number: int) -> HttpResponse:
    """One owner; a POST changes it."""
    found = owners.owner(visit.project.pk, number)
    if found is None:
        raise SenderError("not_found", "There is no such owner in this project.", 404)
    form, refusal, status = _form_of(found), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = _said(visit.request.POST)
        try:
            owners.change(visit.project.pk, number, _values(form), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, "The owner is changed.")
            return redirect("alert_owners", visit.project.slug)
    return visit.render(
        "pages/alert_owner.html",
        "alert_channels",
        status,
        owner=found,
        refusal=refusal,
        lines=alert_history.of(visit, Change.Kind.OWNER, number),
        **_form(visit, form),
    )


@require_POST
@project_page
def delete_owner(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    gone = owners.delete(visit.project.pk, number, visit.who)
    messages.success(visit.request, f"{gone.person} is no longer told.")
    return redirect("alert_owners", visit.project.slug)


def _form(visit: Visit, form: dict[str, str]) -> dict[str, Any]:
    return {"form": form, "topics": Owner.Topic.choices, "channels": channel_selectors.channels(visit.project.pk)}


def _form_of(row: Owner) -> dict[str, str]:
    channel = row.channel if row.channel is not None and row.channel.archived_at is None else None
    return {
        "feature": row.feature, "topic": row.topic, "person": row.person, "channel": str(channel.pk) if channel else ""
    }  # fmt: skip


def _said(post: QueryDict) -> dict[str, str]:
    return {name: post.get(name, "") for name in FIELDS}


def _values(form: dict[str, str]) -> dict[str, Any]:
    channel = form["channel"]
    if channel and not (channel.isascii() and channel.isdecimal() and len(channel) <= 18):
        raise SenderError("bad_channel", f"channel is {channel[:40]!r}: choose one of the project's channels.")
    return {**form, "channel": int(channel) if channel else None}
