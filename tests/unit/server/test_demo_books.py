"""The demo's bookkeeping fits its story, on whatever day it begins."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

import pytest

from stanchion_demo import books, catalogue, storyline
from stanchion_demo.steps import Conversation
from stanchion_demo.storyline import Story
from stanchion_server.costs import invoice_file, invoices, pricing

ANCHOR = datetime(2026, 11, 26, 17, 21, tzinfo=UTC)
STORY = Story(ANCHOR)


def imported(conversations: list[Conversation]) -> Counter[datetime]:
    found = [each for each in conversations if each.number % 1000 >= 900 and each.app is catalogue.COPY]
    return Counter(each.at.replace(second=0, microsecond=0) for each in found)


def test_the_catalogue_import_is_one_product_more_each_day_within_a_minute_and_goes_on_live() -> None:
    told = imported(list(storyline.history(STORY)))
    assert {(minute.hour, minute.minute) for minute in told} == {storyline.IMPORT_AT}
    assert [told[minute] for minute in sorted(told)] == [*range(7, 7 + storyline.HISTORY_DAYS)]
    tomorrow = ANCHOR + timedelta(days=1)
    coming = imported(list(takewhile(lambda each: each.at < tomorrow, storyline.live(STORY, ANCHOR))))
    assert list(coming.values()) == [7 + storyline.HISTORY_DAYS]


def test_a_large_import_takes_no_other_conversations_number() -> None:
    tomorrow = ANCHOR + timedelta(days=1)
    told = list(takewhile(lambda each: each.at < tomorrow, storyline.live(Story(ANCHOR, scale=6), ANCHOR)))
    assert len({each.number for each in told}) == len(told)
    assert sum(imported(told).values()) == 99


@pytest.mark.parametrize("anchor", [ANCHOR, datetime(2026, 12, 1, 0, 1, tzinfo=UTC)], ids=["late", "first minute"])
def test_one_budget_is_nearly_spent_one_is_ample_and_one_is_overrun(anchor: datetime) -> None:
    limits = [Decimal(body["limit_usd"]) for body in books.budgets(Story(anchor))]
    month = [each for each in storyline.history(Story(anchor)) if each.at >= anchor.replace(day=1, hour=0, minute=0)]
    tickets = sum(books.usd_of(each) for each in month if each.app is catalogue.SUMMARIES)
    staging = sum(books.usd_of(each) for each in month if each.environment == "staging")
    assert tickets < limits[0] and sum(map(books.usd_of, month)) < limits[1] / 4
    if anchor.day > 1:
        assert tickets > limits[0] * Decimal("0.85") and staging > limits[2]


def test_the_bill_has_another_price_an_unseen_model_and_a_day_too_few() -> None:
    billed = invoice_file.read(books.bill(STORY).encode()).lines
    first = books.first_billed_day(STORY)
    assert {line.day for line in billed} == {first + timedelta(days=place) for place in (0, 1, 2, 3, 5, 6)}
    ours = {line.model: invoices.our_price(line, "openai", pricing.PriceBook()) for line in billed}
    usd = {line.model: line.usd for line in billed}
    assert set(ours) == {"gpt-4.1", "gpt-4o-mini", "gpt-5-mini", catalogue.EMBEDDING, books.UNSEEN[0]}
    ratios = {model: float(usd[model] / (price or 1)) for model, price in ours.items()}
    assert ratios.pop(books.DEARER) == pytest.approx(float(books.DEARER_BY), rel=1e-3)
    assert list(ratios.values()) == pytest.approx([1.0] * 4, rel=5e-3)
