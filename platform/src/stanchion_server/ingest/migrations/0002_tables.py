from django.db import migrations

TABLES = """
CREATE SEQUENCE ingest_batches_id;
CREATE TABLE ingest_batches (
    received_at timestamptz NOT NULL,
    id bigint NOT NULL DEFAULT nextval('ingest_batches_id'),
    project_id bigint NOT NULL,
    api_key_id bigint NOT NULL,
    body_bytes bigint NOT NULL,
    sent integer NOT NULL,
    stored integer NOT NULL,
    duplicate integer NOT NULL,
    rejected integer NOT NULL,
    altered integer NOT NULL,
    signal text NOT NULL,
    client text NOT NULL,
    state text NOT NULL,
    reasons jsonb NOT NULL,
    alterations jsonb NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (project_id, received_at, id),
    CHECK (sent = stored + duplicate + rejected)
) PARTITION BY RANGE (received_at);
"""


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial")]

    operations = [migrations.RunSQL(TABLES, "DROP TABLE ingest_batches; DROP SEQUENCE ingest_batches_id;")]
