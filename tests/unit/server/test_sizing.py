"""How many instances a load needs."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import sizing

hours = st.lists(st.floats(0, 1), min_size=sizing.FEWEST_HOURS, max_size=200)


def test_quiet_instances_are_too_many_and_full_ones_too_few() -> None:
    quiet = sizing.size([0.1] * 24, 3, Decimal("0.5"))
    assert quiet is not None
    assert (quiet.needed, quiet.surplus, quiet.surplus_usd_per_day) == (1, 2, 24)
    full = sizing.size([0.95] * 24, 4, Decimal(1))
    assert full is not None
    assert (full.needed, full.surplus, full.surplus_usd_per_day) == (6, -2, 0)


def test_a_night_does_not_hide_a_busy_day() -> None:
    found = sizing.size([0.0] * 48 + [0.7] * 24, 2, Decimal(1))
    assert found is not None
    assert (found.needed, found.busy_p95_ratio) == (2, 0.7)


def test_less_than_a_day_says_nothing() -> None:
    assert sizing.size([1.0] * 23, 2, Decimal(1)) is None
    assert sizing.size([1.0] * 24, 0, Decimal(1)) is None


@given(hours, st.integers(1, 500))
def test_what_is_needed_carries_the_busy_hours_and_one_fewer_would_not(busy: list[float], count: int) -> None:
    found = sizing.size(busy, count, Decimal(1))
    assert found is not None
    demand = found.busy_p95_ratio * count
    assert found.needed >= 1
    assert demand / found.needed <= sizing.TARGET_RATIO + 1e-6
    assert found.needed == 1 or demand / (found.needed - 1) > sizing.TARGET_RATIO - 1e-6
