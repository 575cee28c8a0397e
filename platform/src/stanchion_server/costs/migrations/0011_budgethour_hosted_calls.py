from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("costs", "0010_prices_of_deployments")]

    operations = [
        migrations.AddField("budgethour", "hosted_calls", models.BigIntegerField(default=0)),
        migrations.AddField("budgethour", "all_hosted_calls", models.BigIntegerField(default=0)),
    ]
