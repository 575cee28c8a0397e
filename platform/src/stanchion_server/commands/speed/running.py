"""Repeated runs of growing length, some of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stanchion_server.commands.speed import stream
from stanchion_server.commands.speed.stream import NoAnswer, Target
from stanchion_server.costs.calculators.speed import Case, Run
from stanchion_server.kernel import clock

PASSAGE = (
    "A lighthouse keeper counted the ships that passed each night and wrote their number on the wall. In winter the"
    " wall stayed white for weeks; in spring the numbers ran together until nobody could read them. One morning a"
    " painter came to whiten the wall again, and the keeper asked him to leave a single figure, the smallest of all,"
    " because that was the night on which the light had been most needed."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Cases of 1 to `cases` passages, each asked for `repeats` times, `concurrency` of them at a time."""

    cases: int
    repeats: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Measured:
    case: Case
    reasons: tuple[str, ...]


def prompt(length: int) -> str:
    """Both the prompt and the answer it asks for grow with `length`."""
    text = " ".join([PASSAGE] * length)
    return f"Repeat the following text word for word, all of it, and write nothing else.\n\n{text}"


def measure(target: Target, plan: Plan) -> Iterator[Measured]:
    """One case after the other, as they are done."""
    for length in range(1, plan.cases + 1):
        began_s = clock.monotonic_s()
        with ThreadPoolExecutor(plan.concurrency) as pool:
            outcomes = list(pool.map(lambda _, size=length: _one(target, size), range(plan.repeats)))
        wall_s = clock.monotonic_s() - began_s
        runs = tuple(one for one in outcomes if isinstance(one, Run))
        reasons = tuple(dict.fromkeys(one for one in outcomes if isinstance(one, str)))
        yield Measured(Case(length, runs, plan.repeats - len(runs), wall_s), reasons)


def _one(target: Target, length: int) -> Run | str:
    try:
        return stream.ask(target, prompt(length), length)
    except NoAnswer as error:
        return f"HTTP {error.status}: {error}" if error.status else str(error)
