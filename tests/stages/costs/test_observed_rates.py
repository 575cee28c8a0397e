"""Peaks of recorded traffic beside rate limits, against the real database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kit import calls, stored, traffic
from stanchion_server.alerts import sources
from stanchion_server.alerts.records import Ask, Sample, Window
from stanchion_server.costs import rate_limits, selectors_headroom
from stanchion_server.costs.headroom import Headroom
from stanchion_server.costs.selectors_headroom import LimitReading
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOON = calls.NOON
HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def limit(project: Project, model: str = "", **more: Any) -> None:
    rate_limits.add(project, {"provider": "openai", "model": model, "rpm": Decimal(10), **more}, "ann")


def deliver(project: Project, *records: Any) -> None:
    stored.deliver(project.pk, *records)
    traffic.settle_all(NOON)


def readings(project: Project) -> list[LimitReading]:
    traffic.count_peaks(NOON)
    return selectors_headroom.readings(project.pk, selectors_headroom.limits(project.pk), NOON)


def only(project: Project) -> Mapping[str, Headroom]:
    (one,) = readings(project)
    return {part.dimension: part for part in one.dimensions}


def second(at_s: float, lasts_s: float = 1, **more: Any) -> Any:
    return calls.call(after_s=at_s, duration_ns=int(lasts_s * 1e9), **more)


def test_peaks_of_seconds_minutes_and_calls_at_a_time_are_exact(project: Project) -> None:
    limit(project, rps=Decimal(4), input_tpm=Decimal(1_000), concurrency=Decimal(3))
    deliver(
        project,
        second(-HOUR_S, 30), second(-HOUR_S + 0.2, 0.1), second(-HOUR_S + 0.5, 10), second(-HOUR_S + 20, 5),
        second(-2 * HOUR_S, input_tokens=700, output_tokens=1), second(-2 * HOUR_S + 30, input_tokens=200),
    )  # fmt: skip
    found = only(project)
    peaks = {name: part.peak_24h for name, part in found.items()}
    assert peaks == {"rps": 3, "rpm": 4, "input_tpm": 900, "output_tpm": 80, "tps": 701, "concurrency": 2}
    assert found["rps"].used_24h_ratio == 0.75 and found["input_tpm"].left_24h == 100
    assert found["input_tpm"].peak_24h_at == NOON.replace(hour=10)
    (one,) = readings(project)
    assert (one.limiting_24h, one.limiting_7d) == ("input_tpm", "input_tpm")


def test_a_call_that_ends_as_another_begins_does_not_run_beside_it(project: Project) -> None:
    limit(project)
    deliver(project, second(-100, 10), second(-90, 10), second(-80, 0))
    assert only(project)["concurrency"].peak_24h == 1


def test_the_last_day_and_the_last_week_are_told_apart(project: Project) -> None:
    limit(project)
    deliver(project, *(second(-3 * DAY_S + place) for place in range(5)), second(-60), second(-20 * DAY_S))
    found = only(project)["rpm"]
    assert (found.peak_24h, found.peak_7d, found.used_7d_ratio) == (1, 5, 0.5)


def test_limits_of_a_model_of_all_models_and_of_others_see_their_own(project: Project) -> None:
    limit(project)
    limit(project, "gpt-4o-mini")
    limit(project, "gpt-4o")
    rate_limits.add(project, {"provider": "anthropic", "rpm": Decimal(10)}, "ann")
    other = tenants.create_project(tenants.create_organisation("Elsewhere"), "Other")
    deliver(other, second(-50), second(-50))
    deliver(project, second(-50), second(-50, request_model="gpt-4o", model="gpt-4o"))
    found = {(one.provider, one.model): {part.dimension: part.peak_7d for part in one.dimensions}["rpm"]
             for one in readings(project)}  # fmt: skip
    assert found == {("anthropic", ""): None, ("openai", ""): 2, ("openai", "gpt-4o"): 1, ("openai", "gpt-4o-mini"): 1}


def test_tokens_that_nobody_told_are_not_zero(project: Project) -> None:
    limit(project)
    deliver(project, second(-50, input_tokens=None, output_tokens=None))
    found = {name: part.peak_7d for name, part in only(project).items()}
    assert found == {"rps": 1, "rpm": 1, "input_tpm": None, "output_tpm": None, "tps": None, "concurrency": 1}


@pytest.mark.parametrize("error_type", ["429", "HTTP 429", "RateLimitError", "openai.RateLimitError",
                                        "rate_limit_exceeded", "ThrottlingException", "RESOURCE_EXHAUSTED",
                                        "TooManyRequests"])  # fmt: skip
def test_calls_that_were_refused_for_their_rate_are_counted(project: Project, error_type: str) -> None:
    limit(project)
    deliver(
        project,
        second(-50, status=Status.ERROR, error_type=error_type),
        second(-3 * DAY_S, status=Status.ERROR, error_type=error_type),
        second(-50, status=Status.ERROR, error_type="Timeout14290"),
        second(-50, status=Status.ERROR, error_type="500"),
        second(-50, error_type=error_type),
    )
    (one,) = readings(project)
    assert (one.throttled_calls_24h, one.throttled_calls_7d) == (1, 2)


def test_growing_daily_peaks_foretell_the_day_of_the_throttle(project: Project) -> None:
    limit(project)
    grown = {5: 2, 4: 3, 3: 4, 2: 5, 1: 6}
    deliver(project, *(second(-days * DAY_S + place) for days, count in grown.items() for place in range(count)))
    found = only(project)
    assert found["rpm"].outlook == "predicted"
    assert found["rpm"].throttled_on == NOON.replace(hour=0, day=23)
    assert found["rps"].outlook == "no_limit"


def test_days_without_calls_are_zeros_and_the_first_calls_begin_the_history(project: Project) -> None:
    limit(project)
    deliver(project, second(-5 * DAY_S), second(-2 * DAY_S))
    assert only(project)["rpm"].reason == "daily peaks do not grow"
    deliver(project, second(-30 * DAY_S))
    assert only(project)["rpm"].reason == "daily peaks do not grow"


def test_a_project_without_calls_has_no_peaks(project: Project) -> None:
    limit(project)
    (one,) = readings(project)
    assert {part.peak_7d for part in one.dimensions} == {None}
    assert (one.limiting_24h, one.throttled_calls_7d) == ("", 0)
    assert one.counted_from == NOON.replace(hour=0) - timedelta(days=14)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"provider": ""}, "provider: "), ({"rpm": Decimal(0)}, "rpm: 0 is no limit"),
        ({"rpm": Decimal(-1)}, "rpm: -1 is no limit"), ({"rpm": None}, "at least one limit"),
        ({"model": "a\0"}, "NUL"), ({"rpm": Decimal("0.0001")}, "rpm: "), ({"provider": "x" * 61}, "provider: "),
    ],
)  # fmt: skip
def test_what_limits_nothing_is_refused(project: Project, values: dict[str, Any], told: str) -> None:
    with pytest.raises(SenderError, match=told):
        limit(project, **values)


def test_a_provider_and_model_have_their_limits_once(project: Project) -> None:
    limit(project)
    with pytest.raises(SenderError, match="openai/all models") as raised:
        limit(project)
    assert raised.value.http_status == 409


def test_rules_read_the_fullest_minute_of_their_window(project: Project) -> None:
    limit(project, input_tpm=Decimal(1_000), rps=Decimal(1))
    limit(project, "gpt-4o")
    deliver(project, *(second(-HOUR_S + place, input_tokens=50) for place in range(5)), second(-600))
    window = Window(NOON - timedelta(hours=2), NOON)
    by_limit = Ask("rate_limits", "used_ratio", window, ("model", "limit"))
    of_all = Ask("rate_limits", "used_ratio", window)
    recent = Ask("rate_limits", "used_ratio", Window(NOON - timedelta(minutes=15), NOON), (), (("limit", "rpm"),))
    found = sources.answers(sources.READERS, project.pk, (by_limit, of_all, recent), NOON)
    assert found[by_limit] == {
        (("model", ""), ("limit", "rpm")): Sample(0.5, 1),
        (("model", ""), ("limit", "input_tpm")): Sample(0.25, 1),
        (("model", "gpt-4o"), ("limit", "rpm")): Sample(0.0, 1),
    }
    assert found[of_all] == {(): Sample(0.5, 3)}
    assert found[recent] == {(): Sample(0.1, 2)}


def test_rules_of_a_project_without_limits_read_nothing(project: Project) -> None:
    ask = Ask("rate_limits", "used_ratio", Window(NOON - timedelta(hours=2), NOON))
    assert sources.answers(sources.READERS, project.pk, (ask,), NOON) == {ask: {(): Sample(None, 0)}}
