"""An application that only calls `init()`: every kind of call of the openai client, made in all the usual ways."""

import asyncio
import json
import threading

import stanchion_sdk as stanchion

early = None
try:
    import openai

    early = openai.OpenAI(max_retries=0)  # a client that is older than init
    early.chat.completions  # noqa: B018
finally:
    assert stanchion.init()
    assert stanchion.init()

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
FLAT_TOOLS = [
    {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}]
CHAT = {"model": "gpt-4o-mini", "messages": ASK, "max_tokens": 64, "temperature": 0.2}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
client = openai.OpenAI(max_retries=0)
aclient = openai.AsyncOpenAI(max_retries=0)
seen = {}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def sync_calls():
    with stanchion.feature("early"):
        seen["early"] = early.chat.completions.create(**CHAT).choices[0].message.content
    with stanchion.feature("plain"):
        seen["plain"] = client.chat.completions.create(**CHAT).choices[0].message.content
    with stanchion.feature("tools"):
        seen["tools"] = (
            client.chat.completions.create(**CHAT, tools=TOOLS).choices[0].message.tool_calls[0].function.name
        )
    with stanchion.feature("stream"):
        stream = client.chat.completions.create(**CHAT, **STREAM)
        assert isinstance(stream, openai.Stream)
    seen["stream"] = text_of(stream)  # consumed after the block
    with stanchion.feature("stream_tools"):
        list(client.chat.completions.create(**CHAT, **STREAM, tools=TOOLS))
    with stanchion.feature("stream_closed"), client.chat.completions.create(**CHAT, **STREAM) as stream:
        next(stream)
    with stanchion.feature("stream_unheld"):
        client.chat.completions.create(**CHAT, **STREAM).close()
    with stanchion.feature("stream_dropped"):
        for _chunk in client.chat.completions.create(**CHAT, **STREAM):
            break
    with (
        stanchion.feature("helper"),
        client.chat.completions.stream(**CHAT, stream_options=STREAM["stream_options"]) as events,
    ):
        for _event in events:
            pass
        seen["helper"] = events.get_final_completion().choices[0].message.content
    with stanchion.feature("raw"):
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        seen["raw"] = raw.parse().choices[0].message.content
    with stanchion.feature("raw_stream"):
        seen["raw_stream"] = text_of(client.chat.completions.with_raw_response.create(**CHAT, **STREAM).parse())
    with stanchion.feature("streaming_response"), client.chat.completions.with_streaming_response.create(**CHAT) as raw:
        seen["streaming_response"] = raw.parse().choices[0].message.content


def variants():
    with stanchion.feature("parse"):
        seen["parse"] = client.chat.completions.parse(**CHAT).choices[0].message.content
    with stanchion.feature("responses_parse"):
        seen["responses_parse"] = client.responses.parse(model="gpt-4o-mini", input="Capital of France?").output_text
    with stanchion.feature("responses_helper"), client.responses.stream(model="gpt-4o-mini", input=ASK) as events:
        seen["responses_helper"] = events.get_final_response().output_text
    with (
        stanchion.feature("streaming_response_stream"),
        client.chat.completions.with_streaming_response.create(**CHAT, **STREAM) as raw,
    ):
        seen["streaming_response_stream"] = text_of(raw.parse())
    with stanchion.feature("azure"):
        address = str(client.base_url).removesuffix("/v1/")
        azure = openai.AzureOpenAI(azure_endpoint=address, api_version="2024-10-21", max_retries=0)
        seen["azure"] = azure.chat.completions.create(**CHAT).choices[0].message.content
    with stanchion.feature("refused"):
        try:
            client.chat.completions.create(**{**CHAT, "model": "gpt-error-429"})
        except openai.RateLimitError as error:
            seen["refused"] = error.status_code


@stanchion.feature("generator")
def words():
    for chunk in client.chat.completions.create(**CHAT, **STREAM):
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""


def other_calls():
    with stanchion.feature("responses"):
        seen["responses"] = client.responses.create(
            model="gpt-4o-mini", input="Capital of France?", instructions="Be brief."
        ).output_text
    with stanchion.feature("responses_tools"):
        client.responses.create(model="gpt-4o-mini", input=ASK, tools=FLAT_TOOLS)
    with stanchion.feature("responses_stream"):
        for _event in client.responses.create(model="gpt-4o-mini", input=ASK, stream=True):
            pass
    with stanchion.feature("embeddings"):
        seen["embeddings"] = len(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).data)
    with stanchion.feature("error"):
        try:
            openai.OpenAI(max_retries=0, base_url="http://127.0.0.1:9/v1").chat.completions.create(**CHAT)
        except openai.APIConnectionError as error:
            seen["error"] = type(error).__name__
    with stanchion.feature("not_found"):
        try:
            client.post("/chat/completions/", body={}, cast_to=object)
        except openai.OpenAIError as error:
            seen["not_found"] = type(error).__name__


async def async_calls():
    with stanchion.feature("async"):
        seen["async"] = (await aclient.chat.completions.create(**CHAT)).choices[0].message.content
    with stanchion.feature("async_stream"):
        stream = await aclient.chat.completions.create(**CHAT, **STREAM)
    seen["async_stream"] = text_of([chunk async for chunk in stream])

    @stanchion.session("s-gather")
    async def one(name):
        with stanchion.feature(name):
            await aclient.embeddings.create(model="text-embedding-3-small", input="a")

    await asyncio.gather(one("task_a"), one("task_b"))
    with stanchion.feature("cancelled"):
        slow = aclient.with_options(default_headers={"x-fake-latency-ms": "3000"})
        try:
            await asyncio.wait_for(slow.chat.completions.create(**CHAT), 0.2)
        except TimeoutError as error:
            seen["cancelled"] = type(error).__name__


def in_a_thread():
    with stanchion.feature("thread"), stanchion.user("u-1"), stanchion.session("s-1"):
        work = stanchion.propagate(lambda: client.chat.completions.create(**CHAT))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


sync_calls()
variants()
seen["generator"] = "".join(words())
other_calls()
asyncio.run(async_calls())
in_a_thread()
print(json.dumps(seen))
