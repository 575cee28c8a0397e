"""Providers' bills at rest, day by day and model by model."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from stanchion_server.tenants.models import Project


class Invoice(models.Model):
    """A bill as it was imported, never changed afterwards. `provider` is whose calls it is held against, empty for all;
    `digest` is that of the file, so that none is imported twice. `end_day` is the last day with a line."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invoices")
    name = models.CharField(max_length=120)
    provider = models.CharField(max_length=60, blank=True, default="")
    digest = models.CharField(max_length=64)
    start_day = models.DateField()
    end_day = models.DateField()
    line_count = models.PositiveIntegerField()
    usd = models.DecimalField(max_digits=28, decimal_places=12)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        app_label = "costs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "digest", "provider"], name="invoice_imported_once")
        ]

    def __str__(self) -> str:
        return self.name


class InvoiceLine(models.Model):
    """`invoice_file.Billed` at rest."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    day = models.DateField()
    model = models.CharField(max_length=200)
    usd = models.DecimalField(max_digits=28, decimal_places=12)
    input_tokens = models.BigIntegerField(null=True)
    cached_input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)

    class Meta:
        app_label = "costs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "invoice", "day", "model"], name="invoice_line_once")
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.day:%Y-%m-%d}"
