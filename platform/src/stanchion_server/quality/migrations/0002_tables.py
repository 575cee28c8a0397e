"""Scores are partitioned by the day of their call, like the other telemetry (traces 0002)."""

from django.db import migrations

TABLES = """
CREATE TABLE scores (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    start_time timestamptz NOT NULL,
    scored_at timestamptz NOT NULL,
    score double precision NOT NULL CHECK (score >= 0 AND score <= 1),
    threshold double precision,
    cost_usd numeric(24, 12) CHECK (cost_usd >= 0),
    input_tokens integer,
    output_tokens integer,
    elapsed_us integer NOT NULL,
    is_flagged boolean,
    scorer text NOT NULL,
    scorer_version text NOT NULL,
    source text NOT NULL,
    label text NOT NULL,
    reason text NOT NULL,
    feature text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    service text NOT NULL,
    prompt_name text NOT NULL,
    prompt_version text NOT NULL,
    evidence jsonb,
    PRIMARY KEY (project_id, trace_id, span_id, start_time, scorer, scorer_version)
) PARTITION BY RANGE (start_time);
CREATE INDEX scores_worst ON scores (project_id, scorer, start_time DESC) WHERE is_flagged;
CREATE INDEX scores_recent ON scores (project_id, start_time DESC);

CREATE TABLE score_jobs (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    start_time timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    leased_until timestamptz,
    lane smallint NOT NULL,
    state smallint NOT NULL,
    attempts smallint NOT NULL,
    scorers text[],
    reason text NOT NULL,
    last_error text NOT NULL,
    PRIMARY KEY (project_id, trace_id, span_id, start_time, lane)
);
CREATE INDEX score_jobs_due ON score_jobs (lane, project_id, not_before) WHERE state = 0;
CREATE INDEX score_jobs_quarantined ON score_jobs (project_id, created_at DESC) WHERE state = 1;
ALTER TABLE score_jobs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

CREATE TABLE score_rollups (
    project_id bigint NOT NULL,
    bucket timestamptz NOT NULL,
    grain_minutes smallint NOT NULL,
    scores bigint NOT NULL,
    flagged bigint NOT NULL,
    score_sum double precision NOT NULL,
    score_square_sum double precision NOT NULL,
    cost_usd numeric(24, 12) NOT NULL,
    scorer text NOT NULL,
    scorer_version text NOT NULL,
    feature text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    prompt_name text NOT NULL,
    prompt_version text NOT NULL,
    histogram bigint[] NOT NULL
) PARTITION BY LIST (grain_minutes);
CREATE TABLE score_rollups_minute PARTITION OF score_rollups FOR VALUES IN (1);
CREATE TABLE score_rollups_hour PARTITION OF score_rollups FOR VALUES IN (60);
CREATE INDEX score_rollups_bucket ON score_rollups (project_id, bucket);

CREATE TABLE dirty_score_minutes (
    project_id bigint NOT NULL,
    minute timestamptz NOT NULL
);

CREATE TABLE score_counts (
    project_id bigint NOT NULL,
    bucket timestamptz NOT NULL,
    scorer text NOT NULL,
    outcome text NOT NULL,
    calls bigint NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (project_id, bucket, scorer, outcome)
);
"""

DROP = "DROP TABLE score_counts, dirty_score_minutes, score_rollups, score_jobs, scores;"


class Migration(migrations.Migration):
    dependencies = [("quality", "0001_initial")]
    operations = [migrations.RunSQL(TABLES, DROP)]
