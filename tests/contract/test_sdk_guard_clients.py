"""`guard.openai` and `guard.anthropic`: the real clients, judged on the way out and on the way in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pydantic
import pytest

import stanchion_sdk as stanchion
from kit.guard_clients import POLICY, Provider, chat, chat_chunks, message, message_events, said
from stanchion_sdk import Blocked, safety
from stanchion_sdk.guarding.guards import AppGuard
from stanchion_sdk.testing import MemoryExporter, recording
from stanchion_server.commands.fake_llm import FakeLlm

MAIL, MASKED = "write to ann@example.org", "write to [EMAIL]"
BLOCKED = "This cannot be said here."
USER = {"role": "user", "content": MAIL}
ASK: dict[str, Any] = {"model": "m", "messages": [USER]}
ASK_ANTHROPIC: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [USER]}
TOOL = {"id": "t1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"text": MAIL, "n": 1})}}
LONG = "This is a harmless sentence that is long enough to go out on its own. " * 10


@pytest.fixture(autouse=True)
def nothing_of_ours_failed() -> Iterator[None]:
    before = safety.failures.total()
    yield
    assert safety.failures.total() == before, safety.failures


@pytest.fixture
def recorded() -> Iterator[MemoryExporter]:
    with recording() as memory:
        yield memory


@pytest.fixture
def guard() -> AppGuard:
    return stanchion.guard(policy=POLICY)


def text_of(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_what_goes_in_and_what_comes_out_is_masked_and_the_client_stays_its_own_kind(guard: AppGuard) -> None:
    provider = Provider(chat(MAIL))
    plain = provider.openai()
    client = guard.openai(plain)
    answer = client.chat.completions.create(**ASK)
    assert provider.sent[0]["messages"][0]["content"] == MASKED
    assert answer.choices[0].message.content == MASKED
    assert answer.choices[0].logprobs is None  # they name the tokens of the original
    assert (answer.usage and answer.usage.total_tokens, answer._request_id) == (5, "req_1")
    assert type(client) is openai.OpenAI and type(answer) is openai.types.chat.ChatCompletion
    plain.chat.completions.create(**ASK)
    assert provider.sent[1]["messages"][0]["content"] == MAIL  # the client itself is not guarded
    assert ASK["messages"][0]["content"] == MAIL  # nor are the application's own messages changed


def test_a_copy_of_a_guarded_client_is_guarded(guard: AppGuard) -> None:
    provider = Provider(chat("hello"))
    client = guard.openai(provider.openai())
    client.with_options(timeout=3).chat.completions.create(**ASK)
    client.copy(max_retries=1).with_options(timeout=3).chat.completions.create(**ASK)
    client.chat.completions.create(model="m", messages=[], extra_body={"messages": [USER]})
    assert [sent["messages"][0]["content"] for sent in provider.sent] == [MASKED] * 3


def test_a_blocked_question_never_reaches_the_provider(guard: AppGuard) -> None:
    provider = Provider(chat("hello"))
    bad = [{"role": "user", "content": "please open sesame"}]
    for client in (provider.openai(), provider.anthropic()):
        calls = guard.openai(client).chat.completions if isinstance(client, openai.OpenAI) else None
        with pytest.raises(Blocked) as raised:
            if calls is not None:
                calls.create(model="m", messages=bad)
            else:
                guard.anthropic(client).messages.create(model="m", max_tokens=9, messages=bad)
        assert (str(raised.value), raised.value.stage) == (BLOCKED, "input")
    assert provider.sent == []


def test_by_choice_the_clients_own_answer_carries_the_message(guard: AppGuard) -> None:
    provider = Provider(chat("hello"))
    bad: Any = [{"role": "user", "content": "please open sesame"}]
    client = guard.openai(provider.openai(), when_blocked="answer")
    whole = client.chat.completions.create(model="m", messages=bad)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (BLOCKED, "content_filter")
    stream = client.chat.completions.create(model="m", messages=bad, stream=True)
    assert type(stream) is openai.Stream
    assert text_of(stream) == BLOCKED
    response = client.responses.create(model="m", input="open sesame")
    assert (response.output_text, response.status) == (BLOCKED, "incomplete")
    events = list(client.responses.create(model="m", input="open sesame", stream=True))
    assert [event.type for event in events][-1] == "response.incomplete"
    claude = guard.anthropic(provider.anthropic(), when_blocked="answer")
    told = claude.messages.create(model="m", max_tokens=9, messages=bad)
    assert (told.content[0].text, told.stop_reason) == (BLOCKED, "refusal")
    with claude.messages.stream(model="m", max_tokens=9, messages=bad) as helper:
        assert helper.get_final_text() == BLOCKED
    assert provider.sent == []


def test_a_fallback_answers_with_its_own_message_whatever_the_choice(guard: AppGuard) -> None:
    provider = Provider(chat("go to the other shop"))
    answer = guard.openai(provider.openai()).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "Let us talk about our shop."
    assert answer.usage is not None  # the call was made and is paid for


def test_reask_asks_once_more_with_the_policys_words_and_then_is_a_block(guard: AppGuard) -> None:
    provider = Provider(chat("I have no idea"), chat("It is Paris."))
    answer = guard.openai(provider.openai()).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "It is Paris."
    assert [row["content"] for row in provider.sent[1]["messages"]] == [
        MASKED,
        "I have no idea",
        "Please try to answer.",
    ]
    stubborn = Provider(chat("I have no idea"))
    with pytest.raises(Blocked, match="Please try to answer"):
        guard.openai(stubborn.openai()).chat.completions.create(**ASK)
    assert len(stubborn.sent) == 2


def test_tool_calls_and_tool_results_are_stages_of_their_own(guard: AppGuard, recorded: MemoryExporter) -> None:
    provider = Provider(chat(None, tool_calls=[TOOL]))
    history: Any = [
        {"role": "assistant", "tool_calls": [TOOL]},
        {"role": "tool", "tool_call_id": "t1", "content": "the answer of " + MAIL},
    ]
    answer = guard.openai(provider.openai()).chat.completions.create(model="m", messages=history)
    sent = provider.sent[0]["messages"]
    assert json.loads(sent[0]["tool_calls"][0]["function"]["arguments"]) == {"text": MASKED, "n": 1}
    assert sent[1]["content"] == "the answer of " + MASKED
    [call] = answer.choices[0].message.tool_calls or ()
    assert call.type == "function" and json.loads(call.function.arguments) == {"text": MASKED, "n": 1}
    bad = {**TOOL, "function": {"name": "send", "arguments": '{"text": "open sesame"}'}}
    with pytest.raises(Blocked) as raised:
        guard.openai(Provider(chat(None, tool_calls=[bad])).openai()).chat.completions.create(**ASK)
    assert raised.value.stage == "tool_call"


def test_a_masked_number_in_arguments_leaves_json(guard: AppGuard) -> None:
    block = {"type": "tool_use", "id": "t", "name": "pay", "input": {"card": 4111111111111111, "who": 'a "b" c'}}
    answer = guard.anthropic(Provider(message(block)).anthropic()).messages.create(**ASK_ANTHROPIC)
    assert answer.content[0].input == {"card": "[CREDIT_CARD]", "who": 'a "b" c'}


def test_anthropics_blocks_are_read_each_at_its_stage(guard: AppGuard) -> None:
    provider = Provider(message({"type": "text", "text": MAIL}))
    content: Any = [
        {"type": "text", "text": MAIL},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": MAIL}, "title": "t"},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": MAIL}]},
    ]
    answer = guard.anthropic(provider.anthropic()).messages.create(
        model="m", max_tokens=9, system=MAIL, messages=[{"role": "user", "content": content}]
    )
    assert answer.content[0].text == MASKED
    assert provider.sent[0]["system"] == MASKED
    first, document, result = provider.sent[0]["messages"][0]["content"]
    assert (first["text"], document["source"]["data"], result["content"][0]["text"]) == (MASKED,) * 3


def test_what_nobody_reads_stands_in_the_coverage(guard: AppGuard, recorded: MemoryExporter) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    row: Any = {"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]}
    guard.openai(Provider(chat("a cat")).openai()).chat.completions.create(model="m", messages=[row])
    asked, answered = (span for span in recorded.spans if span.scope == "stanchion.guard")
    assert asked.attributes["stanchion.guard.is_complete"] is False
    assert "image_url: no check reads it" in asked.attributes["stanchion.guard.detail"]
    assert answered.attributes["stanchion.guard.is_complete"] is True


def test_tool_definitions_and_turns_that_the_provider_keeps_stand_in_the_coverage(
    guard: AppGuard, recorded: MemoryExporter
) -> None:
    schema: Any = {"type": "object", "properties": {"to": {"type": "string", "description": MAIL}}}
    provider = Provider(chat("done"))
    client, claude = guard.openai(provider.openai()), guard.anthropic(Provider(message("done")).anthropic())
    function: Any = {"name": "send", "description": "Sends a mail.", "parameters": schema}
    client.chat.completions.create(**ASK, tools=[{"type": "function", "function": function}])
    client.chat.completions.create(**ASK, functions=[function])
    client.responses.create(model="m", input="x", tools=[{"type": "function", "strict": False, **function}])
    claude.messages.create(**ASK_ANTHROPIC, tools=[{"name": "send", "input_schema": schema}])
    client.responses.create(model="m", input="x", previous_response_id="resp_1")
    details = [span.attributes["stanchion.guard.detail"] for span in recorded.spans if span.scope == "stanchion.guard"]
    assert sum("tool definitions: no check reads it" in detail for detail in details) == 4
    assert sum("earlier turns stored at the provider: no check reads it" in detail for detail in details) == 1


def test_texts_of_a_request_in_unusual_places_are_masked_or_told_of(guard: AppGuard, recorded: MemoryExporter) -> None:
    provider = Provider(chat("done"))
    client = guard.openai(provider.openai())
    rows: Any = [
        {"role": "user", "content": [MAIL]},
        {"role": "assistant", "content": "a", "refusal": MAIL, "reasoning_content": MAIL},
        {"role": "user", "content": {"type": "text", "text": MAIL}},
    ]
    client.chat.completions.create(model="m", messages=[], extra_body={"messages": rows})
    first, second, _ = provider.sent[0]["messages"]
    assert (first["content"], second["refusal"], second["reasoning_content"]) == ([MASKED], MASKED, MASKED)
    asked = next(span for span in recorded.spans if span.scope == "stanchion.guard")
    assert "content: no check reads it" in asked.attributes["stanchion.guard.detail"]
    client.responses.create(model="m", input=[], extra_body={"input": [MAIL]})
    assert provider.sent[1]["input"] == [MASKED]
    claude = Provider(message("done"))
    guard.anthropic(claude.anthropic()).messages.create(
        model="m", max_tokens=9, messages=[], extra_body={"messages": [{"role": "user", "content": [MAIL]}]}
    )
    assert claude.sent[0]["messages"][0]["content"] == [MASKED]


def test_predictions_and_suffixes_are_judged(guard: AppGuard) -> None:
    provider = Provider(chat("done"))
    client = guard.openai(provider.openai())
    client.chat.completions.create(**ASK, prediction={"type": "content", "content": MAIL})
    client.completions.create(model="m", prompt="a", suffix=MAIL)
    assert (provider.sent[0]["prediction"]["content"], provider.sent[1]["suffix"]) == (MASKED, MASKED)


def test_calls_of_another_kind_are_recorded_as_unjudged_or_blocked(recorded: MemoryExporter) -> None:
    provider = Provider({"created": 1, "data": []})
    stanchion.guard(policy=POLICY).openai(provider.openai()).images.generate(prompt=MAIL)
    [span] = recorded.spans
    assert "/images/generations: the guard does not read it" in span.attributes["stanchion.guard.detail"]
    strict = stanchion.guard(policy=POLICY, when_unavailable="block").openai(provider.openai())
    with pytest.raises(Blocked):
        strict.images.generate(prompt=MAIL)
    assert len(provider.sent) == 1


def test_embeddings_and_token_counts_are_masked_on_the_way_out(guard: AppGuard) -> None:
    vectors = Provider({"object": "list", "model": "m", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
    guard.openai(vectors.openai()).embeddings.create(model="m", input=[MAIL, "plain"], encoding_format="float")
    assert vectors.sent[0]["input"] == [MASKED, "plain"]
    counts = Provider({"input_tokens": 3})
    guard.anthropic(counts.anthropic()).messages.count_tokens(model="m", messages=[USER])
    assert counts.sent[0]["messages"][0]["content"] == MASKED


def test_raw_responses_are_judged_whole_and_refused_in_pieces(guard: AppGuard) -> None:
    client = guard.openai(Provider(chat(MAIL)).openai())
    raw = client.chat.completions.with_raw_response.create(**ASK)
    parsed = raw.parse()
    assert (parsed.choices[0].message.content, raw.headers["x-request-id"]) == (MASKED, "req_1")
    assert "ann@" not in raw.text
    with pytest.raises(TypeError, match="cannot judge a raw response"):
        client.chat.completions.with_raw_response.create(**ASK, stream=True)
    with pytest.raises(TypeError, match="cannot judge"), client.chat.completions.with_streaming_response.create(**ASK):
        pass


class Letter(pydantic.BaseModel):
    to: str


def test_structured_answers_are_parsed_from_the_masked_text(guard: AppGuard) -> None:
    client = guard.openai(Provider(chat('{"to": "ann@example.org"}')).openai())
    answer = client.chat.completions.parse(**ASK, response_format=Letter)
    assert answer.choices[0].message.parsed == Letter(to="[EMAIL]")
    stopped = guard.openai(Provider(chat('{"to": "open sesame"}')).openai(), when_blocked="answer")
    refused = stopped.chat.completions.parse(**ASK, response_format=Letter).choices[0].message
    assert (refused.parsed, refused.refusal) == (None, BLOCKED)


def test_documents_are_judged_as_retrieved_and_masked_where_they_stand(guard: AppGuard) -> None:
    provider = Provider(chat("hello"))
    client = guard.openai(provider.openai())
    document = "Ann's address is ann@example.org and she likes tea."
    with guard.retrieved(document):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"Use this: {document}"}])
    assert "ann@" not in provider.sent[0]["messages"][0]["content"]
    with guard.retrieved("open sesame"), pytest.raises(Blocked) as raised:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert raised.value.stage == "retrieved"


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_a_stream_shows_what_a_whole_answer_would(guard: AppGuard, size: int) -> None:
    text = LONG + MAIL + " or pay with 4111 1111 1111 1111, please. " + LONG
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    whole = guard.openai(Provider(chat(text)).openai()).chat.completions.create(**ASK)
    stream = guard.openai(Provider(said(pieces)).openai()).chat.completions.create(**ASK, stream=True)
    chunks = list(stream)
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices[0].logprobs is None for chunk in chunks)
    blocks = message_events(({"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in pieces]))
    with guard.anthropic(Provider(blocks).anthropic()).messages.stream(**ASK_ANTHROPIC) as helper:
        assert "".join(helper.text_stream) == whole.choices[0].message.content


def test_a_streamed_tool_call_comes_whole_or_not_at_all(guard: AppGuard) -> None:
    def pieces(arguments: str) -> list[Any]:
        begun = {"index": 0, "id": "t1", "type": "function", "function": {"name": "send", "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": arguments[at : at + 4]}} for at in range(0, len(arguments), 4)]
        return chat_chunks(*({"tool_calls": [each]} for each in (begun, *rest)))

    good = guard.openai(Provider(pieces(TOOL["function"]["arguments"])).openai())
    with good.chat.completions.stream(**ASK) as helper:
        [call] = helper.get_final_completion().choices[0].message.tool_calls or ()
    assert (call.id, json.loads(call.function.arguments)) == ("t1", {"text": MASKED, "n": 1})
    bad = guard.openai(Provider(pieces('{"text": "open sesame"}')).openai())
    seen = []
    with pytest.raises(Blocked) as raised:
        for chunk in bad.chat.completions.create(**ASK, stream=True):
            seen.append(chunk.choices[0].delta.tool_calls)
    assert raised.value.stage == "tool_call" and not any(seen)
    use = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    parts = ['{"text": "op', 'en sesame"}']
    events = message_events((use, [{"type": "input_json_delta", "partial_json": each} for each in parts]))
    claude = guard.anthropic(Provider(events).anthropic(), when_blocked="answer")
    with claude.messages.stream(**ASK_ANTHROPIC) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["text"] and final.stop_reason == "refusal"


def test_a_stopped_stream_ends_with_blocked_or_with_the_message(guard: AppGuard) -> None:
    text = LONG + "And now: open sesame, says he."
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    shown = []
    with pytest.raises(Blocked) as raised:
        for chunk in guard.openai(Provider(said(pieces)).openai()).chat.completions.create(**ASK, stream=True):
            shown.append(chunk.choices[0].delta.content or "")
    assert raised.value.stage == "output"
    assert LONG.startswith("".join(shown)) and len("".join(shown)) > 400
    answering = guard.openai(Provider(said(pieces)).openai(), when_blocked="answer")
    chunks = list(answering.chat.completions.create(**ASK, stream=True))
    assert text_of(chunks).endswith(BLOCKED) and "open" not in text_of(chunks)
    assert chunks[-1].choices[0].finish_reason == "content_filter"


def test_async_clients_are_guarded_alike(guard: AppGuard) -> None:
    text = LONG + MAIL + " please."
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    blocks = message_events(({"type": "text", "text": ""}, [{"type": "text_delta", "text": each} for each in pieces]))

    async def calls() -> list[str | None]:
        whole = await guard.openai(Provider(chat(MAIL)).async_openai()).chat.completions.create(**ASK)
        stream = await guard.openai(Provider(said(pieces)).async_openai()).chat.completions.create(**ASK, stream=True)
        streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        claude = guard.anthropic(Provider(message({"type": "text", "text": MAIL})).async_anthropic())
        told = (await claude.messages.create(**ASK_ANTHROPIC)).content[0]
        async with guard.anthropic(Provider(blocks).async_anthropic()).messages.stream(**ASK_ANTHROPIC) as helper:
            final = await helper.get_final_text()
        answering = guard.openai(Provider(chat("open sesame")).async_openai(), when_blocked="answer")
        stopped = await answering.chat.completions.create(**ASK)
        with pytest.raises(Blocked):
            await guard.openai(Provider(chat("open sesame")).async_openai()).chat.completions.create(**ASK)
        return [whole.choices[0].message.content, streamed, told.text, final, stopped.choices[0].message.content]

    masked = LONG + MASKED + " please."
    assert asyncio.run(calls()) == [MASKED, masked, MASKED, masked, BLOCKED]


def test_one_call_is_recorded_and_its_decisions_stand_in_its_trace(guard: AppGuard, recorded: MemoryExporter) -> None:
    with FakeLlm(latency_ms=1, chunk_ms=0) as fake:
        client = guard.openai(openai.OpenAI(base_url=fake.url + "/v1", api_key="x", max_retries=0))
        with stanchion.feature("search"):
            client.chat.completions.create(model="gpt-4o-mini", messages=[USER])
            list(client.chat.completions.create(model="gpt-4o-mini", messages=[USER], stream=True))
        client.close()
        answering = guard.openai(client, when_blocked="answer")
        answering.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "open sesame"}])
    assert len(recorded.calls) == len(fake.calls) == 2  # neither a masked nor a made answer counts as a call
    for call in recorded.calls:
        family = [span for span in recorded.spans if span.trace_id == call.trace_id]
        assert [span.scope for span in family].count("stanchion.guard") == 2
        assert len({span.parent_id for span in family if span.parent_id}) == 1
        assert MASKED in call.attributes["gen_ai.input.messages"]  # recorded as it was sent


def test_a_stream_that_is_left_early_is_judged_and_counted_once(guard: AppGuard, recorded: MemoryExporter) -> None:
    text = LONG * 5
    pieces = [text[at : at + 50] for at in range(0, len(text), 50)]
    stream = guard.openai(Provider(said(pieces)).openai()).chat.completions.create(**ASK, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    del stream
    decided = [span for span in recorded.spans if span.scope == "stanchion.guard"]
    assert [span.attributes["stanchion.guard.stage"] for span in decided] == ["input", "output"]
    assert len(recorded.calls) == 1
    assert len({span.trace_id for span in (*decided, *recorded.calls)}) == 1


def test_variants_of_the_clients_are_guarded_too(guard: AppGuard) -> None:
    provider = Provider(message({"type": "text", "text": MAIL}))
    beta = guard.anthropic(provider.anthropic()).beta.messages.create(**ASK_ANTHROPIC, betas=["x"])
    assert (beta.content[0].text, provider.sent[0]["messages"][0]["content"]) == (MASKED, MASKED)
    bedrock = anthropic.AnthropicBedrock(aws_access_key="a", aws_secret_key="s", aws_region="r", max_retries=0)
    bad = {**ASK_ANTHROPIC, "messages": [{"role": "user", "content": "open sesame"}]}
    answering = guard.anthropic(bedrock, when_blocked="answer")
    assert answering.messages.create(**bad).content[0].text == BLOCKED
    texts = [event.delta.text for event in answering.messages.create(**bad, stream=True) if hasattr(event, "delta")
             and hasattr(event.delta, "text")]  # fmt: skip
    assert texts == [BLOCKED]
    azure = openai.AzureOpenAI(azure_endpoint="http://azure", api_key="x", api_version="2024-10-21", max_retries=0)
    stopped = guard.openai(azure, when_blocked="answer").chat.completions.create(model="m", messages=bad["messages"])
    assert stopped.choices[0].message.content == BLOCKED


def test_texts_of_fields_that_other_servers_add_are_judged_or_told_of(
    guard: AppGuard, recorded: MemoryExporter
) -> None:
    answer = chat("hello", reasoning_content=MAIL, reasoning_details=[{"text": MAIL}])
    told = guard.openai(Provider(answer).openai()).chat.completions.create(**ASK).choices[0].message
    assert told.reasoning_content == MASKED
    last = [span for span in recorded.spans if span.scope == "stanchion.guard"][-1]
    assert "reasoning_details: no check reads it" in last.attributes["stanchion.guard.detail"]
    deltas = chat_chunks({"reasoning_content": MAIL[:12]}, {"reasoning_content": MAIL[12:], "reasoning_details": ["x"]})
    chunks = list(guard.openai(Provider(deltas).openai()).chat.completions.create(**ASK, stream=True))
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks]
    assert "".join(thoughts) == MASKED
    assert not any(hasattr(chunk.choices[0].delta, "reasoning_details") for chunk in chunks)


def test_the_providers_errors_are_the_applications_to_handle(guard: AppGuard, recorded: MemoryExporter) -> None:
    with FakeLlm(latency_ms=1, chunk_ms=0) as fake:
        client = guard.openai(openai.OpenAI(base_url=fake.url + "/v1", api_key="x", max_retries=0))
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="error-429", messages=[USER])
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="error-429", messages=[USER], stream=True)
        client.close()
    assert [call.status for call in recorded.calls] == ["ERROR", "ERROR"]
    assert sum(span.scope == "stanchion.guard" for span in recorded.spans) == 2


def test_a_policy_that_holds_everything_shows_nothing_of_a_stream_before_its_end() -> None:
    client = stanchion.guard(policy={**POLICY, "stream": {"hold": "everything"}}).openai(
        Provider(said([LONG, MAIL, " and more. ", "open sesame"])).openai(), when_blocked="answer"
    )
    assert text_of(client.chat.completions.create(**ASK, stream=True)) == BLOCKED
    good = stanchion.guard(policy={**POLICY, "stream": {"hold": "everything"}})
    chunks = list(good.openai(Provider(said([LONG, MAIL])).openai()).chat.completions.create(**ASK, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content] == [LONG + MASKED]


def test_a_stream_keeps_the_usage_that_was_asked_for(guard: AppGuard) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    events = [*said(["Hel", "lo ", MAIL]), {**said(["x"])[0], "choices": [], "usage": usage}]
    chunks = list(guard.openai(Provider(events).openai()).chat.completions.create(**ASK, stream=True))
    assert text_of(chunk for chunk in chunks if chunk.choices) == "Hello " + MASKED
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [5]


def test_what_is_no_client_is_refused(guard: AppGuard) -> None:
    with pytest.raises(TypeError, match="no client of openai or anthropic"):
        guard.openai(object())
