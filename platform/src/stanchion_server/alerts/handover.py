"""What a channel could not take goes another way: to its fallback channel, and word of it to the owners by e-mail."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Max

from stanchion_server.alerts.models import Channel, IncidentEvent, Notification
from stanchion_server.tenants.models import Membership, Role

State = Notification.State
MOST_TOLD = 20
MOST_TRIES = 5
log = logging.getLogger(__name__)


def delivered(row: Notification, now: datetime) -> None:
    row.state, row.finished_at = State.DELIVERED, now
    row.save()
    if row.kind == Notification.Kind.RESOLVE and _was_handed_over(row):
        _hand_over(row, "the incident is over", now)


def fail(row: Notification, text: str, now: datetime) -> None:
    """The message stays, failed, for a person to send again; others hear of it now."""
    row.state, row.finished_at, row.leased_until, row.outcome = State.FAILED, now, None, text[:400]
    row.save()
    if row.incident_id is None:
        return
    taken = _hand_over(row, f"passed on, because {row.channel.name} did not take it: {text}", now)
    where = f", passed on to {taken.name}" if taken else ""
    IncidentEvent.objects.create(
        project_id=row.project_id, incident_id=row.incident_id, at=now, kind=IncidentEvent.Kind.DELIVERY,
        text=f"{row.kind} to {row.channel.name} failed: {text}{where}"[:2_000],
    )  # fmt: skip
    if taken is None:
        title = str(row.body.get("title", ""))[:200]
        _tell_owners(row.channel, f"An alert did not reach “{row.channel.name}”: {title}", text)


def break_channel(channel: Channel, reason: str, now: datetime) -> None:
    """Nothing is sent there before a person enables it again. Owners hear of it once."""
    broken = Channel.objects.filter(pk=channel.pk, broken_at=None).update(broken_at=now, broken_reason=reason[:400])
    channel.broken_at, channel.broken_reason = now, reason[:400]
    if broken:
        _tell_owners(channel, f"The alert channel “{channel.name}” is broken", reason)


def _hand_over(row: Notification, note: str, now: datetime) -> Channel | None:
    """The channel that gets, or already has, a copy; None where there is none."""
    fallback = row.channel.fallback
    is_able = fallback is not None and fallback.broken_at is None and fallback.archived_at is None
    if fallback is None or not is_able or row.copy_of_id is not None:
        return None
    body = {**row.body, "note": f"{row.body.get('note', '')} {note}".strip()[:400]}
    for tries_left in reversed(range(MOST_TRIES)):
        try:
            with transaction.atomic():
                _copy(row, fallback, body, now)
            break
        except IntegrityError:
            # Another sender took the number, for another message of the incident.
            if not tries_left:
                raise
    return fallback


def _copy(row: Notification, fallback: Channel, body: Mapping[str, Any], now: datetime) -> None:
    """Nothing where the incident is told there anyway. IntegrityError where the number is taken meanwhile."""
    there = Notification.objects.filter(project_id=row.project_id, incident=row.incident_id, channel=fallback)
    if there.filter(copy_of=None).exists():
        return
    last = there.aggregate(last=Max("seq"))["last"] or 0
    Notification.objects.create(
        project_id=row.project_id, incident_id=row.incident_id, channel=fallback, seq=last + 1, kind=row.kind,
        body=body, copy_of=row, next_attempt_at=now, created_at=now,
    )  # fmt: skip


def _was_handed_over(row: Notification) -> bool:
    copies = Notification.objects.filter(
        project_id=row.project_id, incident=row.incident_id, copy_of__channel=row.channel_id
    )
    return copies.exists() and not copies.filter(kind=Notification.Kind.RESOLVE).exists()


def _tell_owners(channel: Channel, subject: str, reason: str) -> None:
    """After the commit, and best effort: the page shows the same, and the log has it when mail fails."""
    organisation = channel.project.organisation_id
    owners = Membership.objects.filter(organisation=organisation, role__in=(Role.OWNER, Role.ADMIN))
    addresses = list(owners.exclude(user__email="").values_list("user__email", flat=True).distinct()[:MOST_TOLD])
    page = f"{settings.PUBLIC_URL}/p/{channel.project.slug}/alerts/channels/{channel.pk}"
    log.warning("alert channel %s of project %s: a message was not taken", channel.pk, channel.project_id)
    if addresses:
        text = f"{subject}.\n\nReason: {reason}\n\nMessages are kept and can be sent again: {page}\n"
        line = " ".join(subject.split())[:200]
        transaction.on_commit(partial(_mail, line, text, addresses))


def _mail(subject: str, text: str, addresses: list[str]) -> None:
    try:
        EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, addresses).send()
    except Exception as error:
        log.error("owners could not be told by e-mail: %s", type(error).__name__)
