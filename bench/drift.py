"""Drift on made traffic: how often nothing alarms, what is found at which strength, and how soon.

`--only false,power,time,texts,bands` picks parts; `--texts FILE` is a JSON Lines file with `text` and `category` (the
evaluation data's clinc150) for drift by mixing in another domain. Needs no database.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics as figures
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np

from stanchion_server.drift import anomalies, columns, judging, shuffling, sides, statistics, texts, users
from stanchion_server.drift.anomalies import Point
from stanchion_server.drift.records import CallKey, Side

PARTS = ("false", "power", "time", "texts", "bands")
DAY = timedelta(days=1)
SHIFT = datetime(2026, 11, 16, tzinfo=UTC)
ALPHA = 0.05
MOST_CALLS = 4_000
"""As the product samples: whole sessions until so many calls are left."""
REFERENCE_DAYS = 7
LANGUAGES = ("en", "de", "fr")
_MADE = np.random.default_rng(11)
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
WORDS = ["".join(_MADE.choice(_SYLLABLES, size=3)) for _number in range(3_000)]
TOPIC_WORDS = [list(_MADE.choice(WORDS, size=60, replace=False)) for _topic in range(7)]
OLD_TOPICS, NEW_TOPIC = 6, 6


@dataclass(frozen=True)
class World:
    """What calls are like. A change of one field is a shift."""

    length_ratio: float = 1.0
    token_ratio: float = 1.0
    latency_ratio: float = 1.0
    german: float = 0.1
    new_topic: float = 0.0
    second_model: float = 0.3
    score: float = 0.2
    errors: float = 0.02
    new_users: float = 0.02
    odd_answers: float = 0.0
    calls_a_day: int = 250


@dataclass(frozen=True)
class Shift:
    """`column` is where it is to be found, `field` of the world what changes, `form` how a strength reads."""

    column: str
    field: str
    strengths: tuple[float, ...]
    form: str

    def of(self, strength: float, usual: World) -> World:
        return replace(usual, **{self.field: strength})


SHIFTS = {
    "length of the prompt": Shift("prompt_characters", "length_ratio", (1.1, 1.25, 1.5), "× {}"),
    "output tokens": Shift("output_tokens", "token_ratio", (1.1, 1.25, 1.5), "× {}"),
    "latency": Shift("latency_ms", "latency_ratio", (1.1, 1.25, 1.5), "× {}"),
    "language mix": Shift("language", "german", (0.15, 0.2, 0.3), "10 to {:.0%} of sessions"),
    "new topic": Shift("topic", "new_topic", (0.1, 0.2, 0.4), "{:.0%} of sessions"),
    "text of the prompt": Shift("prompt", "new_topic", (0.1, 0.2, 0.4), "{:.0%} of sessions"),
    "text of the answer": Shift("response", "odd_answers", (0.1, 0.2, 0.4), "{:.0%} of calls"),
    "model mix": Shift("model", "second_model", (0.35, 0.45, 0.6), "30 to {:.0%}"),
    "score (model drift)": Shift("score:quality", "score", (0.22, 0.25, 0.3), "0.2 to {}"),
    "errors": Shift("outcome", "errors", (0.04, 0.08, 0.15), "2 to {:.0%}"),
    "new users": Shift("new_users", "new_users", (0.1, 0.2, 0.4), "2 to {:.0%} of sessions"),
}


@dataclass(frozen=True)
class Call:
    at: datetime
    session: str
    user: str
    language: str
    topic: int
    model: str
    prompt: list[str]
    answer: list[str]
    tokens: float
    latency_ms: float
    score: float
    failed: bool


def calls(random: np.random.Generator, start: datetime, end: datetime, world: World) -> Iterator[Call]:
    """Sessions of one to six calls. A session keeps its user, language and topic, and has a latency of its own."""
    wanted = int(world.calls_a_day * ((end - start) / DAY) / 3.5)
    for number in range(wanted):
        at = start + (end - start) * random.random()
        session = f"{start:%d%H}-{number}"
        is_new = random.random() < world.new_users
        user = f"new-{session}" if is_new else f"u{int(random.integers(300))}"
        german = random.random() < world.german
        topic = NEW_TOPIC if random.random() < world.new_topic else int(random.integers(OLD_TOPICS))
        slowness = random.normal(0, 0.3)
        for _turn in range(int(random.integers(1, 7))):
            odd = random.random() < world.odd_answers
            length = max(4, int(random.lognormal(2.6, 0.4) * world.length_ratio))
            yield Call(
                at=at, session=session, user=user, language="de" if german else "en", topic=topic,
                model="b" if random.random() < world.second_model else "a", prompt=text(random, topic, length),
                answer=text(random, NEW_TOPIC if odd else topic, 20),
                tokens=random.lognormal(4, 0.5) * world.token_ratio,
                latency_ms=random.lognormal(0, 0.4) * math.exp(slowness) * 1000 * world.latency_ratio,
                score=float(np.clip(random.normal(world.score, 0.1), 0, 1)), failed=random.random() < world.errors,
            )  # fmt: skip


def text(random: np.random.Generator, topic: int, length: int) -> list[str]:
    """A third of the words are the topic's, the others fall off by rank as words of a language do."""
    common = WORDS[: len(WORDS)]
    ranks = np.minimum(random.zipf(1.3, length) - 1, len(common) - 1)
    own = random.random(length) < 0.33
    words = [
        TOPIC_WORDS[topic][int(random.integers(60))] if mine else common[int(rank)]
        for mine, rank in zip(own, ranks, strict=True)
    ]
    return [word[: texts.STEM] for word in words]


def side(listed: list[Call]) -> Side:
    return Side(
        keys=tuple(CallKey(UUID(int=number), number, one.at) for number, one in enumerate(listed)),
        units=tuple(one.session for one in listed),
        numbers={
            "prompt_characters": [float(sum(map(len, one.prompt))) for one in listed],
            "response_characters": [float(sum(map(len, one.answer))) for one in listed],
            "output_tokens": [one.tokens for one in listed],
            "latency_ms": [one.latency_ms for one in listed],
            "cost_usd": [one.tokens * (4e-6 if one.model == "b" else 1e-6) for one in listed],
        },
        labels={
            "language": [one.language for one in listed],
            "model": [one.model for one in listed],
            "outcome": ["error timeout" if one.failed else "answered" for one in listed],
            "hour": [f"{one.at:%H}" for one in listed],
        },
        words={"prompt": [one.prompt for one in listed], "response": [one.answer for one in listed]},
        scores={("quality", "1"): [one.score for one in listed]},
        counted=len(listed),
    )


def judged(
    before: list[Call], now: list[Call], at: datetime, seed: int, *, by_call: bool = False
) -> tuple[judging.Finding, ...]:
    """As the product judges; `by_call` takes every call for independent, to show what that costs."""
    reference, current = side(before), side(now)
    if by_call:
        reference, current = (
            replace(one, units=tuple(str(n) for n in range(len(one.keys)))) for one in (reference, current)
        )
    sample = sides.joined(reference, current)
    counts = Counter((one.user, math.ceil((at - one.at) / DAY) - 1) for one in [*before, *now])
    others = users.columns(((user, place, many) for (user, place), many in counts.items()), REFERENCE_DAYS)
    random = np.random.default_rng(seed)
    prepared = columns.prepare(sample, others, (), random)
    return judging.judge(prepared.columns, None, judging.Rules(ALPHA, seed))


Stream = list[Call]


def stream(seed: int, usual: World, shifted: World, hours: int = 24) -> Stream:
    """Nine days before the shift and `hours` after it."""
    random = np.random.default_rng(seed)
    before = calls(random, SHIFT - (REFERENCE_DAYS + 2) * DAY, SHIFT, usual)
    return [*before, *calls(random, SHIFT, SHIFT + timedelta(hours=hours), shifted)]


def windows(stream: Stream, hours: int = 24) -> tuple[Stream, Stream, datetime]:
    """The 24 hours up to `hours` after the shift, and the week before them."""
    at = SHIFT + timedelta(hours=hours)
    start = at - DAY - REFERENCE_DAYS * DAY
    now = [one for one in stream if at - DAY <= one.at < at]
    return _sampled([one for one in stream if start <= one.at < at - DAY]), _sampled(now), at


def _sampled(listed: Stream) -> Stream:
    """Sessions in the order of a hash of their name, as many as fit."""
    if len(listed) <= MOST_CALLS:
        return listed
    limit = int(2**32 * MOST_CALLS / len(listed))
    return [one for one in listed if zlib.crc32(one.session.encode()) < limit]


def false_alarms(usual: World, seeds: int) -> None:
    """Nothing has changed: how often a column's test, its verdict, and a run's verdict say otherwise."""
    sure, drifted, known, runs = Counter[str](), Counter[str](), Counter[str](), 0
    for seed in range(seeds):
        found = judged(*windows(stream(seed, usual, usual)), seed)
        known.update(one.column for one in found if one.p is not None)
        sure.update(one.column for one in found if one.p is not None and one.p <= ALPHA)
        drifted.update(one.column for one in found if one.verdict == "drift")
        runs += any(one.verdict == "drift" for one in found)
    table(f"Runs that alarm though nothing changed: {share(runs, seeds)}", "column", f"p ≤ {ALPHA}", "verdict drift")
    for name in sorted(known):
        rates = share(sure[name], known[name]), share(drifted[name], known[name])
        print(f"| {columns.label_of(name)} | {' | '.join(rates)} |")
    fewer, careless = max(seeds // 4, 1), 0
    for seed in range(fewer):
        found = judged(*windows(stream(seed, usual, usual)), seed, by_call=True)
        careless += any(one.verdict == "drift" for one in found)
    print(f"\nThe same with every call taken for independent, {fewer} runs: {share(careless, fewer)}")


def table(title: str, *heads: str) -> None:
    print(f"\n### {title}\n\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)


def share(part: int, whole: int) -> str:
    """With a 95 % interval (Wilson)."""
    if not whole:
        return "not judged"
    z, p = 1.96, part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return f"{p:.3f} ({max(0, middle - half):.3f} to {min(1, middle + half):.3f})"


def power(usual: World, seeds: int) -> None:
    """The whole current day is shifted: in how many runs the right column is drift, and in how many any is."""
    table(f"Found after a whole day, of {seeds} runs", "shift", "strength", "in its column", "in any")
    for name, shift in SHIFTS.items():
        for strength in shift.strengths:
            hits = anywhere = 0
            for seed in range(seeds):
                before, now, at = windows(stream(100_000 + seed, usual, shift.of(strength, usual)))
                drifted = {one.column for one in judged(before, now, at, seed) if one.verdict == "drift"}
                hits += shift.column in drifted
                anywhere += bool(drifted)
            print(
                f"| {name} | {shift.form.format(strength)} | {hits / seeds:.2f} | {anywhere / seeds:.2f} |", flush=True
            )


def time_to_detection(usual: World, seeds: int) -> None:
    """The strongest shift of each kind; a run every six hours over the last 24 hours."""
    hours = (6, 12, 18, 24, 30, 36)
    table(f"Hours until a run tells the right column, {seeds} streams", "shift", "strength", "median", "within 24 h")
    for name, shift in SHIFTS.items():
        strength = shift.strengths[-1]
        first = [_first(seed, shift, usual, hours) for seed in range(seeds)]
        known = sorted(math.inf if one is None else one for one in first)
        median = figures.median_low(known)
        told = "not within 36" if median == math.inf else f"{median:.0f}"
        print(
            f"| {name} | {shift.form.format(strength)} | {told} | {sum(one <= 24 for one in known) / seeds:.2f} |",
            flush=True,
        )


def _first(seed: int, shift: Shift, usual: World, hours: tuple[int, ...]) -> float | None:
    told = stream(200_000 + seed, usual, shift.of(shift.strengths[-1], usual), hours[-1])
    for after in hours:
        before, now, at = windows(told, after)
        if any(one.column == shift.column and one.verdict == "drift" for one in judged(before, now, at, seed)):
            return float(after)
    return None


def mixed_texts(path: Path, seeds: int) -> None:
    """Real messages; a share of the current ones comes from a domain that the reference lacks."""
    by_domain = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        by_domain[row["category"]].append(row["text"])
    domains = sorted(name for name in by_domain if name != "oos")
    table(
        f"Messages from another domain, {seeds} draws",
        "messages on each side",
        "share new",
        f"p ≤ {ALPHA}",
        "verdict drift",
        "median shift",
    )
    for count in (100, 300, 600):
        for new in (0.0, 0.05, 0.1, 0.2, 0.4):
            sure, counted, shifts = 0, 0, []
            for seed in range(seeds):
                found = _mixture(by_domain, domains[seed % len(domains)], count, new, seed)
                sure += found[0] <= ALPHA
                counted += found[0] <= ALPHA and found[1] >= judging.SMALLEST["text"]
                shifts.append(found[1])
            print(
                f"| {count} | {new:.0%} | {sure / seeds:.2f} | {counted / seeds:.2f} | {figures.median(shifts):.3f} |",
                flush=True,
            )


def _mixture(by_domain: dict[str, list[str]], domain: str, count: int, new: float, seed: int) -> tuple[float, float]:
    random = np.random.default_rng([seed, count, int(new * 100)])
    base = [one for name, listed in by_domain.items() if name not in (domain, "oos") for one in listed]
    drawn = list(random.choice(base, 2 * count, replace=False))
    odd = list(random.choice(by_domain[domain], min(int(new * count), len(by_domain[domain])), replace=False))
    drawn[len(drawn) - len(odd) :] = odd
    vectors = texts.vectors([texts.words_of(one) for one in drawn], random)
    flags = np.arange(2 * count) >= count
    statistic = statistics.Meaning(vectors, np.arange(2 * count))
    observed = float(statistic(flags[None, :])[0])
    chance = shuffling.judge(statistic, flags, observed, 999, random)
    return chance.p, math.sqrt(max(observed**2 - chance.square_mean, 0.0))


def bands(seeds: int) -> None:
    """Means of 20 calls with busy days and quiet nights: how often each reading is wrong, and what it sees."""
    table(f"Bands, {seeds} series", "reading", "nothing changed", "ratio 1.5", "ratio 2", "ratio 3")
    for sort in ("sudden", "slow", "seasonal", "level"):
        rates = [figures.mean(_is_out(sort, seed, ratio) for seed in range(seeds)) for ratio in (1.0, 1.5, 2.0, 3.0)]
        print(f"| {sort} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |", flush=True)


def _is_out(sort: str, seed: int, ratio: float) -> bool:
    """The newest value (sudden, seasonal), the newest six hours (slow) or the last two days (level) are `ratio` times
    as high; before them everything is usual."""
    random = np.random.default_rng([seed, int(ratio * 10)])
    start = SHIFT + timedelta(hours=int(random.integers(24)))
    if sort == "seasonal":
        points = _series(random, start, timedelta(weeks=1), 7, 1, ratio)
        return anomalies.seasonal(points[-1], [point.value for point in points[:-1]]).verdict == "anomaly"
    if sort == "level":
        return anomalies.level(_series(random, start, timedelta(hours=1), 168, 48, ratio)).verdict == "anomaly"
    days = anomalies.ratios_of_day(_series(random, start - 6 * DAY, timedelta(hours=1), 144, 0, 1.0))
    changed, reading = {"sudden": (1, anomalies.sudden), "slow": (24, anomalies.slow)}[sort]
    points = _series(random, start, timedelta(minutes=15), 100, changed, ratio)
    return reading(anomalies.without_day(points, days)).verdict == "anomaly"


def _series(
    random: np.random.Generator, start: datetime, step: timedelta, count: int, changed: int, ratio: float
) -> list[Point]:
    """Means of 20 calls; the last `changed` are `ratio` times as high."""
    points = []
    for place in range(count):
        at = start + step * place
        usual = 1_000 * (1 + 0.3 * math.sin(at.hour / 24 * 2 * math.pi))
        mean = float(random.lognormal(0, 0.6, 20).mean()) * usual * (ratio if place >= count - changed else 1)
        points.append(Point(at, mean))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seeds", type=int, default=200, help="runs without drift; others take a fifth of them")
    parser.add_argument("--calls-a-day", type=int, default=250)
    parser.add_argument("--texts", type=Path)
    options = parser.parse_args()
    usual = World(calls_a_day=options.calls_a_day)
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)[0]}; there are {', '.join(PARTS)}")
    began_s = time.process_time()
    if "false" in wanted:
        false_alarms(usual, options.seeds)
    if "power" in wanted:
        power(usual, max(options.seeds // 5, 1))
    if "time" in wanted:
        time_to_detection(usual, max(options.seeds // 10, 1))
    if "texts" in wanted:
        if options.texts:
            mixed_texts(options.texts, options.seeds)
        else:
            print("\nDrift of texts by domain is left out: no --texts FILE.", file=sys.stderr)
    if "bands" in wanted:
        bands(options.seeds * 5)
    print(f"\n{time.process_time() - began_s:.0f} CPU s")


if __name__ == "__main__":
    main()
