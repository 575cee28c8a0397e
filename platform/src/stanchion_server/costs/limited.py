"""Rate limits at rest."""

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
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "provider", "model"], name="rate_limit_once"),
            models.CheckConstraint(condition=~Q(provider=""), name="rate_limit_has_a_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model or 'all models'}"
