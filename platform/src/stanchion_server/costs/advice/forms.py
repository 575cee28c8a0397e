"""Answers as prose and as JSON where a prompt gets both: what the form costs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, ModelName, Tariff

FEWEST_ANSWERS = 30
LONGEST = 100_000
"""Characters that are parsed."""
Z_95 = 1.959963984540054


class Form(Enum):
    """`BROKEN` begins like JSON and is none."""

    PROSE = "prose"
    JSON = "json"
    BROKEN = "broken"


def form_of(content: Mapping[str, Any]) -> Form | None:
    """Of the first answer. None for answers that are empty, too long to be parsed, or ask for tools."""
    parts = [part for one in (content.get("output") or ())[:1] for part in one.get("parts") or ()]
    said = [part for part in parts if part.get("type") != "reasoning"]
    if any(part.get("type") != "text" for part in said):
        return None
    text = _bare("".join(str(part.get("text") or "") for part in said).strip())
    if not text or len(text) > LONGEST:
        return None
    if text[0] not in "{[":
        return Form.PROSE
    try:
        orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return Form.BROKEN
    return Form.JSON


def _bare(text: str) -> str:
    """Without the fence that models put around JSON."""
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        language, rest = text[3:-3].split("\n", 1)
        return rest.strip() if language.strip().lower() in ("", "json") else text
    return text


def find(
    calls: Sequence[CallFact], forms: Mapping[int, Form], tariffs: Mapping[ModelName, Tariff | None]
) -> list[Finding]:
    """One for each feature, named prompt and model whose prose takes more output tokens than its JSON, beyond chance.
    Without a name nothing says that prose and JSON answer the same, and another model thinks and writes at another
    length. `forms` are by the place of the call."""
    groups: dict[tuple[str, str, ModelName], dict[Form, list[CallFact]]] = defaultdict(lambda: defaultdict(list))
    for place, form in forms.items():
        call = calls[place]
        is_priced = call.output_tokens is not None and not call.is_failed and tariffs.get(call.model) is not None
        if call.prompt.name and is_priced:
            groups[call.feature, call.prompt.name, call.model][form].append(call)
    found = [_finding(*names, some, tariffs) for names, some in groups.items()]
    return [finding for finding in found if finding is not None]


def _finding(
    feature: str, prompt: str, model: ModelName, by_form: Mapping[Form, list[CallFact]],
    tariffs: Mapping[ModelName, Tariff | None],
) -> Finding | None:  # fmt: skip
    prose, json = by_form.get(Form.PROSE, []), by_form.get(Form.JSON, [])
    broken = len(by_form.get(Form.BROKEN, []))
    if min(len(prose), len(json)) < FEWEST_ANSWERS:
        return None
    (long, long_variance), (short, short_variance) = _mean(prose), _mean(json)
    if long - short <= Z_95 * math.sqrt(long_variance / len(prose) + short_variance / len(json)):
        return None
    usd = sum((_price(call, tariffs) for call in prose), ZERO) * Decimal(repr(long - short))
    if usd <= 0:
        return None
    return Finding(
        kind="format", feature=feature, subject=f"{prompt}, {model.name}", usd=usd,
        spend_usd=sum((call.usd or ZERO for call in prose), ZERO), seconds=None, calls=len(prose), confidence="low",
        assumptions=(
            "Answers as prose get as short as the answers to this prompt that are JSON already, on the average.",
            "The questions were not the same: where prose is for people to read, leave it.",
            "What does not parse must be asked again, which is not taken off.",
        ),
        figures=(
            ("Output tokens of an answer as prose", f"{long:,.0f}, by {len(prose):,}"),
            ("as JSON", f"{short:,.0f}, by {len(json):,}"),
            ("Begun like JSON and not readable", f"{broken:,} of {broken + len(json):,}"),
        ),
        where={"feature": feature or "(none)", "model": model.name, "prompt": prompt},
    )  # fmt: skip


def _mean(calls: Sequence[CallFact]) -> tuple[float, float]:
    """Of output tokens, with the variance."""
    values = [call.output_tokens or 0 for call in calls]
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)


def _price(call: CallFact, tariffs: Mapping[ModelName, Tariff | None]) -> Decimal:
    tariff = tariffs.get(call.model)
    return ZERO if tariff is None else tariff.output_usd
