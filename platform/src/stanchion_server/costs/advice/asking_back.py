"""Conversations in which the model first asks back: what it costs that the first message did not tell enough."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding

LONGEST_QUESTION_BACK = 300
"""Characters: longer answers that end with a question have answered something, too."""
QUESTION_MARKS = ("?", "？", "؟")
FEWEST_CONVERSATIONS = 20
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Turn:
    """A call that was asked something by a person: `characters` of what was asked since the last answer."""

    characters: int
    asks_back: bool


def turn_of(call: CallFact, characters: int, content: Mapping[str, Any]) -> Turn | None:
    """None outside sessions, and for calls that failed or asked for tools: they answer nobody."""
    if not call.session_id or call.is_failed or call.tool_call_count:
        return None
    parts = [part for one in (content.get("output") or ())[:1] for part in one.get("parts") or ()]
    answer = " ".join(str(part.get("text") or "") for part in parts if part.get("type") == "text").strip()
    return Turn(characters, len(answer) <= LONGEST_QUESTION_BACK and answer.endswith(QUESTION_MARKS))


@dataclass(frozen=True, slots=True)
class _Conversation:
    """`back` are the calls that asked back and were answered."""

    session_id: str
    turns: int
    first_characters: int
    usd: float
    back: tuple[CallFact, ...]


def find(calls: Sequence[CallFact], turns: Mapping[int, Turn], is_resolved: Mapping[str, bool]) -> list[Finding]:
    """One for each feature where conversations cost more when the model asked back, beyond chance. `turns` are by the
    place of the call, `is_resolved` by session: whether people rated it well, for sessions that were rated."""
    by_feature: dict[str, list[_Conversation]] = defaultdict(list)
    for (feature, session_id), places in _sessions(calls).items():
        asked = [place for place in places if place in turns]
        if asked and all(calls[place].usd is not None for place in places):
            by_feature[feature].append(_conversation(session_id, calls, turns, places, asked))
    found = [_finding(feature, some, is_resolved) for feature, some in by_feature.items()]
    return [finding for finding in found if finding is not None]


def _sessions(calls: Sequence[CallFact]) -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        if call.session_id:
            found[call.feature, call.session_id].append(place)
    return found


def _conversation(
    session_id: str, calls: Sequence[CallFact], turns: Mapping[int, Turn], places: Sequence[int], asked: Sequence[int]
) -> _Conversation:
    """The last turn asked back in vain: nobody answered."""
    return _Conversation(
        session_id,
        len(asked),
        turns[asked[0]].characters,
        float(sum((calls[place].usd or ZERO) for place in places)),
        tuple(calls[place] for place in asked[:-1] if turns[place].asks_back),
    )


def _finding(feature: str, some: Sequence[_Conversation], is_resolved: Mapping[str, bool]) -> Finding | None:
    back, straight = [one for one in some if one.back], [one for one in some if not one.back]
    if min(len(back), len(straight)) < FEWEST_CONVERSATIONS or not _cost_more(back, straight):
        return None
    asking = [call for one in back for call in one.back]
    usd = sum((call.usd or ZERO for call in asking), ZERO)
    if usd <= 0:
        return None
    return Finding(
        kind="asking_back", feature=feature, subject="", usd=usd,
        spend_usd=Decimal(repr(sum(one.usd for one in back))), seconds=sum(call.duration_s for call in asking),
        calls=len(asking), confidence="low",
        assumptions=(
            (f"An answer asks back when it has at most {LONGEST_QUESTION_BACK} characters, ends with a question mark,"
             " and the person goes on: whether it asks for what was missing is not known. Read some."),
            ("A form, an example or a hint beside the input field gets the first message to tell what is missing; then"
             " these calls are not made. The last call costs what it did: its history held the same words."),
            "Only sessions whose every call has a known cost count. The conversations were not the same.",
        ),
        figures=(*_compared(back, straight), *_by_turns(some), *_by_length(some), *_resolved(some, is_resolved)),
        where={"feature": feature or "(none)"},
    )  # fmt: skip


def _cost_more(some: Sequence[_Conversation], others: Sequence[_Conversation]) -> bool:
    (one, spread), (other, other_spread) = _mean(some), _mean(others)
    return one - other > Z_95 * math.sqrt(spread / len(some) + other_spread / len(others))


def _mean(some: Sequence[_Conversation]) -> tuple[float, float]:
    """Of what they cost, with the variance."""
    mean = sum(one.usd for one in some) / len(some)
    return mean, sum((one.usd - mean) ** 2 for one in some) / max(1, len(some) - 1)


def _turns(some: Sequence[_Conversation]) -> float:
    return sum(one.turns for one in some) / len(some)


def _told(some: Sequence[_Conversation]) -> str:
    return f"${_mean(some)[0]:.7f}, {_turns(some):.1f} turns, {len(some):,} conversations"


def _compared(back: Sequence[_Conversation], straight: Sequence[_Conversation]) -> Iterable[tuple[str, str]]:
    yield "A conversation in which it asked back", _told(back)
    yield "and one in which it did not", _told(straight)


def _by_turns(some: Sequence[_Conversation]) -> Iterable[tuple[str, str]]:
    for number, name in ((1, "One turn"), (2, "Two turns"), (3, "Three or more")):
        these = [one for one in some if min(one.turns, 3) == number]
        if these:
            yield name, f"${_mean(these)[0]:.7f}, {len(these):,} conversations"


def _by_length(some: Sequence[_Conversation]) -> Iterable[tuple[str, str]]:
    """The shorter half of the first messages, and the longer one."""
    ranked = sorted(some, key=lambda one: (one.first_characters, one.session_id))
    middle = len(ranked) // 2
    limit = ranked[middle].first_characters
    yield f"First message below {limit:,} characters, the shorter half", _told(ranked[:middle])
    yield "the longer half", _told(ranked[middle:])


def _resolved(some: Sequence[_Conversation], is_resolved: Mapping[str, bool]) -> Iterable[tuple[str, str]]:
    rated = [one for one in some if one.session_id in is_resolved]
    good = sum(is_resolved[one.session_id] for one in rated)
    if good:
        cost = sum(one.usd for one in rated) / good
        yield "Cost of rated conversations for each rated well", f"${cost:.7f}, {good:,} of {len(rated):,}"
