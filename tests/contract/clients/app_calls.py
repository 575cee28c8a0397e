"""The calls every client app makes, through the real provider SDKs: whole and streamed, with and without a tool."""

import sys
from collections.abc import Callable
from typing import Any

SYSTEM = "Be brief."
QUESTION = "Capital of France?"
TOOL_QUESTION = "Weather in Paris?"
OPENAI_MODEL = "gpt-4o-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-5"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
OPENAI_TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather now.", "parameters": SCHEMA}}
]
ANTHROPIC_TOOLS = [{"name": "get_weather", "description": "The weather now.", "input_schema": SCHEMA}]
SCENARIOS = ("plain", "stream", "tools", "stream_tools")


def scenarios() -> list[str]:
    """The calls named on the command line, else all four."""
    return [word for word in sys.argv[1:] if word in SCENARIOS] or list(SCENARIOS)


def option(name: str) -> bool:
    return name in sys.argv[1:]


def openai_call(client: Any, scenario: str) -> None:
    with_tools = scenario.endswith("tools")
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": TOOL_QUESTION if with_tools else QUESTION},
    ]
    wanted: dict[str, Any] = {"model": OPENAI_MODEL, "messages": messages, "max_tokens": 64, "temperature": 0.2}
    if with_tools:
        wanted["tools"] = OPENAI_TOOLS
    if scenario.startswith("stream"):
        stream = client.chat.completions.create(**wanted, stream=True, stream_options={"include_usage": True})
        for _chunk in stream:
            pass
    else:
        client.chat.completions.create(**wanted)


def anthropic_call(client: Any, scenario: str) -> None:
    with_tools = scenario.endswith("tools")
    wanted: dict[str, Any] = {
        "model": ANTHROPIC_MODEL,
        "max_tokens": 64,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": TOOL_QUESTION if with_tools else QUESTION}],
    }
    if with_tools:
        wanted["tools"] = ANTHROPIC_TOOLS
    if scenario.startswith("stream"):
        for _event in client.messages.create(**wanted, stream=True):
            pass
    else:
        client.messages.create(**wanted)


def openai_calls() -> None:
    from openai import OpenAI

    _each(openai_call, OpenAI(max_retries=0))


def anthropic_calls() -> None:
    from anthropic import Anthropic

    _each(anthropic_call, Anthropic(max_retries=0))


def _each(call: Callable[[Any, str], None], client: Any) -> None:
    for scenario in scenarios():
        call(client, scenario)
