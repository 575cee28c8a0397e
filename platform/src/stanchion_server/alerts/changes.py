"""What changed shortly before something went wrong: releases, prompt versions, policies."""

from __future__ import annotations

from datetime import datetime, timedelta

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies.models import PolicyEvent
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import grains, sums

NEAR = timedelta(hours=2)
BEFORE = timedelta(days=3)
SOON = timedelta(minutes=5)
MOST = 8


def near(project_id: int, at: datetime, feature: str = "") -> list[str]:
    """The newest first, for people; of one feature where it is named. Empty when nothing did, or it takes too long."""
    try:
        found = [*_policies(project_id, at), *_new(project_id, at, feature, "release", "release")]
        found += _new(project_id, at, feature, "prompt_version", "prompt version")
    except SenderError:
        return []
    return [text for _when, text in sorted(found, reverse=True)][:MOST]


def _policies(project_id: int, at: datetime) -> list[tuple[datetime, str]]:
    rows = PolicyEvent.objects.filter(project_id=project_id, at__gt=at - NEAR, at__lte=at + SOON)
    newest = rows.select_related("policy").order_by("-at")[:MOST]
    return [(row.at, f"{row.at:%H:%M} UTC policy {row.policy.name}: {row}"[:200]) for row in newest]


def _new(project_id: int, at: datetime, feature: str, dimension: str, word: str) -> list[tuple[datetime, str]]:
    """Values that calls carry now and did not in the days before."""
    filters = CallFilter(feature=feature) if feature else CallFilter()
    end = grains.ceil_minute(at)
    middle = end - NEAR
    by = (dimension, "feature")
    now = sums.sums(project_id, middle, end, timedelta(minutes=5), by, filters)
    known = {row.group for row in sums.sums(project_id, middle - BEFORE, middle, None, by, filters)}
    features = {group[1] for group in known}
    first: dict[tuple[str, ...], datetime] = {}
    for row in now:
        is_new = row.group not in known and row.group[1] in features and row.group[0] and row.at is not None
        if is_new:
            assert row.at is not None
            first[row.group] = min(first.get(row.group, row.at), row.at)
    return [
        (when, f"{when:%H:%M} UTC {word} {value} of {of_feature or 'no feature'} began"[:200])
        for (value, of_feature), when in first.items()
    ]
