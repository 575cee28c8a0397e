"""Sums of an hour are due less often than those of its minutes: they have marks of their own, which wait."""

from django.db import migrations

SQL = """
ALTER TABLE dirty_score_minutes
    ADD COLUMN grain_minutes smallint NOT NULL DEFAULT 1,
    ADD COLUMN not_before timestamptz NOT NULL DEFAULT '-infinity';
"""
REVERSE = """
DELETE FROM dirty_score_minutes WHERE grain_minutes <> 1;
ALTER TABLE dirty_score_minutes DROP COLUMN grain_minutes, DROP COLUMN not_before;
"""


class Migration(migrations.Migration):
    dependencies = [("quality", "0003_rescoring")]
    operations = [migrations.RunSQL(SQL, REVERSE)]
