"""What happens at Birchwood, and when: two weeks of history before an anchor, and what goes on after it. Pure.

The same seed and anchor give the same conversations, whatever the day and however often they are asked for. `EPISODES`
and `LIVE_EPISODES` name what is planted; `plan` counts what detectors and alerts should find in the history.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from stanchion_demo import agent, catalogue, jobs, support
from stanchion_demo.steps import App, Conversation, Kind, Turn
from stanchion_demo.support import Setting
from stanchion_demo.words import facts

HISTORY_DAYS = 14
HISTORY_HOURS = 24 * HISTORY_DAYS
LIVE_CYCLE_HOURS = 6
LIVE_PER_HOUR = 60.0
CROWDED_HOURS = 3
MIX = ((catalogue.SUPPORT, 54), (catalogue.TRIAGE, 15), (catalogue.SUMMARIES, 12), (catalogue.AGENT, 11),
       (catalogue.COPY, 8))  # fmt: skip
# Conversations by hour of the day (UTC) and weekday from Monday, both 1 on average: a shop between Cork and Gdańsk.
DAILY = (0.42, 0.36, 0.33, 0.33, 0.36, 0.45, 0.75, 1.1, 1.5, 1.7, 1.75, 1.65, 1.5, 1.55, 1.6, 1.55, 1.5, 1.45, 1.5, 1.6,
         1.45, 1.1, 0.75, 0.52)  # fmt: skip
WEEKLY = (1.2, 1.14, 1.08, 1.05, 1.03, 0.72, 0.78)
# From the anchor's fourteenth day before to its own: the shop lets more and more customers talk to the bot.
FIRST_DAY, LAST_DAY = 85.0, 235.0

TROUBLE = (
    (Kind.TOXIC_INPUT, 0.012), (Kind.TOXIC_OUTPUT, 0.006), (Kind.PII_INPUT, 0.022), (Kind.PII_OUTPUT, 0.006),
    (Kind.SECRET_INPUT, 0.004), (Kind.INJECTION_DIRECT, 0.016), (Kind.INJECTION_DOCUMENT, 0.014),
    (Kind.UNGROUNDED, 0.022), (Kind.REFUSAL, 0.010),
)  # fmt: skip
"""How often a support conversation is planted with each kind, outside of episodes."""
GUARD_TROUBLE = frozenset({Kind.GUARD_OUTAGE, Kind.GUARD_LATE})
DIGEST_HOURS = range(6, 22)
"""One digest in each of these hours of the day (UTC)."""
IMPORT_AT = (9, 30)
IMPORTED_AT_FIRST, MOST_IMPORTED = 6, 90
"""Products of the first day's import at 9:30 UTC, and of any."""
_MOST_NUMBERED = 99
"""Of an hour's thousand numbers those from 900 on are the import's, and the last one is the digest's."""
FAILURES = ((429, 0.022), (408, 0.012), (500, 0.014))


@dataclass(frozen=True, slots=True)
class Episode:
    """`conversations` more than usual between two moments, in minutes from the anchor; or, with 0, those that come by
    anyway behave differently."""

    kind: Kind
    app: App
    from_minute: int
    to_minute: int
    conversations: int

    def window(self, anchor: datetime) -> tuple[datetime, datetime]:
        return anchor + timedelta(minutes=self.from_minute), anchor + timedelta(minutes=self.to_minute)

    def covers(self, minute: float) -> bool:
        return self.from_minute <= minute < self.to_minute


EPISODES = (
    Episode(Kind.SLOW_RELEASE, catalogue.SUPPORT, -8 * 1440, -6 * 1440, 0),
    Episode(Kind.PROVIDER_INCIDENT, catalogue.SUPPORT, -3 * 1440 - 300, -3 * 1440 - 240, 14),
    Episode(Kind.GUARD_OUTAGE, catalogue.SUPPORT, -32 * 60, -28 * 60, 0),
    Episode(Kind.GUARD_LATE, catalogue.SUPPORT, -20 * 60, -16 * 60, 0),
    Episode(Kind.COST_SPIKE, catalogue.AGENT, -15 * 60, -13 * 60, 14),
    Episode(Kind.TOXICITY_WAVE, catalogue.SUPPORT, -9 * 60, -8 * 60, 36),
)
LIVE_EPISODES = (
    Episode(Kind.COST_SPIKE, catalogue.AGENT, 6, 9, 12),
    Episode(Kind.TOXICITY_WAVE, catalogue.SUPPORT, 20, 26, 36),
    Episode(Kind.GUARD_OUTAGE, catalogue.SUPPORT, 40, 60, 0),
)
"""Minutes from the anchor; they come again every LIVE_CYCLE_HOURS."""


@dataclass(frozen=True, slots=True)
class Release:
    app: App
    from_minute: float
    name: str
    prompt_version: str = ""
    slowness: float = 1.0
    invents: float = 0.0


ALWAYS = -math.inf
RELEASES = (
    Release(catalogue.SUPPORT, ALWAYS, "2.3.0", "v6"),
    Release(catalogue.SUPPORT, -8 * 1440, "2.4.0", "v7", slowness=2.1, invents=0.07),
    Release(catalogue.SUPPORT, -6 * 1440, "2.4.1", "v8"),
    Release(catalogue.AGENT, ALWAYS, "1.8.2"),
    Release(catalogue.AGENT, -4 * 1440, "1.9.0"),
    Release(catalogue.SUMMARIES, ALWAYS, "0.12.3"),
    Release(catalogue.TRIAGE, ALWAYS, "0.12.3"),
    Release(catalogue.COPY, ALWAYS, "5.1.0"),
    Release(catalogue.DIGEST, ALWAYS, "0.12.3"),
)


@dataclass(frozen=True, slots=True)
class Story:
    """`anchor` ends the history and begins what is live; `scale` 0.1 is a tenth of the conversations."""

    anchor: datetime
    seed: int = 7
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the history holds. `planted` counts conversations by kind; one may count for several kinds."""

    conversations: int
    calls: int
    traces: int
    planted: Counter[Kind]


def plan(story: Story) -> Plan:
    """Builds the whole history to count it: about a second."""
    planted: Counter[Kind] = Counter()
    conversations = calls = traces = 0
    for each in history(story):
        planted.update(each.planted)
        conversations, calls, traces = conversations + 1, calls + each.calls, traces + len(each.turns)
    return Plan(conversations, calls, traces, planted)


def history(story: Story, *, newest_day_first: bool = False) -> Iterator[Conversation]:
    """The conversations that began before the anchor and ended before it too, in order of time within each day."""
    days = range(HISTORY_DAYS)
    for day in reversed(days) if newest_day_first else days:
        for hour in range(24 * day, 24 * day + 24):
            yield from (each for each in _hour(story, hour) if _end(each) < story.anchor)


def live(story: Story, after: datetime) -> Iterator[Conversation]:
    """Without end: those that begin at or after the anchor and `after`, in order of time."""
    first = max(0, int((after - story.anchor).total_seconds() // 3600))
    for hour in count(HISTORY_HOURS + first):
        yield from (each for each in _hour(story, hour) if each.at >= after)


def episodes(minute: float) -> tuple[Episode, ...]:
    """Those in force at a minute from the anchor, live ones repeated."""
    if minute < 0:
        return tuple(episode for episode in EPISODES if episode.covers(minute))
    return tuple(episode for episode in LIVE_EPISODES if episode.covers(minute % (60 * LIVE_CYCLE_HOURS)))


def release_of(app: App, minute: float) -> Release:
    return [each for each in RELEASES if each.app == app and each.from_minute <= minute][-1]


def expected_per_hour(story: Story, hour: int) -> float:
    """Usual conversations in an hour, counted from the start of the history. The last hours before the anchor are
    never empty, whatever the time of day."""
    begins = story.anchor + timedelta(hours=hour - HISTORY_HOURS)
    progress = min(hour, HISTORY_HOURS) / HISTORY_HOURS
    a_day = FIRST_DAY + (LAST_DAY - FIRST_DAY) * progress
    now = begins.astimezone(UTC)
    usual = a_day / 24 * DAILY[now.hour] * WEEKLY[now.weekday()] / (sum(DAILY) / 24)
    if hour < HISTORY_HOURS - CROWDED_HOURS:
        return story.scale * usual
    return story.scale * max(usual, LIVE_PER_HOUR if hour >= HISTORY_HOURS else LIVE_PER_HOUR / 2)


def drift(minute: float) -> tuple[float, float]:
    """Shares of recall questions and of other languages: low for nine days, then rising over five."""
    progress = min(1.0, max(0.0, (minute + 5 * 1440) / (5 * 1440)))
    return 0.01 + 0.27 * progress, 0.04 + 0.2 * progress


def _hour(story: Story, hour: int) -> list[Conversation]:
    rng = Random(f"{story.seed}/hour/{hour}")
    expected = expected_per_hour(story, hour)
    usual = int(expected) + (rng.random() < expected % 1)
    usual = max(0, usual + round(rng.gauss(0, math.sqrt(expected) / 2)))
    starts: list[tuple[float, Episode | None]] = [(60 * rng.random(), None) for _ in range(usual)]
    starts += [start for episode in _touching(hour) for start in _extra(story, rng, hour, episode)]
    starts.sort(key=lambda start: start[0])
    from_anchor = 60 * (hour - HISTORY_HOURS)
    told = [
        _conversation(story, hour * 1000 + place, from_anchor + minute, episode)
        for place, (minute, episode) in enumerate(starts)
    ]
    return sorted([*told, *_digests(story, hour), *_imports(story, hour)], key=lambda each: each.at)


def _digests(story: Story, hour: int) -> list[Conversation]:
    """The hour's run of the job on the shop's own cards, where there is one."""
    number = hour * 1000 + 999
    rng = Random(f"{story.seed}/conversation/{number}")
    minute = 60 * (hour - HISTORY_HOURS + rng.random())
    at = story.anchor + timedelta(milliseconds=round(minute * 60_000))
    if at.astimezone(UTC).hour not in DIGEST_HOURS or rng.random() >= story.scale:
        return []
    turns, planted = jobs.digest(rng, facts(rng, at))
    app, release = catalogue.DIGEST, release_of(catalogue.DIGEST, minute).name
    return [Conversation(number, at, app, release, "production", f"{app.feature}-{number}", "", turns, planted)]


def _imports(story: Story, hour: int) -> list[Conversation]:
    """The catalogue's daily import, if it falls into this hour: within one minute, and by a product more each day."""
    begin = story.anchor + timedelta(hours=hour - HISTORY_HOURS)
    at = begin.astimezone(UTC).replace(hour=IMPORT_AT[0], minute=IMPORT_AT[1], second=0, microsecond=0)
    at += timedelta(days=at < begin)
    if at >= begin + timedelta(hours=1):
        return []
    first = (story.anchor - timedelta(days=HISTORY_DAYS)).astimezone(UTC).date()
    count = round(story.scale * min(IMPORTED_AT_FIRST + (at.date() - first).days, MOST_IMPORTED))
    count = min(count, _MOST_NUMBERED)
    return [
        _imported(story, hour * 1000 + 900 + place, at + timedelta(seconds=50 * place / count))
        for place in range(count)
    ]


def _imported(story: Story, number: int, at: datetime) -> Conversation:
    rng = Random(f"{story.seed}/conversation/{number}")
    turns, planted = jobs.copy(rng, facts(rng, at))
    app = catalogue.COPY
    release = release_of(app, (at - story.anchor).total_seconds() / 60).name
    return Conversation(number, at, app, release, "production", f"{app.feature}-{number}", "", tuple(turns), planted)


def _touching(hour: int) -> list[Episode]:
    """The episodes that add conversations in some minute of the hour."""
    first = 60 * (hour - HISTORY_HOURS)
    return [each for each in {e for minute in range(60) for e in episodes(first + minute)} if each.conversations]


def _extra(story: Story, rng: Random, hour: int, episode: Episode) -> list[tuple[float, Episode | None]]:
    """This hour's share of an episode, spread evenly with some jitter."""
    first = 60 * (hour - HISTORY_HOURS)
    start = first if first < 0 else first % (60 * LIVE_CYCLE_HOURS)
    begin, end = max(episode.from_minute, start), min(episode.to_minute, start + 60)
    length = episode.to_minute - episode.from_minute
    number = max(1, round(episode.conversations * story.scale * (end - begin) / length))
    step = (end - begin) / number
    return [(begin - start + step * (place + rng.random()), episode) for place in range(number)]


def _conversation(story: Story, number: int, minute: float, episode: Episode | None) -> Conversation:
    rng = Random(f"{story.seed}/conversation/{number}")
    at = story.anchor + timedelta(milliseconds=round(minute * 60_000))
    app = episode.app if episode else rng.choices([app for app, _ in MIX], weights=[share for _, share in MIX])[0]
    release = release_of(app, minute)
    turns, planted = _turns(rng, app, release, at, minute, episode)
    if episode is not None:
        planted |= {episode.kind}
    planted |= {each.kind for each in episodes(minute) if each.kind in GUARD_TROUBLE and each.app is app}
    is_person = app is catalogue.SUPPORT
    return Conversation(
        number=number,
        at=at,
        app=app,
        release=release.name,
        environment="staging" if rng.random() < 0.06 and episode is None else "production",
        session=f"{app.feature}-{Random(f'{story.seed}/session/{number}').getrandbits(40):010x}",
        user=f"customer-{1000 + int(900 * rng.random() ** 2)}" if is_person else "",
        turns=tuple(turns),
        planted=planted,
        tags=("checkout-widget",) if is_person and rng.random() < 0.3 else (),
    )


def _turns(
    rng: Random, app: App, release: Release, at: datetime, minute: float, episode: Episode | None
) -> tuple[list[Turn], frozenset[Kind]]:
    known = facts(rng, at)
    kind = episode.kind if episode else None
    failure = _failure(rng, kind)
    if app is catalogue.SUPPORT:
        recall, foreign = drift(minute)
        trouble = Kind.TOXIC_INPUT if kind is Kind.TOXICITY_WAVE else None if kind else _trouble(rng)
        setting = Setting(release.prompt_version, release.slowness, release.invents, recall, foreign, failure, trouble)
        return support.conversation(rng, known, setting)
    if app is catalogue.AGENT:
        return agent.loop(rng, known, release.name) if kind else agent.run(rng, known, release.name, failure)
    return {catalogue.SUMMARIES: jobs.summary, catalogue.TRIAGE: jobs.triage, catalogue.COPY: jobs.copy}[app](
        rng, known
    )


def _trouble(rng: Random) -> Kind | None:
    kinds = [kind for kind, _ in TROUBLE]
    shares = [share for _, share in TROUBLE]
    return rng.choices([None, *kinds], weights=[1 - sum(shares), *shares])[0]


def _failure(rng: Random, kind: Kind | None) -> int:
    if kind is Kind.PROVIDER_INCIDENT:
        return rng.choices((429, 500, 408), weights=(5, 3, 2))[0]
    if kind is not None:
        return 0
    statuses = [status for status, _ in FAILURES]
    shares = [share for _, share in FAILURES]
    return rng.choices([0, *statuses], weights=[1 - sum(shares), *shares])[0]


def duration_s(conversation: Conversation) -> float:
    """From the first message to the last answer, ratings left out."""
    return sum(turn.pause_s + sum(step.latency_s for step in turn.steps) for turn in conversation.turns)


def _end(conversation: Conversation) -> datetime:
    return conversation.at + timedelta(seconds=duration_s(conversation) + 5)
