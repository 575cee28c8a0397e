"""Who changed what, for as long as the project is there."""

from __future__ import annotations

from django.db import models

from stanchion_server.tenants.models import Project


class Change(models.Model):
    """One deed of a person, a key or the server, written in the transaction that did it. Rows are added, never changed:
    the database refuses it.

    `number` and `name` are those of the thing, which may be gone by now. `detail` maps what was changed to [before,
    after]; before is null where there was none. No secret is in it.
    """

    class Kind(models.TextChoices):
        RULE = "rule", "Rule"
        CHANNEL = "channel", "Channel"
        SILENCE = "silence", "Silence"
        WINDOW = "window", "Maintenance window"
        OWNER = "owner", "Owner"
        INCIDENT = "incident", "Incident"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    number = models.PositiveBigIntegerField()
    name = models.CharField(max_length=200)
    action = models.CharField(max_length=24)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-id"], name="alert_changes_recent"),
            models.Index(fields=["project", "kind", "number", "-id"], name="alert_changes_of_one"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name} {self.action} by {self.actor}"
