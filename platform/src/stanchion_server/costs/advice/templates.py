"""What prompts are made of: the beginning that stays, the rest that changes, and prompts that begin like others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.prefixes import Beginning, Group, group_of, prefix_tokens
from stanchion_server.costs.advice.records import CallFact, ModelName, PromptName, Tariff

ALIKE_RATIO = 0.9
SHORTEST = 200
"""Characters: greetings alone are alike by chance."""


@dataclass(frozen=True, slots=True)
class Template:
    """Mean tokens of a prompt of this feature, model and name; the fixed ones are its share of characters that four
    fifths of the sampled prompts begin with. `fixed_usd` is what these cost in all calls at today's price, None without
    a price per token. `twins` are other prompts whose fixed part is the same but for a tenth."""

    feature: str
    model: ModelName
    prompt: PromptName
    calls: int
    sampled: int
    tokens: float
    fixed_tokens: int
    fixed_usd: Decimal | None
    twins: tuple[str, ...]

    @property
    def fixed_ratio(self) -> float:
        return self.fixed_tokens / self.tokens


def told(
    calls: Iterable[CallFact], beginnings: Mapping[Group, Beginning], tariffs: Mapping[ModelName, Tariff | None]
) -> list[Template]:
    """Those with a fixed part, the dearest first."""
    groups: dict[Group, list[CallFact]] = defaultdict(list)
    for call in calls:
        if group_of(call) in beginnings and call.input_tokens and not call.is_failed:
            groups[group_of(call)].append(call)
    found = [_template(group, some, beginnings, tariffs.get(group[1])) for group, some in groups.items()]
    found.sort(key=lambda one: (-(one.fixed_usd or 0), -one.fixed_tokens * one.calls, one.feature, one.model))
    return [one for one in found if one.fixed_tokens]


def _template(
    group: Group, calls: list[CallFact], beginnings: Mapping[Group, Beginning], tariff: Tariff | None
) -> Template:
    feature, model, prompt = group
    fixed = prefix_tokens(calls, beginnings[group])
    cached = sum(min(call.cached_input_tokens or 0, fixed) for call in calls)
    usd = None
    if tariff is not None and tariff.input_usd:
        usd = cached * tariff.cached_usd + (fixed * len(calls) - cached) * tariff.input_usd
    return Template(
        feature, model, prompt, len(calls), beginnings[group].sampled,
        sum(call.input_tokens or 0 for call in calls) / len(calls), fixed, usd, _twins(group, beginnings),
    )  # fmt: skip


def _twins(group: Group, beginnings: Mapping[Group, Beginning]) -> tuple[str, ...]:
    """Other names, or other features without a name: a version or a model more of one prompt is no twin."""
    own = beginnings[group].text
    found = {
        _name(other)
        for other, beginning in beginnings.items()
        if _name(other) != _name(group) and _alike(own, beginning.text)
    }
    return tuple(sorted(found))


def _name(group: Group) -> str:
    feature, _model, prompt = group
    return prompt.name or f"no named prompt of {feature or 'no feature'}"


def _alike(one: str, other: str) -> bool:
    longest = max(len(one), len(other))
    least = math.ceil(ALIKE_RATIO * longest)
    return longest >= SHORTEST and min(len(one), len(other)) >= least and one[:least] == other[:least]
