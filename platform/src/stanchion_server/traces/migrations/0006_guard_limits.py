"""What guards judged beyond what was measured. A column without a default: no partition is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("traces", "0005_hosted_calls")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE guard_decisions ADD COLUMN limits jsonb",
            "ALTER TABLE guard_decisions DROP COLUMN limits",
            state_operations=[migrations.AddField("guarddecision", "limits", models.JSONField(null=True))],
        )
    ]
