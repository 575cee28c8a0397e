"""What the savings advisor last found in a project's calls."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class SavingsReport(models.Model):
    """One for each project; a new one takes the place of the last only when it is whole. The worker that makes it holds
    a lease and commits `attempts` before it starts; after three it is put aside.

    `calls` are those of [start, end), `known_calls` all of the time asked for: the newest ones are looked at where
    there are too many. `body` is `reports.savings.Look` as JSON, empty before the first.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        QUARANTINED = "quarantined"

    project = models.OneToOneField("tenants.Project", on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    error = models.CharField(max_length=1000, blank=True, default="")
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150, blank=True, default="")
    finished_at = models.DateTimeField(null=True)
    start = models.DateTimeField(null=True)
    end = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)
    known_calls = models.PositiveIntegerField(default=0)
    body = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["requested_at"], name="savings_reports_to_do", condition=Q(state__in=["queued", "running"])
            )
        ]

    def __str__(self) -> str:
        return f"savings, {self.state}"


class PairVerdict(models.Model):
    """What a person says of a pair of questions: would the answer to the one have done for the other? `pair` stands for
    their content (`caching.pairs`), so it is the same pair in every look. A later word replaces an earlier one."""

    class Says(models.TextChoices):
        SAME = "same"
        WRONG = "wrong"
        UNSURE = "unsure"

    project = models.ForeignKey("tenants.Project", on_delete=models.CASCADE, related_name="+")
    pair = models.CharField(max_length=32)
    says = models.CharField(max_length=6, choices=Says.choices)
    judged_at = models.DateTimeField()
    judged_by = models.CharField(max_length=150)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "pair"], name="one_verdict_per_pair"),
            models.CheckConstraint(condition=Q(says__in=["same", "wrong", "unsure"]), name="verdict_is_known"),
        ]

    def __str__(self) -> str:
        return self.says
