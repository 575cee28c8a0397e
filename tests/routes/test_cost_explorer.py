"""What a window cost, grouped every way: the parts add up to the whole, and what is not known stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from kit import fleet, traffic
from kit.calls import trace
from kit.stored import deliver
from stanchion_server.costs import breakdown
from stanchion_server.feedback.models import Rating
from stanchion_server.ingest.records import CallRecord
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import cost_calls, cost_details, costs
from stanchion_server.reports.costs import CostQuery, CostReport, CostRow
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces.selectors import CallFilter

pytestmark = pytest.mark.django_db

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
NOW = TEN + HOUR + timedelta(minutes=5)
MEGA = 1_000_000
DIME = Decimal("0.15")
"""What a million input tokens cost with gpt-4o-mini."""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def paid(at: datetime, number: int, **values: Any) -> CallRecord:
    told = {"provider": "openai", "request_model": "gpt-4o-mini", "model": "gpt-4o-mini", "input_tokens": MEGA,
            "output_tokens": 0, **values}  # fmt: skip
    return replace(fleet.served(at, number, **told))


def a_mixed_hour(project: Project) -> None:
    """The bot: 15 cents of API, a quarter dollar of GPU. The search: 30 cents of API, a quarter dollar of GPU, one call
    without a price. Half a dollar stood idle. Electricity of 60 Wh comes on top."""
    fleet.deployment(project, TEN)
    fleet.send(project.pk, fleet.hour_of_samples(TEN, busy=0.5))
    deliver(
        project.pk,
        fleet.served(TEN + 5 * MINUTE, 1, input_tokens=4_000, output_tokens=0, session_id="s1"),
        fleet.served(TEN + 6 * MINUTE, 2, input_tokens=4_000, output_tokens=0, feature="search", session_id="s2"),
        paid(TEN + 7 * MINUTE, 3, session_id="s1", release="v1"),
        paid(TEN + 8 * MINUTE, 4, feature="search", input_tokens=2 * MEGA, user_id="ann", session_id="s3"),
        paid(TEN + 9 * MINUTE, 5, feature="search", request_model="mystery", model="mystery", input_tokens=None),
    )
    traffic.settle_all(NOW)
    fleet.settle()


def explore(project: Project, *group_by: str, **more: Any) -> CostReport:
    return costs.explore(project.pk, CostQuery(TEN, TEN + HOUR, group_by, **more))


def by_name(found: CostReport) -> dict[tuple[str, ...], CostRow]:
    return {
        (row.kind, *(value if value is not None else "?" for value in row.group.values())): row for row in found.rows
    }


def test_api_gpu_and_energy_of_a_feature_stand_in_one_row_and_idling_in_its_own(project: Project) -> None:
    a_mixed_hour(project)
    found = explore(project, "feature")
    rows = by_name(found)
    bot = rows["use", "support-bot"].amounts
    assert (bot.calls, bot.api_usd, bot.gpu_usd) == (2, DIME, Decimal("0.25"))
    assert bot.energy_wh == 15
    assert bot.energy_usd == Decimal("0.015") * Decimal("0.2") * Decimal("1.5")
    assert rows["use", "search"].amounts.api_usd == 2 * DIME
    assert rows["use", "search"].amounts.unpriced_calls == 2
    assert rows["idle", ""].amounts.gpu_usd == Decimal("0.5")
    assert rows["idle", ""].amounts.api_usd is None
    assert found.total.amounts.gpu_usd == 1
    assert found.nameless_usd == rows["idle", ""].amounts.usd
    assert found.not_self_hosted_by == ()


GROUPINGS: tuple[tuple[str, ...], ...] = (
    (), ("feature",), ("model",), ("provider",), ("environment",), ("release",), ("user",), ("session",),
    ("deployment",), ("deployment", "feature"), ("feature", "model"), ("feature", "provider"), ("kind",),
    ("attribute:team",), ("user", "attribute:team"), ("prompt_name", "prompt_version"), ("status", "dialect"),
)  # fmt: skip


def test_the_parts_add_up_to_the_whole_whatever_is_grouped_by(project: Project) -> None:
    a_mixed_hour(project)
    for group_by in GROUPINGS:
        for step, limit in (("", 1), ("", 100), ("hour", 1), ("week", 100)):
            found = explore(project, *group_by, step=step, limit=limit)
            amounts = [row.amounts for row in found.rows]
            assert sum((one.api_usd or Decimal(0) for one in amounts), Decimal(0)) == 3 * DIME, group_by
            assert sum((one.gpu_usd or Decimal(0) for one in amounts), Decimal(0)) == 1, group_by
            assert sum((one.usd or Decimal(0) for one in amounts), Decimal(0)) == found.total.amounts.usd, group_by
            assert (sum(one.calls for one in amounts), found.total.amounts.calls) == (5, 5), group_by
            assert sum(one.input_tokens for one in amounts) == 3 * MEGA + 8_000, group_by


def test_the_dearest_groups_are_the_same_however_many_are_put_together(project: Project) -> None:
    """With GPU dollars: a group may be dear though its calls are cheap."""
    a_mixed_hour(project)
    for group_by in GROUPINGS:
        whole = [row for row in explore(project, *group_by).rows if row.kind == breakdown.USE]
        cut = explore(project, *group_by, limit=1)
        assert [row for row in cut.rows if row.kind == breakdown.USE] == whole[:1], group_by
        assert cut.groups_left_out == len(whole) - 1, group_by


SINGLE: tuple[tuple[str, ...], ...] = (
    ("user",), ("session",), ("attribute:team",), ("user", "attribute:team"), ("status", "dialect"),
    ("session", "model"),
)  # fmt: skip


def test_what_is_read_from_single_calls_at_once_is_what_was_read_one_by_one(project: Project) -> None:
    """Details and steps have statements of their own, for what rollups hold and for the API."""
    a_mixed_hour(project)
    rate(project, "1", 1.0, trace_id=trace(1))
    rate(project, "2", 0.0, session_id="s2", name="resolved")
    for group_by in SINGLE:
        for limit in (1, 100):
            found, steps = costs.with_steps(project.pk, CostQuery(TEN, TEN + HOUR, group_by, limit=limit), "day", limit)
            details = cost_details.read(project.pk, TEN, TEN + HOUR, group_by, CallFilter())
            told = {tuple(row.group.values()): row.details for row in found.rows if row.kind == breakdown.USE}
            assert told
            assert {key: details.get(key, cost_details.UNREAD) for key in told} == told, group_by
            assert found.total.details == details[None]
            assert steps == explore(project, *group_by, step="day", limit=limit), group_by


def test_more_steps_than_a_chart_can_hold_leave_the_sums(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    a_mixed_hour(project)
    monkeypatch.setattr(cost_calls, "MOST_STEPS", 1)
    found, steps = costs.with_steps(project.pk, CostQuery(TEN, TEN + HOUR, ("session",)), "hour", 6)
    assert isinstance(steps, SenderError)
    assert steps.code == "too_many_rows"
    assert found.total.amounts.api_usd == 3 * DIME


def test_self_hosted_hours_are_not_told_apart_by_what_they_do_not_know(project: Project) -> None:
    a_mixed_hour(project)
    rows = by_name(explore(project, "feature", "provider"))
    assert rows["use", "support-bot", "openai"].amounts.gpu_usd is None
    assert rows["use", "support-bot", "?"].amounts.gpu_usd == Decimal("0.25")
    assert rows["use", "support-bot", "?"].amounts.calls == 0


def test_by_deployment_calls_are_counted_where_they_ran(project: Project) -> None:
    a_mixed_hour(project)
    rows = by_name(explore(project, "deployment"))
    assert (rows["use", "llama"].amounts.calls, rows["use", "llama"].amounts.input_tokens) == (2, 8_000)
    assert (rows["use", ""].amounts.calls, rows["use", ""].amounts.api_usd) == (3, 3 * DIME)
    assert rows["idle", "llama"].amounts.gpu_usd == Decimal("0.5")


def test_what_hours_do_not_keep_of_their_calls_is_unknown_by_deployment_and_known_in_total(project: Project) -> None:
    a_mixed_hour(project)
    found = explore(project, "deployment")
    rows = by_name(found)
    for row in (rows["use", "llama"], rows["use", ""]):
        assert row.amounts.unpriced_calls is None
    assert rows["use", "llama"].amounts.untokened_calls is None
    assert rows["use", "llama"].amounts.cached_input_tokens is None
    assert rows["use", "llama"].usd_per_call == Decimal("0.25") + rows["use", "llama"].amounts.energy_usd / 2
    assert rows["use", ""].usd_per_call is None
    assert rows["idle", "llama"].amounts.unpriced_calls == 0
    assert (found.total.amounts.unpriced_calls, found.total.amounts.untokened_calls) == (3, 0)


def test_filters_hold_for_both_sorts_of_money_or_say_that_they_cannot(project: Project) -> None:
    a_mixed_hour(project)
    bot = explore(project, "model", filters=CallFilter(feature="support-bot"))
    assert (bot.total.amounts.api_usd, bot.total.amounts.gpu_usd) == (DIME, Decimal("0.25"))
    assert {row.kind for row in bot.rows} == {"use"}
    ann = explore(project, filters=CallFilter(user_id="ann"))
    assert (ann.total.amounts.api_usd, ann.total.amounts.gpu_usd) == (2 * DIME, None)
    release = explore(project, filters=CallFilter(release="v1"))
    assert release.not_self_hosted_by == ("release",)
    assert (release.total.amounts.api_usd, release.total.amounts.gpu_usd) == (DIME, None)


def test_a_conversation_is_resolved_when_people_say_so(project: Project) -> None:
    a_mixed_hour(project)
    assert explore(project).total.details.resolved_sessions is None
    rate(project, "1", 1.0, trace_id=trace(1))
    rate(project, "2", 1.0, session_id="s2")
    rate(project, "3", 0.0, session_id="s2", name="resolved")
    found = explore(project, "feature")
    bot, search = (by_name(found)["use", name] for name in ("support-bot", "search"))
    assert (bot.details.sessions, bot.details.rated_sessions, bot.details.resolved_sessions) == (1, 1, 1)
    assert bot.usd_per_resolved == bot.amounts.usd == bot.usd_per_session
    assert (search.details.sessions, search.details.rated_sessions, search.details.resolved_sessions) == (2, 1, 0)
    assert search.usd_per_resolved is None
    assert (found.total.details.sessions, found.total.details.resolved_sessions) == (3, 1)
    rate(project, "4", None, session_id="s3", label="resolved")
    assert explore(project).total.details.resolved_sessions == 2


def rate(project: Project, number: str, score: float | None, **more: Any) -> None:
    tone = None if score is None else 1 if score > 0.5 else -1
    told = {
        "name": "helpful",
        "score": score,
        "tone": tone,
        "source": "api",
        "rated_at": NOW,
        "received_at": NOW,
        **more,
    }
    Rating.objects.create(project=project, rating_id=number, **told)


def test_the_price_tables_used_are_named_and_low_confidence_is_told(project: Project) -> None:
    a_mixed_hour(project)
    bot = by_name(explore(project, "model"))["use", "gpt-4o-mini"]
    assert bot.details.prices is not None
    (price,) = bot.details.prices
    assert price.startswith("genai-prices ")
    assert len(price.split()) == 2
    assert bot.details.low_confidence_calls == 0
    assert bot.is_estimated is False


def test_a_window_without_anything_is_unknown_and_not_free(project: Project) -> None:
    found = explore(project, "feature")
    assert found.rows == ()
    assert found.total.amounts.usd is None
    assert found.nameless_usd is None
    assert found.total.details.sessions == 0


def test_hours_that_wait_to_be_split_are_told(project: Project) -> None:
    a_mixed_hour(project)
    deliver(project.pk, fleet.served(TEN + 30 * MINUTE, 9))
    traffic.settle_all(NOW)
    assert explore(project).waiting_hours == 1


def test_strangers_money_is_in_no_sum(project: Project) -> None:
    a_mixed_hour(project)
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    for dimension in ("feature", "session", "attribute:team"):
        assert explore(other, dimension).rows == (), dimension


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"group_by": ("colour",)}, "colour"),
    ({"group_by": ("feature", "feature")}, "two different"),
    ({"group_by": ("feature", "model", "user")}, "two different"),
    ({"group_by": ("deployment", "release")}, "release"),
    ({"group_by": ("deployment",), "filters": CallFilter(environment="live")}, "environment"),
    ({"step": "year"}, "year"),
    ({"start": TEN - timedelta(days=40), "group_by": ("user",)}, "31 days"),
)


def test_what_cannot_be_answered_is_refused_by_name(project: Project) -> None:
    for query, named in REFUSED:
        with pytest.raises(SenderError, match=named):
            costs.explore(project.pk, CostQuery(**{"start": TEN, "end": TEN + HOUR, **query}))


def test_a_long_window_has_no_details_rather_than_wrong_ones(project: Project) -> None:
    a_mixed_hour(project)
    start = TEN - timedelta(days=60)
    found = costs.explore(project.pk, CostQuery(start, TEN + HOUR, ("feature",), filters=CallFilter(start=start)))
    assert found.total.amounts.calls == 5
    assert found.total.details.sessions is None
    assert found.total.is_estimated is None


@pytest.mark.django_db(transaction=True)
def test_sums_are_told_even_when_conversations_take_too_long_to_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_mixed_hour(project)
    for module in (cost_details, cost_calls):
        monkeypatch.setattr(module, "PATIENCE_MS", 200)
    holder = connection.copy()
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE ratings IN ACCESS EXCLUSIVE MODE")
        answers = explore(project, "feature"), explore(project, "session")
    finally:
        holder.close()
    for found in answers:
        assert (found.total.amounts.calls, found.total.amounts.api_usd) == (5, 3 * DIME)
        assert found.total.details == cost_details.UNREAD
