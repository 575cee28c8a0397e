"""Readings from the rollups: what leaves its band is told, by feature and project."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from kit import drifting
from kit.drifting import Traffic
from stanchion_server.costs import settle
from stanchion_server.drift.readings import Told, readings
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 20, tzinfo=UTC)
END = datetime(2026, 11, 24, 12, 15, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def day(project: Project, last: Traffic | None = None) -> None:
    """Twelve hours of 480 calls, and a last quarter of an hour of 10."""
    start = END - timedelta(hours=12)
    drifting.store(project.pk, drifting.calls(start, END - QUARTER, 480, 1, Traffic(error_ratio=0)))
    drifting.store(project.pk, drifting.calls(END - QUARTER, END, 10, 2, last or Traffic(error_ratio=0)))
    while settle.run(NOW, project_id=project.pk).is_more:
        pass


def verdicts(told: tuple[Told, ...], sort: str = "sudden") -> dict[str, str]:
    return {one.measure: one.reading.verdict for one in told if one.reading.sort == sort}


def test_quiet_traffic_stays_in_its_bands(project: Project) -> None:
    day(project)
    told = readings(project.pk, NOW)
    assert [one for one in told if one.reading.verdict == "anomaly"] == []
    assert verdicts(told)["latency_ms"] == "normal"
    assert verdicts(told, "seasonal")["latency_ms"] == "not_enough_data"


@pytest.mark.parametrize(
    ("like", "measure"),
    [
        (Traffic(latency_ratio=8, error_ratio=0), "latency_ms"),
        (Traffic(token_ratio=8, error_ratio=0), "input_tokens"),
        (Traffic(error_ratio=0.9), "error_ratio"),
    ],
    ids=["latency", "tokens", "errors"],
)
def test_what_leaves_its_band_is_told_first(project: Project, like: Traffic, measure: str) -> None:
    day(project, like)
    told = readings(project.pk, NOW)
    assert told[0].reading.verdict == "anomaly"
    assert verdicts(told)[measure] == "anomaly"


def test_bands_are_of_one_feature_and_one_project(project: Project) -> None:
    day(project)
    slow = replace(Traffic(error_ratio=0), latency_ratio=9, feature="search")
    drifting.store(project.pk, drifting.calls(END - QUARTER, END, 10, 5, slow))
    while settle.run(NOW, project_id=project.pk).is_more:
        pass
    assert verdicts(readings(project.pk, NOW, "support"))["latency_ms"] == "normal"
    assert verdicts(readings(project.pk, NOW))["latency_ms"] == "anomaly"
    assert {one.reading.verdict for one in readings(project.pk + 1, NOW)} == {"not_enough_data"}


def test_scores_have_bands_and_refusals_a_share(project: Project) -> None:
    rows = []
    for place in range(48):
        bucket, is_last = END - QUARTER * (48 - place), place == 47
        rows.append((project.pk, bucket, 20, 18 if is_last else 1, 18.0 if is_last else 2.0))
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO score_rollups (project_id, bucket, grain_minutes, scores, flagged, score_sum,
            score_square_sum,
            cost_usd, scorer, scorer_version, feature, provider, model, environment, release, prompt_name,
            prompt_version, histogram) VALUES (%s, %s, 1, %s, %s, %s, 0, 0, 'refusal', '1', '', '', '', '', '', '', '',
            '{}')""",
            rows,
        )
    found = verdicts(readings(project.pk, NOW))
    assert found["refusal_ratio"] == "anomaly" and found["score:refusal"] == "anomaly"


def test_a_newest_quarter_without_calls_has_no_mean_but_a_count(project: Project) -> None:
    drifting.store(project.pk, drifting.calls(END - timedelta(hours=12), END - timedelta(hours=1), 800, 1))
    while settle.run(NOW, project_id=project.pk).is_more:
        pass
    found = verdicts(readings(project.pk, NOW))
    assert found["latency_ms"] == "not_enough_data" and found["calls"] in ("normal", "anomaly")
