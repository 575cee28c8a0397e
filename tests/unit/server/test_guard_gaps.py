"""When a guard is said to have stopped, and when not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stanchion_server.policies.gaps import RuleStep, Step, idle_rules, silences, together

STEP = timedelta(minutes=15)
START = datetime(2026, 11, 20, tzinfo=UTC)


def steps(*rows: tuple[int, int]) -> list[Step]:
    return [Step(START + place * STEP, calls, decisions) for place, (calls, decisions) in enumerate(rows)]


def rule_steps(*rows: tuple[int, int], reason: str = "late") -> list[RuleStep]:
    return [
        RuleStep(START + place * STEP, decisions, missed, {reason: missed} if missed else {})
        for place, (decisions, missed) in enumerate(rows)
    ]


def test_calls_that_go_on_without_decisions_are_a_gap_that_is_open_until_decisions_come_again() -> None:
    running = steps(*[(10, 20)] * 8, *[(10, 0)] * 4)
    (gap,) = silences("chat", "support", running, STEP)
    assert (gap.start, gap.end, gap.is_open) == (START + 8 * STEP, START + 12 * STEP, True)
    assert (gap.expected, gap.missed, gap.missed_ratio) == (80.0, 80.0, 1.0)
    (gap,) = silences("chat", "support", [*running, *steps(*[(0, 0)] * 12, (10, 20))[12:]], STEP)
    assert (gap.end, gap.is_open) == (START + 12 * STEP, False)


def test_a_night_without_calls_is_no_gap() -> None:
    assert silences("chat", "support", steps(*[(10, 20)] * 8, *[(0, 0)] * 40), STEP) == ()


def test_a_quiet_hour_within_a_gap_does_not_end_it() -> None:
    (gap,) = silences("chat", "support", steps(*[(10, 10)] * 8, (10, 0), (0, 0), (10, 0), (10, 10)), STEP)
    assert (gap.start, gap.end, gap.expected) == (START + 8 * STEP, START + 11 * STEP, 20.0)


def test_too_few_calls_prove_nothing() -> None:
    assert silences("chat", "support", steps(*[(10, 10)] * 8, (10, 0), (4, 0)), STEP) == ()
    assert len(silences("chat", "support", steps(*[(10, 10)] * 8, (10, 0), (5, 0)), STEP)) == 1


def test_calls_before_the_first_decision_were_never_guarded() -> None:
    assert silences("chat", "support", steps(*[(10, 0)] * 40, *[(10, 10)] * 4), STEP) == ()
    assert silences("chat", "support", steps(*[(10, 0)] * 40), STEP) == ()


def test_a_few_stray_decisions_do_not_hide_a_gap_but_a_third_of_them_is_none() -> None:
    assert len(silences("chat", "support", steps(*[(100, 100)] * 8, *[(100, 5)] * 4), STEP)) == 1
    assert silences("chat", "support", steps(*[(100, 100)] * 8, *[(100, 33)] * 4), STEP) == ()


def test_where_no_calls_are_recorded_the_day_before_says_what_is_usual() -> None:
    day = [(0, 0)] * 48 + [(0, 5)] * 48
    assert silences("chat", "", steps(*day, *day), STEP) == ()
    (gap,) = silences("chat", "", steps(*day, *day[:48], *[(0, 0)] * 48), STEP)
    assert (gap.start, gap.expected, gap.is_open) == (START + 144 * STEP, 240.0, True)


def test_a_rule_that_stops_running_is_a_gap_with_its_reasons_and_what_is_usual() -> None:
    (gap,) = idle_rules("chat", "toxic", rule_steps(*[(50, 1)] * 8, *[(50, 20)] * 3), STEP)
    assert (gap.rule, gap.feature, gap.start, gap.is_open) == ("toxic", "", START + 8 * STEP, True)
    assert (gap.expected, gap.missed, gap.missed_ratio, gap.usual_ratio) == (150, 60, 0.4, 0.02)
    assert gap.reasons == (("late", 60),)


def test_a_rule_that_never_ran_is_a_gap_with_nothing_beside_it() -> None:
    (gap,) = idle_rules("chat", "toxic", rule_steps(*[(50, 50)] * 8, reason="not installed"), STEP)
    assert (gap.start, gap.end, gap.usual_ratio) == (START, START + 8 * STEP, None)


def test_a_rule_that_misses_a_check_now_and_then_is_no_gap() -> None:
    assert idle_rules("chat", "toxic", rule_steps(*[(50, 4)] * 40), STEP) == ()
    assert idle_rules("chat", "toxic", rule_steps((3, 3), (50, 0), (50, 0), (50, 0), (50, 0), (3, 3)), STEP) == ()


def test_stretches_near_to_each_other_are_told_of_once() -> None:
    on_and_off = [(50, 20), (50, 1), (50, 1)] * 5
    (gap,) = idle_rules("chat", "toxic", rule_steps(*[(50, 1)] * 8, *on_and_off), STEP)
    assert (gap.start, gap.is_open) == (START + 8 * STEP, False)


def test_rules_of_a_policy_that_did_not_run_at_the_same_time_are_one_group_with_the_worst_first() -> None:
    slow = idle_rules("chat", "slow", rule_steps(*[(50, 0)] * 4, *[(50, 20)] * 4), STEP)
    slower = idle_rules("chat", "slower", rule_steps(*[(50, 0)] * 5, *[(50, 40)] * 3), STEP)
    elsewhere = idle_rules("other", "slow", rule_steps(*[(50, 0)] * 4, *[(50, 20)] * 4), STEP)
    over = idle_rules("chat", "slow", rule_steps(*[(50, 20)] * 4, *[(50, 0)] * 4), STEP)
    gone = silences("chat", "support", steps(*[(10, 10)] * 4, *[(10, 0)] * 4), STEP)
    groups = together([*slow, *gone, *slower, *elsewhere, *over])
    assert [[(gap.policy, gap.rule, gap.is_open) for gap in group] for group in groups] == [
        [("chat", "slower", True), ("chat", "slow", True)],
        [("chat", "", True)],
        [("other", "slow", True)],
        [("chat", "slow", False)],
    ]
