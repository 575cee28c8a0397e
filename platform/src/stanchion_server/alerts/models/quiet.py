"""Silences, maintenance windows, and who is responsible for what."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from stanchion_server.tenants.models import Project


class Silence(models.Model):
    """No messages about what matches, from one moment to another; it ends by itself.

    `matchers` is a list of {"label", "op", "value"}; all of them must match. Labels are those of the incident and
    `rule` and `severity`; ops are =, != and ~ (a pattern with * and ?).
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="silences")
    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    ended_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="alert_silence_ends_after_start")
        ]
        indexes = [models.Index(fields=["project", "-ends_at"], name="alert_silences_by_end")]

    def __str__(self) -> str:
        return f"silence until {self.ends_at:%Y-%m-%d %H:%M}: {self.reason[:80]}"


class MaintenanceWindow(models.Model):
    """A recurring time without messages: on these `weekdays` (0 is Monday) from `starts` (local time of `time_zone`, an
    IANA name) for `length_min` minutes. Matchers as in a silence; an empty list matches everything. Occurrences that
    began no later than `ended_at` are over."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="maintenance_windows")
    name = models.CharField(max_length=80)
    matchers = models.JSONField(default=list)
    time_zone = models.CharField(max_length=64, default="UTC")
    weekdays = ArrayField(models.PositiveSmallIntegerField())
    starts = models.TimeField()
    length_min = models.PositiveIntegerField()
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at=None), name="alert_maintenance_name_once"
            ),
            models.CheckConstraint(
                condition=Q(length_min__gte=1, length_min__lte=1440), name="alert_maintenance_at_most_a_day"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Owner(models.Model):
    """Who is told about a feature (empty: the whole project) where a rule names no channels of its own."""

    class Topic(models.TextChoices):
        SAFETY = "safety", "Ethics and safety"
        COST = "cost", "Cost"
        ANY = "any", "Everything else"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alert_owners")
    feature = models.CharField(max_length=200, blank=True, default="")
    topic = models.CharField(max_length=6, choices=Topic.choices, default=Topic.ANY)
    person = models.CharField(max_length=150)
    channel = models.ForeignKey("alerts.Channel", on_delete=models.CASCADE, related_name="+", null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "feature", "topic"], name="alert_owner_once")]

    def __str__(self) -> str:
        return f"{self.person} for {self.feature or 'the project'}, {self.get_topic_display().lower()}"
