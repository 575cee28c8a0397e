"""Cards and the agents that report them, sums over five minutes, and marks of what is to be summed again.

Samples themselves are the `metric_points` of the door: nothing is copied, so a retried export cannot count twice.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from stanchion_server.tenants.models import Project


class GpuAgent(models.Model):
    """Whoever sends points of cards from one host: our agent or another. `last_heard_at` is the newest point's time,
    never later than its arrival. A retired agent is expected to be silent; heard again, it is no longer retired."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gpu_agents")
    host = models.TextField()
    service = models.TextField()
    version = models.TextField()
    first_heard_at = models.DateTimeField()
    last_heard_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "host", "service"], name="gpu_agent_once_per_host")
        ]

    def __str__(self) -> str:
        return self.host


class GpuDevice(models.Model):
    """A card, or a MIG instance of one (`parent` is then the card's `hw_id`). Texts are empty where nobody told."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gpu_devices")
    hw_id = models.TextField()
    host = models.TextField()
    name = models.TextField()
    model = models.TextField()
    vendor = models.TextField()
    parent = models.TextField()
    driver_version = models.TextField()
    memory_bytes = models.BigIntegerField(null=True)
    deployment = models.TextField()
    job_kind = models.TextField()
    run_id = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "hw_id"], name="gpu_device_once")]

    def __str__(self) -> str:
        return f"{self.host} {self.name or self.hw_id}"


class GpuWindow(models.Model):
    """`windows.DeviceWindow` at rest: one card from just after `start` to five minutes later, inclusive."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    device = models.ForeignKey(GpuDevice, on_delete=models.CASCADE, related_name="windows")
    start = models.DateTimeField()
    samples = models.PositiveIntegerField()
    covered_s = models.FloatField()
    utilization_ratio = models.FloatField(null=True)
    utilization_max_ratio = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    memory_limit_bytes = models.BigIntegerField(null=True)
    power_w = models.FloatField(null=True)
    power_limit_w = models.FloatField(null=True)
    temperature_c = models.FloatField(null=True)
    energy_j = models.FloatField(null=True)
    energy_method = models.TextField()
    throttled_s = models.JSONField()
    errors = models.JSONField()
    state = models.TextField()
    deployment = models.TextField()
    job_kind = models.TextField()
    run_id = models.TextField()
    processes = models.JSONField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "device", "start"], name="gpu_window_once")]
        indexes: ClassVar = [models.Index(fields=["project", "start"], name="gpu_windows_by_time")]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M}"


class EngineWindow(models.Model):
    """`windows.EngineWindow` at rest: one serving engine in the same five minutes."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    host = models.TextField()
    engine = models.TextField()
    endpoint = models.TextField()
    model = models.TextField()
    deployment = models.TextField()
    start = models.DateTimeField()
    up_ratio = models.FloatField(null=True)
    running = models.FloatField(null=True)
    waiting = models.FloatField(null=True)
    waiting_max = models.FloatField(null=True)
    kv_cache_ratio = models.FloatField(null=True)
    kv_cache_max_ratio = models.FloatField(null=True)
    preemptions = models.FloatField(null=True)
    prompt_tokens = models.FloatField(null=True)
    generated_tokens = models.FloatField(null=True)
    requests = models.FloatField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "host", "engine", "endpoint", "start"], name="engine_window_once"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["project", "start"], name="engine_windows_by_time")]

    def __str__(self) -> str:
        return f"{self.engine} {self.endpoint} {self.start:%Y-%m-%d %H:%M}"


class DirtySlot(models.Model):
    """A mark that five minutes must be summed again; several marks of one slot are one."""

    project_id = models.BigIntegerField()
    slot = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project_id", "slot"], name="dirty_slots_by_project")]

    def __str__(self) -> str:
        return f"{self.slot:%Y-%m-%d %H:%M}"
