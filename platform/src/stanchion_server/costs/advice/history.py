"""History that is sent again with every turn: what a conversation is billed for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, ModelName, Tariff

KEPT_EXCHANGES = 2
FEWEST_SESSIONS = 5


@dataclass(frozen=True, slots=True)
class Resent:
    """History of one turn, in tokens, and the part of it older than the last two exchanges."""

    history: int
    older: int


def resent(turns: Sequence[tuple[int, int]]) -> list[Resent]:
    """Of the turns of one session as (input, output) tokens, in order. At least: the first question is taken for a part
    of the instructions, as token counts do not tell the two apart."""
    histories: list[int] = []
    for place, (given, _answered) in enumerate(turns):
        if not place:
            histories.append(0)
            continue
        before, answer = turns[place - 1]
        fresh = max(0, given - before - answer)
        histories.append(max(0, given - turns[0][0] - fresh))
    older = [0] * KEPT_EXCHANGES + histories[: max(0, len(histories) - KEPT_EXCHANGES)]
    return [Resent(history, min(history, old)) for history, old in zip(histories, older, strict=False)]


def find(calls: Iterable[CallFact], tariffs: Mapping[ModelName, Tariff | None]) -> list[Finding]:
    """One for each feature whose sessions carry history older than two exchanges."""
    sessions: dict[tuple[str, str], list[CallFact]] = defaultdict(list)
    for call in calls:
        if call.session_id and call.input_tokens is not None and call.output_tokens is not None:
            sessions[call.feature, call.session_id].append(call)
    by_feature: dict[str, list[list[CallFact]]] = defaultdict(list)
    for (feature, _session), turns in sessions.items():
        if len(turns) > 1:
            by_feature[feature].append(sorted(turns, key=lambda turn: turn.start_time))
    found = [_finding(feature, some, tariffs) for feature, some in by_feature.items() if len(some) >= FEWEST_SESSIONS]
    return [finding for finding in found if finding is not None]


@dataclass(slots=True)
class _Sum:
    tokens: int = 0
    history: int = 0
    older: int = 0
    usd: Decimal = ZERO
    spend: Decimal = ZERO
    turns: int = 0


def _finding(
    feature: str, sessions: list[list[CallFact]], tariffs: Mapping[ModelName, Tariff | None]
) -> Finding | None:
    total = _Sum()
    for turns in sessions:
        _add(total, turns, tariffs)
    if not total.older or total.usd <= 0:
        return None
    return Finding(
        kind="history", feature=feature, subject="", usd=total.usd, spend_usd=total.spend, seconds=None,
        calls=total.turns, confidence="medium",
        assumptions=(
            (f"The last {KEPT_EXCHANGES} exchanges stay; older ones are left out. A summary in their place costs a call"
            " of its own, which is not taken off."),
            "History is estimated from token counts, as at least so much; cached tokens are priced as cached.",
            "Answers must not need what was said earlier: try it on recorded sessions first.",
        ),
        figures=(
            ("Sessions with several turns", f"{len(sessions):,}"),
            ("Input tokens per session", f"{total.tokens / len(sessions):,.0f}"),
            ("of them history sent again", f"{total.history / len(sessions):,.0f}"),
            ("of that older than two exchanges", f"{total.older / len(sessions):,.0f}"),
        ),
        where={"feature": feature or "(none)"},
    )  # fmt: skip


def _add(total: _Sum, turns: list[CallFact], tariffs: Mapping[ModelName, Tariff | None]) -> None:
    pairs = [(turn.input_tokens or 0, turn.output_tokens or 0) for turn in turns]
    for turn, told in zip(turns, resent(pairs), strict=True):
        tariff = tariffs.get(turn.model)
        total.turns += 1
        total.tokens += turn.input_tokens or 0
        total.history += told.history
        total.older += told.older
        total.spend += turn.usd or ZERO
        if tariff is not None:
            cached = min(told.older, turn.cached_input_tokens or 0)
            total.usd += cached * tariff.cached_usd + (told.older - cached) * tariff.input_usd
