"""How well guards do, from recorded decisions in the real database; what joins them with calls, reviews and ratings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from kit import stored
from kit.calls import NOON, call
from kit.guarding import decided, store_decisions
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.policies import measures, selectors, services
from stanchion_server.policies.selectors import DecisionFilter
from stanchion_server.reports import guardrails
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import partitions

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVER = DecisionFilter(NOON - 30 * HOUR, NOON + 30 * HOUR)


@pytest.fixture
def project() -> Project:
    partitions.forget()
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def other(project: Project) -> Project:
    return tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")


def test_each_rule_tells_what_it_did_why_it_did_not_run_and_how_long_it_took(project: Project, other: Project) -> None:
    rows: list[Any] = [decided(NOON + place * MINUTE, elapsed_us=100 + place) for place in range(90)]
    rows += [decided(NOON + HOUR, action="block", triggered=True, elapsed_us=9_000) for _ in range(6)]
    rows += [decided(NOON + HOUR, not_run={"toxic": "late: deadline"}) for _ in range(4)]
    rows += [decided(NOON, mode="shadow", action="block", triggered=True)]
    store_decisions(project.pk, *rows)
    store_decisions(other.pk, decided(NOON, not_run={"theirs": "x"}))

    found = measures.rules(project.pk, DecisionFilter(EVER.start, EVER.end, policy="chat", is_shadow=False), HOUR)
    canary, toxic = found.effects
    assert (found.decisions, found.since) == (100, NOON)
    assert (canary.rule, canary.runs, canary.triggered, canary.stopped, canary.not_run) == ("canary", 100, 6, 6, 0)
    assert (canary.p50_us, canary.p99_us) == (149.0, 9000.0)
    assert (toxic.rule, toxic.detector, toxic.runs, toxic.not_run, toxic.p50_us) == ("toxic", "slow", 0, 4, None)
    assert found.reasons == {"toxic": (("late: deadline", 4),)}
    assert [(one.bucket, one.triggered) for one in found.over_time["canary"]] == [(NOON, 0), (NOON + HOUR, 6)]


def test_decisions_over_time_are_counted_in_steps(project: Project) -> None:
    store_decisions(
        project.pk, decided(NOON), decided(NOON + MINUTE, action="redact"), decided(NOON + HOUR, action="block"),
        decided(NOON + HOUR, not_run={"toxic": "late"}),
    )  # fmt: skip
    first, second = measures.over_time(project.pk, EVER, HOUR)
    assert (first.bucket, first.decisions, first.triggered, first.stopped, first.incomplete) == (NOON, 2, 1, 0, 0)
    assert (second.bucket, second.decisions, second.stopped, second.incomplete) == (NOON + HOUR, 2, 1, 1)


def test_what_was_judged_beyond_what_was_measured_is_counted_by_rule_and_reason(
    project: Project, other: Project
) -> None:
    german, french = {"canary": "language de not covered"}, {"canary": "language fr not covered"}
    both = {**german, "toxic": "language de not covered"}
    store_decisions(
        project.pk, decided(NOON), decided(NOON, limits=both), decided(NOON + MINUTE, limits=german),
        decided(NOON, limits=french), decided(NOON, limits=german, mode="shadow"),
    )  # fmt: skip
    store_decisions(other.pk, decided(NOON, limits=german))

    counted = replace(EVER, is_shadow=False)
    found = measures.rules(project.pk, counted, HOUR)
    assert (found.decisions, found.limited) == (4, 3)
    assert [(one.rule, one.reason, one.decisions) for one in found.limits] == [
        ("canary", "language de not covered", 2), ("canary", "language fr not covered", 1),
        ("toxic", "language de not covered", 1),
    ]  # fmt: skip
    for more, size in (
        ({"is_limited": True}, 3), ({"is_limited": False}, 1), ({"limited_rule": "toxic"}, 1),
        ({"limited_reason": "language de not covered"}, 2), ({"limited_reason": "language de"}, 0),
        ({"limited_rule": "toxic", "limited_reason": "language fr not covered"}, 0),
    ):  # fmt: skip
        assert len(selectors.decisions(project.pk, replace(counted, **more)).items) == size, more
    (row,) = selectors.decisions(project.pk, replace(EVER, limited_rule="toxic")).items
    assert row.limits == tuple(both.items())
    assert {one.mode: (one.decisions, one.limited, one.incomplete) for one in selectors.effects(project.pk, EVER)} == {
        "live": (4, 3, 0), "shadow": (1, 1, 0),
    }  # fmt: skip


def test_a_project_whose_texts_were_all_of_a_measured_kind_has_no_limits(project: Project) -> None:
    store_decisions(project.pk, decided(NOON))
    found = measures.rules(project.pk, EVER, HOUR)
    assert (found.limited, found.limits) == (0, ())
    assert selectors.decisions(project.pk, EVER).items[0].limits == ()


def test_what_was_judged_beyond_what_was_measured_is_no_gap(project: Project) -> None:
    limits = {"canary": "language de not covered"}
    store_decisions(project.pk, *(decided(NOON - place * MINUTE, limits=limits) for place in range(60)))
    assert guardrails.open_gaps(project.pk, NOON) == ()


def test_odd_checks_of_a_client_break_no_count(project: Project) -> None:
    row = decided(NOON)
    odd = (
        {"rule": "canary", "outcome": "ran", "elapsed_us": "soon", "triggered": "maybe"}, {"outcome": "ran"},
        {"rule": "x", "outcome": 7},
    )  # fmt: skip
    told = replace(row.decision.told, checks=odd, not_run=(("", ""),))
    store_decisions(project.pk, replace(row, decision=replace(row.decision, told=told)))
    canary, x = measures.rules(project.pk, EVER, HOUR).effects
    assert (canary.runs, canary.triggered, canary.p50_us, x.runs) == (1, 0, None, 0)


def test_false_alarms_are_counted_for_the_rules_that_triggered(project: Project, other: Project) -> None:
    for place, is_violation in enumerate((True, False, False)):
        row = decided(NOON, action="block", triggered=True, check_id=f"c-{place}")
        store_decisions(project.pk, row)
        services.review_decision(project.pk, f"c-{place}", is_violation, "ada")
    assert measures.reviewed_by_rule(project.pk, EVER) == {"canary": (2, 1)}
    assert measures.reviewed_by_rule(other.pk, EVER) == {}
    (effect,) = selectors.effects(project.pk, EVER)
    assert (effect.harmless, effect.violations, effect.p99_us) == (2, 1, 200)


def test_ratings_of_traces_in_which_a_guard_acted_are_counted_once_each(project: Project) -> None:
    good, bad, untouched = uuid4(), uuid4(), uuid4()
    store_decisions(
        project.pk, decided(NOON, action="block", trace_id=bad), decided(NOON, action="redact", trace_id=good),
        decided(NOON, trace_id=untouched), decided(NOON, action="block"),
    )  # fmt: skip
    for place, (trace, score) in enumerate(((good, 1.0), (bad, 0.0), (bad, 1.0), (untouched, 0.0))):
        said = Rating(f"r-{place}", "helpful", score, "", "", "", trace, None, "", "", Source.SDK, NOON)
        feedback.keep(project.pk, [said])
    found = guardrails.rated_after_acting(project.pk, EVER)
    assert (found.rated, found.negative, found.negative_ratio) == (2, 1, 0.5)


def guarded_day(project_id: int, *, gap: range, late: range = range(0)) -> None:
    """24 hours up to noon: a call every five minutes, one decision for each outside of the hours `gap`; within the
    hours `late` the rule `toxic` missed its deadline."""
    calls, decisions = [], []
    for place in range(288):
        at, hour = NOON - timedelta(minutes=5 * (288 - place)), place // 12
        trace_id = uuid4()
        calls.append(call(after_s=(at - NOON).total_seconds(), trace_id=trace_id, feature="support"))
        if hour not in gap:
            missed = {"toxic": "late: deadline"} if hour in late else {}
            decisions.append(decided(at, trace_id=trace_id, not_run=missed))
    stored.deliver(project_id, *calls)
    stored.settled(project_id)
    store_decisions(project_id, *decisions)


def test_calls_without_decisions_are_a_gap_of_the_feature_that_made_them(project: Project, other: Project) -> None:
    guarded_day(project.pk, gap=range(20, 24), late=range(6, 8))
    guarded_day(other.pk, gap=range(0))
    last, rule = guardrails.coverage_gaps(project.pk, NOON - 24 * HOUR, NOON)
    assert (last.policy, last.feature, last.rule, last.is_open) == ("chat", "support", "", True)
    assert (last.start, last.end, round(last.expected)) == (NOON - 4 * HOUR, NOON, 48)
    assert (rule.rule, rule.start, rule.end, rule.is_open) == ("toxic", NOON - 18 * HOUR, NOON - 16 * HOUR, False)
    assert (rule.missed, rule.usual_ratio, rule.reasons) == (24, 0.0, (("late: deadline", 24),))
    assert guardrails.coverage_gaps(other.pk, NOON - 24 * HOUR, NOON) == ()


def test_stops_of_a_spent_budget_that_end_are_no_gap(project: Project) -> None:
    guarded_day(project.pk, gap=range(0))
    stops = [decided(NOON - timedelta(minutes=5 * place), policy="budget:month") for place in range(100, 200)]
    store_decisions(project.pk, *stops)
    assert guardrails.coverage_gaps(project.pk, NOON - 24 * HOUR, NOON) == ()


def test_a_short_range_is_measured_against_the_day_before_it(project: Project) -> None:
    guarded_day(project.pk, gap=range(20, 24), late=range(6, 8))
    (gap,) = guardrails.coverage_gaps(project.pk, NOON - HOUR, NOON)
    assert (gap.start, gap.is_open) == (NOON - 4 * HOUR, True)


def test_a_gap_of_now_is_seen_in_a_long_range_too_whose_steps_are_coarser_than_it(project: Project) -> None:
    guarded_day(project.pk, gap=range(22, 24), late=range(6, 8))
    stored.deliver(project.pk, *(call(after_s=-7200 + 60 * place, feature="support") for place in range(60)))
    (gap,) = guardrails.open_gaps(project.pk, NOON)
    assert (gap.start, gap.is_open) == (NOON - 2 * HOUR, True)
    found = guardrails.gaps_until_now(project.pk, NOON - 7 * 24 * HOUR, NOON)
    assert [(one.rule, one.is_open, one.start) for one in found] == [
        ("", True, NOON - 2 * HOUR), ("toxic", False, NOON - 18 * HOUR),
    ]  # fmt: skip


def test_what_no_check_ever_reads_is_no_rule_that_stopped(project: Project) -> None:
    unread = {"client": "tool definitions: no check reads it"}
    store_decisions(project.pk, *(decided(NOON - place * MINUTE, not_run=unread) for place in range(60)))
    assert guardrails.open_gaps(project.pk, NOON) == ()


def test_a_project_without_decisions_has_no_gap(project: Project) -> None:
    stored.deliver(project.pk, *(call(after_s=60 * place, feature="support") for place in range(50)))
    assert guardrails.coverage_gaps(project.pk, NOON, NOON + HOUR) == ()
