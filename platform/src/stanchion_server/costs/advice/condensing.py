"""Much read and little said: what a shorter version of long, changing context would cost and save."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.history import Carried
from stanchion_server.costs.advice.prefixes import Beginning, Group, group_of, prefix_tokens
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, Graded, ModelName, Tariff
from stanchion_server.costs.advice.whatif import SHELF

RATIO = Decimal("0.25")
"""Tokens after, of those before: an assumption."""
FEWEST_CALLS = 50
LONG_TOKENS = 2_000
"""Of what is neither the shared beginning nor history, on the average."""
MOST_SAID_RATIO = 0.1
"""Output by that: who writes more than a tenth of what was read may need all of it."""
RELEVANCE = "context_relevance"
FEWEST_SCORED = 50


@dataclass(frozen=True, slots=True)
class _Read:
    """Input tokens of a group's calls: those of JSON beside the texts, as of definitions of tools, and those of texts
    that change from call to call and are no history."""

    calls: Sequence[CallFact]
    data: int
    changing: int
    said: int
    cached: int


def find(
    calls: Sequence[CallFact],
    beginnings: Mapping[Group, Beginning],
    carried: Mapping[int, Carried],
    tariffs: Mapping[ModelName, Tariff | None],
    graded: Sequence[Graded],
) -> list[Finding]:
    """One for each feature, model and prompt that reads long context and says little, where a smaller model of the same
    provider would shorten it for less than it saves. `carried` is by the place of the call."""  # fmt: skip
    places: dict[Group, list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        if group_of(call) in beginnings and call.input_tokens and call.output_tokens is not None and not call.is_failed:
            places[group_of(call)].append(place)
    found = []
    for group, some in places.items():
        read = _read([calls[place] for place in some], beginnings[group], [carried.get(place) for place in some])
        finding = _finding(group, read, tariffs, graded) if read is not None else None
        if finding is not None:
            found.append(finding)
    return found


def _read(calls: Sequence[CallFact], beginning: Beginning, carried: Sequence[Carried | None]) -> _Read | None:
    given = sum(call.input_tokens or 0 for call in calls)
    text = int(given * beginning.text_ratio)
    shared = int(prefix_tokens(calls, beginning) * beginning.text_ratio)
    history = sum(
        (call.input_tokens or 0) * one.history // one.characters
        for call, one in zip(calls, carried, strict=True)
        if one is not None and one.characters
    )
    changing, said = text - shared * len(calls) - history, sum(call.output_tokens or 0 for call in calls)
    if len(calls) < FEWEST_CALLS or changing < LONG_TOKENS * len(calls) or said > MOST_SAID_RATIO * changing:
        return None
    # A cache reads from the beginning on, tools first: what it told beyond them and the shared part changes.
    before = shared + (given - text) // len(calls)
    cached = sum(max(0, (call.cached_input_tokens or 0) - before) for call in calls)
    return _Read(calls, given - text, changing, said, min(cached, changing))


def _finding(
    group: Group, read: _Read, tariffs: Mapping[ModelName, Tariff | None], graded: Sequence[Graded]
) -> Finding | None:
    feature, model, prompt = group
    tariff, able = tariffs.get(model), _shorteners(model, tariffs)
    if tariff is None or not able:
        return None
    price, smaller = min((one.input_usd + RATIO * one.output_usd, name) for name, one in able.items())
    gained = (1 - RATIO) * (read.cached * tariff.cached_usd + (read.changing - read.cached) * tariff.input_usd)
    spent = read.changing * price
    if gained <= spent:
        return None
    number = len(read.calls)
    return Finding(
        kind="condense", feature=feature, subject=f"{prompt}, {model.name}", usd=gained - spent,
        spend_usd=sum((call.usd or ZERO for call in read.calls), ZERO), seconds=None, calls=number, confidence="low",
        assumptions=(
            (f"{smaller.name} makes {RATIO:.0%} of the context's tokens out of all of them, anew for every call; its"
             " price is taken off, the time it takes is not."),
            "What the answers need must survive: replay recorded calls both ways and compare their scores.",
            ("Length is all that is looked at: whether the context was used is not known. Sending less of it, or only"
             " what is relevant, costs nothing."),
            ("The shared beginning, the history of a conversation and JSON beside the texts (definitions of tools,"
             " arguments, results), which are not shortened, are told apart by their share of the characters."),
        ),
        figures=(
            ("Context tokens of a call, before", f"{read.changing / number:,.0f}"),
            ("and after", f"{float(RATIO) * read.changing / number:,.0f}"),
            ("Definitions of tools and other JSON, left as they are", f"{read.data / number:,.0f}"),
            ("Output tokens of a call", f"{read.said / number:,.0f}"),
            ("Saved on the context", f"${gained:.4f}"), (f"Paid to {smaller.name}", f"${spent:.4f}"),
            *_relevance(feature, model, graded),
        ),
        where={
            "feature": feature or "(none)", "model": model.name, "prompt": prompt.name or "(none)",
            "prompt_version": prompt.version or "(none)",
        },
    )  # fmt: skip


def _shorteners(model: ModelName, tariffs: Mapping[ModelName, Tariff | None]) -> dict[ModelName, Tariff]:
    names = (ModelName(model.provider, name) for name in SHELF.get(model.provider, ()))
    return {name: tariff for name in names if name != model and (tariff := tariffs.get(name)) is not None}


def _relevance(feature: str, model: ModelName, graded: Sequence[Graded]) -> list[tuple[str, str]]:
    """What the scorer of sources' relevance says, where it judged enough calls."""
    return [
        ("Calls whose sources were scored irrelevant", f"{one.flagged_ratio:.1%} of {one.scored:,}")
        for one in graded
        if (one.feature, one.model) == (feature, model) and one.scored >= FEWEST_SCORED
        and one.scorer.split(" ")[0] == RELEVANCE
    ]  # fmt: skip
