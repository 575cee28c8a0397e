"""History that is sent again with every turn: what a conversation is billed for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, History, ModelName, PromptName, Tariff
from stanchion_server.kernel.ids import digest64

KEPT_EXCHANGES = 2
FEWEST_SESSIONS = 5
MOST_CHOICES = 8
"""Answers of one call that are remembered: its choices, of which the conversation goes on with one."""

Group = tuple[str, str, ModelName, PromptName]
"""Feature, session, model and prompt: calls of one session with another purpose are another conversation."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Characters of one call's recorded input: all of them, those of earlier exchanges of its conversation, and of
    these the ones older than the last two."""

    characters: int
    history: int
    older: int


@dataclass(slots=True)
class Conversations:
    """What calls carry, told call by call in order of time. Remembers a number for each answer."""

    _answers: dict[Group, set[int]] = field(default_factory=lambda: defaultdict(set))

    def carried(self, call: CallFact, content: Mapping[str, Any]) -> Carried | None:
        """None unless the input holds an answer that an earlier call of its conversation gave: examples that are sent
        with every call, and sizes alone, are no history. None too where something was sent that is no text."""
        if not call.session_id:
            return None
        answers = self._answers[_group_of(call)]
        told = content.get("input") or ()
        spoken = {place: _digest(one) for place, one in enumerate(told) if one.get("role") == "assistant"}
        repeated = next((place for place, digest in spoken.items() if digest in answers), None)
        # A short answer may be that of an example, which stands in the first input already.
        choices = (content.get("output") or ())[:MOST_CHOICES]
        given = {_digest(one) for one in choices if _words(one)}
        answers.update(given - set(spoken.values()))
        return None if repeated is None else _measured(content, repeated)


def _group_of(call: CallFact) -> Group:
    return call.feature, call.session_id, call.model, call.prompt


def _measured(content: Mapping[str, Any], repeated: int) -> Carried | None:
    """History begins with the exchange that holds the message at `repeated`, and ends before the last question."""
    told = content["input"]
    sizes = [_size(one.get("parts") or ()) for one in told]
    whole = [_size(content.get("system") or ()), *sizes]
    if any(size is None for size in whole):
        return None
    starts = [
        place
        for place, one in enumerate(told)
        if one.get("role") == "user" and (not place or told[place - 1].get("role") != "user")
    ]
    first = max((start for start in starts if start < repeated), default=repeated)
    later = [start for start in starts if start >= first]
    if not later:
        return None
    kept = later[-1 - KEPT_EXCHANGES] if len(later) > KEPT_EXCHANGES else first
    tools = len(orjson.dumps(content["tools"])) if content.get("tools") else 0
    characters = tools + sum(size or 0 for size in whole)
    history, older = (sum(size or 0 for size in sizes[first:end]) for end in (later[-1], kept))
    return Carried(characters, history, older)


def _size(parts: Sequence[Mapping[str, Any]]) -> int | None:
    """Characters, of tools' arguments and results as JSON."""
    if any(part.get("type") == "media" for part in parts):
        return None
    return sum(len(part["text"]) if isinstance(part.get("text"), str) else len(orjson.dumps(part)) for part in parts)


def _words(message: Mapping[str, Any]) -> str:
    texts = (str(part.get("text") or "") for part in message.get("parts") or () if part.get("type") == "text")
    return " ".join(" ".join(texts).split())


def _digest(message: Mapping[str, Any]) -> int:
    return digest64(_words(message).encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class _Turn:
    call: CallFact
    history_tokens: int
    older_tokens: int


def find(
    calls: Sequence[CallFact], carried: Mapping[int, Carried], tariffs: Mapping[ModelName, Tariff | None]
) -> list[Finding]:
    """One for each feature whose conversations carry exchanges older than two. `carried` is by the place of the call:
    of those whose recorded input was seen to hold earlier answers."""
    by_feature: dict[str, dict[Group, list[_Turn]]] = defaultdict(lambda: defaultdict(list))
    for place, told in carried.items():
        call = calls[place]
        if call.input_tokens is not None and told.characters:
            by_feature[call.feature][_group_of(call)].append(_turn(call, call.input_tokens, told))
    found = [
        _finding(feature, len(groups), [turn for some in groups.values() for turn in some], tariffs)
        for feature, groups in by_feature.items()
        if len({session for _feature, session, _model, _prompt in groups}) >= FEWEST_SESSIONS
    ]
    return [finding for finding in found if finding is not None]


def _turn(call: CallFact, tokens: int, told: Carried) -> _Turn:
    return _Turn(call, tokens * told.history // told.characters, older_tokens(call, told))


def older_tokens(call: CallFact, told: Carried) -> int:
    """Of exchanges older than the last two; 0 where a call's tokens are not known."""
    return (call.input_tokens or 0) * told.older // told.characters if told.characters else 0


def _finding(
    feature: str, conversations: int, turns: Sequence[_Turn], tariffs: Mapping[ModelName, Tariff | None]
) -> Finding | None:
    usd = _saved(turns, tariffs)
    if usd <= 0:
        return None
    tokens, history, older = (
        sum(counts)
        for counts in zip(*((t.call.input_tokens or 0, t.history_tokens, t.older_tokens) for t in turns), strict=True)
    )
    return Finding(
        kind="history", feature=feature, subject="", usd=usd,
        spend_usd=sum((turn.call.usd or ZERO for turn in turns), ZERO), seconds=None,
        calls=sum(turn.older_tokens > 0 for turn in turns), confidence="low",
        assumptions=(
            (f"The last {KEPT_EXCHANGES} exchanges stay; older ones are left out. A summary in their place costs a call"
            " of its own, which is not taken off."),
            ("Only calls whose recorded input repeats an answer of an earlier call of the same session, model and"
            " prompt count; the share of old exchanges is by characters. Cached tokens are priced as cached."),
            "Answers must not need what was said earlier: try it on recorded sessions first.",
        ),
        figures=(
            ("Conversations whose calls repeat earlier answers", f"{conversations:,}"),
            ("Input tokens of these calls, per conversation", f"{tokens / conversations:,.0f}"),
            ("of them history sent again", f"{history / conversations:,.0f}"),
            ("of that older than two exchanges", f"{older / conversations:,.0f}"),
        ),
        where={"feature": feature or "(none)"}, effect=History(),
    )  # fmt: skip


def _saved(turns: Iterable[_Turn], tariffs: Mapping[ModelName, Tariff | None]) -> Decimal:
    total = ZERO
    for turn in turns:
        tariff = tariffs.get(turn.call.model)
        if tariff is not None:
            cached = min(turn.older_tokens, turn.call.cached_input_tokens or 0)
            total += cached * tariff.cached_usd + (turn.older_tokens - cached) * tariff.input_usd
    return total
