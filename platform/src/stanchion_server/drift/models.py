"""Monitors, their runs, what each run found, and Evidently's report of it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Reference(models.TextChoices):
    TRAILING = "trailing", "The time just before"
    FIXED = "fixed", "A fixed time"
    FROZEN = "frozen", "Calls frozen when the monitor was made"


class DriftMonitor(models.Model):
    """What is compared with what, how often. An empty `feature` means all calls, empty `columns` all columns.

    The current window is the `current_hours` before the run. The reference is the `reference_hours` before those, or
    the time from `reference_start` to `reference_end`; a frozen one is kept in `frozen` (zstd of JSON) and survives
    the calls' retention.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="drift_monitors")
    name = models.CharField(max_length=63)
    feature = models.CharField(max_length=200, blank=True, default="")
    reference = models.CharField(max_length=8, choices=Reference.choices, default=Reference.TRAILING)
    reference_hours = models.PositiveSmallIntegerField(default=168)
    reference_start = models.DateTimeField(null=True)
    reference_end = models.DateTimeField(null=True)
    frozen = models.BinaryField(null=True)
    current_hours = models.PositiveSmallIntegerField(default=24)
    every_hours = models.PositiveSmallIntegerField(default=6)
    columns = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    alpha = models.FloatField(default=0.05)
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="drift_monitor_name_once"),
            models.CheckConstraint(condition=Q(alpha__gte=0.01, alpha__lte=0.2), name="drift_alpha_in_range"),
            models.CheckConstraint(condition=Q(current_hours__gte=1, every_hours__gte=1), name="drift_hours_positive"),
        ]

    def __str__(self) -> str:
        return self.name


class DriftRun(models.Model):
    """One comparison. The worker that makes it holds a lease and commits `attempts` before it starts, so that a run
    that kills its worker is counted too and is put aside after three."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        QUARANTINED = "quarantined"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    monitor = models.ForeignKey(DriftMonitor, on_delete=models.CASCADE, related_name="runs")
    scheduled_for = models.DateTimeField()
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    error = models.CharField(max_length=1000, blank=True, default="")
    requested_by = models.CharField(max_length=150, blank=True, default="")
    verdict = models.CharField(max_length=15, blank=True, default="")
    reference_start = models.DateTimeField(null=True)
    reference_end = models.DateTimeField(null=True)
    current_start = models.DateTimeField(null=True)
    current_end = models.DateTimeField(null=True)
    calls_reference = models.PositiveIntegerField(null=True)
    calls_current = models.PositiveIntegerField(null=True)
    sampled_reference = models.PositiveIntegerField(null=True)
    sampled_current = models.PositiveIntegerField(null=True)
    drifted = models.PositiveSmallIntegerField(default=0)
    notes = ArrayField(models.CharField(max_length=400), default=list)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "monitor", "scheduled_for"], name="drift_run_once"),
        ]
        indexes = [
            models.Index(fields=["state", "leased_until"], name="drift_runs_to_do"),
            models.Index(fields=["project", "-scheduled_for"], name="drift_runs_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.monitor} at {self.scheduled_for:%Y-%m-%d %H:%M}"


class DriftResult(models.Model):
    """`records.Finding` at rest. `words` comes from prompts and answers: only those may see it who may read these."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(DriftRun, on_delete=models.CASCADE, related_name="results")
    position = models.PositiveSmallIntegerField()
    column = models.CharField(max_length=120)
    kind = models.CharField(max_length=8)
    unit = models.CharField(max_length=12, blank=True, default="")
    statistic = models.CharField(max_length=40)
    value = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    p = models.FloatField(null=True)
    p_adjusted = models.FloatField(null=True)
    n_reference = models.PositiveIntegerField()
    n_current = models.PositiveIntegerField()
    verdict = models.CharField(max_length=15)
    reason = models.CharField(max_length=400, blank=True, default="")
    second_figures = models.JSONField(default=dict)
    bars = models.JSONField(default=dict)
    new_values = models.JSONField(default=list)
    words = models.JSONField(default=dict)
    segments = models.JSONField(default=list)
    examples = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "run", "column"], name="drift_result_once")]

    def __str__(self) -> str:
        return f"{self.column}: {self.verdict}"


class DriftReport(models.Model):
    """Evidently's page of a run. `rows` (zstd of JSON) are the scalar columns that it is made from; they go when the
    page is there. `html` is zstd, too."""

    class State(models.TextChoices):
        WAITING = "waiting"
        READY = "ready"
        UNAVAILABLE = "unavailable"
        FAILED = "failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    run = models.OneToOneField(DriftRun, on_delete=models.CASCADE, related_name="report")
    state = models.CharField(max_length=11, choices=State.choices, default=State.WAITING)
    reason = models.CharField(max_length=1000, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    rows = models.BinaryField(null=True)
    html = models.BinaryField(null=True)
    html_bytes = models.PositiveIntegerField(null=True)
    made_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "leased_until"], name="drift_reports_to_do")]

    def __str__(self) -> str:
        return f"report of {self.run}"
