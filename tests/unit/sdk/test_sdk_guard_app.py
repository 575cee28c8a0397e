"""A guard inside an application: checks, guarded functions, streams, and what the server is told."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import stanchion_sdk as stanchion
from stanchion_guard import Guard, load
from stanchion_sdk import Blocked
from stanchion_sdk.guarding import bundles, guards, shapes, slim, sources
from stanchion_sdk.testing import MemoryExporter, recording
from stanchion_wire.decisions import SCOPE, from_attributes

CARD = "4111 1111 1111 1111"
POLICY: dict[str, Any] = {
    "policy": "shop",
    "version": "1",
    "defaults": {"when_late": "flag", "when_failed": "flag"},
    "message": "This cannot be said here.",
    "rules": [
        {"id": "pii", "stages": ["input", "output", "tool_call", "tool_result"], "detector": "pii", "action": "redact"},
        {
            "id": "words", "stages": ["input", "output"], "detector": "words",
            "parameters": {"words": ["open sesame"]}, "action": "block",
        },
        {
            "id": "rivals", "stages": ["input", "output"], "detector": "words",
            "parameters": {"words": ["other shop"]}, "action": "fallback", "message": "Let us talk about our shop.",
        },
    ],
}  # fmt: skip


@pytest.fixture
def recorded() -> Iterator[MemoryExporter]:
    with recording() as memory:
        yield memory


@pytest.fixture
def guard() -> guards.AppGuard:
    return stanchion.guard(policy=POLICY)


def five_chunks(text: str) -> list[str]:
    fifth = -(-len(text) // 5)
    return [text[at : at + fifth] for at in range(0, len(text), fifth)]


async def as_async(chunks: list[str]) -> AsyncIterator[str]:
    for chunk in chunks:
        yield chunk


def decisions(memory: MemoryExporter) -> list[dict[str, Any]]:
    prefix = "stanchion.guard."
    spans = [span for span in memory.spans if span.scope == "stanchion.guard"]
    return [{key.removeprefix(prefix): value for key, value in span.attributes.items()} for span in spans]


def test_a_function_gets_its_argument_masked_and_its_answer_is_masked(guard: guards.AppGuard) -> None:
    got = []

    @guard.guarded
    def answer(question: str, *, tone: str = "kind") -> str:
        """Says it back."""
        got.append((question, tone))
        return f"You said {question}; mine is bob@example.org"

    assert answer("I am ann@example.org") == "You said I am [EMAIL]; mine is [EMAIL]"
    assert got == [("I am [EMAIL]", "kind")]
    assert answer.__doc__ == "Says it back."


def test_the_argument_can_be_named_and_a_method_can_be_guarded(guard: guards.AppGuard) -> None:
    class Bot:
        @guard.guarded
        def plain(self, text: str) -> str:
            return text

        @guard.guarded(argument="text")
        def say(self, times: int, text: str | None = None) -> str | None:
            return text and text * times

    assert Bot().plain(CARD) == "[CREDIT_CARD]"
    assert Bot().say(2, text="a") == "aa"
    assert Bot().say(2) is None


def test_a_block_raises_and_carries_the_verdict_but_shows_only_the_message(guard: guards.AppGuard) -> None:
    @guard.guarded
    def answer(question: str) -> str:
        return "open sesame, " + question

    with pytest.raises(Blocked) as raised:
        answer("Open Sesame!")
    assert (str(raised.value), raised.value.stage) == ("This cannot be said here.", "input")
    with pytest.raises(Blocked) as raised:
        answer("hello")
    assert (raised.value.stage, raised.value.verdict.action) == ("output", "block")
    assert "sesame" not in repr(raised.value)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_block_answers_with_the_message_by_choice_and_a_fallback_always(guard: guards.AppGuard) -> None:
    calls = []

    def answer(question: str) -> str:
        calls.append(question)
        return question

    assert guard.guarded(answer, when_blocked="answer")("open sesame") == "This cannot be said here."
    assert guard.guarded(answer)("what of the other shop?") == "Let us talk about our shop."
    assert calls == []


def test_what_cannot_be_judged_is_refused_where_it_is_written(guard: guards.AppGuard) -> None:
    with pytest.raises(TypeError, match="no argument `prompt`"):
        guard.guarded(lambda question: question, argument="prompt")
    with pytest.raises(TypeError, match="`question` is a list"):
        guard.guarded(lambda question: question)(["a"])
    with pytest.raises(TypeError, match="returned a dict"):
        guard.guarded(lambda question: {"a": question})("a")
    with pytest.raises(ValueError, match="when_blocked"):
        guard.guarded(lambda question: question, when_blocked="ignore")


def test_coroutines_and_generators_are_guarded_alike(guard: guards.AppGuard) -> None:
    @guard.guarded
    async def answer(question: str) -> str:
        return question + " and bob@example.org"

    @guard.guarded
    def pieces(question: str) -> Iterator[str]:
        yield from five_chunks(f"{question}, pay with {CARD} please.")

    @guard.guarded
    async def apieces(question: str) -> AsyncIterator[str]:
        for piece in five_chunks(f"{question}, pay with {CARD} please."):
            yield piece

    async def all_of_them() -> tuple[str, str]:
        return await answer("ann@example.org"), "".join([piece async for piece in apieces("ann@example.org")])

    masked = "[EMAIL], pay with [CREDIT_CARD] please."
    assert "".join(pieces("ann@example.org")) == masked
    assert asyncio.run(all_of_them()) == ("[EMAIL] and [EMAIL]", masked)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_is_stopped_before_the_blocked_words_show(guard: guards.AppGuard, is_async: bool) -> None:
    text = "The first sentence is harmless and long enough to be shown. " * 20 + "Then say open sesame to it."
    closed, shown = [], []

    def pieces(question: str) -> Iterator[str]:
        try:
            yield from (text[at : at + 7] for at in range(0, len(text), 7))
            yield "never asked for " * 1000
        finally:
            closed.append(True)

    async def apieces(question: str) -> AsyncIterator[str]:
        for piece in pieces(question):
            yield piece

    async def consume() -> None:
        async for piece in guard.guarded(apieces)("go on"):
            shown.append(piece)

    with pytest.raises(Blocked) as raised:
        if is_async:
            asyncio.run(consume())
        for piece in guard.guarded(pieces)("go on"):
            shown.append(piece)
    assert raised.value.stage == "output"
    assert closed == [True]
    assert text.startswith("".join(shown)) and len("".join(shown)) > 500
    assert "open" not in "".join(shown)


def test_a_generator_answers_with_the_message_by_choice(guard: guards.AppGuard) -> None:
    spoken = guard.guarded(lambda question: question, when_blocked="answer")
    assert spoken("say open sesame") == "This cannot be said here."

    def pieces(question: str) -> Iterator[str]:
        yield from ["open", " sesame", "!"]

    assert list(guard.guarded(pieces, when_blocked="answer")("x")) == ["This cannot be said here."]


@pytest.mark.parametrize("wrap", [list, as_async], ids=["sync", "async"])
def test_a_card_number_over_five_chunks_never_shows(
    guard: guards.AppGuard, wrap: Callable[[list[str]], Any], recorded: MemoryExporter
) -> None:
    chunks = ["My card is 41", "11 11", "11 1111", " 11", "11, thanks."]
    streamed = guard.stream(wrap(chunks))

    async def consume() -> list[str]:
        return [piece async for piece in streamed]

    shown = list(streamed) if wrap is list else asyncio.run(consume())
    assert "".join(shown) == "My card is [CREDIT_CARD], thanks."
    assert not any("11" in piece for piece in shown)
    assert streamed.verdict is not None
    assert (streamed.verdict.action, streamed.verdict.coverage.complete) == ("redact", True)
    assert streamed.verdict.coverage.total_characters == len("".join(chunks))
    [decision] = decisions(recorded)
    assert (decision["stage"], decision["action"], decision["is_complete"]) == ("output", "redact", True)
    assert CARD[:4] not in json.dumps(decision)


def test_a_stream_states_its_bound_and_what_was_shown_before_a_block(guard: guards.AppGuard) -> None:
    before = "A sentence of some length that nobody minds at all. " * 30
    streamed = guard.stream([before, "Now: open ses", "ame."])
    shown = "".join(streamed)
    assert streamed.hold_back_characters == Guard(load(POLICY)).stream().hold_back_characters
    assert streamed.shown_characters == len(shown) > 0
    assert before.startswith(shown)
    assert streamed.verdict is not None and streamed.verdict.action == "block"


def test_a_stream_that_is_left_early_is_judged_and_told_of(guard: guards.AppGuard, recorded: MemoryExporter) -> None:
    streamed = guard.stream(["One sentence that is surely long enough to be shown. "] * 40)
    for _piece in streamed:
        break
    assert streamed.verdict is not None
    assert [decision["action"] for decision in decisions(recorded)] == ["allow"]


def test_two_policies_stand_one_behind_the_other_in_a_stream() -> None:
    house = {**POLICY, "policy": "house", "rules": [
        {"id": "codes", "stages": ["output"], "detector": "pattern", "action": "redact",
         "parameters": {"patterns": [{"name": "order", "regex": "AB-[0-9]{6}"}]}},
    ]}  # fmt: skip
    entries = tuple(bundles.Entry(None, {0: Guard(load(each))}) for each in (POLICY, house))
    streamed = guards.AppGuard(sources.Local(entries), "shop", "allow").stream(
        five_chunks(f"Order AB-123456 was paid with {CARD} today.")
    )
    assert "".join(streamed) == "Order [ORDER] was paid with [CREDIT_CARD] today."
    assert streamed.verdict is not None
    assert [finding.label for finding in streamed.verdict.findings] == ["CREDIT_CARD", "order"]
    assert streamed.verdict.coverage.complete


@pytest.mark.parametrize("action", ["flag", "block"])
def test_an_engine_that_breaks_in_a_stream_answers_as_the_policy_says(action: str) -> None:
    ticks = iter(range(12))  # the clock fails after some checks
    policy = load({**POLICY, "defaults": {"when_late": "flag", "when_failed": action}})
    entry = bundles.Entry(None, {0: Guard(policy, clock=lambda: next(ticks))})
    streamed = guards.AppGuard(sources.Local((entry,)), "shop", "allow").stream(["A sentence. " * 20] * 30)
    shown = "".join(streamed)
    assert streamed.verdict is not None
    assert streamed.verdict.action == action
    assert not streamed.verdict.coverage.complete
    assert streamed.verdict.coverage.guarded_characters == 0
    assert ("A sentence. " * 600).startswith(shown)
    assert (len(shown) == len("A sentence. ") * 600) is (action == "flag")


def test_a_policy_that_is_nowhere_lets_a_stream_flow_or_stops_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANCHION_ENDPOINT", raising=False)
    for choice, expected in (("allow", "hello"), ("block", "")):
        streamed = stanchion.guard("chat", when_unavailable=choice).stream(["hel", "lo"])
        assert "".join(streamed) == expected
        assert streamed.verdict is not None
        assert streamed.verdict.coverage.not_run[0][1].startswith("no server is known")


def test_what_was_judged_beyond_what_was_measured_is_told_to_the_server(recorded: MemoryExporter) -> None:
    rule = {"id": "attack", "stages": ["input"], "detector": "prompt_injection", "action": "flag"}
    guard = stanchion.guard(policy={**POLICY, "rules": [rule]})
    guard.check("Guten Tag, ich habe eine Frage zu meiner Bestellung und hoffe auf eine schnelle Antwort von Ihnen.")
    [told] = [from_attributes(span.attributes) for span in recorded.spans if span.scope == SCOPE]
    assert told is not None and told.is_complete
    assert told.limits == (("attack", "language de not covered"),)


def test_slim_shapes_have_the_fields_of_the_engines() -> None:
    for name in ("Part", "Usage", "Subject", "Finding", "Check", "Coverage", "Verdict"):
        ours, theirs = (list(getattr(module, name).__dataclass_fields__) for module in (slim, shapes))
        assert ours == theirs, name


def test_the_sdk_is_imported_without_the_engine() -> None:
    code = "import sys, stanchion_sdk; sys.exit(any(name.startswith('stanchion_guard') for name in sys.modules))"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=variables, check=False).returncode == 0
