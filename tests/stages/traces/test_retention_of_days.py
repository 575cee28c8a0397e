"""Old days go whole, texts earlier, sums stay."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from kit.calls import NOON, call, content_of, span_of
from stanchion_server.costs import settle
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.tenants.models import Organisation, Project
from stanchion_server.traces import partitions, retention, store


@pytest.fixture
def projects(db: None) -> tuple[Project, Project]:
    organisation = Organisation.objects.create(name="keepers", slug="keepers")
    short, long = (
        Project.objects.create(
            organisation=organisation, name=name, slug=name, late_window_days=5, content_retention_days=days
        )
        for name, days in (("keeps-7", 7), ("keeps-40", 40))
    )
    return short, long


def count(table: str, project: Project) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [project.pk])
        return int(cursor.fetchone()[0])


def test_days_are_dropped_for_all_and_texts_by_each_project_s_own_rule(projects: tuple[Project, Project]) -> None:
    for project in projects:
        calls = tuple(call(after_s=-86_400 * days) for days in (1, 20, 60, 200))
        batch = Batch(tuple(map(span_of, calls)), calls, tuple(map(content_of, calls)))
        store.store(project.pk, batch, LedgerEntry(api_key_id=1, signal="traces", client="t", body_bytes=1, sent=4))
    report = retention.run(NOON, keep_days=90)
    assert any(name.startswith("spans_") for name in report.dropped_partitions)
    assert [count("llm_calls", project) for project in projects] == [3, 3]
    assert [count("contents", project) for project in projects] == [1, 2]
    assert report.deleted_contents == 1
    assert retention.run(NOON, keep_days=90) == retention.RetentionReport()


def test_sums_per_minute_go_with_their_calls_and_sums_per_day_stay(projects: tuple[Project, Project]) -> None:
    project, _other = projects
    calls = tuple(call(after_s=-86_400 * days) for days in (1, 60))
    batch = Batch(tuple(map(span_of, calls)), calls)
    store.store(project.pk, batch, LedgerEntry(api_key_id=1, signal="traces", client="t", body_bytes=1, sent=2))
    settle.run(NOON, project_id=project.pk)
    assert retention.run(NOON, keep_days=30).deleted_rollups == 2
    assert [count(table, project) for table in ("call_rollups", "call_totals")] == [5, 5]


def test_a_day_that_still_takes_late_spans_is_kept(projects: tuple[Project, Project]) -> None:
    Project.objects.update(late_window_days=150)
    partitions.forget()
    partitions.ensure([NOON.date() - timedelta(days=149)])
    retention.run(NOON, keep_days=1)
    assert NOON.date() - timedelta(days=149) in partitions.days_of("spans")


@pytest.mark.django_db
def test_the_command_makes_a_week_of_partitions_ahead() -> None:
    out = StringIO()
    partitions.forget()
    call_command("partitions", stdout=out)
    call_command("partitions", stdout=out)
    assert "days have partitions" in out.getvalue()
