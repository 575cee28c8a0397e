"""Own cards without work: how many are too many, and which hours of the day need none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import sizing
from stanchion_server.costs.advice import hosted, schedule
from stanchion_server.costs.advice.hosted import Hosted, HostedHour
from stanchion_server.costs.advice.records import Finding, Replicas

MONDAY = datetime(2026, 11, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATE = Decimal("0.5")


def hour(start: datetime, busy: float, count: int = 3, calls: int = 0, *, is_estimated: bool = False) -> HostedHour:
    """Electricity is $0.01 and 60 Wh an hour and card, busy or not."""
    usd = (RATE + Decimal("0.01")) * count
    return HostedHour(
        start, busy, usd, usd * (1 - Decimal(repr(busy))), Decimal("0.01") * count, Decimal(60 * count), calls,
        is_estimated,
    )  # fmt: skip


def deployment(days: int = 14, count: int = 3, day: float = 0.2, night_calls: int = 0, **more: object) -> Hosted:
    """At work from 6 to 22 UTC; nights are idle."""
    starts = [MONDAY + number * HOUR for number in range(days * 24)]
    told = [
        hour(start, day, count) if 6 <= start.hour < 22 else hour(start, 0.0, count, night_calls) for start in starts
    ]
    return Hosted("llama", count, RATE, Decimal("0.5"), tuple(told), {"chat": Decimal("0.6")}, **more)  # type: ignore[arg-type]


def found(one: Hosted) -> dict[str, Finding]:
    return {finding.kind: finding for finding in hosted.find([one])}


def test_cards_too_many_cost_what_the_page_on_sizes_says_and_what_they_draw_standing_by() -> None:
    one = deployment()
    size = sizing.size([each.busy_ratio for each in one.hours], 3, RATE)
    assert size is not None and (size.needed, size.surplus_usd_per_day) == (1, 24)
    told = found(one)["replicas"]
    assert told.usd == 14 * 24 + 14 * 24 * 2 * Decimal("0.01")
    assert ("Hosting too much", "$24.00 a day") in told.figures
    assert ("Energy saved", "86.4 kWh a month of the cards, 43.2 kg CO2e") in told.figures
    assert (told.effect, told.page) == (Replicas("llama", 1, 3, told.usd), "hosting")
    assert told.where == {"from": "2026-11-09T00:00:00Z", "to": "2026-11-23T00:00:00Z"}
    assert told.shares == {"chat": told.usd * Decimal("0.6")}


def test_idle_nights_save_their_hours_less_a_start_a_night() -> None:
    told = found(deployment())["idle_hours"]
    # 112 hours in 15 runs, as the first night is cut in two by the beginning of the record.
    paid = Decimal("1.53") * 112
    assert told.usd == pytest.approx(paid * (1 - Decimal(15 * 600) / (112 * 3600)))
    assert told.subject == "llama: 22:00-06:00 every day (UTC)" and told.calls == 0 and told.confidence == "medium"
    assert any("together they save less than their sum" in each for each in told.assumptions)
    assert dict(told.figures)["Saves, once only as many run as are needed"] == (
        f"${told.usd / 3 * 30 / 14:.2f} a month"
    )


def test_calls_that_came_in_idle_hours_are_told_and_make_it_less_sure() -> None:
    told = found(deployment(night_calls=2))["idle_hours"]
    assert (told.calls, told.confidence) == (224, "low")
    assert any(each.startswith("224 calls came in these hours") for each in told.assumptions)


def test_cards_that_are_always_at_work_are_no_finding() -> None:
    starts = [MONDAY + number * HOUR for number in range(14 * 24)]
    busy = Hosted("llama", 2, RATE, None, tuple(hour(start, 0.65, 2) for start in starts), {})
    assert hosted.find([busy]) == []


def test_less_than_a_day_says_nothing_and_less_than_two_weeks_does_not_know_weekends() -> None:
    one = deployment()
    assert hosted.find([Hosted("llama", 3, RATE, None, one.hours[:23], {})]) == []
    week = found(deployment(days=7))["idle_hours"]
    assert week.confidence == "low" and any("weekends are not told" in each for each in week.assumptions)


def test_energy_that_was_not_measured_is_not_known_and_not_zero() -> None:
    plain = deployment()
    unmeasured = tuple(
        HostedHour(one.start, one.busy_ratio, one.usd, one.idle_usd, one.energy_usd, None, 0, is_estimated=False)
        for one in plain.hours
    )
    for told in hosted.find([Hosted("llama", 3, RATE, None, unmeasured, {})]):
        assert ("Energy saved", "not known") in told.figures


def test_quiet_weekends_are_told_apart_from_workdays() -> None:
    starts = [MONDAY + number * HOUR for number in range(28 * 24)]
    slots = schedule.regular([(start, 0.0 if start.weekday() >= 5 else 0.5) for start in starts])
    assert schedule.words(slots) == "00:00-24:00 Saturday and Sunday"


def test_an_odd_busy_night_hides_no_pattern_and_its_hours_are_paid() -> None:
    starts = [MONDAY + number * HOUR for number in range(14 * 24)]
    odd = {MONDAY + timedelta(days=2, hours=3)}
    one = Hosted(
        "llama", 1, RATE, None,
        tuple(hour(start, 0.9 if start in odd else 0.0 if start.hour < 4 else 0.6, 1) for start in starts), {},
    )  # fmt: skip
    told = found(one)["idle_hours"]
    assert dict(told.figures)["Of it in these hours"] == "55 of 336 hours, with 14 starts"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ((), ""),
        ((3,), "03:00-04:00 every day"),
        ((23, 0, 1), "23:00-02:00 every day"),
        ((0, 1, 12), "00:00-02:00, 12:00-13:00 every day"),
        (range(24), "00:00-24:00 every day"),
    ],
)
def test_hours_read_as_spans_around_midnight(hours: tuple[int, ...], words: str) -> None:
    assert schedule.words([(schedule.EVERY_DAY, one) for one in hours]) == words


@given(st.lists(st.floats(0, 1), min_size=1, max_size=400), st.integers(1, 8), st.integers(0, 5))
def test_nothing_saves_more_than_is_paid_and_both_never_more_than_all(
    busy: list[float], count: int, calls: int
) -> None:
    told = [hour(MONDAY + number * HOUR, ratio, count, calls) for number, ratio in enumerate(busy)]
    one = Hosted("llama", count, RATE, Decimal(1), tuple(told), {"chat": Decimal("0.25"), "": Decimal("0.5")})
    for finding in hosted.find([one]):
        assert 0 < finding.usd <= finding.spend_usd == one.usd
        assert sum(finding.shares.values()) == finding.usd * Decimal("0.75")
