"""The `when` of a rule: which condition, with which numbers. Pure."""

from __future__ import annotations

from datetime import timedelta

from stanchion_server.alerts.conditions import Absence, Baseline, BurnRate, Condition, ReleaseChange, Surge, Threshold
from stanchion_server.alerts.conditions.burning import FEWEST_BAD, TIERS, Tier, unreachable
from stanchion_server.alerts.conditions.threshold import recovery
from stanchion_server.alerts.conditions.watching import Watch
from stanchion_server.alerts.fields import Reader
from stanchion_server.alerts.measures import Measure

TYPES = ("threshold", "baseline", "release", "burn_rate", "absence", "surge")
FIELDS = {
    "threshold": ("above", "below", "recovers_at", "min_bad"),
    "baseline": ("direction", "deviations", "floor_ratio", "weeks"),
    "release": ("direction", "change_ratio", "least", "dimension", "lookback"),
    "burn_rate": ("objective_ratio", "tiers", "min_bad"),
    "absence": ("seen_within",),
    "surge": ("times", "least", "lookback"),
}
DIRECTIONS: dict[str, bool | None] = {"up": True, "down": False, "both": None}
MOST = 1e15


def condition(reader: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    plain = reader.plain.get("when")
    sort = plain.get("type", "threshold") if isinstance(plain, dict) else "threshold"
    known = FIELDS.get(sort if isinstance(sort, str) else "", ())
    part = reader.part("when", ("type", *known))
    sort = part.choice("type", TYPES, default="threshold")
    if not reader.has("when"):
        reader.wrong("when", "is missing: say what is wrong, such as {above: 0.05}")
        return None
    return _READERS[sort](part, watch, measure)


def _threshold(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    above, below = part.number("above", -MOST, MOST), part.number("below", -MOST, MOST)
    if part.has("above") == part.has("below"):
        part.wrong("above", "or below must be given, one of them")
    if (above is None) == (below is None):
        return None
    is_up = above is not None
    limit = above if above is not None else below
    assert limit is not None
    if measure is not None and measure.unit == "ratio" and not 0 <= limit <= measure.most:
        part.wrong("above" if is_up else "below", f"is a share: it must be from 0 to {measure.most:g}, such as 0.05")
    recovers_at = part.number("recovers_at", -MOST, MOST, recovery(limit, is_up=is_up))
    assert recovers_at is not None
    if recovers_at > limit if is_up else recovers_at < limit:
        part.wrong("recovers_at", f"is {recovers_at:g}, on the bad side of {limit:g}")
    min_bad = part.count("min_bad", 0, 0, 10**6)
    if min_bad and not (is_up and (measure is None or measure.has_bad)):
        part.wrong("min_bad", f"counts the bad ones of a share that is too high, which {watch.measure} is not")
    return Threshold(limit, recovers_at, is_up, min_bad)


def _baseline(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    if measure is not None and not measure.has_history:
        part.wrong("type", f"baseline needs a measure with a history, which {watch.measure} has not")
    return Baseline(
        weeks=part.count("weeks", 4, 3, 6),
        deviations=part.number("deviations", 1, 100, 4.0) or 4.0,
        floor_ratio=part.number("floor_ratio", 0.001, 10, 0.1) or 0.1,
        is_up=DIRECTIONS[part.choice("direction", tuple(DIRECTIONS), default="up")],
    )


def _release(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    dimension = part.choice("dimension", ("release", "prompt_version"), default="release")
    if watch.source not in ("calls", "scores"):
        part.wrong("type", "release compares measures of calls and scores only")
    if dimension in watch.by or len(watch.by) > 1:
        part.wrong("dimension", "is split by already: a release rule takes at most one other dimension in watch.by")
    change = part.number("change_ratio", 0.01, 1000)
    if change is None:
        part.wrong("change_ratio", "is missing: by how much it may be worse, such as 0.5 for half as much again")
        return None
    return ReleaseChange(
        change_ratio=change,
        least=part.number("least", 0, MOST, 0.0) or 0.0,
        dimension=dimension,
        lookback=part.duration("lookback", timedelta(days=7), "1h", "28d"),
        is_up=part.choice("direction", ("up", "down"), default="up") == "up",
    )


def _burn_rate(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    objective = part.number("objective_ratio", 0.5, 0.99999)
    if objective is None:
        part.wrong("objective_ratio", "is missing: the share that must be good, such as 0.99")
        return None
    if measure is not None and not measure.has_bad:
        part.wrong("type", f"burn_rate needs a share of bad ones, which {watch.measure} is not")
    tiers = _tiers(part)
    for place, tier in enumerate(tiers):
        if reason := unreachable(objective, tier):
            part.wrong("tiers", f"[{place}] can never fire: {reason}")
    return BurnRate(objective, tiers, part.count("min_bad", FEWEST_BAD, 1, 10**6))


def _tiers(part: Reader) -> tuple[Tier, ...]:
    if not part.has("tiers"):
        return TIERS[:2]
    found = []
    for one in part.parts("tiers", ("rate", "window"), 4):
        rate = one.number("rate", 0.1, 100_000)
        if rate is None:
            one.wrong("rate", "is missing")
            continue
        window = one.duration("window", timedelta(hours=1), "12m", "28d")
        found.append(Tier(rate, window))
    if len({tier.rate for tier in found}) < len(found):
        part.wrong("tiers", "name the same rate twice")
    return tuple(found) or TIERS[:2]


def _absence(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    if measure is not None and not measure.has_history:
        part.wrong("type", f"absence needs a measure with a history, which {watch.measure} has not")
    return Absence(part.duration("seen_within", timedelta(hours=24), "10m", "28d"))


def _surge(part: Reader, watch: Watch, measure: Measure | None) -> Condition | None:
    if measure is not None and (not measure.has_history or measure.unit in ("ratio", "ms", "score", "s")):
        part.wrong("type", f"surge needs a total with a history, such as cost_usd, which {watch.measure} is not")
    times, least = part.number("times", 1.1, 10_000), part.number("least", 0, MOST)
    for name, value in (("times", times), ("least", least)):
        if value is None:
            part.wrong(name, "is missing")
    if times is None or least is None:
        return None
    return Surge(times, least, part.duration("lookback", timedelta(hours=24), "1h", "28d"))


_READERS = {
    "threshold": _threshold,
    "baseline": _baseline,
    "release": _release,
    "burn_rate": _burn_rate,
    "absence": _absence,
    "surge": _surge,
}
