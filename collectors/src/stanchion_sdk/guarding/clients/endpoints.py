"""Which calls of a client are read, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from . import answers
from .anthropic_texts import messages_answered, messages_asked
from .chat_stream import ChatFlow, TextFlow
from .message_stream import MessageFlow
from .openai_texts import (
    Json,
    chat_answered,
    chat_asked,
    input_asked,
    responses_answered,
    responses_asked,
    rows,
    text_answered,
    text_asked,
)
from .response_stream import ResponseFlow
from .texts import Texts
from .valve import Flow, Valve


class Stopped(Protocol):
    def __call__(self, request: Json, answer: Json, message: str, *, as_refusal: bool) -> Json: ...


@dataclass(frozen=True)
class Endpoint:
    """`answered` is None where the answer holds no text; such a call is never answered with a message.

    `stopped` makes an answer of a message, `events` its stream, `again` the request that asks once more.
    """

    asked: Callable[[Json], Texts]
    answered: Callable[[Json], Texts] | None = None
    stopped: Stopped | None = None
    events: Callable[[Json], Iterable[answers.Event]] | None = None
    flow: Callable[[Valve], Flow] | None = None
    again: Callable[[Json, Texts, str], Json] | None = None


def _messages_again(body: Json, said: Texts, message: str) -> Json:
    """The answer as it was, where it had words, and the policy's message as the user's next one."""
    words = "\n".join(slot.part.text for slot in said.slots if slot.part.stage == "output")
    before = [{"role": "assistant", "content": words}] if words else []
    return {**body, "messages": [*rows(body.get("messages")), *before, {"role": "user", "content": message}]}


def _input_again(body: Json, said: Texts, message: str) -> Json:
    asked = body.get("input")
    turns = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked or [])
    return _moved(_messages_again({**body, "messages": turns}, said, message))


def _moved(body: Json) -> Json:
    messages = body.pop("messages")
    return {**body, "input": messages}


CHAT = Endpoint(chat_asked, chat_answered, answers.chat, answers.chat_events, ChatFlow, _messages_again)
RESPONSES = Endpoint(
    responses_asked, responses_answered, answers.response, answers.response_events, ResponseFlow, _input_again
)
TEXT = Endpoint(text_asked, text_answered, answers.text, answers.text_events, TextFlow)
MESSAGES = Endpoint(
    messages_asked, messages_answered, answers.message, answers.message_events, MessageFlow, _messages_again
)

Table = Mapping[str, Endpoint]
OPENAI: Table = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/completions": TEXT,
    "/embeddings": Endpoint(input_asked),
    "/moderations": Endpoint(input_asked),
}
ANTHROPIC: Table = {"/v1/messages": MESSAGES, "/v1/messages/count_tokens": Endpoint(messages_asked)}
_STORED = re.compile(r"(/responses|/chat/completions)/[^/]+")


def endpoint_of(table: Table, options: Any) -> Endpoint | None:
    """Of a call to a model, or of fetching a stored answer; None for any other call."""
    path = str(options.url).partition("?")[0]
    method = str(options.method).upper()
    if method == "GET" and (stored := _STORED.fullmatch(path)):
        return table.get(stored[1])
    return table.get(path) if method == "POST" else None
