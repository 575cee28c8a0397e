"""Telemetry at rest. All tables but `Resource`, `KeyMapping` are partitioned by day and made in SQL (migration 0001).

Columns speak the vocabulary of `ingest.records`, which says what each one means; unique keys hold `project_id` and the
partition key, so that a retried export changes nothing and the tables can be distributed by project.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Resource(models.Model):
    pk = models.CompositePrimaryKey("project_id", "resource_id")
    project_id = models.BigIntegerField()
    resource_id = models.BigIntegerField()
    attributes = models.JSONField()
    first_seen_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "resources"

    def __str__(self) -> str:
        return str(self.attributes.get("service.name", "unknown service"))


class KeyMapping(models.Model):
    pk = models.CompositePrimaryKey("project_id", "mapping_id")
    project_id = models.BigIntegerField()
    mapping_id = models.BigIntegerField()
    dialect = models.TextField()
    scope_name = models.TextField()
    scope_version = models.TextField()
    winners = models.JSONField()
    unmapped = ArrayField(models.TextField())
    first_seen_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "key_mappings"

    def __str__(self) -> str:
        return f"{self.scope_name} {self.scope_version} as {self.dialect}"


class Span(models.Model):
    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_span_id = models.BigIntegerField(null=True)
    start_time = models.DateTimeField()
    received_at = models.DateTimeField()
    duration_ns = models.BigIntegerField()
    kind = models.SmallIntegerField()
    otel_kind = models.SmallIntegerField()
    status = models.SmallIntegerField()
    alterations = models.IntegerField()
    resource_id = models.BigIntegerField()
    name = models.TextField()
    status_message = models.TextField()
    service = models.TextField()
    environment = models.TextField()
    feature = models.TextField()
    session_id = models.TextField()
    scope_name = models.TextField()
    scope_version = models.TextField()
    attributes = models.JSONField()
    events = models.JSONField(null=True)
    links = models.JSONField(null=True)
    user_id = models.TextField()
    prompt_name = models.TextField()
    prompt_version = models.TextField()

    class Meta:
        managed = False
        db_table = "spans"

    def __str__(self) -> str:
        return self.name


class LlmCall(models.Model):
    """One record of a model call. `filled` names the columns whose values came from another record of the same provider
    call (`{"feature": "<span id hex>"}`), `inherited` those whose values came from a span around the call; `primary_*`
    points from a duplicate to the record that is charged."""

    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_span_id = models.BigIntegerField(null=True)
    start_time = models.DateTimeField()
    received_at = models.DateTimeField()
    duration_ns = models.BigIntegerField()
    kind = models.SmallIntegerField()
    charge = models.SmallIntegerField()
    status = models.SmallIntegerField()
    mapping_id = models.BigIntegerField()
    response_key = models.BigIntegerField(null=True)
    pair_key = models.BigIntegerField(null=True)
    primary_trace_id = models.UUIDField(null=True)
    primary_span_id = models.BigIntegerField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    cached_input_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    cache_write_1h_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    audio_input_tokens = models.BigIntegerField(null=True)
    audio_output_tokens = models.BigIntegerField(null=True)
    max_tokens = models.BigIntegerField(null=True)
    seed = models.BigIntegerField(null=True)
    time_to_first_token_ms = models.FloatField(null=True)
    temperature = models.FloatField(null=True)
    top_p = models.FloatField(null=True)
    top_k = models.FloatField(null=True)
    tool_call_count = models.IntegerField()
    is_streamed = models.BooleanField(null=True)
    tokens_ambiguous = models.BooleanField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    client_cost_usd = models.DecimalField(max_digits=24, decimal_places=12, null=True)
    cost_price = models.TextField()
    cost_rule = models.TextField()
    cost_confidence = models.TextField()
    cost_reason = models.TextField()
    operation = models.TextField()
    dialect = models.TextField()
    provider = models.TextField()
    request_model = models.TextField()
    response_model = models.TextField()
    model = models.TextField()
    response_id = models.TextField()
    token_source = models.TextField()
    service_tier = models.TextField()
    error_type = models.TextField()
    finish_reasons = ArrayField(models.TextField())
    feature = models.TextField()
    user_id = models.TextField()
    session_id = models.TextField()
    environment = models.TextField()
    release = models.TextField()
    service = models.TextField()
    prompt_name = models.TextField()
    prompt_version = models.TextField()
    tags = ArrayField(models.TextField())
    parameters = models.JSONField(null=True)
    input_preview = models.TextField()
    output_preview = models.TextField()
    filled = models.JSONField(null=True)
    inherited = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "llm_calls"

    def __str__(self) -> str:
        return f"{self.operation} {self.model}"


class Content(models.Model):
    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time", "digest")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    start_time = models.DateTimeField()
    digest = models.BigIntegerField()
    source = models.SmallIntegerField()
    is_truncated = models.BooleanField()
    original_bytes = models.IntegerField()
    body = models.BinaryField()

    class Meta:
        managed = False
        db_table = "contents"

    def __str__(self) -> str:
        return f"content of {self.trace_id}"


class LogEntry(models.Model):
    pk = models.CompositePrimaryKey("project_id", "time", "digest")
    project_id = models.BigIntegerField()
    time = models.DateTimeField()
    digest = models.BigIntegerField()
    trace_id = models.UUIDField(null=True)
    span_id = models.BigIntegerField(null=True)
    severity = models.SmallIntegerField()
    alterations = models.IntegerField()
    resource_id = models.BigIntegerField()
    event_name = models.TextField()
    scope_name = models.TextField()
    body = models.JSONField()
    attributes = models.JSONField()

    class Meta:
        managed = False
        db_table = "log_records"

    def __str__(self) -> str:
        return self.event_name or "log record"


class MetricPoint(models.Model):
    pk = models.CompositePrimaryKey("project_id", "series_id", "time")
    project_id = models.BigIntegerField()
    series_id = models.BigIntegerField()
    time = models.DateTimeField()
    start_time = models.DateTimeField(null=True)
    temporality = models.SmallIntegerField()
    resource_id = models.BigIntegerField()
    value = models.FloatField(null=True)
    name = models.TextField()
    unit = models.TextField()
    kind = models.TextField()
    histogram = models.JSONField(null=True)
    attributes = models.JSONField()

    class Meta:
        managed = False
        db_table = "metric_points"

    def __str__(self) -> str:
        return self.name


class GuardDecision(models.Model):
    """What one policy version decided about one check. `action` is the index in `stanchion_wire.decisions.ACTIONS`; the
    live and the shadow decision of one check share `check_id`. No text is kept: findings are labels and offsets.
    `limits` are pairs of rule and reason: what ran where its detector was not measured to work; null for none."""

    pk = models.CompositePrimaryKey("project_id", "trace_id", "span_id", "start_time")
    project_id = models.BigIntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_span_id = models.BigIntegerField(null=True)
    start_time = models.DateTimeField()
    received_at = models.DateTimeField()
    duration_ns = models.BigIntegerField()
    text_digest = models.BigIntegerField(null=True)
    elapsed_us = models.IntegerField()
    characters = models.IntegerField()
    guarded_characters = models.IntegerField()
    action = models.SmallIntegerField()
    is_complete = models.BooleanField()
    check_id = models.TextField()
    policy = models.TextField()
    policy_version = models.TextField()
    mode = models.TextField()
    source = models.TextField()
    stage = models.TextField()
    feature = models.TextField()
    user_id = models.TextField()
    session_id = models.TextField()
    environment = models.TextField()
    release = models.TextField()
    service = models.TextField()
    rules = ArrayField(models.TextField())
    labels = ArrayField(models.TextField())
    findings = models.JSONField(null=True)
    checks = models.JSONField(null=True)
    not_run = models.JSONField(null=True)
    limits = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "guard_decisions"

    def __str__(self) -> str:
        return f"{self.policy} {self.policy_version}"


class CallRollup(models.Model):
    """Sums over the charged calls of one bucket and one combination of dimensions.

    `grain_minutes` is 1, 60 or 1440. Histograms are sparse: `*_buckets[i]` occurs `*_counts[i]` times; bucket b holds
    values in (1.02^(b-1), 1.02^b] milliseconds (`traces.histogram`). `unpriced_calls` have no cost: they are counted,
    never added as zero. `hosted_calls` were served by deployments of the project's own, which are paid by the hour.
    """

    pk = models.CompositePrimaryKey(
        "project_id", "grain_minutes", "bucket", "feature", "provider", "model", "environment", "release", "service",
        "prompt_name", "prompt_version", "kind",
    )  # fmt: skip
    project_id = models.BigIntegerField()
    grain_minutes = models.SmallIntegerField()
    bucket = models.DateTimeField()
    kind = models.SmallIntegerField()
    calls = models.BigIntegerField()
    errors = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    untokened_calls = models.BigIntegerField()
    hosted_calls = models.BigIntegerField(default=0)
    streamed_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    duration_ms_sum = models.FloatField()
    duration_ms_max = models.FloatField()
    generation_ms_sum = models.FloatField()
    generation_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    feature = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    environment = models.TextField()
    release = models.TextField()
    service = models.TextField()
    prompt_name = models.TextField()
    prompt_version = models.TextField()
    duration_buckets = ArrayField(models.SmallIntegerField())
    duration_counts = ArrayField(models.BigIntegerField())
    ttft_buckets = ArrayField(models.SmallIntegerField())
    ttft_counts = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "call_rollups"

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.bucket}"


class CallTotal(models.Model):
    """The rollups of one bucket added up over all dimensions, for questions without filter or group. They hold the same
    calls as `CallRollup`: never add the two."""

    pk = models.CompositePrimaryKey("project_id", "grain_minutes", "bucket")
    project_id = models.BigIntegerField()
    grain_minutes = models.SmallIntegerField()
    bucket = models.DateTimeField()
    calls = models.BigIntegerField()
    errors = models.BigIntegerField()
    unpriced_calls = models.BigIntegerField()
    untokened_calls = models.BigIntegerField()
    hosted_calls = models.BigIntegerField(default=0)
    streamed_calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    duration_ms_sum = models.FloatField()
    duration_ms_max = models.FloatField()
    generation_ms_sum = models.FloatField()
    generation_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=12)
    duration_buckets = ArrayField(models.SmallIntegerField())
    duration_counts = ArrayField(models.BigIntegerField())
    ttft_buckets = ArrayField(models.SmallIntegerField())
    ttft_counts = ArrayField(models.BigIntegerField())

    class Meta:
        managed = False
        db_table = "call_totals"

    def __str__(self) -> str:
        return f"{self.calls} calls in {self.bucket}"
