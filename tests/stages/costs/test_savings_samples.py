"""Projects with more calls than the advisor reads: what it tells of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kit import drifting, traffic
from kit.drifting import Traffic
from stanchion_server.costs.savings import Made
from stanchion_server.ingest.records import CallRecord
from stanchion_server.kernel import clock
from stanchion_server.reports import featured, savings_read
from stanchion_server.reports import savings as looking
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS = 20
MOST = 300
CALLS = 1_500
USD = Decimal("0.01")
"""What every stored call costs: 2,000 tokens in at $2.50 and 500 out at $10 a million."""


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def at(record: CallRecord, moment: datetime, feature: str) -> CallRecord:
    begun_ns = (moment - drifting.EPOCH) // timedelta(microseconds=1) * 1000
    return replace(
        record, start_time=moment, start_ns=begun_ns, feature=feature, input_tokens=2_000, output_tokens=500,
        cached_input_tokens=0,
    )  # fmt: skip


def seed(project: Project) -> None:
    """Two thirds of the calls are `day`, made from 8 to 18 o'clock; the others `night`, made from 22 to 2. Each costs a
    cent."""
    drawn = drifting.calls(NOW - DAYS * DAY, NOW, CALLS, 5, Traffic(models=("gpt-4o",), error_ratio=0))
    midnight = NOW.replace(hour=0) - DAYS * DAY
    found = []
    for place, record in enumerate(drawn):
        feature, first, hours = ("night", 22, 4) if place % 3 == 0 else ("day", 8, 10)
        moment = midnight + place % DAYS * DAY + first * HOUR + (place * 0.6180339 % 1) * hours * HOUR
        found.append(at(record, moment, feature))
    drifting.store(project.pk, found)
    traffic.settle_all(NOW)


def months(made: Made, kind: str) -> dict[str, Decimal]:
    return {one["feature"]: Decimal(one["usd_per_month"]) for one in made.body["findings"] if one["kind"] == kind}


@pytest.mark.slow
def test_a_fifth_of_the_calls_tells_what_all_would_save_within_five_percent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(project)
    whole = looking.look(project.pk, NOW)
    assert whole.body["read"] is None and whole.calls == whole.known_calls == CALLS
    monkeypatch.setattr(savings_read, "MOST_CALLS", MOST)
    made = looking.look(project.pk, NOW)
    assert made.known_calls == CALLS and MOST * 0.8 < made.calls <= MOST
    assert made.start == NOW - 30 * DAY
    assert made.body["read"]["ratio"] == pytest.approx(made.calls / CALLS)
    told, truth = months(made, "cheaper_model"), months(whole, "cheaper_model")
    # gpt-4o at $2.50 and $10 a million tokens becomes gpt-4o-mini at $0.15 and $0.60: 94 % of a cent.
    assert float(truth["day"]) == pytest.approx(1_000 * 0.0094 * 30 / whole.body["days"], rel=1e-6)
    assert told.keys() == truth.keys() == {"day", "night"}
    for feature, usd in truth.items():
        assert float(told[feature]) == pytest.approx(float(usd), rel=0.05)
    for feature in ("day", "night"):
        ((short,), (long,)) = (featured.feature_costs(one.body, feature) or () for one in (made, whole))
        assert float(short.api_usd) == pytest.approx(float(long.api_usd), rel=0.01)
        assert short.halving is not None and long.halving is not None
        assert float(short.halving.left_usd) == pytest.approx(float(long.halving.left_usd), rel=0.05)


@pytest.mark.slow
def test_a_sample_is_the_same_each_time_and_of_days_and_nights(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(project)
    monkeypatch.setattr(savings_read, "MOST_CALLS", MOST)
    first, second = (savings_read.read(project.pk, NOW) for _time in range(2))
    assert first == second and len({(call.trace_id, call.span_id) for call in first.calls}) == len(first.calls)
    assert [call.start_time for call in first.calls] == sorted(call.start_time for call in first.calls)
    assert len({call.start_time.date() for call in first.calls}) >= DAYS - 2
    assert {call.start_time.hour for call in first.calls} == {*range(8, 18), 22, 23, 0, 1}


def test_where_sums_lag_behind_the_calls_are_counted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of calls, where no cost of all is known."""
    like = Traffic(models=("gpt-4o",), error_ratio=0)
    drifting.store(project.pk, drifting.calls(NOW - 2 * DAY, NOW, 150, 1, like))
    monkeypatch.setattr(savings_read, "MOST_CALLS", 60)
    made = looking.look(project.pk, NOW)
    assert made.known_calls == 150 and made.body["read"]["known_usd"] is None
    assert made.body["read"]["ratio"] == pytest.approx(made.calls / 150)
    (finding,) = [one for one in made.body["findings"] if one["kind"] == "cheaper_model"]
    assert float(finding["month_ratio"]) == pytest.approx(30 / made.body["days"] * 150 / made.calls)


def test_of_an_hour_that_is_fuller_than_may_be_read_one_unbroken_part_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drifting.store(project.pk, drifting.calls(NOW - HOUR, NOW, 120, 1, Traffic(models=("gpt-4o",))))
    traffic.settle_all(NOW)
    monkeypatch.setattr(savings_read, "MOST_CALLS", 30)
    found = savings_read.read(project.pk, NOW)
    assert found.sample.slices == 1 and 15 <= len(found.calls) <= 30
    assert found.calls[-1].start_time - found.calls[0].start_time <= HOUR / 4


def test_a_burst_that_the_pieces_of_its_hour_miss_is_read_from_its_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in four minutes of an hour that was to be read for eighteen."""
    like = Traffic(models=("gpt-4o",), error_ratio=0)
    drifting.store(project.pk, drifting.calls(NOW - HOUR, NOW - HOUR + 4 * HOUR / 60, 100, 1, like))
    traffic.settle_all(NOW)
    whole = looking.look(project.pk, NOW)
    monkeypatch.setattr(savings_read, "MOST_CALLS", 30)
    made = looking.look(project.pk, NOW)
    assert (made.calls, made.known_calls, made.body["read"]["slices"]) == (30, 100, 1)
    assert made.body["read"]["known_usd"] == whole.body["spend_usd"]


def test_calls_of_the_windows_first_part_of_an_hour_alone_are_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole hours, as sums know them, hold none of these."""
    now = NOW + HOUR / 2
    begin = now - savings_read.LOOKED_BACK
    drifting.store(project.pk, drifting.calls(begin, begin + HOUR / 4, 40, 1, Traffic(models=("gpt-4o",))))
    monkeypatch.setattr(savings_read, "MOST_CALLS", 30)
    found = savings_read.read(project.pk, now)
    assert (len(found.calls), found.known) == (30, 30)
    assert found.sample.share().scale == 1
