import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0001_initial"),
        ("tenants", "0002_slugs_unique_everywhere"),
    ]

    operations = [
        migrations.CreateModel(
            name="TuningDownload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=150)),
                ("asked", models.JSONField()),
                ("lines", models.PositiveIntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.project"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["project", "-at"], name="tuning_downloads_recent")],
            },
        ),
    ]
