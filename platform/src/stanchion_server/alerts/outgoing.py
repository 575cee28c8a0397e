"""The database's half of delivery: claim a message, note the attempt, settle what came of it.

An attempt is committed before the send, so a worker that dies over it leaves a lease that runs out and an attempt of
unknown outcome: the message is sent again. Rather twice than never.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from stanchion_server.alerts import channel_secrets, handover, retries
from stanchion_server.alerts.models import Attempt, Channel, Incident, Notification
from stanchion_server.alerts.retries import Decision
from stanchion_server.alerts.sending import Sent

LEASE = timedelta(seconds=60)
KEPT = timedelta(days=90)
REPEAT_AFTER = timedelta(minutes=4)
"""Alertmanager forgets an alert that is not repeated; it is told 15 minutes."""
State = Notification.State


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker, and no other, sends until `leased_until`."""

    id: int
    project_id: int
    attempt_id: int
    kind: str
    body: Mapping[str, Any]
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    thread: Mapping[str, str]
    is_minimal: bool
    leased_until: datetime


def claim(now: datetime) -> Claimed | None:
    """The message that is due longest, of those that nothing stands before: of an incident and a channel the lowest
    open number, on a channel that is not held. One at a time to each channel: a receiver that stalls keeps one
    worker, not all. Messages to channels that are broken, archived, or whose secrets cannot be read are handed over."""
    while True:
        with transaction.atomic():
            row = _due(now).first()
            if row is None:
                return None
            secrets = channel_secrets.opened(row.channel)
            reason = _why_not(row.channel, secrets, now)
            if secrets is not None and not reason:
                return _leased(row, secrets, now)
            handover.fail(row, reason, now)


def _why_not(channel: Channel, secrets: Mapping[str, str] | None, now: datetime) -> str:
    """Why nothing is sent there, empty where it is. A channel whose secrets cannot be read breaks here."""
    if channel.archived_at is not None:
        return "the channel was archived"
    if secrets is None and channel.broken_at is None:
        handover.break_channel(channel, channel_secrets.UNREADABLE, now)
    return f"the channel is broken: {channel.broken_reason}" if channel.broken_at is not None else ""


def _due(now: datetime) -> Any:
    before = Notification.objects.filter(
        incident=OuterRef("incident"), channel=OuterRef("channel"), state=State.WAITING, seq__lt=OuterRef("seq")
    )
    rows = Notification.objects.select_related("channel").select_for_update(skip_locked=True, of=("self",))
    rows = rows.filter(state=State.WAITING, next_attempt_at__lte=now)
    rows = rows.filter(Q(leased_until=None) | Q(leased_until__lte=now))
    rows = rows.filter(Q(channel__held_until=None) | Q(channel__held_until__lte=now))
    busy = Notification.objects.filter(channel=OuterRef("channel"), state=State.WAITING, leased_until__gt=now)
    return rows.filter(~Exists(before), ~Exists(busy)).order_by("next_attempt_at", "pk")


def _leased(row: Notification, secrets: Mapping[str, str], now: datetime) -> Claimed:
    Attempt.objects.filter(notification=row, outcome="sending").update(
        outcome="unknown", text="The worker ended before the answer was noted."
    )
    row.attempts += 1
    row.leased_until = now + LEASE
    row.first_attempt_at = row.first_attempt_at or now
    row.save(update_fields=["attempts", "leased_until", "first_attempt_at"])
    attempt = Attempt.objects.create(project_id=row.project_id, notification=row, at=now)
    return Claimed(
        id=row.pk, project_id=row.project_id, attempt_id=attempt.pk, kind=row.channel.kind, body=row.body,
        settings=row.channel.settings, secrets=secrets, thread=_thread(row), is_minimal=row.is_minimal,
        leased_until=row.leased_until,
    )  # fmt: skip


def _thread(row: Notification) -> Mapping[str, str]:
    if row.incident_id is None:
        return {}
    first = Notification.objects.filter(project_id=row.project_id, incident=row.incident_id, channel=row.channel_id)
    found = first.filter(seq__lt=row.seq).exclude(receipt={}).order_by("seq").values_list("receipt", flat=True).first()
    return found or {}


@transaction.atomic
def settle(claimed: Claimed, sent: Sent, now: datetime) -> Decision | None:
    """None when the lease ran out and another worker took the message: only the attempt is noted then."""
    row = Notification.objects.select_for_update(of=("self",)).select_related("channel").get(pk=claimed.id)
    is_ours = row.leased_until == claimed.leased_until and row.state == State.WAITING
    decision = retries.decide(
        sent.verdict, row.attempts, row.first_attempt_at or now, now, random.uniform(-1, 1),  # noqa: S311
        is_minimal=row.is_minimal,
    )  # fmt: skip
    Attempt.objects.filter(pk=claimed.attempt_id).update(
        outcome=sent.verdict.outcome.value, status=sent.status, latency_ms=sent.latency_ms,
        text=sent.verdict.text[:400], answer=sent.answer, next_attempt_at=decision.next_attempt_at if is_ours else None,
    )  # fmt: skip
    if not is_ours:
        return None
    _apply(row, decision, sent, now)
    return decision


def _apply(row: Notification, decision: Decision, sent: Sent, now: datetime) -> None:
    row.leased_until = None
    row.is_minimal = decision.is_minimal or row.is_minimal
    row.outcome = decision.text[:400]
    if decision.hold_until is not None:
        Channel.objects.filter(pk=row.channel_id).update(held_until=decision.hold_until)
    if decision.state == "delivered":
        row.receipt = dict(sent.verdict.receipt)
        handover.delivered(row, now)
    elif decision.state == "waiting":
        row.next_attempt_at = decision.next_attempt_at or now
        row.save()
    else:
        if decision.breaks_channel:
            handover.break_channel(row.channel, decision.text, now)
        handover.fail(row, decision.text, now)


def repeat(now: datetime) -> int:
    """Puts the last message of each open incident back in line for Alertmanagers, which forget what is not repeated."""
    later = Notification.objects.filter(
        incident=OuterRef("incident"), channel=OuterRef("channel"), seq__gt=OuterRef("seq")
    )
    rows = Notification.objects.filter(
        ~Exists(later), state=State.DELIVERED, channel__kind="alertmanager", channel__archived_at=None,
        channel__broken_at=None, finished_at__lte=now - REPEAT_AFTER, kind__in=("trigger", "update", "acknowledge"),
        incident__in=Incident.objects.filter(resolved_at=None),
    )  # fmt: skip
    numbers = list(rows.values_list("pk", flat=True)[:1_000])
    return Notification.objects.filter(pk__in=numbers, state=State.DELIVERED).update(
        state=State.WAITING, next_attempt_at=now, first_attempt_at=None, finished_at=None
    )


def expire(now: datetime) -> None:
    """The end of what is older than 90 days; what waits stays."""
    Attempt.objects.filter(at__lt=now - KEPT).delete()
    old = Notification.objects.filter(finished_at__lt=now - KEPT).exclude(state=State.WAITING)
    while numbers := list(old.values_list("pk", flat=True)[:5_000]):
        Notification.objects.filter(pk__in=numbers).delete()
