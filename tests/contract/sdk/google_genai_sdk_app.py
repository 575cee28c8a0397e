"""An application that only calls `init()`: google-genai, whole, streamed, async, with functions, embeddings."""

import asyncio
import json
import os

import stanchion_sdk as stanchion

assert stanchion.init()

from google import genai  # noqa: E402
from google.genai import errors, types  # noqa: E402

client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=os.environ["GEMINI_BASE_URL"]))
CONFIG = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.2, max_output_tokens=64)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
DECLARED = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
TOOLS = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[DECLARED])])
MODEL = "gemini-2.5-flash"
ASK = {"model": MODEL, "contents": "Capital of France?", "config": CONFIG}
seen = {}


def get_weather(city: str) -> str:
    """The weather now."""
    return f"sunny in {city}"


def sync_calls():
    with stanchion.feature("plain"):
        seen["plain"] = client.models.generate_content(**ASK).text
    with stanchion.feature("stream"):
        stream = client.models.generate_content_stream(**ASK)
    seen["stream"] = next(stream).text + "".join(chunk.text for chunk in stream)  # consumed after the block
    with stanchion.feature("stream_closed"):
        stream = client.models.generate_content_stream(**ASK)
        next(stream)
        stream.close()
    with stanchion.feature("stream_dropped"):
        for _chunk in client.models.generate_content_stream(**ASK):
            break
    with stanchion.feature("unread"):
        client.models.generate_content_stream(**ASK)
    with stanchion.feature("tools"):
        answer = client.models.generate_content(model=MODEL, contents="Weather?", config=TOOLS)
        seen["tools"] = answer.function_calls[0].name
    with stanchion.feature("stream_tools"):
        list(client.models.generate_content_stream(model=MODEL, contents="Weather?", config=TOOLS))
    with stanchion.feature("chat"):
        seen["chat"] = client.chats.create(model=MODEL, config=CONFIG).send_message("Capital of France?").text
    with stanchion.feature("embeddings"):
        seen["embeddings"] = len(
            client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"]).embeddings
        )
    with stanchion.feature("automatic"):
        config = types.GenerateContentConfig(
            tools=[get_weather], automatic_function_calling={"maximum_remote_calls": 1}
        )
        client.models.generate_content(model=MODEL, contents="Weather?", config=config)
    with stanchion.feature("error"):
        try:
            client.models.generate_content(model="gemini-error-429", contents="x")
        except errors.ClientError as error:
            seen["error"] = type(error).__name__
    with stanchion.feature("stream_error"):
        try:
            list(client.models.generate_content_stream(model="gemini-error-503", contents="x"))
        except errors.ServerError as error:
            seen["stream_error"] = type(error).__name__


async def async_calls():
    with stanchion.feature("async"):
        seen["async"] = (await client.aio.models.generate_content(**ASK)).text
    with stanchion.feature("async_stream"):
        stream = await client.aio.models.generate_content_stream(**ASK)
    seen["async_stream"] = "".join([chunk.text async for chunk in stream])


sync_calls()
asyncio.run(async_calls())
print(json.dumps(seen))
