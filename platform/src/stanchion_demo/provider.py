"""The provider behind the applications: the included fake one, told for each request what to answer, and real clients.

The clients believe they talk to api.openai.com and the others; a transport takes their requests to loopback, as a
company's proxy would. So the SDK sees true addresses and no byte leaves the machine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
import openai

from stanchion_demo import agent, cards
from stanchion_demo.steps import Embedding, ModelCall
from stanchion_server.commands.fake_llm import Answer, FakeLlm, Scripted, Usage

ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "gcp.gemini": "https://generativelanguage.googleapis.com/v1beta/openai",
    "mistral_ai": "https://api.mistral.ai/v1",
    cards.MODEL: "http://llama.birchwood.example:8000/v1",
}
"""By provider, or by model where the shop hosts it itself."""
REFUSALS = {
    429: "Rate limit reached for requests. Limit: 500 per minute. Please try again in 1 s.",
    500: "The server had an error while processing your request. Sorry about that!",
}
NO_KEY = "sk-demo-not-a-key"
LONGEST_WAIT_S = 120.0
WORDS_A_CHUNK, WORDS_A_CHUNK_PAST = 6, 20
GIVES_UP_AFTER_S = 0.03
"""Our patience for a provider that does not answer, where 20 seconds of history pass."""


class ToLoopback(httpx2.HTTPTransport):
    """Sends every request to one server on this machine, whatever its address says."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._target = httpx2.URL(url)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host=self._target.host, port=self._target.port)
        return super().handle_request(request)


class Provider:
    """All providers in one. `ask` and `embed` make real requests with real clients; they raise what these raise."""

    def __init__(self) -> None:
        self._scripts: dict[str, Scripted] = {}
        self._counting = threading.Lock()
        self._count = 0
        self._fake = FakeLlm(latency_ms=0, chunk_ms=0, script=self._scripts.get)

    def __enter__(self) -> Provider:
        self._fake.__enter__()
        wire = httpx2.Client(transport=ToLoopback(self._fake.url), timeout=LONGEST_WAIT_S)
        self._openai = {
            name: openai.OpenAI(api_key=NO_KEY, base_url=address, http_client=wire, max_retries=0)
            for name, address in ADDRESSES.items()
        }
        self._anthropic = anthropic.Anthropic(api_key=NO_KEY, http_client=wire, max_retries=0)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._fake.__exit__(None, None, None)

    def ask(self, call: ModelCall, *, is_past: bool) -> str:
        """The answer's text, empty where a tool is called."""
        with self._counting:
            self._count += 1
            key = str(self._count)
            self._fake.calls.clear()
        self._scripts[key] = scripted(call, WORDS_A_CHUNK_PAST if is_past else WORDS_A_CHUNK)
        options = {
            "extra_headers": {"x-fake-script": key, **_waits(call, is_past)},
            "timeout": _patience(call, is_past),
        }
        try:
            return {"chat": self._chat, "responses": self._responses, "messages": self._messages}[call.api](
                call, options
            )
        finally:
            self._scripts.pop(key, None)

    def embed(self, step: Embedding, *, is_past: bool) -> None:
        headers = {} if is_past else {"x-fake-latency-ms": str(step.latency_s * 1000)}
        self._openai["openai"].embeddings.create(model=step.model, input=list(step.texts), extra_headers=headers)

    def _chat(self, call: ModelCall, options: Mapping[str, Any]) -> str:
        messages: Any = [{"role": "system", "content": call.system}, *call.messages]
        more = {**options, **_given(temperature=call.temperature)}
        completions = self._openai[call.model if call.model in ADDRESSES else call.provider].chat.completions
        if not call.is_streamed:
            answer: str | None = (
                completions.create(model=call.model, messages=messages, **more).choices[0].message.content
            )
            return answer or ""
        stream = completions.create(
            model=call.model, messages=messages, stream=True, stream_options={"include_usage": True}, **more
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    def _responses(self, call: ModelCall, options: Mapping[str, Any]) -> str:
        tools: Any = [{"type": "function", "strict": False, **tool("parameters", name)} for name in agent.TOOLS]
        items: Any = list(call.messages)
        more = {**options, **_given(tools=tools if call.offers_tools else None)}
        text: str = (
            self._openai[call.provider]
            .responses.create(model=call.model, instructions=call.system, input=items, **more)
            .output_text
        )
        return text

    def _messages(self, call: ModelCall, options: Mapping[str, Any]) -> str:
        tools: Any = [tool("input_schema", name) for name in agent.TOOLS]
        messages: Any = list(call.messages)
        asked = {"model": call.model, "system": call.system, "messages": messages, "max_tokens": 1024}
        asked |= {**options, **_given(tools=tools if call.offers_tools else None)}
        if not call.is_streamed:
            content = self._anthropic.messages.create(**asked).content
            return "".join(block.text for block in content if block.type == "text")
        events = self._anthropic.messages.create(**asked, stream=True)
        return "".join(getattr(getattr(event, "delta", None), "text", "") or "" for event in events)


def scripted(call: ModelCall, words: int) -> Scripted:
    usage = call.usage
    text = REFUSALS.get(call.failure, call.answer)
    answer = Answer(text, call.tool_name, json.dumps(dict(call.tool_arguments), ensure_ascii=False), words=words)
    counts = Usage(
        usage.fresh_tokens, usage.cached_tokens, usage.written_tokens, usage.output_tokens, usage.reasoning_tokens
    )
    return Scripted(answer, counts, 0 if call.failure == 408 else call.failure)


def tool(schema: str, name: str) -> dict[str, Any]:
    """A tool's declaration; `schema` is what the API calls its parameters."""
    description, parameters = agent.TOOLS[name]
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    return {"name": name, "description": description, schema: {"type": "object", "properties": properties}}


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _waits(call: ModelCall, is_past: bool) -> dict[str, str]:
    """How long the fake provider takes to answer, and between two chunks."""
    if is_past:
        return {"x-fake-latency-ms": str(3000 * GIVES_UP_AFTER_S)} if call.failure == 408 else {}
    if call.failure == 408:
        return {"x-fake-latency-ms": str(1100 * call.latency_s)}
    if call.first_token_s is None:
        return {"x-fake-latency-ms": str(1000 * call.latency_s)}
    chunks = max(1, len(call.answer.split()) // WORDS_A_CHUNK)
    between_ms = 1000 * (call.latency_s - call.first_token_s) / chunks
    return {"x-fake-latency-ms": str(1000 * call.first_token_s), "x-fake-chunk-ms": str(between_ms)}


def _patience(call: ModelCall, is_past: bool) -> float:
    if call.failure != 408:
        return LONGEST_WAIT_S
    return GIVES_UP_AFTER_S if is_past else call.latency_s
