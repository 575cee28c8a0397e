"""Channels, and the outbox of notifications."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from stanchion_server.alerts.models.incidents import Incident
from stanchion_server.tenants.models import Project


class Channel(models.Model):
    """A place that messages go to. A default channel hears of rules that name no channel and have no owner."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alert_channels")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at=None), name="alert_channel_name_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """One message to one channel, written in the transaction that changed the incident. `body` is `facts.Facts`.

    Of an incident and a channel only the lowest open `seq` is sent, so that a resolve never overtakes its trigger. Not
    before `next_attempt_at`: a trigger waits there for the end of the group wait. A waiting row that was never tried
    may be superseded by the engine; one that was tried has an unknown outcome and stays. A test has no incident.
    """

    class Kind(models.TextChoices):
        TRIGGER = "trigger"
        UPDATE = "update"
        ACKNOWLEDGE = "acknowledge"
        RESOLVE = "resolve"
        TEST = "test"

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"
        SUPERSEDED = "superseded"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notifications", null=True)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=11, choices=Kind.choices)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "incident", "channel", "seq"], name="alert_notification_once")
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="alert_notifications_due")
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel}"
