"""An application that only calls `init()`: langchain's chat model in a chain, whole, streamed and async."""

import asyncio
import json

import stanchion_sdk as stanchion

assert stanchion.init()

from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_core.runnables import RunnableLambda  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")])
model = ChatOpenAI(model="gpt-4o-mini", temperature=0.2, max_tokens=64, stream_usage=True, max_retries=0)
chain = prompt | model
question = {"question": "Capital of France?"}
seen = {}
with stanchion.feature("plain"):
    seen["plain"] = chain.invoke(question).content
with stanchion.feature("stream"):
    seen["stream"] = "".join(chunk.content for chunk in chain.stream(question))
with stanchion.feature("batch"), stanchion.session("s"):
    seen["batch"] = chain.batch([question])[0].content


async def async_call():
    with stanchion.feature("async"):
        seen["async"] = (await chain.ainvoke(question)).content
    with stanchion.feature("async_stream"):
        seen["async_stream"] = "".join([chunk.content async for chunk in chain.astream(question)])


asyncio.run(async_call())


@tool
def look_up(city: str) -> str:
    """The weather now."""
    model.invoke("Capital of France?")
    return "sunny"


with stanchion.feature("tool"):
    seen["tool"] = (
        prompt | model | RunnableLambda(lambda answer: (look_up.invoke({"city": "Paris"}), answer.content)[1])
    ).invoke(question)
for _chunk in chain.stream(question):
    break
assert stanchion.current_trace_id() is None
print(json.dumps(seen))
