"""What the fake provider answers, before any provider's shape: a text or a tool call, and the usage it claims."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# The names a provider resolves an alias to, as its answers carry them (their model lists, November 2026).
DATED_MODELS = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts without overlap: the input is `fresh + cached + written`, `reasoning` is part of `output`."""

    fresh_tokens: int
    cached_tokens: int
    written_tokens: int
    output_tokens: int
    reasoning_tokens: int

    @property
    def input_tokens(self) -> int:
        return self.fresh_tokens + self.cached_tokens + self.written_tokens


# Every call costs the same, so that a test can state the price: $0.000126 of gpt-4o-mini, $0.0021 of claude-sonnet-4-5.
REFERENCE_USAGE: Mapping[str, Usage] = {
    "openai": Usage(100, 1000, 0, 60, 40),
    "anthropic": Usage(50, 1000, 200, 60, 0),
    "gemini": Usage(100, 1000, 0, 60, 40),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A text, or a call of the tool `tool_name` with `tool_arguments`. A streamed text comes `words` words a piece."""

    text: str = ""
    tool_name: str = ""
    tool_arguments: str = ""
    words: int = 1

    @property
    def is_tool_call(self) -> bool:
        return bool(self.tool_name)

    def pieces(self) -> list[str]:
        """The text or the arguments, cut as a stream would deliver them; joined they are whole again."""
        if self.is_tool_call:
            half = len(self.tool_arguments) // 2
            return [self.tool_arguments[:half], self.tool_arguments[half:]]
        return re.findall(rf"(?:\S+\s*){{1,{self.words}}}|\s+", self.text)


@dataclass(frozen=True, slots=True)
class Scripted:
    """What one request gets, whatever it asks: an answer with the usage it claims, or a refusal with `status`."""

    answer: Answer
    usage: Usage
    status: int = 0


def response_model(model: str) -> str:
    return DATED_MODELS.get(model, model)


def choose(question: str, tools: Sequence[Mapping[str, Any]]) -> Answer:
    """Calls the first tool offered; else answers the one question it knows, else says what it was asked.

    `tools` are `{name, schema}` with a JSON schema each.
    """
    if tools:
        return Answer(tool_name=tools[0]["name"], tool_arguments=json.dumps(_arguments(tools[0]["schema"])))
    if "capital of france" in question.lower():
        return Answer(text="The capital of France is Paris.")
    return Answer(text=f"You asked: {question[:200]}" if question else "There was no question.")


def _arguments(schema: Mapping[str, Any]) -> Json:
    samples: Json = {"string": "Paris", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    properties = schema.get("properties") or {}
    return {
        name: (spec.get("enum") or [samples.get(spec.get("type"), "Paris")])[0] for name, spec in properties.items()
    }


def plain_text(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("text"))
    return ""
