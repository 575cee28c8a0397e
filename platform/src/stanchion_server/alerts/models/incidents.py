"""Incidents and what happened in each."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from stanchion_server.alerts.models.rules import Rule, Severity
from stanchion_server.tenants.models import Project


class Incident(models.Model):
    """One rule broken for one group. The database holds at most one open incident per rule and group.

    `members` are the groups of the rule's reading that are inside it, each with labels and value; `facts` what was true
    when it began (threshold, window, samples, reason); `changes` the releases and policy versions that appeared shortly
    before. `muted_by` says what keeps it quiet at present. While `is_settled` is False something is left to tell.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="incidents")
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="incidents")
    rule_version = models.PositiveIntegerField()
    group_key = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=300)
    started_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=150, blank=True, default="")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, default="")
    assigned_to = models.CharField(max_length=150, blank=True, default="")
    snoozed_until = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    peak = models.FloatField(null=True)
    samples = models.PositiveBigIntegerField(null=True)
    members = models.JSONField(default=list)
    facts = models.JSONField(default=dict)
    changes = models.JSONField(default=list)
    is_flapping = models.BooleanField(default=False)
    is_no_data = models.BooleanField(default=False)
    muted_by = models.CharField(max_length=200, blank=True, default="")
    is_settled = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "rule", "group_key"], condition=Q(resolved_at=None), name="alert_one_open_incident"
            )
        ]
        indexes = [
            models.Index(fields=["project", "-started_at", "-id"], name="alert_incidents_recent"),
            models.Index(fields=["project"], condition=Q(is_settled=False), name="alert_incidents_unsettled"),
        ]

    def __str__(self) -> str:
        return f"INC-{self.pk} {self.title}"


class IncidentEvent(models.Model):
    """A row of an incident's timeline. `actor` is empty where the watcher itself acted."""

    class Kind(models.TextChoices):
        FIRED = "fired", "Fired"
        MEMBERS = "members", "Groups changed"
        FLAPPING = "flapping", "Flapping"
        RESOLVED = "resolved", "Resolved"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        UNACKNOWLEDGED = "unacknowledged", "Acknowledgement taken back"
        ASSIGNED = "assigned", "Assigned"
        SNOOZED = "snoozed", "Snoozed"
        NOTE = "note", "Note"
        MUTED = "muted", "Muted"
        UNMUTED = "unmuted", "No longer muted"
        NOTIFIED = "notified", "Message queued"
        ESCALATED = "escalated", "Escalated"
        DELIVERY = "delivery", "Delivery"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=Kind.choices)
    actor = models.CharField(max_length=150, blank=True, default="")
    text = models.CharField(max_length=2_000, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["project", "incident", "at"], name="alert_timeline")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text[:80]}"
