"""Splitting an hour: nothing is lost, nothing is counted twice, idle has its own line."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import allocation
from stanchion_server.costs.allocation import IDLE, OTHERS, UNATTRIBUTED, USD_STEP, USE, Slot, Usage, Weights

names = st.sampled_from(["", "bot", "search", "triage"])
counts = st.integers(0, 10**9)
usages = st.lists(
    st.builds(Usage, names, st.sampled_from(["llama", "qwen"]), names, st.integers(1, 99), counts, counts, counts),
    max_size=12,
    unique_by=lambda one: (one.feature, one.model, one.user_id),
)
slots = st.lists(
    st.builds(
        Slot,
        st.none() | st.floats(0, 1),
        st.none() | st.decimals(0, 10_000, places=9),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
money = st.decimals(0, 100_000, places=12)
weights = st.builds(Weights, *[st.decimals(0, 50, places=4)] * 3)


def parts(total: int, *shares: Fraction) -> list[Decimal]:
    return allocation.split(Decimal(total), shares, Decimal(1))


@given(money, st.decimals(0, 1, places=6), slots, usages, weights)
def test_lines_add_up_to_the_hour_exactly(
    cost: Decimal, rate: Decimal, when: list[Slot], used: list[Usage], weigh: Weights
) -> None:
    found = allocation.allocate(cost, rate, when, used, weigh)
    assert sum((line.cost_usd for line in found.lines), Decimal(0)) == cost
    energy = sum((slot.energy_wh for slot in when if slot.energy_wh is not None), Decimal(0))
    if found.energy_wh is not None:
        assert sum((line.energy_wh or Decimal(0) for line in found.lines), Decimal(0)) == found.energy_wh == energy
    else:
        assert all(line.energy_wh is None and line.energy_usd == 0 for line in found.lines)
    assert sum((line.energy_usd for line in found.lines), Decimal(0)) == (energy * rate).quantize(USD_STEP)
    assert sum(line.calls for line in found.lines) == sum(one.calls for one in used)
    assert all(line.cost_usd >= 0 and line.energy_usd >= 0 for line in found.lines)


@given(money, slots, usages, weights, st.randoms())
def test_order_does_not_matter_and_a_second_run_says_the_same(
    cost: Decimal, when: list[Slot], used: list[Usage], weigh: Weights, random: object
) -> None:
    first = allocation.allocate(cost, Decimal(0), when, used, weigh)
    random.shuffle(used)  # type: ignore[attr-defined]
    random.shuffle(when)  # type: ignore[attr-defined]
    assert allocation.allocate(cost, Decimal(0), when, used, weigh) == first


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_no_part_is_a_whole_step_away_from_its_share(total: int, sizes: list[int]) -> None:
    shares = [Fraction(size, sum(sizes)) for size in sizes]
    found = parts(total, *shares)
    assert sum(found) == total
    assert all(abs(Fraction(part) - share * total) < 1 for part, share in zip(found, shares, strict=True))
    assert all(part == 0 for part, size in zip(found, sizes, strict=True) if size == 0)


def test_the_largest_remainders_get_what_is_left() -> None:
    assert parts(10, Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)) == [4, 3, 3]
    assert parts(10, Fraction(12, 100), Fraction(49, 100), Fraction(39, 100)) == [1, 5, 4]


@given(slots, usages.filter(bool), weights)
def test_energy_follows_the_busy_slots(when: list[Slot], used: list[Usage], weigh: Weights) -> None:
    still = [Slot(0.0, slot.energy_wh, slot.has_traffic) for slot in when]
    found = allocation.allocate(Decimal(1), Decimal(0), still, used, weigh)
    assert {line.kind for line in found.lines if line.cost_usd or line.energy_wh} == {IDLE}


def use(feature: str, inputs: int, outputs: int, cached: int = 0) -> Usage:
    return Usage(feature, "llama", "", 1, inputs, cached, outputs)


def test_an_answer_weighs_more_than_a_prompt_and_a_cached_prompt_less() -> None:
    used = [use("long prompts", 4_000, 0), use("long answers", 0, 1_000), use("cached", 40_000, 0, cached=40_000)]
    found = allocation.allocate(Decimal(3), Decimal(0), [Slot(1.0, None, True)], used, Weights())
    assert {line.feature: line.cost_usd for line in found.lines} == dict.fromkeys(
        ["long prompts", "long answers", "cached"], Decimal(1)
    )


def test_idle_is_the_time_without_work_and_its_energy_what_was_drawn_then() -> None:
    night = [Slot(0.0, Decimal(10), False)] * 3
    found = allocation.allocate(
        Decimal(4), Decimal("0.001"), [Slot(0.5, Decimal(60), True), *night], [use("bot", 10, 10)], Weights()
    )
    bot, idle = found.lines
    assert (bot.kind, bot.cost_usd, bot.energy_wh, bot.energy_usd) == (USE, Decimal("0.5"), 30, Decimal("0.03"))
    assert (idle.kind, idle.cost_usd, idle.energy_wh, idle.energy_usd) == (IDLE, Decimal("3.5"), 60, Decimal("0.06"))
    assert not found.is_estimated


def test_without_utilisation_traffic_stands_in_and_the_split_says_so() -> None:
    found = allocation.allocate(
        Decimal(2), Decimal(0), [Slot(None, None, True), Slot(None, None, False)], [use("bot", 1, 1)], Weights()
    )
    assert [(line.kind, line.cost_usd) for line in found.lines] == [(USE, 1), (IDLE, 1)]
    assert found.is_estimated
    assert found.energy_wh is None


def test_work_without_a_known_call_is_nobodys() -> None:
    found = allocation.allocate(Decimal(2), Decimal(0), [Slot(0.25, None, False)], [], Weights())
    assert [(line.kind, line.cost_usd) for line in found.lines] == [
        (UNATTRIBUTED, Decimal("0.5")), (IDLE, Decimal("1.5")),
    ]  # fmt: skip


def test_a_crowd_of_users_is_bounded_without_losing_a_call() -> None:
    crowd = [Usage("bot", "llama", f"u{number:04d}", 1, number, 0, 0) for number in range(1_200)]
    found = allocation.allocate(Decimal(1), Decimal(0), [Slot(1.0, None, True)], crowd, Weights())
    assert len(found.lines) == allocation.MOST_USERS + 1
    rest = next(line for line in found.lines if line.kind == OTHERS)
    assert (rest.calls, rest.user_id) == (700, "")
    assert sum(line.cost_usd for line in found.lines) == 1


def test_an_hour_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="slots"):
        allocation.allocate(Decimal(1), Decimal(0), [], [], Weights())
