"""Calls take their feature, user and session from the spans around them, whichever arrives first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from kit.calls import NOON, call, span_of
from stanchion_server.costs import settle
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallRecord, SpanKind, SpanRecord
from stanchion_server.traces import store

_projects = itertools.count(800_000)
CALL = call(span_id=3, parent_span_id=2)
AGENT = replace(span_of(CALL), span_id=2, parent_span_id=1, kind=SpanKind.AGENT)
ROOT = replace(AGENT, span_id=1, parent_span_id=None, feature="support", user_id="ada", session_id="s-1")
PARTS: dict[str, tuple[tuple[CallRecord, ...], tuple[SpanRecord, ...]]] = {
    "call": ((CALL,), (span_of(CALL),)),
    "agent": ((), (AGENT,)),
    "root": ((), (ROOT,)),
}


def deliver(project_id: int, part: str) -> None:
    calls, spans = PARTS[part]
    entry = LedgerEntry(api_key_id=1, signal="traces", client="t", body_bytes=1, sent=len(spans))
    store.store(project_id, Batch(spans=spans, calls=calls), entry)


def labels(project_id: int) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT feature, user_id, session_id, inherited FROM llm_calls WHERE project_id = %s", (project_id,)
        )
        [row] = cursor.fetchall()
    return tuple(row)


@pytest.mark.django_db
@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)), ids="-".join)
def test_the_order_of_arrival_does_not_matter(order: tuple[str, ...]) -> None:
    project_id = next(_projects)
    for part in order:
        deliver(project_id, part)
        settle.run(NOON, project_id=project_id)
    feature, user, session, inherited = labels(project_id)
    assert (feature, user, session) == ("support", "ada", "s-1")
    assert "feature" in str(inherited)


@pytest.mark.django_db
def test_the_sums_by_feature_follow() -> None:
    project_id = next(_projects)
    for part in PARTS:
        deliver(project_id, part)
        settle.run(NOON, project_id=project_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT feature, sum(calls) FROM call_rollups WHERE project_id = %s AND grain_minutes = 1 GROUP BY 1",
            (project_id,),
        )
        assert cursor.fetchall() == [("support", 1)]
