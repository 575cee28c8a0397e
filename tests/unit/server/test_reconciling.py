"""A bill against what was computed: the parts add up to the difference, and each says what it is."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.costs import reconciling
from stanchion_server.costs.invoice_file import Billed
from stanchion_server.costs.reconciling import PARTS, Computed, Tolerance, canonical

DAYS = (date(2026, 11, 24), date(2026, 11, 25))
MODELS = ("gpt-4o", "gpt-4o-2024-08-06", "claude-sonnet-4-5", "other")
money = st.integers(-(10**16), 10**16).map(lambda units: Decimal(units).scaleb(-12))
counts = st.integers(0, 10**9)
keys = st.tuples(st.sampled_from(DAYS), st.sampled_from(MODELS))
bills = st.dictionaries(keys, st.tuples(money, st.none() | counts, st.none() | counts), max_size=8).map(
    lambda found: [Billed(*key, usd, inputs, None, outputs) for key, (usd, inputs, outputs) in found.items()]
)
calls = st.dictionaries(
    keys,
    st.tuples(st.integers(1, 9), st.integers(0, 2), st.none() | money.map(abs), counts, counts, st.integers(0, 2)),
    max_size=8,
).map(lambda found: [Computed(*key, *told) for key, told in found.items()])
prices = st.dictionaries(keys, st.none() | money.map(abs), max_size=8)


@given(bills, calls, prices)
def test_the_parts_add_up_to_the_difference_of_every_line_and_of_the_totals(
    billed: list[Billed], computed: list[Computed], ours: dict[tuple[date, str], Decimal | None]
) -> None:
    lines = reconciling.compare(billed, computed, ours, Tolerance())
    for line in lines:
        parts = [getattr(line, name) for name in PARTS]
        assert sum(parts, Decimal(0)) == line.difference_usd
        assert line.difference_usd == (line.billed_usd or 0) - (line.computed_usd or 0)
        assert sum(part != 0 for part in parts) <= 2
    totals = reconciling.sums(lines, Tolerance())
    assert totals.billed_usd == sum((one.usd for one in billed), Decimal(0))
    assert totals.computed_usd == sum((one.usd or Decimal(0) for one in computed), Decimal(0))
    assert totals.difference_usd == totals.billed_usd - totals.computed_usd
    assert sum((getattr(totals, name) for name in PARTS), Decimal(0)) == totals.difference_usd
    assert len({(line.day, canonical(line.model)) for line in lines}) == len(lines)


def told(billed: list[Billed], computed: list[Computed], ours: Decimal | None = None) -> dict[str, Decimal]:
    (line,) = reconciling.compare(billed, computed, {(DAYS[0], "gpt-4o"): ours}, Tolerance())
    return {name: getattr(line, name) for name in PARTS if getattr(line, name)}


BILL = Billed(DAYS[0], "gpt-4o", Decimal(12), 3_000, None, 100)
SEEN = Computed(DAYS[0], "gpt-4o-2024-08-06", 5, 0, Decimal(8), 2_000, 100)


def test_a_difference_is_cut_into_price_and_volume_where_the_bill_tells_tokens() -> None:
    assert told([BILL], [SEEN], Decimal(10)) == {"price_usd": Decimal(2), "volume_usd": Decimal(2)}
    assert told([BILL], [SEEN], None) == {"unexplained_usd": Decimal(4)}


def test_calls_only_one_side_knows_are_told_as_such() -> None:
    assert told([BILL], [], Decimal(10)) == {"unseen_usd": Decimal(12)}
    assert told([], [SEEN]) == {"unbilled_usd": Decimal(-8)}


def test_calls_without_a_price_leave_the_difference_unexplained() -> None:
    unpriced = Computed(DAYS[0], "gpt-4o", 5, 5, None, 2_000, 100)
    assert told([BILL], [unpriced], Decimal(10)) == {"unexplained_usd": Decimal(12)}


def test_calls_that_told_no_tokens_are_missing_from_the_volume_alone() -> None:
    failed = Computed(DAYS[0], "gpt-4o", 1, 1, None, 0, 0, untokened_calls=1)
    assert told([BILL], [SEEN, failed], Decimal(10)) == {"price_usd": Decimal(2), "volume_usd": Decimal(2)}
    assert told([BILL], [failed], Decimal(10)) == {"price_usd": Decimal(2), "volume_usd": Decimal(10)}


def test_self_hosted_calls_owe_nobody() -> None:
    assert reconciling.compare([], [Computed(DAYS[0], "llama", 5, 0, Decimal(0), 1, 1)], {}, Tolerance()) == ()


def test_failed_calls_without_tokens_owe_nobody_and_calls_without_a_price_do() -> None:
    failed = Computed(DAYS[0], "llama", 5, 1, Decimal(0), 1, 1, untokened_calls=1)
    assert reconciling.compare([], [failed], {}, Tolerance()) == ()
    unpriced = Computed(DAYS[0], "llama", 5, 2, Decimal(0), 1, 1, untokened_calls=1)
    assert len(reconciling.compare([], [unpriced], {}, Tolerance())) == 1


def test_a_line_is_within_tolerance_by_share_or_by_cents() -> None:
    tolerance = Tolerance(Decimal("0.01"), Decimal("0.05"))
    assert tolerance.holds(Decimal(100), Decimal(1))
    assert not tolerance.holds(Decimal(100), Decimal("1.01"))
    assert tolerance.holds(Decimal("0.01"), Decimal("-0.05"))
    assert not tolerance.holds(Decimal(0), Decimal("0.06"))


def test_names_of_bills_and_requests_find_each_other() -> None:
    for name in (
        "claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude-Sonnet-4-5@20250929",
        "anthropic/claude-sonnet-4-5", " claude-sonnet-4-5-2025-09-29 ",
    ):  # fmt: skip
        assert canonical(name) == "claude-sonnet-4-5"
    assert canonical("Claude 3.5 Sonnet 2024-10-22") == canonical("claude-3-5-sonnet-20241022") == "claude-3-5-sonnet"
    assert canonical("gpt-4.1-mini") != canonical("gpt-4.1")
    assert canonical("2025/") == "2025/"


def test_a_line_knows_the_names_under_which_its_calls_were_recorded() -> None:
    plain = Computed(DAYS[0], "gpt-4o", 1, 0, Decimal(1), 5, 5)
    nameless = Computed(DAYS[0], "", 2, 0, Decimal(1), 5, 5)
    unnamed, named = reconciling.compare([], [SEEN, plain, nameless], {}, Tolerance())
    assert (named.model, named.seen_models) == ("gpt-4o-2024-08-06", ("gpt-4o", "gpt-4o-2024-08-06"))
    assert (unnamed.model, unnamed.seen_models) == ("no model", ("",))
    (unseen,) = reconciling.compare([BILL], [], {}, Tolerance())
    assert unseen.seen_models == ()
