"""The state machine of groups: random readings, gaps and jumps of the clock never break its promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stanchion_server.alerts import definitions, fields, memory, quieting, telling, timing
from stanchion_server.alerts.conditions import BurnRate, Surge, Threshold
from stanchion_server.alerts.conditions.burning import Tier, unreachable
from stanchion_server.alerts.conditions.watching import Watch
from stanchion_server.alerts.evaluating import CALM_AFTER, Patience, evaluate
from stanchion_server.alerts.records import Group, Judged, Labels, Sample
from stanchion_server.alerts.telling import Row, Subject

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE: Labels = (("feature", "refunds"),)
OUTCOMES = ("bad", "good", "between", "too_few", "no_data")


class Groups(RuleBasedStateMachine):
    """Fire and resolve take turns for every group; the memory survives being written down."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, Group] = {}
        self.at = AT
        self.is_firing: dict[Labels, bool] = {}

    @rule(
        outcomes=st.dictionaries(st.sampled_from("abc"), st.sampled_from(OUTCOMES[:4]), max_size=3),
        minutes=st.integers(1, 90),
        no_data=st.sampled_from(("ok", "keep", "alert")),
        lasts=st.integers(0, 10),
        is_restarted=st.booleans(),
    )
    def evaluated(self, outcomes: dict[str, str], minutes: int, no_data: str, lasts: int, is_restarted: bool) -> None:
        self.at += minutes * MINUTE
        self.judge(outcomes, Patience(MINUTE, lasts * MINUTE, no_data=no_data))  # type: ignore[arg-type]
        if is_restarted:
            self.groups = memory.from_json(memory.to_json(self.groups))

    @rule(minutes=st.integers(1, 10_000))
    def clock_jumps_back(self, minutes: int) -> None:
        self.at -= minutes * MINUTE
        self.judge({"a": "bad"}, Patience(MINUTE))

    def judge(self, outcomes: dict[str, str], patience: Patience) -> None:
        judged = {(("feature", name),): Judged(outcome, 1.0, 0.5, 9) for name, outcome in outcomes.items()}  # type: ignore[arg-type]
        after = evaluate(self.groups, judged, self.at, patience)
        for change in after.changes:
            labels = change.group.labels
            if change.kind == "fire":
                assert not self.is_firing.get(labels, False), "fired twice without an end"
                self.is_firing[labels] = True
            elif change.kind == "resolve":
                assert self.is_firing.get(labels, False), "ended what had not begun"
                self.is_firing[labels] = False
        self.groups = dict(after.groups)

    @invariant()
    def memory_and_changes_agree(self) -> None:
        held = {group.labels for group in self.groups.values() if group.state in ("firing", "no_data")}
        assert held == {labels for labels, is_firing in self.is_firing.items() if is_firing}
        assert all(group.judged_at <= self.at for group in self.groups.values())


TestGroups = Groups.TestCase


class Messages(RuleBasedStateMachine):
    """One incident and one channel, whatever silences and senders do: a trigger first, one resolve at the end, nothing
    new inside a silence."""

    def __init__(self) -> None:
        super().__init__()
        self.now = AT
        self.rows: list[Row] = []
        self.is_muted = False
        self.resolved_at: datetime | None = None
        self.acknowledged_at: datetime | None = None

    def settle(self) -> None:
        subject = Subject(
            AT, AT, self.resolved_at, self.acknowledged_at, None, False, self.is_muted, timedelta(hours=4), (1,)
        )
        plan = telling.plan(subject, self.rows, self.now)
        assert not (self.is_muted and plan.owed), "wrote inside a silence"
        taken = set(plan.superseded)
        self.rows = [
            Row(row.id, row.channel, row.kind, False, row.is_superseded or row.id in taken, row.created_at)
            if row.id in taken else row
            for row in self.rows
        ]  # fmt: skip
        self.rows += [
            Row(len(self.rows) + place, one.channel, one.kind, True, False, self.now)
            for place, one in enumerate(plan.owed)
        ]
        self.is_settled = plan.is_settled

    @rule(minutes=st.integers(1, 300), is_muted=st.booleans())
    def time_passes(self, minutes: int, is_muted: bool) -> None:
        self.now += minutes * MINUTE
        self.is_muted = is_muted
        self.settle()

    @rule()
    def the_sender_tries_everything(self) -> None:
        self.rows = [Row(row.id, row.channel, row.kind, False, row.is_superseded, row.created_at) for row in self.rows]

    @rule()
    def somebody_acknowledges(self) -> None:
        self.acknowledged_at = self.acknowledged_at or self.now
        self.settle()

    @rule()
    def it_ends(self) -> None:
        self.resolved_at = self.resolved_at or self.now
        self.settle()

    @invariant()
    def in_order(self) -> None:
        kinds = [row.kind for row in self.rows if not row.is_superseded]
        assert kinds.count("resolve") <= 1 and kinds.count("trigger") <= 1
        if kinds:
            assert kinds[0] == "trigger"
        if "resolve" in kinds:
            assert kinds[-1] == "resolve"

    @invariant()
    def no_end_is_lost(self) -> None:
        if self.resolved_at and not self.is_muted and self.rows:
            kinds = [row.kind for row in self.rows if not row.is_superseded]
            assert not kinds or kinds[-1] == "resolve"


TestMessages = Messages.TestCase


def judge_minutes(outcomes: str, patience: Patience) -> list[tuple[int, str]]:
    """B bad, g good; one a minute. Which change came at which minute."""
    groups: dict[str, Group] = {}
    found = []
    for minute, letter in enumerate(outcomes):
        judged = {ONE: Judged("bad" if letter == "B" else "good", 1.0, 0.5, 9)}
        after = evaluate(groups, judged, AT + minute * MINUTE, patience)
        groups = dict(after.groups)
        found += [(minute, change.kind) for change in after.changes]
    return found


def test_a_rule_fires_only_after_it_was_bad_all_the_time_it_asks_for() -> None:
    patience = Patience(MINUTE, lasts=3 * MINUTE, keeps=timedelta(0))
    assert judge_minutes("BBBgBBBBg", patience) == [(7, "fire"), (8, "resolve")]


def test_a_rule_goes_on_firing_for_as_long_as_it_is_told_to() -> None:
    assert judge_minutes("BggBggggg", Patience(MINUTE, keeps=4 * MINUTE)) == [(0, "fire"), (7, "resolve")]


def test_more_than_four_turns_in_an_hour_are_one_flapping_incident_until_it_is_calm() -> None:
    changes = judge_minutes("BgBgB" + "gB" * 10 + "g" * 40, Patience(MINUTE, keeps=timedelta(0)))
    kinds = [kind for _minute, kind in changes]
    assert kinds == ["fire", "resolve", "fire", "resolve", "fire", "resolve"]
    assert changes[-1][0] - 24 >= CALM_AFTER / MINUTE


def test_hysteresis_lies_between_two_limits() -> None:
    condition, watch = Threshold(0.05, 0.045), Watch("calls", "error_ratio", 10 * MINUTE, unit="ratio")
    told = [condition.judge(watch, {"now": {(): Sample(value, 100)}})[()].outcome for value in (0.06, 0.047, 0.04)]
    assert told == ["bad", "between", "good"]


def test_a_share_of_a_few_is_bad_only_with_enough_bad_ones() -> None:
    condition, watch = Threshold(0.08, 0.05, min_bad=3), Watch("guard", "toxic_ratio", 15 * MINUTE, unit="ratio")
    samples = (Sample(2 / 12, 12, 2), Sample(3 / 12, 12, 3), Sample(3 / 100, 100, 3))
    told = [condition.judge(watch, {"now": {(): one}})[()].outcome for one in samples]
    assert told == ["between", "bad", "good"]


def test_bad_ones_are_counted_only_of_shares_that_may_be_too_high() -> None:
    def wrong(measure: str, **when: object) -> tuple[str, ...]:
        plain = {"name": "one", "watch": {"source": "guard", "measure": measure}, "when": {"min_bad": 3, **when}}
        return tuple(fields.place_of(problem.path) for problem in definitions.parse(plain)[1])

    assert wrong("toxic_ratio", above=0.08) == ()
    assert wrong("decisions", above=9) == wrong("toxic_ratio", below=0.08) == ("when.min_bad",)


def test_a_window_or_a_delay_that_leaves_no_room_for_a_sum_of_five_minutes_is_told_with_what_would_do() -> None:
    def wrong(source: str, measure: str, window: str, **more: str) -> str:
        watch = {"source": source, "measure": measure, "window": window}
        _rule, problems = definitions.parse({"name": "one", "watch": watch, "when": {"above": 0.9}, **more})
        return " ".join(problem.message for problem in problems)

    for source, measure in (("gpu_cards", "temperature_c"), ("gpu_engines", "kv_cache_ratio")):
        for window in ("1m", "4m"):
            told = wrong(source, measure, window, delay="0s")
            assert told.startswith(f"watch.window is '{window}': {source} has one sum in 5m")
            assert told.endswith("at least 5m.")
        assert wrong(source, measure, "5m") == wrong(source, measure, "7m", delay="0s") == ""
        told = wrong(source, measure, "5m", delay="90s")
        assert told.startswith("delay is '90s'") and told.endswith("at least 2m, or watch.window at least 6m.")
        assert wrong(source, measure, "6m", delay="90s") == wrong(source, measure, "5m", delay="2m") == ""
    assert wrong("calls", "error_ratio", "1m", delay="0s") == ""


def test_windows_end_with_the_last_minute_that_is_complete_or_with_the_running_one_where_that_is_asked_for() -> None:
    quarter, ten_s = AT + timedelta(seconds=15), timedelta(seconds=10)
    assert timing.window_end(AT, MINUTE, is_up=True) == AT - MINUTE
    assert timing.window_end(quarter, MINUTE, is_up=True) == AT - MINUTE
    assert timing.window_end(AT, ten_s, is_up=True) == AT
    assert timing.window_end(quarter, ten_s, is_up=True) == AT + MINUTE
    assert timing.window_end(AT, timedelta(0), is_up=True) == AT
    for is_up in (False, None):
        assert timing.window_end(quarter, ten_s, is_up=is_up) == AT, "what is not there yet would count as missing"


def test_a_burn_rate_that_no_traffic_can_reach_is_told() -> None:
    assert unreachable(0.9, Tier(14.4, timedelta(hours=1)))
    assert not unreachable(0.99, Tier(14.4, timedelta(hours=1)))


def test_both_windows_and_five_bad_ones_are_needed_to_burn() -> None:
    condition = BurnRate(0.99, (Tier(14.4, timedelta(hours=1)),))
    watch = Watch("calls", "error_ratio", 10 * MINUTE)

    def outcome(long: Sample, short: Sample) -> str:
        return condition.judge(watch, {"long 14.4": {(): long}, "short 14.4": {(): short}})[()].outcome

    assert outcome(Sample(0.2, 100, 20), Sample(0.2, 10, 2)) == "bad"
    assert outcome(Sample(0.2, 100, 20), Sample(0.0, 10, 0)) == "good"
    assert outcome(Sample(0.2, 20, 4), Sample(0.2, 10, 2)) == "good"


def test_a_maintenance_window_keeps_its_local_hour_over_a_change_of_clocks() -> None:
    from datetime import date, time

    window = quieting.Maintenance("night", (), "Europe/Dublin", frozenset(range(7)), time(3), timedelta(hours=1))
    assert quieting.occurrence(window, date(2026, 10, 24))[0].hour == 2
    assert quieting.occurrence(window, date(2026, 10, 26))[0].hour == 3
    start, end = quieting.occurrence(window, date(2026, 10, 25))
    assert end - start == timedelta(hours=1) and quieting.is_on(window, start) and not quieting.is_on(window, end)


def test_a_clock_that_ran_ahead_does_not_stop_a_rule() -> None:
    assert timing.due(AT + timedelta(days=1), AT, MINUTE).slots == (AT,)
    assert timing.due(AT, AT, MINUTE).slots == ()


def test_a_surge_is_many_times_the_usual_and_no_trifle() -> None:
    condition, watch = Surge(8, 0.1), Watch("calls", "cost_usd", 10 * MINUTE, unit="usd")

    def outcome(now: float, before: float) -> str:
        answers = {"now": {(): Sample(now, 10)}, "before": {(): Sample(before, 900)}}
        return condition.judge(watch, answers)[()].outcome

    assert outcome(0.09, 0.0) == "between" and outcome(0.11, 0.0) == "bad" and outcome(0.01, 0.0) == "good"
    assert outcome(0.11, 14.4) == "good", "ten cents are usual here"
    assert outcome(0.9, 14.4) == "bad"
