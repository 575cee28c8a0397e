"""Reads of channels and of what was sent: the project first."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from stanchion_server.alerts import channel_secrets
from stanchion_server.alerts.channels import KINDS
from stanchion_server.alerts.models import Attempt, Channel, Notification
from stanchion_server.kernel.errors import SenderError

MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Page:
    items: tuple[Notification, ...]
    next_cursor: str | None


def channels(project_id: int) -> tuple[Channel, ...]:
    """Those in use by name, each with `waiting` and `failed`: how many messages are."""
    rows = Channel.objects.filter(project_id=project_id, archived_at=None).select_related("fallback")
    counted = rows.annotate(
        waiting=Count("notifications", filter=Q(notifications__state="waiting")),
        failed=Count("notifications", filter=Q(notifications__state="failed")),
    )
    return tuple(counted.order_by("name"))


def channel(project_id: int, number: int) -> Channel | None:
    rows = Channel.objects.filter(project_id=project_id, archived_at=None).select_related("fallback")
    return rows.filter(pk=number).first()


def hint(row: Channel) -> dict[str, str]:
    """What may be shown of secrets: that they are there, and their last four characters when they are long."""
    names = [one.name for one in KINDS[row.kind].settings if one.is_secret]
    opened = channel_secrets.opened(row)
    if opened is None:
        return dict.fromkeys(names, "cannot be read, enter it again")
    held = {name: opened.get(name, "") for name in names}
    return {name: f"•••{text[-4:]}" if len(text) >= 16 else "•••" for name, text in held.items() if text}


def deliveries(
    project_id: int, channel_id: int | None = None, state: str | None = None, cursor: str | None = None,
    limit: int = 50, incident_id: int | None = None,
) -> Page:  # fmt: skip
    """The newest first."""
    rows = Notification.objects.filter(project_id=project_id).select_related("channel", "incident").order_by("-pk")
    wanted = {"channel_id": channel_id, "state": state, "incident_id": incident_id}
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    if cursor:
        if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 18:
            raise SenderError("bad_cursor", "The cursor is not one of ours; take next_cursor as it came.")
        rows = rows.filter(pk__lt=int(cursor))
    found = list(rows[: limit + 1])
    more = str(found[limit - 1].pk) if len(found) > limit else None
    return Page(tuple(found[:limit]), more)


def delivery(project_id: int, number: int) -> Notification | None:
    rows = Notification.objects.filter(project_id=project_id).select_related("channel", "incident")
    return rows.filter(pk=number).first()


def attempts(project_id: int, notification_id: int) -> tuple[Attempt, ...]:
    """The newest first."""
    rows = Attempt.objects.filter(project_id=project_id, notification=notification_id).order_by("-at", "-pk")
    return tuple(rows[:MOST_ATTEMPTS])
