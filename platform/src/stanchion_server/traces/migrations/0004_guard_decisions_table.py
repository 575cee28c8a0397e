"""The table of guard decisions, partitioned by day like the other telemetry (see 0002)."""

from django.db import migrations

TABLE = """
CREATE TABLE guard_decisions (
    project_id bigint NOT NULL,
    trace_id uuid NOT NULL,
    span_id bigint NOT NULL,
    parent_span_id bigint,
    start_time timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    duration_ns bigint NOT NULL,
    text_digest bigint,
    elapsed_us integer NOT NULL,
    characters integer NOT NULL,
    guarded_characters integer NOT NULL,
    action smallint NOT NULL,
    is_complete boolean NOT NULL,
    check_id text NOT NULL,
    policy text NOT NULL,
    policy_version text NOT NULL,
    mode text NOT NULL,
    source text NOT NULL,
    stage text NOT NULL,
    feature text NOT NULL,
    user_id text NOT NULL,
    session_id text NOT NULL,
    environment text NOT NULL,
    release text NOT NULL,
    service text NOT NULL,
    rules text[] NOT NULL,
    labels text[] NOT NULL,
    findings jsonb,
    checks jsonb,
    not_run jsonb,
    PRIMARY KEY (project_id, trace_id, span_id, start_time)
) PARTITION BY RANGE (start_time);
CREATE INDEX guard_decisions_recent ON guard_decisions (project_id, start_time DESC, span_id DESC);
CREATE INDEX guard_decisions_policy ON guard_decisions (project_id, policy, start_time DESC);
CREATE INDEX guard_decisions_check ON guard_decisions (project_id, check_id);
CREATE INDEX guard_decisions_text ON guard_decisions (project_id, text_digest) WHERE text_digest IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("traces", "0003_guard_decision")]
    operations = [migrations.RunSQL(TABLE, "DROP TABLE guard_decisions")]
