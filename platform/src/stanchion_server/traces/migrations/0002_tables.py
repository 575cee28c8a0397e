"""The partitioned tables. Fixed-width columns come first, so that no row pays for alignment.

Partitions are made by `traces.partitions`, never here. There is no default partition: it would hide a missing one, and a
partition that overlaps rows in it cannot be created.
"""

from django.db import migrations

TABLES = """
CREATE TABLE resources (
    project_id bigint NOT NULL,
    resource_id bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (project_id, resource_id)
);

CREATE TABLE key_mappings (
    project_id bigint NOT NULL,
    mapping_id bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    dialect text NOT NULL,
    scope_name text NOT NULL,
    scope_version text NOT NULL,
    winners jsonb NOT NULL,
    unmapped text[] NOT NULL,
    PRIMARY KEY (project_id, mapping_id)
);

CREATE TABLE spans (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    start_time timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    duration_ns bigint NOT NULL,
    resource_id bigint NOT NULL,
    alterations integer NOT NULL,
    kind smallint NOT NULL,
    otel_kind smallint NOT NULL,
    status smallint NOT NULL,
    name text NOT NULL,
    status_message text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    feature text NOT NULL,
    session_id text NOT NULL,
    scope_name text NOT NULL,
    scope_version text NOT NULL,
    attributes jsonb NOT NULL,
    events jsonb,
    links jsonb,
    user_id text NOT NULL DEFAULT '',
    prompt_name text NOT NULL DEFAULT '',
    prompt_version text NOT NULL DEFAULT '',
    PRIMARY KEY (project_id, trace_id, span_id, start_time)
) PARTITION BY RANGE (start_time);
CREATE INDEX spans_roots ON spans (project_id, start_time DESC, trace_id) WHERE parent_span_id IS NULL;

CREATE TABLE llm_calls (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    start_time timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    duration_ns bigint NOT NULL,
    mapping_id bigint NOT NULL,
    response_key bigint,
    pair_key bigint,
    primary_trace_id uuid,
    primary_span_id bigint,
    input_tokens bigint,
    output_tokens bigint,
    cached_input_tokens bigint,
    cache_write_tokens bigint,
    cache_write_1h_tokens bigint,
    reasoning_tokens bigint,
    audio_input_tokens bigint,
    audio_output_tokens bigint,
    max_tokens bigint,
    seed bigint,
    time_to_first_token_ms double precision CHECK (time_to_first_token_ms >= 0 AND time_to_first_token_ms < 1e15),
    temperature double precision CHECK (abs(temperature) < 1e15),
    top_p double precision CHECK (abs(top_p) < 1e15),
    top_k double precision CHECK (abs(top_k) < 1e15),
    tool_call_count integer NOT NULL,
    kind smallint NOT NULL,
    charge smallint NOT NULL,
    status smallint NOT NULL,
    is_streamed boolean,
    tokens_ambiguous boolean NOT NULL,
    cost_usd numeric(24, 12) CHECK (cost_usd >= 0),
    client_cost_usd numeric(24, 12),
    cost_price text NOT NULL,
    cost_rule text NOT NULL,
    cost_confidence text NOT NULL,
    cost_reason text NOT NULL,
    operation text NOT NULL,
    dialect text NOT NULL,
    provider text NOT NULL,
    request_model text NOT NULL,
    response_model text NOT NULL,
    model text NOT NULL,
    response_id text NOT NULL,
    token_source text NOT NULL,
    service_tier text NOT NULL,
    error_type text NOT NULL,
    finish_reasons text[] NOT NULL,
    feature text NOT NULL,
    user_id text NOT NULL,
    session_id text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    service text NOT NULL,
    prompt_name text NOT NULL,
    prompt_version text NOT NULL,
    tags text[] NOT NULL,
    parameters jsonb,
    input_preview text NOT NULL,
    output_preview text NOT NULL,
    filled jsonb,
    inherited jsonb,
    PRIMARY KEY (project_id, trace_id, span_id, start_time)
) PARTITION BY RANGE (start_time);
CREATE INDEX llm_calls_recent ON llm_calls (project_id, start_time DESC, span_id DESC);
CREATE INDEX llm_calls_response ON llm_calls (project_id, response_key) WHERE response_key IS NOT NULL;
CREATE INDEX llm_calls_pair ON llm_calls (project_id, pair_key) WHERE pair_key IS NOT NULL;
CREATE INDEX llm_calls_errors ON llm_calls (project_id, start_time DESC) WHERE status = 2;
CREATE INDEX llm_calls_sessions ON llm_calls (project_id, left(session_id, 200), start_time) WHERE session_id <> '';

CREATE TABLE contents (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    start_time timestamptz NOT NULL,
    digest bigint NOT NULL,
    original_bytes integer NOT NULL,
    source smallint NOT NULL,
    is_truncated boolean NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (project_id, trace_id, span_id, start_time, digest)
) PARTITION BY RANGE (start_time);
ALTER TABLE contents ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE log_records (
    project_id bigint NOT NULL,
    "time" timestamptz NOT NULL,
    digest bigint NOT NULL,
    trace_id uuid,
    span_id bigint,
    resource_id bigint NOT NULL,
    alterations integer NOT NULL,
    severity smallint NOT NULL,
    event_name text NOT NULL,
    scope_name text NOT NULL,
    body jsonb NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (project_id, "time", digest)
) PARTITION BY RANGE ("time");
CREATE INDEX log_records_trace ON log_records (project_id, trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE metric_points (
    project_id bigint NOT NULL,
    series_id bigint NOT NULL,
    "time" timestamptz NOT NULL,
    start_time timestamptz,
    resource_id bigint NOT NULL,
    value double precision CHECK (abs(value) < 1e300),
    temporality smallint NOT NULL,
    name text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    histogram jsonb,
    attributes jsonb NOT NULL,
    PRIMARY KEY (project_id, series_id, "time")
) PARTITION BY RANGE ("time");
CREATE INDEX metric_points_name ON metric_points (project_id, left(name, 200), "time" DESC);

CREATE TABLE call_rollups (
    project_id bigint NOT NULL,
    bucket timestamptz NOT NULL,
    grain_minutes smallint NOT NULL,
    kind smallint NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    untokened_calls bigint NOT NULL,
    streamed_calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    generation_tokens bigint NOT NULL,
    generation_ms_sum double precision NOT NULL,
    duration_ms_sum double precision NOT NULL,
    duration_ms_max double precision NOT NULL,
    cost_usd numeric(24, 12) NOT NULL,
    feature text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    service text NOT NULL,
    prompt_name text NOT NULL,
    prompt_version text NOT NULL,
    duration_buckets smallint[] NOT NULL,
    duration_counts bigint[] NOT NULL,
    ttft_buckets smallint[] NOT NULL,
    ttft_counts bigint[] NOT NULL
) PARTITION BY LIST (grain_minutes);
CREATE TABLE call_rollups_minute PARTITION OF call_rollups FOR VALUES IN (1);
CREATE TABLE call_rollups_hour PARTITION OF call_rollups FOR VALUES IN (60);
CREATE TABLE call_rollups_day PARTITION OF call_rollups FOR VALUES IN (1440);
CREATE INDEX call_rollups_bucket ON call_rollups (project_id, bucket);

CREATE TABLE call_totals (
    project_id bigint NOT NULL,
    bucket timestamptz NOT NULL,
    grain_minutes smallint NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    unpriced_calls bigint NOT NULL,
    untokened_calls bigint NOT NULL,
    streamed_calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    generation_tokens bigint NOT NULL,
    generation_ms_sum double precision NOT NULL,
    duration_ms_sum double precision NOT NULL,
    duration_ms_max double precision NOT NULL,
    cost_usd numeric(24, 12) NOT NULL,
    duration_buckets smallint[] NOT NULL,
    duration_counts bigint[] NOT NULL,
    ttft_buckets smallint[] NOT NULL,
    ttft_counts bigint[] NOT NULL,
    PRIMARY KEY (project_id, grain_minutes, bucket)
);

CREATE TABLE dirty_minutes (
    project_id bigint NOT NULL,
    minute timestamptz NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now()
);
"""

DROP = """
DROP TABLE dirty_minutes, call_totals, call_rollups, metric_points, log_records, contents, llm_calls, spans, key_mappings, resources;
"""


class Migration(migrations.Migration):
    dependencies = [("traces", "0001_initial")]

    operations = [migrations.RunSQL(TABLES, DROP)]
