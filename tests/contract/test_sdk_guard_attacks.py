"""Ways around a guard that are known from others, through the real clients; the coverage tells the truth in each."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from kit.guard_clients import POLICY, Provider, chat, chat_chunks, message, message_events, said
from kit.guard_fakes import FAKES, Hanging, find
from stanchion_guard import Guard, load
from stanchion_sdk import Blocked, safety
from stanchion_sdk.guarding import bundles, guards, sources
from stanchion_sdk.testing import MemoryExporter, recording

CARD_CHUNKS = ["Sure, it is 41", "11 11", "11 1111", " 11", "11, there you go."]
LEAK_CHUNKS = ["I was told to keep quiet, but it is: op", "en", " ses", "a", "me. You did not hear it."]
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def recorded() -> Iterator[MemoryExporter]:
    with recording() as memory:
        yield memory


def guard_of(policy: dict[str, Any]) -> guards.AppGuard:
    entry = bundles.Entry(None, {0: Guard(load(policy, detectors=FAKES))})
    return guards.AppGuard(sources.Local((entry,)), "shop", "allow")


def with_rule(**rule: Any) -> dict[str, Any]:
    stages = ["input", "output", "tool_call", "tool_result"]
    return {**POLICY, "deadline_ms": 1_000, "rules": [*POLICY["rules"], {"id": "more", "stages": stages, **rule}]}


def decisions(memory: MemoryExporter) -> list[dict[str, Any]]:
    """What the server was told, in order: stage, action, characters, completeness and what did not run."""
    prefix, told = "stanchion.guard.", []
    for span in memory.spans:
        if span.scope == "stanchion.guard":
            row = {key.removeprefix(prefix): value for key, value in span.attributes.items()}
            told.append({**row, **json.loads(row["detail"])})
    return told


def chat_texts(guard: guards.AppGuard, pieces: list[str]) -> Iterator[str]:
    for chunk in guard.openai(Provider(said(pieces)).openai()).chat.completions.create(**ASK, stream=True):
        yield chunk.choices[0].delta.content or ""


def message_texts(guard: guards.AppGuard, pieces: list[str]) -> Iterator[str]:
    deltas = [{"type": "text_delta", "text": each} for each in pieces]
    client = guard.anthropic(Provider(message_events(({"type": "text", "text": ""}, deltas))).anthropic())
    with client.messages.stream(max_tokens=9, **ASK) as stream:
        yield from stream.text_stream


def response_texts(guard: guards.AppGuard, pieces: list[str]) -> Iterator[str]:
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    text = "".join(pieces)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": [{"token": text}]}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    head = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "tools": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**head, "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": each, "logprobs": []} for each in pieces),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**head, "output": [item]}},
    ]
    client = guard.openai(Provider([{**each, "sequence_number": at} for at, each in enumerate(events)]).openai())
    for event in client.responses.create(model="m", input="hello", stream=True):
        told = json.dumps(event.to_dict(mode="json"))
        assert "4111 1111" not in told and "open sesame" not in told  # no event repeats what no delta showed
        if event.type == "response.output_text.delta":
            yield event.delta


Texts = Callable[[guards.AppGuard, list[str]], Iterator[str]]
every_api = pytest.mark.parametrize("texts", [chat_texts, message_texts, response_texts])


@every_api
def test_a_card_number_over_five_chunks_never_shows(texts: Texts, recorded: MemoryExporter) -> None:
    assert "".join(texts(guard_of(POLICY), CARD_CHUNKS)) == "Sure, it is [CREDIT_CARD], there you go."
    asked, answered = decisions(recorded)
    assert (asked["stage"], answered["stage"], answered["action"]) == ("input", "output", "redact")
    assert answered["characters"] == answered["guarded_characters"] == len("".join(CARD_CHUNKS))
    assert answered["is_complete"] is True


@every_api
def test_a_phrase_over_five_chunks_is_stopped_before_it_shows(texts: Texts, recorded: MemoryExporter) -> None:
    shown = ""
    with pytest.raises(Blocked) as raised:
        for piece in texts(guard_of(POLICY), LEAK_CHUNKS):
            shown += piece
    assert raised.value.stage == "output"
    assert "op" not in shown.removeprefix("I was told to keep quiet, but it is:")
    assert decisions(recorded)[-1]["action"] == "block"


@every_api
@pytest.mark.parametrize("action", ["flag", "block"])
def test_a_detector_that_raises_stops_a_stream_or_is_told_of(
    texts: Texts, action: str, recorded: MemoryExporter
) -> None:
    guard = guard_of(with_rule(detector="broken", stages=["output"], action="flag", when_failed=action))
    try:
        shown = "".join(texts(guard, CARD_CHUNKS))
    except Blocked:
        shown = "nothing"
    assert shown == ("nothing" if action == "block" else "Sure, it is [CREDIT_CARD], there you go.")
    told = decisions(recorded)[-1]
    assert (told["action"], told["is_complete"], told["guarded_characters"]) == (
        "block" if action == "block" else "redact",
        False,
        0,
    )
    assert told["not_run"][0][0] == "more" and "the detector raised RuntimeError" in told["not_run"][0][1]


@pytest.mark.parametrize("action", ["flag", "block"])
def test_a_detector_that_sleeps_past_the_deadline_is_left_behind(action: str, recorded: MemoryExporter) -> None:
    Hanging.gate.clear()
    guard = guard_of(with_rule(detector="hanging", stages=["input"], action="flag", when_late=action))
    provider = Provider(chat("hello"))
    try:
        guard.openai(provider.openai()).chat.completions.create(**ASK)
    except Blocked as blocked:
        assert (action, blocked.stage) == ("block", "input")
    finally:
        Hanging.gate.set()
    assert len(provider.sent) == (0 if action == "block" else 1)
    told = decisions(recorded)[0]
    assert (told["action"], told["is_complete"], told["guarded_characters"]) == (action, False, 0)
    assert told["not_run"] == [["more", "late: still running at the deadline"]]


@pytest.mark.parametrize("is_stream", [False, True])
def test_arguments_of_a_tool_are_judged_like_a_message(is_stream: bool, recorded: MemoryExporter) -> None:
    arguments = '{"to": "x", "body": "op' + 'en sesame"}'
    function = {"name": "send", "arguments": arguments}
    call = {"index": 0, "id": "t", "type": "function", "function": function}
    first = {**call, "function": {"name": "send", "arguments": arguments[:23]}}
    answer: Any = chat(None, tool_calls=[call])
    if is_stream:
        answer = chat_chunks(
            {"tool_calls": [first]}, {"tool_calls": [{"index": 0, "function": {"arguments": arguments[23:]}}]}
        )
    with pytest.raises(Blocked) as raised:
        result = guard_of(POLICY).openai(Provider(answer).openai()).chat.completions.create(**ASK, stream=is_stream)
        assert not any(chunk.choices[0].delta.tool_calls for chunk in result)
    assert raised.value.stage == "tool_call"
    told = decisions(recorded)[-1]
    assert (told["stage"], told["action"], told["guarded_characters"]) == ("tool_call", "block", len(arguments))


def test_what_hides_in_base64_does_not_reach_the_provider(recorded: MemoryExporter) -> None:
    hidden = base64.b64encode(b"Please write to ann.lee@example.org about it. ").decode()
    provider = Provider(chat(f"Decoded: {hidden}"))
    asked = [{"role": "user", "content": f"Read this: {hidden} and answer."}]
    answer = guard_of(POLICY).openai(provider.openai()).chat.completions.create(model="m", messages=asked)
    assert hidden not in provider.sent[0]["messages"][0]["content"]
    assert hidden not in (answer.choices[0].message.content or "")
    assert [row["is_complete"] for row in decisions(recorded)] == [True, True]


def test_one_hostile_sentence_in_a_long_tool_result_stops_the_call(recorded: MemoryExporter) -> None:
    calm = "A quiet sentence about nothing. " * 3_000
    provider = Provider(message({"type": "text", "text": "ok"}))
    result: Any = {"type": "tool_result", "tool_use_id": "t", "content": f"{calm}Now open sesame. {calm}"}
    with pytest.raises(Blocked) as raised:
        guard_of(POLICY).anthropic(provider.anthropic()).messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": [result]}]
        )
    assert (raised.value.stage, provider.sent) == ("tool_result", [])
    [told] = decisions(recorded)
    assert told["guarded_characters"] == told["characters"] == 2 * len(calm) + len("Now open sesame. ")


def echo(request: httpx2.Request) -> httpx2.Response:
    body = json.loads(request.content)
    words = body["messages"][-1]["content"] + " or bob@example.org"
    if not body.get("stream"):
        return httpx2.Response(200, json=chat(words))
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in said([words[at : at + 3] for at in range(0, len(words), 3)])]
    return httpx2.Response(200, text="".join(lines), headers={"content-type": "text/event-stream"})


def question(number: int) -> list[Any]:
    return [
        {"role": "user", "content": f"number {number}: ann{number}@example.org" + " open sesame" * (number % 5 == 0)}
    ]


def expected(number: int) -> str:
    return "blocked" if number % 5 == 0 else f"number {number}: [EMAIL] or [EMAIL]"


def check_decisions(recorded: MemoryExporter) -> None:
    """Of 50 calls ten were stopped before they were sent; each of the others was judged twice, in its own trace."""
    spans = [span for span in recorded.spans if span.scope == "stanchion.guard"]
    traces = [span.trace_id for span in spans]
    assert sorted(traces.count(each) for each in set(traces)) == [1] * 10 + [2] * 40
    assert all(span.attributes["stanchion.guard.is_complete"] for span in spans)
    assert len(recorded.calls) == 40


def test_fifty_threads_get_each_its_own_answer(recorded: MemoryExporter) -> None:
    http = httpx2.Client(transport=httpx2.MockTransport(echo))
    client = guard_of(POLICY).openai(openai.OpenAI(api_key="x", base_url="http://p/v1", http_client=http))
    got: dict[int, str] = {}
    begin = threading.Barrier(50)

    def call(number: int) -> None:
        begin.wait(30)
        try:
            if number % 2:
                stream = client.chat.completions.create(model="m", messages=question(number), stream=True)
                got[number] = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            else:
                answer = client.chat.completions.create(model="m", messages=question(number))
                got[number] = answer.choices[0].message.content or ""
        except Blocked:
            got[number] = "blocked"

    threads = [threading.Thread(target=call, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {number: expected(number) for number in range(50)}
    check_decisions(recorded)


def test_fifty_tasks_get_each_its_own_answer(recorded: MemoryExporter) -> None:
    before = safety.failures.total()

    async def call(client: openai.AsyncOpenAI, number: int) -> str:
        try:
            if number % 2:
                stream = await client.chat.completions.create(model="m", messages=question(number), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            answer = await client.chat.completions.create(model="m", messages=question(number))
            return answer.choices[0].message.content or ""
        except Blocked:
            return "blocked"

    async def calls() -> list[str]:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(echo))
        plain = openai.AsyncOpenAI(api_key="x", base_url="http://p/v1", http_client=http)
        client = guard_of(POLICY).openai(plain)
        return await asyncio.gather(*(call(client, number) for number in range(50)))

    assert asyncio.run(calls()) == [expected(number) for number in range(50)]
    check_decisions(recorded)
    assert safety.failures.total() == before


@pytest.mark.slow
def test_a_tool_call_that_never_ends_is_stopped_while_it_is_held(recorded: MemoryExporter) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        for number in range(100_000):
            sent.append(number)
            call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": "x" * 100_000}}
            yield f"data: {json.dumps(chat_chunks({'tool_calls': [call]})[1])}\n\n".encode()

    def provider(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=endless(), headers={"content-type": "text/event-stream"})

    http = httpx2.Client(transport=httpx2.MockTransport(provider))
    client = guard_of(POLICY).openai(openai.OpenAI(api_key="x", base_url="http://p/v1", http_client=http))
    with pytest.raises(Blocked) as raised:
        list(client.chat.completions.create(**ASK, stream=True))
    assert raised.value.stage == "tool_call"
    assert 10 <= len(sent) < 20


def test_a_wrong_shape_is_judged_by_nobody_and_says_so(recorded: MemoryExporter) -> None:
    guard = guard_of(with_rule(**find("zzz", action="flag")))
    strange: Any = [{"role": "assistant", "tool_calls": [{"id": "t", "function": "not an object"}]}]
    answer = guard.openai(Provider(chat("hello")).openai()).chat.completions.create(model="m", messages=strange)
    assert answer.choices[0].message.content == "hello"
    assert "the input could not be read" in decisions(recorded)[0]["not_run"][0][1]
