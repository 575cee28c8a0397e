"""Budgets at rest, and what spend of single calls is remembered for them."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Scope(models.TextChoices):
    """What a budget covers. ATTRIBUTE is a span attribute of the call, as teams and cost centres are told by."""

    PROJECT = "project", "The whole project"
    FEATURE = "feature", "A feature"
    SERVICE = "service", "A service"
    ENVIRONMENT = "environment", "An environment"
    ATTRIBUTE = "attribute", "A span attribute (team, cost centre …)"


class PeriodChoice(models.TextChoices):
    DAY = "day", "Day"
    WEEK = "week", "Week (from Monday)"
    MONTH = "month", "Month"


class Budget(models.Model):
    """An amount for each period, and who answers for it. `scope_key` is the attribute's name, `scope_value` what the
    feature, service, environment or attribute must be; both empty for the whole project.

    `notify_percents` are the shares of the amount that readings tell the reaching of. With `is_hard_stop` a worker
    writes `stopped_until`, the period's end, once the amount is spent, and `looked_at` whenever it looked.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="budgets")
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=11, choices=Scope.choices, default=Scope.PROJECT)
    scope_key = models.CharField(max_length=200, blank=True, default="")
    scope_value = models.CharField(max_length=200, blank=True, default="")
    period = models.CharField(max_length=5, choices=PeriodChoice.choices, default=PeriodChoice.MONTH)
    limit_usd = models.DecimalField(max_digits=14, decimal_places=2)
    owner = models.CharField(max_length=120)
    notify_percents = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    is_hard_stop = models.BooleanField(default=False)
    stopped_until = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="budget_name_once", condition=Q(archived_at__isnull=True)
            ),
            models.CheckConstraint(condition=Q(limit_usd__gt=0), name="budget_is_positive"),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetHour(models.Model):
    """What calls with an attribute cost in one hour, remembered because attributes are in no rollup. It holds as long
    as the hour's totals are `all_calls`, `all_hosted_calls` and `all_usd`: when they differ, calls came late or were
    priced anew."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="hours")
    hour = models.DateTimeField()
    usd = models.DecimalField(max_digits=24, decimal_places=12, default=Decimal(0))
    calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    hosted_calls = models.BigIntegerField(default=0)
    all_calls = models.BigIntegerField(default=0)
    all_hosted_calls = models.BigIntegerField(default=0)
    all_usd = models.DecimalField(max_digits=24, decimal_places=12, default=Decimal(0))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["budget", "hour"], name="budget_hour_once")]

    def __str__(self) -> str:
        return f"{self.usd} in {self.hour:%Y-%m-%d %H}"
