"""Prices a project pays that differ from the public list."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from stanchion_server.costs.advised import PairVerdict, SavingsReport
from stanchion_server.costs.budgeted import Budget, BudgetHour
from stanchion_server.costs.invoiced import Invoice, InvoiceLine
from stanchion_server.costs.limited import CallPeak, DirtyPeak, RateLimit
from stanchion_server.costs.self_hosted import AllocatedHour, Allocation, AllocationLine, Deployment, DirtyHour

__all__ = [
    "AllocatedHour", "Allocation", "AllocationLine", "Budget", "BudgetHour", "CallPeak", "Deployment", "DirtyHour",
    "DirtyPeak", "Invoice", "InvoiceLine", "PairVerdict", "PriceOverride", "RateLimit", "SavingsReport",
]  # fmt: skip


class PriceOverride(models.Model):
    """What one project pays for a model from `effective_from` on, in US dollars per million tokens.

    A price is never changed in place: a new rate is a new row with a later date, so that yesterday keeps its price.
    A bucket left empty is charged like the bucket that contains it (cached and cache write like input, reasoning like
    output).
    """

    project = models.ForeignKey("tenants.Project", on_delete=models.CASCADE, related_name="price_overrides")
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    effective_from = models.DateTimeField()
    input_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    output_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6)
    cached_input_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    cache_write_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    cache_write_1h_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    reasoning_usd_per_mtok = models.DecimalField(max_digits=14, decimal_places=6, null=True, blank=True)
    request_usd = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "provider", "model", "effective_from"], name="price_override_once_per_date"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model} from {self.effective_from:%Y-%m-%d}"
