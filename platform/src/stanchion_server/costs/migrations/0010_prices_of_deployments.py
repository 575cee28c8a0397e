"""Takes away the prices of 0 by which deployments used to pay for their calls: they held for every call of the model's
name, whoever served it. A call's price now follows where it ran."""

from django.db import migrations

_FORGET = """
DELETE FROM costs_priceoverride p USING costs_deployment d
WHERE d.project_id = p.project_id AND p.note = 'Hosted as ' || d.name || ': its cost is split by use'
    AND lower(p.model) = lower(d.match_model) AND p.input_usd_per_mtok = 0 AND p.output_usd_per_mtok = 0
    AND p.request_usd = 0 AND p.cached_input_usd_per_mtok IS NULL AND p.cache_write_usd_per_mtok IS NULL
    AND p.cache_write_1h_usd_per_mtok IS NULL AND p.reasoning_usd_per_mtok IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("costs", "0009_pair_verdicts")]

    operations = [migrations.RunSQL(_FORGET, migrations.RunSQL.noop)]
