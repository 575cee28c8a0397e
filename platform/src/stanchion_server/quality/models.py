"""Scores at rest, the jobs that lead to them, and what a project wants scored.

`Score`, `ScoreJob`, `ScoreRollup`, `ScoreCount` are made in SQL (migration 0002). Scores are partitioned by the day of
their call, so they are dropped with it.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Score(models.Model):
    """What one version of a scorer said of one call. A new version adds rows and keeps the old ones."""

    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time", "scorer", "scorer_version")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    start_time = models.DateTimeField()
    scored_at = models.DateTimeField()
    score = models.FloatField()
    threshold = models.FloatField(null=True)
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    input_tokens = models.IntegerField(null=True)
    output_tokens = models.IntegerField(null=True)
    elapsed_us = models.IntegerField()
    is_flagged = models.BooleanField(null=True)
    scorer = models.TextField()
    scorer_version = models.TextField()
    source = models.TextField()
    label = models.TextField()
    reason = models.TextField()
    feature = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    environment = models.TextField()
    release = models.TextField()
    service = models.TextField()
    prompt_name = models.TextField()
    prompt_version = models.TextField()
    evidence = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "scores"

    def __str__(self) -> str:
        return f"{self.scorer} {self.score:.2f}"


class ScoreJob(models.Model):
    """Work on one call in one lane (index in `records.LANES`); the row goes when its scores are stored.

    `scorers` None means what the project's rules choose; a list asks for those, again if need be. `attempts` is
    committed before the work, so a call that kills its worker is counted too.
    """

    class State(models.IntegerChoices):
        OPEN = 0
        QUARANTINED = 1

    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time", "lane")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    start_time = models.DateTimeField()
    created_at = models.DateTimeField()
    not_before = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    lane = models.SmallIntegerField()
    state = models.SmallIntegerField(choices=State.choices)
    attempts = models.SmallIntegerField()
    scorers = ArrayField(models.TextField(), null=True)
    reason = models.TextField()
    last_error = models.TextField()

    class Meta:
        managed = False
        db_table = "score_jobs"

    def __str__(self) -> str:
        return f"{self.reason} of {self.trace_id}"


class ScoreRollup(models.Model):
    """Scores of one bucket for one combination of dimensions. `histogram` has 20 bins of equal width over 0..1, the
    last with 1 in it. Recomputed from the stored scores, never added to."""

    pk = models.CompositePrimaryKey(
        "project_id", "grain_minutes", "bucket", "scorer", "scorer_version", "feature", "provider", "model",
        "environment", "release", "prompt_name", "prompt_version",
    )  # fmt: skip
    project_id = models.BigIntegerField()
    bucket = models.DateTimeField()
    grain_minutes = models.SmallIntegerField()
    scores = models.BigIntegerField()
    flagged = models.BigIntegerField()
    score_sum = models.FloatField()
    score_square_sum = models.FloatField()
    histogram = ArrayField(models.BigIntegerField())
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    scorer = models.TextField()
    scorer_version = models.TextField()
    feature = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    environment = models.TextField()
    release = models.TextField()
    prompt_name = models.TextField()
    prompt_version = models.TextField()

    class Meta:
        managed = False
        db_table = "score_rollups"

    def __str__(self) -> str:
        return f"{self.scores} {self.scorer} scores in {self.bucket}"


class ScoreCount(models.Model):
    """How many calls a scorer did not score, by hour and reason: "shed", "unavailable", "quarantined", or, for
    what others sent, "refused"."""

    pk = models.CompositePrimaryKey("project_id", "bucket", "scorer", "outcome")
    project_id = models.BigIntegerField()
    bucket = models.DateTimeField()
    scorer = models.TextField()
    outcome = models.TextField()
    calls = models.BigIntegerField()
    detail = models.TextField()

    class Meta:
        managed = False
        db_table = "score_counts"

    def __str__(self) -> str:
        return f"{self.calls} {self.outcome}"


class ScorerSetting(models.Model):
    """What a project wants of a scorer, for one feature or, with an empty one, for all that have no row of their own.

    `sample_ratio` None is the scorer's usual share; calls with an error, a block or a bad rating are always scored.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    scorer = models.CharField(max_length=80)
    feature = models.CharField(max_length=200, blank=True, default="")
    is_on = models.BooleanField(default=True)
    sample_ratio = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    parameters = models.JSONField(default=dict)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "scorer", "feature"], name="scorer_setting_once"),
            models.CheckConstraint(
                condition=Q(sample_ratio__isnull=True) | Q(sample_ratio__gte=0, sample_ratio__lte=1),
                name="sample_ratio_is_a_share",
            ),
            models.CheckConstraint(
                condition=Q(threshold__isnull=True) | Q(threshold__gte=0, threshold__lte=1),
                name="scorer_threshold_in_0_1",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scorer} for {self.feature or 'all features'}"


class Rescoring(models.Model):
    """A wish to have recorded calls scored by named scorers, as after a new version. Jobs are opened a slice at a time,
    oldest call first; `cursor` is the last call that has one."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    scorers = ArrayField(models.TextField())
    features = ArrayField(models.TextField(), default=list)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    max_calls = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.RUNNING)
    calls_total = models.PositiveIntegerField()
    calls_opened = models.PositiveIntegerField(default=0)
    cursor = models.JSONField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at"], name="rescorings_recent")]

    def __str__(self) -> str:
        return f"{', '.join(self.scorers)} again"
