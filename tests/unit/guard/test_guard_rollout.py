"""Which version judges: the switch first, then the canary's share, then the live one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stanchion_guard.rollout import State, choose

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STATE = State(
    policy_id=7, name="chat", live=3, shadow=4, shadow_until=None, canary=5, canary_percent=20, canary_until=None,
    switch="on", switch_reason="",
)  # fmt: skip
KEYS = [f"session {index}" for index in range(5_000)]


def canary_share(state: State) -> float:
    return sum(choose(state, key, NOW).mode == "canary" for key in KEYS) / len(KEYS)


def test_the_canary_gets_its_share_of_keys():
    assert 0.18 < canary_share(STATE) < 0.22


def test_no_percent_is_nobody_and_all_percent_is_everybody():
    assert canary_share(replace(STATE, canary_percent=0)) == 0
    assert canary_share(replace(STATE, canary_percent=100)) == 1


def test_a_key_stays_on_its_side_when_the_share_grows():
    before = {key for key in KEYS if choose(STATE, key, NOW).judge == 5}
    after = {key for key in KEYS if choose(replace(STATE, canary_percent=50), key, NOW).judge == 5}
    assert before < after


def test_two_policies_draw_independently():
    one = {key for key in KEYS if choose(STATE, key, NOW).judge == 5}
    other = {key for key in KEYS if choose(replace(STATE, policy_id=8), key, NOW).judge == 5}
    assert 0.02 < len(one & other) / len(KEYS) < 0.06


def test_a_canary_and_a_shadow_end_at_their_time():
    ended = replace(STATE, canary_percent=100, canary_until=NOW, shadow_until=NOW)
    assert choose(ended, "k", NOW).judge == 3
    assert choose(ended, "k", NOW).shadow is None
    assert choose(ended, "k", NOW - timedelta(seconds=1)).judge == 5


def test_a_thrown_switch_lets_no_version_judge_and_says_why():
    choice = choose(replace(STATE, switch="off", switch_reason="blocks everybody"), "k", NOW)
    assert (choice.judge, choice.shadow) == (None, None)
    assert "off" in choice.reason and "blocks everybody" in choice.reason


def test_a_policy_without_a_live_version_says_so():
    choice = choose(replace(STATE, live=None, canary=None), "k", NOW)
    assert choice.judge is None and "no live version" in choice.reason and choice.shadow == 4
