"""Telemetry in the database, delivered and settled the way the server does it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from kit.calls import NOON, span_of
from stanchion_server.costs import pricing, settle
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallRecord
from stanchion_server.traces import store

BOOK = pricing.PriceBook()
projects = itertools.count(700_000)
"""Project numbers that no other test uses."""


def deliver(project_id: int, *calls: CallRecord, **more: Any) -> None:
    """Stores the calls with a span each, and whatever else of a `Batch` is given; nothing is settled yet."""
    spans = (*(span_of(call) for call in calls), *more.pop("spans", ()))
    priced = tuple(replace(call, cost=pricing.price(call, BOOK)) for call in calls)
    entry = LedgerEntry(api_key_id=1, signal="traces", client="kit", body_bytes=1, sent=len(spans))
    store.store(project_id, Batch(spans=spans, calls=priced, **more), entry)


def settled(project_id: int) -> None:
    while settle.run(NOON, project_id=project_id).is_more:
        pass
