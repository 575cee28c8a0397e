from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.quality import sampling
from stanchion_server.quality.sampling import Offer, Place, Rule, Rules, Shed, choose, is_sampled, wanted

LIGHT, SAMPLED, HEAVY = Offer("light", "fast", 1.0), Offer("sampled", "fast", 0.5), Offer("judge", "slow", 0.5)
OFFERS = (LIGHT, SAMPLED, HEAVY)


def place(number: int = 1, *, is_kept: bool = False) -> Place:
    return Place(7, UUID(int=number), is_kept)


def test_a_share_is_met_and_the_same_calls_are_drawn_every_time() -> None:
    drawn = [is_sampled(7, UUID(int=number), "judge", 0.1) for number in range(20_000)]
    assert 0.09 < sum(drawn) / len(drawn) < 0.11
    assert drawn == [is_sampled(7, UUID(int=number), "judge", 0.1) for number in range(20_000)]


def test_scorers_and_projects_draw_independently() -> None:
    numbers = range(20_000)
    both = sum(
        is_sampled(7, UUID(int=n), "a", 0.5)
        and is_sampled(7, UUID(int=n), "b", 0.5)
        and is_sampled(8, UUID(int=n), "a", 0.5)
        for n in numbers
    )
    assert 0.115 < both / len(numbers) < 0.135


@given(st.integers(min_value=0, max_value=2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_every_call_of_a_smaller_one(number: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert is_sampled(7, UUID(int=number), "x", large) or not is_sampled(7, UUID(int=number), "x", small)


def test_shares_of_nothing_and_everything_are_exact() -> None:
    assert not any(is_sampled(7, UUID(int=n), "x", 0.0) for n in range(1000))
    assert all(is_sampled(7, UUID(int=n), "x", 1.0) for n in range(1000))


def test_failed_blocked_and_badly_rated_calls_are_seen_by_every_scorer_that_is_on() -> None:
    rules = Rules({("light", ""): Rule(is_on=False), ("judge", ""): Rule(sample_ratio=0.0)})
    for shed in Shed:
        choice = choose(wanted(OFFERS, rules, ""), place(is_kept=True), "fast", shed)
        assert (choice.now, choice.later, choice.shed) == (("sampled",), ("judge",), ())


def test_a_features_own_rule_stands_before_the_projects() -> None:
    rules = Rules({("light", ""): Rule(is_on=False), ("light", "support"): Rule(parameters={"words": ["x"]})})
    assert choose(wanted([LIGHT], rules, ""), place(), "fast", Shed.NOTHING).now == ()
    assert choose(wanted([LIGHT], rules, "support"), place(), "fast", Shed.NOTHING).now == ("light",)
    assert rules.parameters("support") == {"light": {"words": ["x"]}} and rules.parameters("other") == {}


def test_load_takes_heavy_scorers_first_then_the_sampled_then_most_of_the_others() -> None:
    number = next(
        n for n in range(1000)
        if is_sampled(7, UUID(int=n), "judge", 0.5) and is_sampled(7, UUID(int=n), "sampled", 0.5)
        and not is_sampled(7, UUID(int=n), "light", sampling.SHED_RATIO)
    )  # fmt: skip
    left = {shed: choose(wanted(OFFERS, Rules(), ""), place(number), "fast", shed).shed for shed in Shed}
    assert left == {
        Shed.NOTHING: (),
        Shed.SLOW: ("judge",),
        Shed.SAMPLED: ("sampled", "judge"),
        Shed.MOST: ("light", "sampled", "judge"),
    }


def test_the_step_of_load_follows_from_the_age_of_the_oldest_job() -> None:
    assert sampling.shed_of(None) is Shed.NOTHING
    waits = {59: Shed.NOTHING, 60: Shed.SLOW, 180: Shed.SAMPLED, 600: Shed.MOST, 90_000: Shed.MOST}
    assert {wait: sampling.shed_of(timedelta(seconds=wait)) for wait in waits} == waits
