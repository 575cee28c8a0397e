"""Rate limits and the peaks held against them, at rest."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


def _rate() -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(max_digits=15, decimal_places=3, null=True, blank=True)


class RateLimit(models.Model):
    """What a provider allows this project, for one model or, with an empty `model`, for all of its models together.

    Requests a second and a minute, tokens a minute in and out, tokens a second, requests at a time; None is not known.
    Peaks are counted from `counted_from` on; None where that has not begun.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rate_limits")
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200, blank=True, default="")
    rps = _rate()
    rpm = _rate()
    input_tpm = _rate()
    output_tpm = _rate()
    tps = _rate()
    concurrency = _rate()
    counted_from = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "provider", "model"], name="rate_limit_once"),
            models.CheckConstraint(condition=~Q(provider=""), name="rate_limit_has_a_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model or 'all models'}"


class CallPeak(models.Model):
    """The calls of one minute that a rate limit is for: how many and how many tokens began in it, the fullest of its
    clock seconds, and the most that were running at a time, each with its earliest moment. Minutes without a call
    running have no row; tokens that nobody told are None."""

    pk = models.CompositePrimaryKey("rate_limit_id", "minute", "project_id")
    project_id = models.BigIntegerField()
    rate_limit = models.ForeignKey(RateLimit, on_delete=models.CASCADE, db_index=False, related_name="peaks")
    minute = models.DateTimeField()
    calls = models.BigIntegerField()
    refused_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    second_calls = models.BigIntegerField(null=True)
    second_calls_at = models.DateTimeField(null=True)
    second_tokens = models.BigIntegerField(null=True)
    second_tokens_at = models.DateTimeField(null=True)
    running_calls = models.BigIntegerField()
    running_calls_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.minute:%Y-%m-%d %H:%M}"


class DirtyPeak(models.Model):
    """A mark that calls which began in this minute changed; several marks of one minute are one."""

    project_id = models.BigIntegerField()
    minute = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project_id", "minute"], name="dirty_peaks_by_project")]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M}"
