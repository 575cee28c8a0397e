"""Rules, what each remembers between two evaluations, and which evaluations were made."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Severity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    ERROR = "error", "Error"
    WARNING = "warning", "Warning"
    INFO = "info", "Info"


class Rule(models.Model):
    """What is watched and when it is wrong. `definition` is the YAML form without name, severity, state and channels;
    `version` counts its changes. A rule without channels tells the owners of what it watches, else the project's
    default channels."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=80)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    definition = models.JSONField()
    every_s = models.PositiveIntegerField(default=60)
    version = models.PositiveIntegerField(default=1)
    channels = models.ManyToManyField("alerts.Channel", blank=True, related_name="rules")
    is_paused = models.BooleanField(default=False)
    is_starter = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at=None), name="alert_rule_name_once"
            ),
            models.CheckConstraint(condition=Q(every_s__gte=10), name="alert_rule_interval_at_least_10_s"),
        ]

    def __str__(self) -> str:
        return self.name


class Standing(models.Model):
    """What a rule remembers: `groups` maps a group's key to `records.Group` as JSON. The evaluation holds its lock.

    `judged_for` is the moment up to which it was judged; `late` and `skipped` count evaluations since the rule exists
    that came late and that were too old to be made. `error` is why the last one failed, `note` what it left out.
    """

    rule = models.OneToOneField(Rule, on_delete=models.CASCADE, related_name="standing")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    judged_for = models.DateTimeField(null=True)
    groups = models.JSONField(default=dict)
    state = models.CharField(max_length=8, default="ok")
    late = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=400, blank=True, default="")
    note = models.CharField(max_length=400, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.rule}: {self.state}"


class Evaluation(models.Model):
    """One rule at one moment, made once whoever asked how often. Kept for a day."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    scheduled_for = models.DateTimeField()
    made_at = models.DateTimeField()
    outcome = models.CharField(max_length=8)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "rule", "scheduled_for"], name="alert_evaluation_once")
        ]
        indexes = [models.Index(fields=["made_at"], name="alert_evaluations_by_age")]

    def __str__(self) -> str:
        return f"{self.rule} at {self.scheduled_for:%Y-%m-%d %H:%M}"


class WatchRound(models.Model):
    """One tick of the watcher over all projects: the proof that rules are looked at."""

    scheduled_for = models.DateTimeField(unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    rules = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"round of {self.scheduled_for:%Y-%m-%d %H:%M:%S}"
