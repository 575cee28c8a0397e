"""All calculators, and the one way to ask them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stanchion_server.costs.calculators import (
    batched,
    batching,
    blocks,
    checks,
    conversations,
    energy,
    headroom,
    hosting,
    measured,
    memory,
    reported,
    serverless,
    serving,
    texts,
    training,
    tuning,
    workload,
)
from stanchion_server.costs.calculators.fields import read_all
from stanchion_server.costs.calculators.results import Calculator, Result
from stanchion_server.kernel.errors import SenderError

ALL = (
    hosting.API_COST,
    hosting.SELF_HOSTING,
    hosting.BREAK_EVEN,
    serverless.SERVERLESS,
    memory.MEMORY,
    memory.KV_CACHE,
    memory.WINDOW,
    blocks.BLOCKS,
    workload.WORKLOAD,
    headroom.HEADROOM,
    measured.TAIL,
    measured.INDEX,
    serving.SERVING,
    serving.CHECK,
    tuning.SERVING_DIFFERENCES,
    serving.SPACE,
    tuning.SERVING_TRIALS,
    reported.REFERENCE_SPEEDS,
    training.TRAINING,
    energy.ENERGY,
    conversations.CONVERSATION,
    conversations.SHORTER,
    texts.TEXT_TOKENS,
    conversations.TOKENS,
    conversations.FEW_SHOT,
    batching.BATCH_PROMPTING,
    batched.BATCHED_ANSWERS,
    batching.CACHE,
    batching.TRIALS,
    batching.SECTIONS,
    measured.COMPARISON,
    checks.FIGURE_CHECK,
    checks.OPTION_ORDER,
    checks.TEAM_ROLES,
)
BY_NAME: Mapping[str, Calculator] = {one.name: one for one in ALL}


@dataclass(frozen=True, slots=True)
class Answer:
    """`given` are the values that were used, defaults included; empty where a value was left out."""

    calculator: Calculator
    given: Mapping[str, str]
    result: Result


def find(name: str) -> Calculator:
    found = BY_NAME.get(name)
    if found is None:
        raise SenderError("not_found", f"There is no calculator {name[:80]!r}. There are {', '.join(BY_NAME)}.", 404)
    return found


def ask(name: str, given: Mapping[str, str]) -> Answer:
    """Values as texts; what is left out takes its default. Raises SenderError with the value and the remedy."""
    calculator = find(name)
    values = read_all(calculator.fields, given)
    used = {field.name: given.get(field.name, "").strip() or field.default or "" for field in calculator.fields}
    return Answer(calculator, used, calculator.compute(values))
