"""From one evaluation to the next: ok -> pending -> firing -> ok again, group by group. Pure.

All times are the moments that evaluations were scheduled for, so that a late one says what it would have said in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from stanchion_server.alerts.records import Change, Group, Judged, Labels, key_of

NoData = Literal["ok", "keep", "alert"]

MOST_TURNS = 4
"""More turns than these within TURNS_WITHIN are flapping."""
TURNS_WITHIN = timedelta(hours=1)
CALM_AFTER = timedelta(minutes=30)
KEPT_WITHOUT_DATA = timedelta(hours=1)
"""`keep` ends an incident after so long without data: what is gone cannot recover."""
FORGOTTEN_AFTER = timedelta(hours=24)
GAP_INTERVALS = 3
"""Evaluations further apart than so many intervals do not make an unbroken row."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things must last. `is_up` says that larger values are worse, None that either may be."""

    every: timedelta
    lasts: timedelta = timedelta(0)
    keeps: timedelta = timedelta(minutes=5)
    no_data: NoData = "keep"
    is_up: bool | None = True
    max_groups: int = 20


@dataclass(frozen=True, slots=True)
class Evaluated:
    """`left_out` counts groups beyond the cap."""

    groups: Mapping[str, Group]
    changes: tuple[Change, ...]
    left_out: int


def evaluate(
    groups: Mapping[str, Group], judged: Mapping[Labels, Judged], at: datetime, patience: Patience
) -> Evaluated:
    """All groups of a rule at one moment. Groups that are gone are judged as without data; those of no interest any
    more are forgotten."""
    groups = {key: _rebased(group, at) for key, group in groups.items()}
    kept, left_out = _capped(groups, judged, patience.max_groups)
    missing = {group.labels: Judged("no_data") for key, group in groups.items() if key not in kept}
    if patience.no_data == "alert" and not judged and not groups:
        missing = {(): Judged("no_data")}
    found: dict[str, Group] = {}
    changes: list[Change] = []
    for labels, one in {**{labels: judged[labels] for labels in kept.values()}, **missing}.items():
        key = key_of(labels)
        group, change = step(groups.get(key), labels, one, at, patience)
        if change is not None:
            changes.append(change)
        if not _is_forgotten(group, at, patience):
            found[key] = group
    return Evaluated(found, tuple(changes), left_out)


def step(
    before: Group | None, labels: Labels, judged: Judged, at: datetime, patience: Patience
) -> tuple[Group, Change | None]:
    """One group, one evaluation. `at` lies after the group's last one."""
    group = before or Group(labels=labels, state="ok", since=at, judged_at=at)
    if before is not None and at - before.judged_at > GAP_INTERVALS * patience.every and group.state == "pending":
        group = replace(group, state="ok", since=at, bad_since=None)
    group = _with_reading(group, judged, at)
    outcome, is_no_data = _outcome(group, judged, at, patience)
    if outcome == "hold":
        return replace(group, judged_at=at), None
    if outcome == "bad":
        return _on_bad(group, at, patience, is_no_data=is_no_data)
    return _on_better(group, at, patience, is_good=outcome == "good")


def _with_reading(group: Group, judged: Judged, at: datetime) -> Group:
    if judged.outcome == "no_data":
        return replace(group, reason=judged.reason or "no data")
    return replace(
        group, value=judged.value, threshold=judged.threshold, samples=judged.samples, reason=judged.reason,
        data_at=at if judged.outcome != "too_few" else group.data_at,
    )  # fmt: skip


def _outcome(
    group: Group, judged: Judged, at: datetime, patience: Patience
) -> tuple[Literal["bad", "good", "between", "hold"], bool]:
    """What counts, and whether it does so for want of data. Too few samples say as little as none, but alarm nobody."""
    if judged.outcome in ("bad", "good", "between"):
        return judged.outcome, False
    if judged.outcome == "no_data" and patience.no_data == "alert":
        return "bad", True
    if group.state == "ok":
        return "good", False
    if patience.no_data == "ok" or at - (group.data_at or group.since) >= KEPT_WITHOUT_DATA:
        return "good", False
    return "hold", False


def _on_bad(group: Group, at: datetime, patience: Patience, *, is_no_data: bool) -> tuple[Group, Change | None]:
    bad_since = group.bad_since or at
    group, was_flapping = replace(group, judged_at=at, bad_since=bad_since, last_bad_at=at), group.is_flapping
    if group.state in ("firing", "no_data"):
        group = _turned(replace(group, state="no_data" if is_no_data else "firing"), at, is_bad=True)
        worse = replace(group, peak=worst(group.peak, group.value, patience.is_up))
        if was_flapping and not worse.is_flapping:
            return worse, Change("calm", at, worse)
        return _flapping(worse, at)
    if at - bad_since < patience.lasts:
        state: Literal["pending"] = "pending"
        since = group.since if group.state == "pending" else at
        return replace(group, state=state, since=since), None
    fired = replace(
        _turned(group, at, is_bad=True), state="no_data" if is_no_data else "firing", since=at,
        peak=None if is_no_data else group.value,
    )  # fmt: skip
    if len(fired.turns) > MOST_TURNS:
        fired = replace(fired, is_flapping=True)
    return fired, Change("fire", at, fired, is_no_data)


def _on_better(group: Group, at: datetime, patience: Patience, *, is_good: bool) -> tuple[Group, Change | None]:
    """Not bad any more. In between, a pending group is ok again and a firing one goes on firing."""
    if group.state in ("ok", "pending"):
        since = at if group.state == "pending" else group.since
        return replace(group, judged_at=at, bad_since=None, state="ok", since=since), None
    group = replace(group, judged_at=at, bad_since=None)
    if not is_good:
        return replace(group, last_bad_at=at), None
    group = _turned(group, at, is_bad=False)
    keeps = max(patience.keeps, CALM_AFTER) if group.is_flapping else patience.keeps
    if group.last_bad_at is not None and at - group.last_bad_at < keeps:
        return _flapping(group, at)
    ended = replace(group, state="ok", since=at, is_flapping=False, last_bad_at=None)
    return ended, Change("resolve", at, ended)


def _turned(group: Group, at: datetime, *, is_bad: bool) -> Group:
    """Notes a turn from good to bad or back, and drops those of more than an hour ago."""
    turns = tuple(turn for turn in group.turns if at - turn < TURNS_WITHIN)
    if is_bad != group.was_bad:
        turns = (*turns, at)
    is_calm = group.is_flapping and is_bad == group.was_bad and (not turns or at - turns[-1] >= CALM_AFTER)
    return replace(group, turns=turns, was_bad=is_bad, is_flapping=group.is_flapping and not is_calm)


def _flapping(group: Group, at: datetime) -> tuple[Group, Change | None]:
    """A firing group that turned too often is held in one incident until it is calm."""
    if group.is_flapping or len(group.turns) <= MOST_TURNS:
        return group, None
    held = replace(group, is_flapping=True)
    return held, Change("flap", at, held)


def _capped(groups: Mapping[str, Group], judged: Mapping[Labels, Judged], limit: int) -> tuple[dict[str, Labels], int]:
    """The groups to look at by key: those not ok first, then bad ones, then the largest."""

    def rank(labels: Labels) -> tuple[bool, bool, int, Labels]:
        known = groups.get(key_of(labels))
        is_quiet = known is None or known.state == "ok"
        return is_quiet, judged[labels].outcome != "bad", -(judged[labels].samples or 0), labels

    ranked = sorted(judged, key=rank)
    return {key_of(labels): labels for labels in ranked[:limit]}, max(0, len(ranked) - limit)


def _is_forgotten(group: Group, at: datetime, patience: Patience) -> bool:
    """An ok group without data: at once, or after a day where its silence would be an alarm or its turns count."""
    if group.state != "ok" or group.data_at == at:
        return False
    if any(at - turn < TURNS_WITHIN for turn in group.turns):
        return False
    return patience.no_data != "alert" or at - (group.data_at or group.since) >= FORGOTTEN_AFTER


def _rebased(group: Group, at: datetime) -> Group:
    """After a clock that ran ahead was put right, nothing lies in the future."""
    if group.judged_at <= at:
        return group
    return replace(
        group, judged_at=at, since=min(group.since, at), turns=tuple(turn for turn in group.turns if turn <= at),
        bad_since=None if group.bad_since is None else min(group.bad_since, at),
        last_bad_at=None if group.last_bad_at is None else min(group.last_bad_at, at),
        data_at=None if group.data_at is None else min(group.data_at, at),
    )  # fmt: skip


def firing(groups: Mapping[str, Group], *, is_together: bool) -> dict[str, list[Group]]:
    """The groups that fire by the key of the incident that they belong in; where they are taken together it is one."""
    found: dict[str, list[Group]] = {}
    for group in groups.values():
        if group.state in ("firing", "no_data"):
            found.setdefault("" if is_together else key_of(group.labels), []).append(group)
    return found


def lead(groups: Sequence[Group], is_up: bool | None) -> Group:
    """The worst of them speaks for all."""
    found = groups[0]
    for group in groups[1:]:
        if worst(found.value, group.value, is_up) != found.value:
            found = group
    return found


def worst(one: float | None, other: float | None, is_up: bool | None) -> float | None:
    """The further one in the bad direction; where either direction is bad, the larger in size."""
    if one is None or other is None:
        return other if one is None else one
    if is_up is None:
        return max(one, other, key=abs)
    return max(one, other) if is_up else min(one, other)
