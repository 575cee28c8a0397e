"""An application that only calls `init()`: llama-index with OpenAI's model, a model of its own, an index, an agent."""

import asyncio
import json
import os

import stanchion_sdk as stanchion

assert stanchion.init()

from llama_index.core import Document, MockEmbedding, VectorStoreIndex  # noqa: E402
from llama_index.core.agent.workflow import FunctionAgent  # noqa: E402
from llama_index.core.llms import ChatMessage, MockLLM  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402
from llama_index.embeddings.openai import OpenAIEmbedding  # noqa: E402
from llama_index.llms.openai import OpenAI  # noqa: E402

BASE = os.environ["OPENAI_BASE_URL"]
llm = OpenAI(
    model="gpt-4o-mini",
    temperature=0.2,
    max_tokens=64,
    max_retries=0,
    api_base=BASE,
    additional_kwargs={"stream_options": {"include_usage": True}},
)
plain_llm = OpenAI(model="gpt-4o-mini", temperature=0.2, max_tokens=64, max_retries=0, api_base=BASE)
ASK = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Capital of France?")]
seen = {}


def get_weather(city: str) -> str:
    """The weather now."""
    return f"sunny in {city}"


def models():
    with stanchion.feature("plain"):
        seen["plain"] = plain_llm.chat(ASK).message.content
    with stanchion.feature("stream"):
        seen["stream"] = "".join(chunk.delta or "" for chunk in llm.stream_chat(ASK))
    with stanchion.feature("own_model"):
        seen["own_model"] = MockLLM(max_tokens=2).complete("one two three").text
    with stanchion.feature("own_stream"):
        seen["own_stream"] = "".join(chunk.delta or "" for chunk in MockLLM(max_tokens=2).stream_complete("one two"))
    with stanchion.feature("own_embedding"):
        MockEmbedding(embed_dim=3).get_text_embedding("a")


def retrieval():
    documents = [Document(text="Paris is the capital of France.", doc_id="d1")]
    with stanchion.feature("index"):
        embedding = OpenAIEmbedding(model="text-embedding-3-small", max_retries=0, api_base=BASE)
        index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    with stanchion.feature("query"), stanchion.session("s-1"):
        seen["query"] = str(index.as_query_engine(llm=plain_llm).query("Capital of France?"))
    with stanchion.feature("tool"):
        seen["tool"] = FunctionTool.from_defaults(get_weather)(city="Paris").content


async def async_calls():
    with stanchion.feature("async"):
        seen["async"] = (await plain_llm.achat(ASK)).message.content
    with stanchion.feature("agent"), stanchion.user("u-1"):
        agent = FunctionAgent(tools=[get_weather], llm=plain_llm, streaming=False)
        seen["agent"] = str(await agent.run("Weather in Paris?"))


models()
retrieval()
asyncio.run(async_calls())
assert stanchion.current_trace_id() is None
print(json.dumps(seen))
