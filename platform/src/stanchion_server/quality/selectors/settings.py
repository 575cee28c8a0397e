"""What a project wants scored."""

from __future__ import annotations

from stanchion_server.quality.models import ScorerSetting
from stanchion_server.quality.sampling import Rule, Rules


def rules(project_id: int) -> Rules:
    rows = ScorerSetting.objects.filter(project_id=project_id)
    return Rules(
        {
            (row.scorer, row.feature): Rule(row.is_on, row.sample_ratio, row.threshold, row.parameters or {})
            for row in rows
        }
    )
