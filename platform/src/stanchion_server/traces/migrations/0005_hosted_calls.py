from django.db import migrations

_ADD = """
ALTER TABLE call_rollups ADD COLUMN hosted_calls bigint NOT NULL DEFAULT 0;
ALTER TABLE call_totals ADD COLUMN hosted_calls bigint NOT NULL DEFAULT 0;
"""
_DROP = """
ALTER TABLE call_rollups DROP COLUMN hosted_calls;
ALTER TABLE call_totals DROP COLUMN hosted_calls;
"""


class Migration(migrations.Migration):
    dependencies = [("traces", "0004_guard_decisions_table")]

    operations = [migrations.RunSQL(_ADD, _DROP)]
