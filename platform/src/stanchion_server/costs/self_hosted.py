"""Deployments that a project hosts itself, and what each of their hours cost whom. Hours are whole and in UTC."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from stanchion_server.tenants.models import Project


class Basis(models.TextChoices):
    INSTANCE_HOUR = "instance_hour", "per instance and hour"
    GPU_HOUR = "gpu_hour", "per GPU and hour"


class Batching(models.TextChoices):
    UNKNOWN = "", "not told"
    NONE = "none", "none"
    STATIC = "static", "static"
    DYNAMIC = "dynamic", "dynamic"
    CONTINUOUS = "continuous", "continuous"
    PAGED = "paged", "continuous with paged attention"


class DeviceClass(models.TextChoices):
    GPU = "gpu", "GPU"
    CPU = "cpu", "CPU"
    OTHER = "other", "other accelerator"


class Deployment(models.Model):
    """What is in force under a name from `effective_from` (a full hour) on. A row is never changed: another rate,
    engine or match is a new row with a later date, and the end is a row with `is_retired`.

    A call belongs to it when all the `match_*` that are not empty fit; a card when it is in `gpus`, carries the label
    `stanchion.deployment` with this name, or stands in one of `hosts`. Storage is paid by month of 730 hours.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="deployments")
    name = models.CharField(max_length=100)
    effective_from = models.DateTimeField()
    is_retired = models.BooleanField(default=False)
    match_provider = models.CharField(max_length=60, blank=True, default="")
    match_model = models.CharField(max_length=200, blank=True, default="")
    match_service = models.CharField(max_length=200, blank=True, default="")
    match_server = models.CharField(max_length=200, blank=True, default="")
    match_attribute = models.CharField(max_length=200, blank=True, default="")
    match_value = models.CharField(max_length=200, blank=True, default="")
    hosts = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    gpus = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    basis = models.CharField(max_length=13, choices=Basis.choices, default=Basis.GPU_HOUR)
    usd_per_hour = models.DecimalField(max_digits=14, decimal_places=6)
    count = models.PositiveIntegerField(default=1)
    storage_gib = models.DecimalField(max_digits=12, decimal_places=3, default=Decimal(0))
    storage_usd_per_gib_month = models.DecimalField(max_digits=14, decimal_places=6, default=Decimal(0))
    data_gib_per_month = models.DecimalField(max_digits=12, decimal_places=3, default=Decimal(0))
    data_usd_per_gib = models.DecimalField(max_digits=14, decimal_places=6, default=Decimal(0))
    usd_per_kwh = models.DecimalField(max_digits=10, decimal_places=6, null=True, blank=True)
    pue = models.DecimalField(max_digits=5, decimal_places=3, default=Decimal("1"))
    grid_g_per_kwh = models.DecimalField(max_digits=9, decimal_places=3, null=True, blank=True)
    rec_ratio = models.DecimalField(max_digits=5, decimal_places=4, default=Decimal(0))
    prefill_weight = models.DecimalField(max_digits=9, decimal_places=4, default=Decimal("1"))
    cached_weight = models.DecimalField(max_digits=9, decimal_places=4, default=Decimal("0.1"))
    decode_weight = models.DecimalField(max_digits=9, decimal_places=4, default=Decimal("4"))
    engine = models.CharField(max_length=60, blank=True, default="")
    engine_version = models.CharField(max_length=60, blank=True, default="")
    batching = models.CharField(max_length=10, choices=Batching.choices, blank=True, default="")
    parallel_degree = models.PositiveSmallIntegerField(default=1)
    device_class = models.CharField(max_length=5, choices=DeviceClass.choices, default=DeviceClass.GPU)
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        app_label = "costs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name", "effective_from"], name="deployment_once_per_date"),
            models.CheckConstraint(condition=Q(usd_per_hour__gte=0), name="deployment_rate_not_negative"),
            models.CheckConstraint(condition=Q(pue__gte=1), name="deployment_pue_from_1"),
            models.CheckConstraint(condition=Q(rec_ratio__gte=0, rec_ratio__lte=1), name="deployment_rec_is_a_share"),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.effective_from:%Y-%m-%d %H:%M}"


class AllocatedHour(models.Model):
    """An hour of a project that has been split; `revision` counts how often its outcome changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    revision = models.PositiveIntegerField(default=1)
    computed_at = models.DateTimeField()

    class Meta:
        app_label = "costs"
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "hour"], name="allocated_hour_once")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}"


class Allocation(models.Model):
    """One hour of one deployment: the sums of its lines, and how far they were measured.

    `covered_ratio` is the share of card-minutes with samples; `energy_method` is counter, estimated (integrated power,
    or a part from it) or empty where no energy was seen. `energy_wh` leaves out what was not measured.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="allocations")
    hour = models.DateTimeField()
    revision = models.PositiveIntegerField()
    method = models.CharField(max_length=9)
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    energy_usd = models.DecimalField(max_digits=24, decimal_places=12)
    energy_wh = models.DecimalField(max_digits=24, decimal_places=9, null=True)
    energy_method = models.CharField(max_length=9, blank=True, default="")
    gpu_hours = models.DecimalField(max_digits=14, decimal_places=6, null=True)
    gpus_seen = models.PositiveSmallIntegerField()
    busy_ratio = models.FloatField()
    covered_ratio = models.FloatField()
    calls = models.BigIntegerField()
    untokened_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()

    class Meta:
        app_label = "costs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "deployment", "hour"], name="allocation_once_per_hour")
        ]
        indexes: ClassVar = [models.Index(fields=["project", "hour"], name="allocations_by_hour")]

    def __str__(self) -> str:
        return f"{self.deployment} at {self.hour:%Y-%m-%d %H:%M}"


class AllocationLine(models.Model):
    """`allocation.Line` at rest."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    allocation = models.ForeignKey(Allocation, on_delete=models.CASCADE, related_name="lines")
    hour = models.DateTimeField()
    kind = models.CharField(max_length=12)
    feature = models.TextField()
    model = models.TextField()
    user_id = models.TextField()
    calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    energy_usd = models.DecimalField(max_digits=24, decimal_places=12)
    energy_wh = models.DecimalField(max_digits=24, decimal_places=9, null=True)

    class Meta:
        app_label = "costs"
        indexes: ClassVar = [models.Index(fields=["project", "hour"], name="allocation_lines_by_hour")]

    def __str__(self) -> str:
        return f"{self.kind} {self.feature}"


class DirtyHour(models.Model):
    """A mark that an hour must be split again; several marks of one hour are one."""

    project_id = models.BigIntegerField()
    hour = models.DateTimeField()

    class Meta:
        app_label = "costs"
        indexes: ClassVar = [models.Index(fields=["project_id", "hour"], name="dirty_hours_by_project")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M}"
