"""A price that was added or corrected changes stored calls only when someone asks for it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from kit.calls import NOON, call, span_of
from stanchion_server.costs import selectors, settle
from stanchion_server.costs.models import PriceOverride
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.tenants.models import Organisation, Project
from stanchion_server.traces import store

_names = itertools.count()


@pytest.fixture
def project(db: None) -> Project:
    selectors.forget()
    name = f"reprice-{next(_names)}"
    organisation = Organisation.objects.create(name=name, slug=name)
    return Project.objects.create(organisation=organisation, name=name, slug=name)


def sums(project: Project) -> tuple[Decimal, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(cost_usd), sum(unpriced_calls)::int FROM call_rollups"
            " WHERE project_id = %s AND grain_minutes = 1440",
            [project.pk],
        )
        usd, unpriced = cursor.fetchone()
        return usd, unpriced


def test_a_new_price_reaches_stored_calls_from_its_date_on_and_the_delta_is_told(project: Project) -> None:
    calls = [call(request_model="ours-7b", model="ours-7b", after_s=offset) for offset in (-7200, 0, 60)]
    batch = Batch(spans=tuple(map(span_of, calls)), calls=tuple(calls))
    store.store(project.pk, batch, LedgerEntry(api_key_id=1, signal="traces", client="t", body_bytes=1, sent=3))
    settle.run(NOON, project_id=project.pk)
    assert sums(project) == (0, 3)
    PriceOverride.objects.create(
        project=project, provider="openai", model="Ours-7B", effective_from=NOON,
        input_usd_per_mtok=Decimal(10_000), output_usd_per_mtok=Decimal(50_000),
    )  # fmt: skip
    out = StringIO()
    call_command("reprice", project=project.slug, since=(NOON - timedelta(days=1)).isoformat(), stdout=out)
    assert "3 calls looked at, 3 changed, 1 still without a price" in out.getvalue()
    assert "(+4.000000000000)" in out.getvalue()
    assert sums(project) == (4, 1)


def test_an_unknown_project_or_date_is_told_in_a_sentence(project: Project) -> None:
    with pytest.raises(CommandError, match="no project 'nobody'"):
        call_command("reprice", project="nobody", since="2026-11-01")
    with pytest.raises(CommandError, match="not an ISO 8601 date"):
        call_command("reprice", project=project.slug, since="yesterday")
