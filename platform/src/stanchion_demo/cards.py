"""What the shop's three cards do at any moment: busy by day, idle by night, one of them too hot in the afternoon. Pure.

Two hosts serve one model. The agent of the second dies for twelve minutes of every six hours, in the history and live;
its counters begin anew afterwards. How busy the cards are is told, not worked out from the conversations that are
played; three cards are too many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from stanchion_demo.storyline import DAILY, HISTORY_DAYS, Story
from stanchion_wire import gpu

MODEL = "llama-3.1-8b-instruct"
DEPLOYMENT = "llama-chat"
ENGINE_VERSION = "0.11.0"
HISTORY_STEP_S = 300
LIVE_STEP_S = 15
DEAD_FROM_MINUTE, DEAD_TO_MINUTE, CYCLE_MINUTES = 46, 58, 360
HOT_HOURS = range(13, 17)
MEMORY_BYTES, USED_BYTES = 23_034 << 20, 21_900_000_000
IDLE_W, LIMIT_W = 17.0, 72.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Card:
    host: str
    name: str
    uuid: str
    runs_hot: bool = False


CARDS = (
    Card("gpu-node-1", "gpu0", "GPU-5d1c0a8e-0001-4b7e-9a52-1f0e6c2d9a01"),
    Card("gpu-node-1", "gpu1", "GPU-5d1c0a8e-0002-4b7e-9a52-1f0e6c2d9a02"),
    Card("gpu-node-2", "gpu0", "GPU-5d1c0a8e-0003-4b7e-9a52-1f0e6c2d9a03", runs_hot=True),
)
MORTAL = "gpu-node-2"
HOSTS = ("gpu-node-1", "gpu-node-2")


def begins(story: Story) -> datetime:
    """The first full hour of the history: the deployment is in force, and the agents count, from there on."""
    first = story.anchor - timedelta(days=HISTORY_DAYS)
    return first.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def is_dead(story: Story, host: str, at: datetime) -> bool:
    minute = (at - story.anchor).total_seconds() / 60 % CYCLE_MINUTES
    return host == MORTAL and DEAD_FROM_MINUTE <= minute < DEAD_TO_MINUTE


def started(story: Story, host: str, at: datetime) -> datetime:
    """When the agent that speaks at this moment began to count."""
    if host != MORTAL:
        return begins(story)
    cycle = timedelta(minutes=CYCLE_MINUTES)
    offset = timedelta(minutes=DEAD_TO_MINUTE)
    last = story.anchor + offset + (at - story.anchor - offset) // cycle * cycle
    return max(begins(story), last)


def busy(story: Story, card: Card, at: datetime) -> float:
    """Share of time with work: by the hour of the day, smooth between hours, none in the small hours."""
    hour, part = at.hour, at.minute / 60
    level = DAILY[hour] * (1 - part) + DAILY[(hour + 1) % 24] * part
    noise = Random(f"{story.seed}/{card.uuid}/{_step(at)}").gauss(0, 0.03)
    found = 0.2 * (level - 0.4) / 1.35 + noise
    return 0.0 if level < 0.46 else round(min(0.97, max(0.01, found)), 4)


def is_hot(card: Card, at: datetime) -> bool:
    return card.runs_hot and at.hour in HOT_HOURS


def power_w(story: Story, card: Card, at: datetime) -> float:
    share = math.pow(busy(story, card, at), 0.7)
    return round(IDLE_W + (LIMIT_W - IDLE_W) * share * (0.8 if is_hot(card, at) else 1.0), 2)


def temperature_c(story: Story, card: Card, at: datetime) -> float:
    base = 36 + 60 * busy(story, card, at)
    return round(min(88.0, base + 26) if is_hot(card, at) else base, 1)


def throttled_share(story: Story, card: Card, at: datetime) -> float:
    return 0.45 if is_hot(card, at) and busy(story, card, at) > 0.05 else 0.0


def _step(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds()) // HISTORY_STEP_S


@dataclass
class Meters:
    """Counters of one card since any moment of the story, by sums over steps of five minutes kept from the start."""

    story: Story
    card: Card
    _sums: list[tuple[float, float, float]] = field(default_factory=lambda: [(0.0, 0.0, 0.0)])

    def between(self, start: datetime, end: datetime) -> tuple[float, float, float]:
        """Joules, throttled seconds and answered tokens."""
        first, last = self._until(start), self._until(end)
        return last[0] - first[0], last[1] - first[1], last[2] - first[2]

    def _until(self, at: datetime) -> tuple[float, float, float]:
        passed_s = max(0.0, (at - begins(self.story)).total_seconds())
        steps, rest_s = divmod(passed_s, HISTORY_STEP_S)
        while len(self._sums) <= int(steps):
            self._sums.append(self._plus(self._sums[-1], len(self._sums) - 1, HISTORY_STEP_S))
        return self._plus(self._sums[int(steps)], int(steps), rest_s)

    def _plus(self, sums: tuple[float, float, float], step: int, seconds: float) -> tuple[float, float, float]:
        at = begins(self.story) + timedelta(seconds=step * HISTORY_STEP_S)
        rates = (
            power_w(self.story, self.card, at),
            throttled_share(self.story, self.card, at),
            60 * busy(self.story, self.card, at),
        )
        return sums[0] + rates[0] * seconds, sums[1] + rates[1] * seconds, sums[2] + rates[2] * seconds


def history_times(story: Story) -> Iterator[datetime]:
    """Steps of five minutes up to the anchor, newest first."""
    first = begins(story)
    count = math.floor((story.anchor - first).total_seconds() / HISTORY_STEP_S)
    return (first + timedelta(seconds=place * HISTORY_STEP_S) for place in range(count, -1, -1))


Number = tuple[str, str, float, dict[str, Any], bool]
"""Metric, unit, value, attributes, and whether it is a counter."""


def numbers(story: Story, meters: Meters, at: datetime) -> list[Number]:
    """What the agent says of one card, and of the engine on it."""
    card = meters.card
    joules, throttled_s, tokens = meters.between(started(story, card.host, at), at)
    share, own = busy(story, card, at), _attributes(card)
    engine = {gpu.ENGINE: "vllm", gpu.ENGINE_ENDPOINT: f"127.0.0.1:800{card.name[-1]}", gpu.ENGINE_MODEL: MODEL}
    engine |= {gpu.DEPLOYMENT: DEPLOYMENT}
    process = {**own, gpu.PROCESS_PID: str(4200 + CARDS.index(card)), gpu.PROCESS_NAME: "VLLM::EngineCore"}
    waiting = max(0, round(24 * (share - 0.16)))
    return [
        (gpu.UTILIZATION, "1", share, {**own, gpu.HW_GPU_TASK: "general"}, False),
        (gpu.UTILIZATION_MAX, "1", min(1.0, share * 1.5), own, False),
        (gpu.MEMORY_USAGE, "By", USED_BYTES, own, False),
        (gpu.MEMORY_LIMIT, "By", MEMORY_BYTES, own, False),
        (gpu.POWER, "W", power_w(story, card, at), own, False),
        (gpu.POWER_LIMIT, "W", LIMIT_W, own, False),
        (gpu.TEMPERATURE, "Cel", temperature_c(story, card, at), {**own, gpu.SENSOR: "core"}, False),
        (gpu.ENERGY, "J", round(joules, 1), {**own, gpu.ENERGY_METHOD: "counter"}, True),
        (gpu.THROTTLED, "s", round(throttled_s, 1), {**own, gpu.REASON: "software_thermal"}, True),
        (gpu.PROCESS_MEMORY, "By", USED_BYTES - 400_000_000, {**process, gpu.MODEL: MODEL}, False),
        (gpu.ENGINE_UP, "1", 1, engine, False),
        (gpu.RUNNING, "{request}", round(8 * share, 1), engine, False),
        (gpu.WAITING, "{request}", waiting, engine, False),
        (gpu.KV_CACHE_USE, "1", round(min(0.98, 2.5 * share), 4), engine, False),
        (gpu.GENERATED_TOKENS, "{token}", round(tokens), engine, True),
    ]


def _attributes(card: Card) -> dict[str, Any]:
    return {
        gpu.HW_ID: card.uuid, gpu.HW_TYPE: gpu.HW_TYPE_GPU, gpu.HW_NAME: card.name, gpu.HW_MODEL: "NVIDIA L4",
        gpu.HW_VENDOR: "NVIDIA", gpu.HW_DRIVER_VERSION: "570.86.15", gpu.DEPLOYMENT: DEPLOYMENT, gpu.JOB_KIND: "serve",
    }  # fmt: skip
