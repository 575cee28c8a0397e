"""Guard policies: a draft that may change, numbered versions that never do, and which of them is in force."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Switch(models.TextChoices):
    ON = "on", "The live version judges"
    OFF = "off", "Nothing is judged; every check says so"
    BLOCK_ALL = "block_all", "Everything is blocked"


class Policy(models.Model):
    """`live`, `shadow` and `canary` are version numbers. `revision` grows with every change of what is in force:
    clients that hold a bundle compare it. An enforced policy judges every check of the project, beside the one asked
    for.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="policies")
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=400, blank=True, default="")
    draft = models.TextField(default="", blank=True)
    draft_changed_at = models.DateTimeField()
    draft_changed_by = models.CharField(max_length=150)
    live = models.PositiveIntegerField(null=True)
    shadow = models.PositiveIntegerField(null=True)
    shadow_until = models.DateTimeField(null=True)
    canary = models.PositiveIntegerField(null=True)
    canary_percent = models.PositiveSmallIntegerField(default=0)
    canary_until = models.DateTimeField(null=True)
    switch = models.CharField(max_length=9, choices=Switch.choices, default=Switch.ON)
    switch_reason = models.CharField(max_length=400, blank=True, default="")
    is_enforced = models.BooleanField(default=False)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at=None), name="policy_name_once_per_project"
            ),
            models.UniqueConstraint(fields=["project"], condition=Q(is_enforced=True), name="one_enforced_policy"),
            models.CheckConstraint(condition=Q(canary_percent__lte=100), name="canary_percent_up_to_100"),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """A published text. `digest` is the SHA-256 of its canonical content, so equal texts are seen to be equal."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField()
    digest = models.CharField(max_length=64)
    note = models.CharField(max_length=400, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "policy", "number"], name="policy_version_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.policy} {self.number}"


class PolicyEvent(models.Model):
    """Who changed what is in force, when, and from what to what."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=32)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["project", "policy", "-at"], name="policy_events_recent")]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"


class DecisionReview(models.Model):
    """What a person says of a check: was the text really to be caught? Reviews are the labels that precision and recall
    are reckoned from."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    check_id = models.CharField(max_length=64)
    text_digest = models.BigIntegerField(null=True)
    is_violation = models.BooleanField()
    note = models.CharField(max_length=1000, blank=True, default="")
    reviewed_at = models.DateTimeField()
    reviewed_by = models.CharField(max_length=150)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "check_id"], name="one_review_per_check")]
        indexes = [models.Index(fields=["project", "text_digest"], name="reviews_by_text")]

    def __str__(self) -> str:
        return "violation" if self.is_violation else "harmless"


class Backtest(models.Model):
    """A replay of recorded calls through one text of a policy, beside what `baseline` says of the same calls: a version
    number, None for what was decided at the time.

    The worker that runs it holds a lease; when the lease runs out another continues after `cursor`, the last call that
    is counted in `result`.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="backtests")
    number = models.PositiveIntegerField(null=True)
    document = models.TextField()
    baseline = models.PositiveIntegerField(null=True)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    features = ArrayField(models.TextField(), default=list)
    max_calls = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    calls_total = models.PositiveIntegerField(null=True)
    calls_done = models.PositiveIntegerField(default=0)
    cursor = models.JSONField(null=True)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=1000, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-created_at"], name="backtests_recent"),
            models.Index(fields=["state", "leased_until"], name="backtests_to_run"),
        ]

    def __str__(self) -> str:
        return f"back-test of {self.policy}"
