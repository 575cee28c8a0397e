"""Encrypts the secrets of channels; backwards, they lie open again."""

from django.db import migrations

from stanchion_server.kernel import sealing


def seal(apps, schema_editor):
    for row in apps.get_model("alerts", "Channel").objects.exclude(secrets={}).iterator():
        if "sealed" not in row.secrets:
            row.secrets = {"sealed": sealing.seal(row.secrets)}
            row.save(update_fields=["secrets"])


def unseal(apps, schema_editor):
    """What no key reads is left as it is: a person must enter it again."""
    for row in apps.get_model("alerts", "Channel").objects.exclude(secrets={}).iterator():
        try:
            row.secrets = sealing.unseal(row.secrets["sealed"])
        except (sealing.Unreadable, KeyError):
            continue
        row.save(update_fields=["secrets"])


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_maintenance_ends")]
    operations = [migrations.RunPython(seal, unseal)]
