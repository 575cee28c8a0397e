"""One call's recorded texts as scorers read them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_CONTEXTS = 60
MAX_HISTORY = 40
MAX_TEXT_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class Texts:
    prompt: str
    question: str
    response: str
    system: str
    history: tuple[str, ...]
    contexts: tuple[str, ...]
    tool_calls: int
    not_text: int


def texts_of(content: Mapping[str, Any], around: Iterable[Mapping[str, Any]] = ()) -> Texts:
    """`around` are the contents of the trace's retrievals and tool calls that came before the call, in order."""
    messages: Sequence[Mapping[str, Any]] = content.get("input") or ()
    answered = max((i for i, message in enumerate(messages) if message.get("role") == "assistant"), default=-1)
    asked = [_text(message) for message in messages if message.get("role") == "user"]
    answers: Sequence[Mapping[str, Any]] = content.get("output") or ()
    return Texts(
        prompt=_joined(_text(message) for message in messages[answered + 1 :] if message.get("role") == "user"),
        question=next((text for text in reversed(asked) if text), ""),
        response=_text(answers[0]) if answers else "",
        system=_joined(part.get("text") or "" for part in content.get("system") or ()),
        history=tuple(text for message in messages[: answered + 1][-MAX_HISTORY:] if (text := _text(message))),
        contexts=_contexts(content, around),
        tool_calls=sum(part.get("type") == "tool_call" for message in answers for part in message.get("parts") or ()),
        not_text=sum(_not_text(message, is_new=at > answered) for at, message in enumerate(messages)),
    )


def _not_text(message: Mapping[str, Any], *, is_new: bool) -> int:
    """Parts that `prompt` and `history` leave out: media, calls of tools, whatever tools answered, and instructions
    behind the model's last answer."""
    parts = message.get("parts") or ()
    is_whole = message.get("role") == "tool" or (is_new and message.get("role") != "user")
    return sum(is_whole or part.get("type") not in ("text", "reasoning") for part in parts)


def expected_format(parameters: Mapping[str, Any]) -> Any:
    """The JSON Schema that the request asked its answer to follow, "json" where it asked for JSON alone, else None."""
    wanted = parameters.get("response_format")
    if isinstance(wanted, str):
        wanted = _parsed(wanted)
    if isinstance(wanted, Mapping):
        held = wanted.get("json_schema", wanted.get("schema"))
        schema = held.get("schema", held) if isinstance(held, Mapping) else None
        if isinstance(schema, Mapping):
            return dict(schema)
        wanted = wanted.get("type")
    is_json = wanted in ("json", "json_object", "json_schema") or parameters.get("output_type") == "json"
    return "json" if is_json else None


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _contexts(content: Mapping[str, Any], around: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Each text once, in the order in which the model may have met it."""
    found: dict[str, None] = {}
    for each in (*around, content):
        for text in _given(each):
            if text and len(found) < MAX_CONTEXTS:
                found[text[:MAX_TEXT_CHARS]] = None
    return tuple(found)


def _given(content: Mapping[str, Any]) -> Iterator[str]:
    for document in content.get("documents") or ():
        yield _plain(document.get("content"))
    if content.get("result") is not None:
        yield _plain(content["result"])
    for message in content.get("input") or ():
        for part in message.get("parts") or ():
            if part.get("type") == "tool_result":
                yield _plain(part.get("result"))
            elif message.get("role") == "tool" and part.get("type") == "text":
                yield part.get("text") or ""


def _text(message: Mapping[str, Any]) -> str:
    return _joined(part.get("text") or "" for part in message.get("parts") or () if part.get("type") == "text")


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(text for text in texts if text)[:MAX_TEXT_CHARS]


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
