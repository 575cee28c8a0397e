"""An application that only calls `init()`: messages of the anthropic client."""

import asyncio
import json
import os

import stanchion_sdk as stanchion

assert stanchion.init()

import anthropic  # noqa: E402

ASK = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 64,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Capital of France?"}],
}
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
client = anthropic.Anthropic(max_retries=0)
aclient = anthropic.AsyncAnthropic(max_retries=0)
seen = {}

with stanchion.feature("plain"):
    seen["plain"] = client.messages.create(**ASK).content[0].text
with stanchion.feature("tools"):
    seen["tools"] = client.messages.create(**ASK, tools=TOOLS).content[-1].name
with stanchion.feature("stream"):
    for _event in client.messages.create(**ASK, stream=True):
        pass
with stanchion.feature("stream_tools"):
    for _event in client.messages.create(**ASK, tools=TOOLS, stream=True):
        pass
with stanchion.feature("helper"), client.messages.stream(**ASK) as stream:
    seen["helper"] = "".join(stream.text_stream)


async def async_calls():
    with stanchion.feature("async"):
        seen["async"] = (await aclient.messages.create(**ASK)).content[0].text
    with stanchion.feature("async_helper"):
        async with aclient.messages.stream(**ASK) as stream:
            seen["async_helper"] = await stream.get_final_text()


asyncio.run(async_calls())
with stanchion.feature("count"):
    seen["count"] = client.messages.count_tokens(
        model=ASK["model"], system=ASK["system"], messages=ASK["messages"]
    ).input_tokens
with stanchion.feature("beta"):
    seen["beta"] = client.beta.messages.create(**ASK, betas=["x"]).content[0].text
with stanchion.feature("raw"):
    seen["raw"] = client.messages.with_raw_response.create(**ASK).parse().content[0].text
with stanchion.feature("closed"), client.messages.create(**ASK, stream=True) as stream:
    next(stream)
with stanchion.feature("vertex"):
    vertex = anthropic.AnthropicVertex(
        base_url=os.environ["ANTHROPIC_BASE_URL"], project_id="p", region="r", access_token="t", max_retries=0
    )
    try:
        vertex.messages.create(**ASK)  # the fake serves none of Vertex's paths
    except anthropic.NotFoundError as error:
        seen["vertex"] = error.status_code
with stanchion.feature("bedrock"):
    bedrock = anthropic.AnthropicBedrock(
        base_url=os.environ["BEDROCK_URL"], aws_access_key="a", aws_secret_key="s", aws_region="r", max_retries=0
    )
    seen["bedrock"] = bedrock.messages.create(**{**ASK, "model": "anthropic.claude-sonnet-4-5-v1:0"}).content[0].text
with stanchion.feature("error"):
    try:
        anthropic.Anthropic(max_retries=0, base_url="http://127.0.0.1:9").messages.create(**ASK)
    except anthropic.APIConnectionError as error:
        seen["error"] = type(error).__name__
print(json.dumps(seen))
