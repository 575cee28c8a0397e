"""The ledger of what arrived: one row per request, so that sent = stored + duplicate + rejected can be checked."""

from __future__ import annotations

from django.db import models


class IngestBatch(models.Model):
    """One export request. Partitioned by day of `received_at`; the table is made in SQL.

    `reasons` counts items by rejection reason, `alterations` by alteration name. `state` is `stored` or `refused`
    (the whole request: undecodable, too large, over quota).
    """

    pk = models.CompositePrimaryKey("project_id", "received_at", "id")
    id = models.BigIntegerField()
    received_at = models.DateTimeField()
    project_id = models.BigIntegerField()
    api_key_id = models.BigIntegerField()
    signal = models.TextField()
    client = models.TextField()
    state = models.TextField()
    sent = models.IntegerField()
    stored = models.IntegerField()
    duplicate = models.IntegerField()
    rejected = models.IntegerField()
    altered = models.IntegerField()
    body_bytes = models.BigIntegerField()
    reasons = models.JSONField(default=dict)
    alterations = models.JSONField(default=dict)
    detail = models.TextField()

    class Meta:
        managed = False
        db_table = "ingest_batches"

    def __str__(self) -> str:
        return f"{self.signal} from {self.client}: {self.stored} of {self.sent} stored"
