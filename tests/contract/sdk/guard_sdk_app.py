"""An application without the engine: its openai client is guarded, and the server judges."""

import asyncio
import json
import sys

import openai

import stanchion_sdk as stanchion

assert stanchion.init()
guard = stanchion.guard("chat", remote="without-engine", deadline_ms=20_000)
MAIL = [{"role": "user", "content": "I am ann@example.org"}]
BAD = [{"role": "user", "content": "open sesame"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "send",
            "parameters": {"type": "object", "properties": {"to": {"type": "string", "enum": ["bob@example.org"]}}},
        },
    }
]
client = guard.openai(openai.OpenAI(max_retries=0))
answering = guard.openai(openai.OpenAI(max_retries=0), when_blocked="answer")
aclient = guard.openai(openai.AsyncOpenAI(max_retries=0))
chats = client.chat.completions
seen = {"version": openai.__version__.split(".")[0], "engine": "stanchion_guard" in sys.modules}

seen["plain"] = chats.create(model="gpt-4o-mini", messages=MAIL).choices[0].message.content
stream = chats.create(model="gpt-4o-mini", messages=MAIL, stream=True)
seen["stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
[call] = chats.create(model="gpt-4o-mini", messages=MAIL, tools=TOOLS).choices[0].message.tool_calls
seen["tools"] = call.function.arguments
seen["raw"] = chats.with_raw_response.create(model="gpt-4o-mini", messages=MAIL).parse().choices[0].message.content
seen["response"] = client.responses.create(model="gpt-4o-mini", input="I am ann@example.org").output_text
try:
    chats.create(model="gpt-4o-mini", messages=BAD)
except stanchion.Blocked as blocked:
    seen["blocked"] = [str(blocked), blocked.stage]
message = answering.chat.completions.create(model="gpt-4o-mini", messages=BAD).choices[0].message.content
seen["answered"] = message
stopped = answering.chat.completions.create(model="gpt-4o-mini", messages=BAD, stream=True)
seen["answered_stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in stopped)


async def async_calls():
    seen["async"] = (
        (await aclient.chat.completions.create(model="gpt-4o-mini", messages=MAIL)).choices[0].message.content
    )
    stream = await aclient.chat.completions.create(model="gpt-4o-mini", messages=MAIL, stream=True)
    seen["async_stream"] = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


asyncio.run(async_calls())
print(json.dumps(seen))
