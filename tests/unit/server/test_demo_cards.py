"""The demo's cards: what is planted is there, and counters are those of a machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from stanchion_demo import cards
from stanchion_demo.storyline import HISTORY_DAYS, Story
from stanchion_wire import gpu

STORY = Story(datetime(2026, 11, 26, 9, 17, tzinfo=UTC))
HOT = cards.CARDS[2]
MINUTE = timedelta(minutes=1)


def test_the_agent_of_the_second_host_is_dead_for_twelve_minutes_of_every_six_hours_before_and_after() -> None:
    minutes = [STORY.anchor + offset * MINUTE for offset in range(-720, 720)]
    dead = [at for at in minutes if cards.is_dead(STORY, cards.MORTAL, at)]
    assert len(dead) == 4 * 12
    assert STORY.anchor + 46 * MINUTE in dead
    assert STORY.anchor + 58 * MINUTE not in dead
    assert not any(cards.is_dead(STORY, cards.HOSTS[0], at) for at in minutes)


def test_every_dead_time_leaves_a_hole_in_the_history_that_sums_show() -> None:
    told = sorted(at for at in cards.history_times(STORY) if not cards.is_dead(STORY, cards.MORTAL, at))
    holes = [after for before, after in pairwise(told) if after - before > 10 * MINUTE]
    assert len(holes) in (4 * HISTORY_DAYS - 1, 4 * HISTORY_DAYS)


def test_nights_are_idle_and_one_card_is_hot_in_the_afternoon() -> None:
    night, noon = datetime(2026, 11, 25, 2, tzinfo=UTC), datetime(2026, 11, 25, 14, tzinfo=UTC)
    assert all(cards.busy(STORY, card, night) == 0 for card in cards.CARDS)
    assert all(cards.busy(STORY, card, noon) > 0 for card in cards.CARDS)
    heat = [cards.temperature_c(STORY, card, noon) for card in cards.CARDS]
    assert heat[2] > max(heat[:2]) + 15


def test_counters_never_fall_while_an_agent_lives_and_begin_anew_after_it_died() -> None:
    meters = cards.Meters(STORY, HOT)
    end = STORY.anchor + 58 * MINUTE
    before = _energy(meters, end - 13 * MINUTE)
    after = [_energy(meters, end + place * MINUTE) for place in range(1, 30)]
    assert after == sorted(after)
    assert after[0] < before
    assert cards.started(STORY, HOT.host, end + MINUTE) == end
    assert cards.started(STORY, HOT.host, end - 13 * MINUTE) == end - timedelta(hours=6)


def test_a_counter_is_the_power_over_time() -> None:
    meters = cards.Meters(STORY, HOT)
    start = cards.begins(STORY) + timedelta(days=2)
    joules = meters.between(start, start + timedelta(hours=24))[0]
    assert 24 * 3600 * cards.IDLE_W < joules < 24 * 3600 * cards.LIMIT_W
    again = cards.Meters(STORY, HOT).between(start, start + timedelta(hours=24))[0]
    assert joules == again


def _energy(meters: cards.Meters, at: datetime) -> float:
    return next(value for name, _unit, value, _told, _is in cards.numbers(STORY, meters, at) if name == gpu.ENERGY)
