"""What people decide about scoring: rules, and what happens to jobs in quarantine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality.models import ScoreJob, ScorerSetting
from stanchion_server.quality.records import LANES, Lane
from stanchion_server.quality.sampling import Rule
from stanchion_server.quality.scorers import registry
from stanchion_server.quality.selectors import settings

Job = tuple[UUID, int, Lane]
"""Trace, span and lane."""


def set_rule(project_id: int, scorer: str, feature: str, rule: Rule, actor: str) -> ScorerSetting:
    """Replaces the rule of this scorer for this feature ("" for all that have none of their own). SenderError names
    what of it cannot be."""
    _check(project_id, scorer, feature, rule)
    setting, _is_new = ScorerSetting.objects.update_or_create(
        project_id=project_id,
        scorer=scorer,
        feature=feature,
        defaults={
            "is_on": rule.is_on, "sample_ratio": rule.sample_ratio, "threshold": rule.threshold,
            "parameters": dict(rule.parameters), "changed_at": clock.now(), "changed_by": actor,
        },
    )  # fmt: skip
    return setting


def remove_rule(project_id: int, scorer: str, feature: str) -> bool:
    """Back to the rule for all features, or to the scorer's usual; False where there was none."""
    return ScorerSetting.objects.filter(project_id=project_id, scorer=scorer, feature=feature).delete()[0] > 0


def retry(project_id: int, jobs: Iterable[Job] | None = None) -> int:
    """Gives quarantined jobs (None: all of the project's) three attempts more; returns how many."""
    now = clock.now()
    return _quarantined(project_id, jobs).update(
        state=ScoreJob.State.OPEN, attempts=0, last_error="", leased_until=None, not_before=now, created_at=now
    )


def discard(project_id: int, jobs: Iterable[Job] | None = None) -> int:
    """Takes quarantined jobs (None: all of the project's) away for good; scores that they made before stay."""
    return _quarantined(project_id, jobs).delete()[0]


def _quarantined(project_id: int, jobs: Iterable[Job] | None) -> QuerySet[ScoreJob]:
    rows = ScoreJob.objects.filter(project_id=project_id, state=ScoreJob.State.QUARANTINED)
    if jobs is None:
        return rows
    wanted = Q(pk__in=())
    for trace_id, span_id, lane in jobs:
        wanted |= Q(trace_id=trace_id, span_id=span_id, lane=LANES.index(lane))
    return rows.filter(wanted)


def _check(project_id: int, scorer: str, feature: str, rule: Rule) -> None:
    for name, value in (("sample_ratio", rule.sample_ratio), ("threshold", rule.threshold)):
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise SenderError("out_of_range", f"{name}={value} must lie between 0 and 1.")
    # With what stands beside it: a judge's rubrics are scorers of their own.
    beside = settings.rules(project_id).parameters(feature)
    together = {**beside, **({scorer: rule.parameters} if rule.parameters else {})}
    try:
        known = {one.id for one in registry.known(together)}
        registry.scorers({name: given for name, given in together.items() if name in known})
    except ValueError as error:
        raise SenderError("bad_parameters", f"The parameters are refused: {error}.") from error
    if scorer not in known:
        raise SenderError("no_such_scorer", f"There is no scorer {scorer[:80]!r}. The page “Scorers” lists them.", 404)
