"""Ratings at rest, and who took files of reviewed calls."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Rating(models.Model):
    """A rating as `ratings.Rating` describes it. Its trace need not be stored, yet or any more: the two are joined when
    they are read. `tone` repeats what `ratings.tone_of` makes of score and label, for the indexes."""

    pk = models.CompositePrimaryKey("project_id", "rating_id")
    project = models.ForeignKey("tenants.Project", on_delete=models.CASCADE, related_name="ratings", db_index=False)
    rating_id = models.CharField(max_length=128)
    name = models.CharField(max_length=100)
    score = models.FloatField(null=True)
    label = models.CharField(max_length=100, blank=True)
    tone = models.SmallIntegerField(null=True)
    comment = models.TextField(blank=True)
    correction = models.TextField(blank=True)
    trace_id = models.UUIDField(null=True)
    span_id = models.BigIntegerField(null=True)
    session_id = models.CharField(max_length=500, blank=True)
    rated_by = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=8)
    rated_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        db_table = "ratings"
        indexes: ClassVar = [
            models.Index(fields=["project", "-rated_at", "-rating_id"], name="ratings_recent"),
            models.Index(
                fields=["project", "trace_id"], name="ratings_trace", condition=models.Q(trace_id__isnull=False),
                include=["span_id", "tone"],
            ),
            models.Index(
                fields=["project", "tone", "trace_id"], name="ratings_tone", condition=models.Q(trace_id__isnull=False)
            ),
            models.Index(fields=["project", "session_id"], name="ratings_session", condition=~models.Q(session_id="")),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.name} {self.label or self.score}"


class TuningDownload(models.Model):
    """Who took a file for fine-tuning, when, and what was asked for. `lines` have been sent; None where the server
    ended before the file did."""

    project = models.ForeignKey("tenants.Project", on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    asked = models.JSONField()
    lines = models.PositiveIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "-at"], name="tuning_downloads_recent")]

    def __str__(self) -> str:
        return f"file for fine-tuning by {self.actor}"
