"""Own cards that are paid for and have no work: too many of them, and hours in which none is needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from stanchion_server.costs import sizing
from stanchion_server.costs.advice import schedule
from stanchion_server.costs.advice.records import ZERO, Confidence, Finding, Idle, Replicas
from stanchion_server.costs.sizing import Size

START_UP = timedelta(minutes=10)
"""An assumption: until an instance that was stopped answers again it is paid and does nothing. Measure yours: it is the
time to start a machine, to read the weights and to warm up."""
HOUR = timedelta(hours=1)
SURE_FROM_HOURS = 13 * 24
"""Thirteen days have two weekends or nearly."""
MOST_ESTIMATED_RATIO = 0.1
_WH_PER_KWH = Decimal(1000)


@dataclass(frozen=True, slots=True)
class HostedHour:
    """A closed hour. `usd` is hosting and electricity, `idle_usd` the part without work; electricity and energy are
    those of all its cards. `is_estimated`: traffic stood in for utilisation."""

    start: datetime
    busy_ratio: float
    usd: Decimal
    idle_usd: Decimal
    energy_usd: Decimal
    energy_wh: Decimal | None
    calls: int
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class Hosted:
    """The version of a deployment that is in force, with its closed hours in order of time. `shares` is how much of its
    work was for which feature; what no known call used is in none, so they add up to at most 1. `grid_g_per_wh` has
    PUE and certificates in it."""

    name: str
    count: int
    usd_per_hour: Decimal
    grid_g_per_wh: Decimal | None
    hours: tuple[HostedHour, ...]
    shares: Mapping[str, Decimal]

    @property
    def days(self) -> float:
        return len(self.hours) / 24

    @property
    def usd(self) -> Decimal:
        return sum((hour.usd for hour in self.hours), ZERO)

    @property
    def idle_usd(self) -> Decimal:
        return sum((hour.idle_usd for hour in self.hours), ZERO)

    def size(self) -> Size | None:
        return sizing.size([hour.busy_ratio for hour in self.hours], self.count, self.usd_per_hour)


@dataclass(frozen=True, slots=True)
class Use:
    """What a feature's work on one deployment cost, of all versions of its name, of which `first` is the first hour."""

    name: str
    feature: str
    usd: Decimal
    first: datetime
    is_in_force: bool


def month_ratios(uses: Sequence[Use], start: datetime, now: datetime) -> dict[str, Decimal]:
    """By feature: how many times a month is what its work on own cards cost since `start`. A deployment in force is
    taken to go on as since its first hour, at least a day, and one that has ended to have its part of all that time."""
    known: dict[str, Decimal] = defaultdict(Decimal)
    month: dict[str, Decimal] = defaultdict(Decimal)
    for one in uses:
        days = Decimal((now - (max(start, one.first) if one.is_in_force else start)) / timedelta(days=1))
        known[one.feature] += one.usd
        month[one.feature] += one.usd * 30 / max(Decimal(1), days)
    return {feature: month[feature] / usd for feature, usd in known.items() if usd}


@dataclass(frozen=True, slots=True)
class Saved:
    usd: Decimal
    energy_wh: Decimal | None


def find(deployments: Sequence[Hosted]) -> list[Finding]:
    """For each deployment with a day of hours: fewer instances, and hours in which none need run."""
    found = [finding for one in deployments for finding in (replicas(one), idle_hours(one))]
    return [finding for finding in found if finding is not None]


def replicas(one: Hosted) -> Finding | None:
    size = one.size()
    if size is None or size.surplus <= 0:
        return None
    saved = _fewer(one, size)
    if saved.usd <= 0:
        return None
    effect = Replicas(one.name, size.needed, size.count, saved.usd)
    return Finding(
        kind="replicas", feature="", subject=f"{one.name}: {size.needed} of {size.count}", usd=saved.usd,
        spend_usd=one.usd, seconds=None, calls=0, confidence=_confidence(one),
        assumptions=(
            (f"Sized by the busy hours (95th percentile) at {sizing.TARGET_RATIO:.0%} utilisation, as on the page"
             " Self-hosted. Bursts within an hour, redundancy and maintenance may need more."),
            ("Utilisation tells that a kernel ran, not how full a card was: work of several cards that run a little is"
             " taken to fit onto fewer at the sum of their time."),
            ("Electricity is what this many cards drew in hours without work; the work itself moves to the others."
             " Cards that are bought save the rest only where somebody else takes them."),
        ),
        figures=(
            ("Busy in a busy hour (p95)", f"{size.busy_p95_ratio:.0%} of {size.count:,}"),
            ("Would do", f"{size.needed:,} of {size.count:,}"),
            ("Hosting too much", f"${size.surplus_usd_per_day:.2f} a day"),
            *_energy(one, saved.energy_wh), ("Hours looked at", f"{size.hours:,}"),
        ),
        where=_range(one), days=one.days, page="hosting", effect=effect, shares=_shares(one, saved.usd),
    )  # fmt: skip


def _fewer(one: Hosted, size: Size) -> Saved:
    """Hosting as the page Self-hosted tells it, and the electricity of cards that only stand by."""
    quiet = [hour for hour in one.hours if hour.busy_ratio <= schedule.QUIET_RATIO]
    part = Decimal(size.surplus) / size.count
    hosting = size.surplus_usd_per_day / 24 * len(one.hours)
    standing = sum((hour.energy_usd for hour in quiet), ZERO) / max(1, len(quiet)) * part * len(one.hours)
    told = [hour.energy_wh for hour in quiet if hour.energy_wh is not None]
    energy_wh = sum(told, ZERO) / len(told) * part * len(one.hours) if told else None
    return Saved(min(hosting + standing, one.usd), energy_wh)


def idle_hours(one: Hosted) -> Finding | None:
    slots = schedule.regular([(hour.start, hour.busy_ratio) for hour in one.hours])
    apart = schedule.are_apart([hour.start for hour in one.hours])
    inside = [hour for hour in one.hours if schedule.slot(hour.start, apart=apart) in slots]
    off = [hour for hour in inside if hour.busy_ratio <= schedule.QUIET_RATIO]
    starts = _starts(off)
    saved = _stopped(one, off, starts)
    if saved.usd <= 0:
        return None
    calls = sum(hour.calls for hour in off)
    size = one.size()
    left = Decimal(size.needed) / size.count if size is not None and size.surplus > 0 else None
    return Finding(
        kind="idle_hours", feature="", subject=f"{one.name}: {schedule.words(slots)} (UTC)", usd=saved.usd,
        spend_usd=one.usd, seconds=None, calls=calls, confidence="low" if calls else _confidence(one),
        assumptions=_of_idle(calls, is_apart=apart),
        figures=(
            ("Idle, all hours together", _idle_words(one)),
            ("Of it in these hours", f"{len(off):,} of {len(one.hours):,} hours, with {starts:,} starts"),
            ("Calls that came in them", f"{calls:,}"),
            *((("Saves, once only as many run as are needed", _a_month(one, saved.usd * left)),) if left else ()),
            *_energy(one, saved.energy_wh),
        ),
        where=_range(one), days=one.days, page="hosting", effect=Idle(one.name, saved.usd),
        shares=_shares(one, saved.usd),
    )  # fmt: skip


def _of_idle(calls: int, *, is_apart: bool) -> tuple[str, ...]:
    return (
        (f"Stopped in hours that were idle (at most {schedule.QUIET_RATIO:.0%} busy) on {schedule.REGULARLY:.0%} of"
         " the days; hours that were busy nonetheless are paid. Storage and data are paid on."),
        (f"A start takes {START_UP.seconds // 60} minutes, paid without work. Cards that are bought, or reserved for a"
         " term, save their electricity alone, unless others use them meanwhile."),
        *((f"{calls:,} calls came in these hours: they would wait for a start, or need another model.",)
          if calls else ()),
        *(() if is_apart else ("Less than two weeks are known: weekends are not told from other days.",)),
        "Fewer instances and stopped hours are partly about the same dollars: together they save less than their sum.",
    )  # fmt: skip


def _starts(off: Sequence[HostedHour]) -> int:
    """How often it runs again after hours in which it was off."""
    return sum(1 for place, hour in enumerate(off) if not place or hour.start - off[place - 1].start > HOUR)


def _stopped(one: Hosted, off: Sequence[HostedHour], starts: int) -> Saved:
    if not off:
        return Saved(ZERO, None)
    paid = Decimal(starts * START_UP.seconds) / (len(off) * 3600)
    hosting = one.usd_per_hour * one.count * len(off)
    electricity = sum((hour.energy_usd for hour in off), ZERO)
    told = [hour.energy_wh for hour in off if hour.energy_wh is not None]
    part = max(ZERO, 1 - paid)
    return Saved((hosting + electricity) * part, sum(told, ZERO) * part if told else None)


def _idle_words(one: Hosted) -> str:
    idle = sum(1 - hour.busy_ratio for hour in one.hours) * one.count
    return f"{idle:,.0f} of {one.count * len(one.hours):,} instance-hours, {_a_month(one, one.idle_usd)}"


def _confidence(one: Hosted) -> Confidence:
    is_measured = sum(hour.is_estimated for hour in one.hours) <= MOST_ESTIMATED_RATIO * len(one.hours)
    return "medium" if is_measured and len(one.hours) >= SURE_FROM_HOURS else "low"


def _a_month(one: Hosted, usd: Decimal) -> str:
    return f"${usd * 30 / Decimal(repr(one.days)):.2f} a month"


def _energy(one: Hosted, energy_wh: Decimal | None) -> tuple[tuple[str, str], ...]:
    if energy_wh is None:
        return (("Energy saved", "not known"),)
    month = energy_wh * 30 / Decimal(repr(one.days))
    carbon = "" if one.grid_g_per_wh is None else f", {month * one.grid_g_per_wh / 1000:.1f} kg CO2e"
    return (("Energy saved", f"{month / _WH_PER_KWH:.1f} kWh a month of the cards{carbon}"),)


def _shares(one: Hosted, usd: Decimal) -> dict[str, Decimal]:
    return {feature: usd * share for feature, share in one.shares.items()}


def _range(one: Hosted) -> dict[str, str]:
    """Its hours, as the page Self-hosted takes them."""
    start, end = one.hours[0].start, one.hours[-1].start + HOUR
    return {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
