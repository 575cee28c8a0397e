"""Channels, and the outbox of notifications."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from stanchion_server.alerts.models.incidents import Incident
from stanchion_server.tenants.models import Project


class Channel(models.Model):
    """A place that messages go to. A default channel hears of rules that name no channel and have no owner.

    `settings` and `secrets` hold what the kind asks for; secrets are sealed (`channel_secrets`) and never shown.
    Until `held_until` the receiver asked for quiet. A broken channel is not sent to before a person enables it again;
    `fallback` gets what it cannot take.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alert_channels")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16)
    settings = models.JSONField(default=dict)
    secrets = models.JSONField(default=dict)
    fallback = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    is_default = models.BooleanField(default=False)
    held_until = models.DateTimeField(null=True)
    broken_at = models.DateTimeField(null=True)
    broken_reason = models.CharField(max_length=400, blank=True, default="")
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
    `copy_of` is the message that another channel could not take. `receipt` is what the receiver said to find it again.
    `outcome` is what the last attempt came to, in words.
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
    first_attempt_at = models.DateTimeField(null=True)
    is_minimal = models.BooleanField(default=False)
    copy_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="copies")
    receipt = models.JSONField(default=dict)
    outcome = models.CharField(max_length=400, blank=True, default="")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "incident", "channel", "seq"], name="alert_notification_once")
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="alert_notifications_due"),
            models.Index(fields=["project", "-id"], name="alert_notifications_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel}"


class Attempt(models.Model):
    """One try to deliver, written before the send. `outcome` is `sending` until the answer is known; `unknown` after a
    worker died over it. `answer` is the first kilobyte, secrets masked."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=12, default="sending")
    status = models.PositiveSmallIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    text = models.CharField(max_length=400, blank=True, default="")
    answer = models.CharField(max_length=1_100, blank=True, default="")
    next_attempt_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "notification", "at"], name="alert_attempts_of_message"),
            models.Index(fields=["at"], name="alert_attempts_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} at {self.at:%Y-%m-%d %H:%M:%S}"
