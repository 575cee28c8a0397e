"""An application that only calls `init()`: litellm to two providers, whole and streamed."""

import asyncio
import json
import os
import threading
import time

import stanchion_sdk as stanchion

assert stanchion.init()

import litellm  # noqa: E402

ASK = [{"role": "user", "content": "Capital of France?"}]
seen = {}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


with stanchion.feature("openai"):
    seen["openai"] = litellm.completion(model="openai/gpt-4o-mini", messages=ASK).choices[0].message.content
with stanchion.feature("openai_stream"):
    options = {"include_usage": True}
    stream = litellm.completion(model="openai/gpt-4o-mini", messages=ASK, stream=True, stream_options=options)
    seen["openai_stream"] = text_of(stream)
with stanchion.feature("anthropic"):
    seen["anthropic"] = litellm.completion(model="anthropic/claude-sonnet-4-5", messages=ASK).choices[0].message.content
with stanchion.feature("anthropic_stream"):
    seen["anthropic_stream"] = text_of(
        litellm.completion(model="anthropic/claude-sonnet-4-5", messages=ASK, stream=True)
    )


async def async_call():
    with stanchion.feature("anthropic_async"):
        answer = await litellm.acompletion(model="anthropic/claude-sonnet-4-5", messages=ASK)
    seen["anthropic_async"] = answer.choices[0].message.content
    await asyncio.sleep(1)


asyncio.run(async_call())
time.sleep(1)  # its callbacks run in a thread that offers no way to wait for it
print(json.dumps(seen))
stanchion.shutdown()
os._exit(0) if threading.active_count() > 20 else None
