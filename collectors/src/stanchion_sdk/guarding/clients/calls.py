"""One guarded call, from the request to the answer, without knowing whether it waits in a thread or in an event loop.

The plan of a call is a generator: it yields what is to be done and is sent what came of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ... import safety
from ..blocking import Blocked, message_of
from ..judging import at_part, unmaskable
from ..shapes import Part, Stage, Subject, Verdict
from .endpoints import Endpoint
from .openai_texts import Json
from .texts import Texts

retrieved: ContextVar[tuple[str, ...]] = ContextVar("stanchion_retrieved", default=())
"""The documents that the calls of this task or thread rest on."""


@dataclass(frozen=True)
class Judge:
    """Wants a Verdict."""

    subject: Subject
    judged: tuple[int, ...]
    gaps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Send:
    """Wants the client's answer to a request with this body."""

    body: Json


@dataclass(frozen=True)
class Make:
    """Wants an answer of the client's own type with this body; a stream of it where the call asked for one."""

    body: Json


@dataclass(frozen=True)
class Read:
    """Wants the JSON of an answer, which is None for one that has none."""

    answer: Any


@dataclass(frozen=True)
class Unread:
    """Wants the Verdict on what could not be read, and so not be judged."""

    reason: str


@dataclass(frozen=True)
class Through:
    """Wants an answer's stream with only what may be shown in it."""

    answer: Any
    background: tuple[Part, ...]


Step = Judge | Send | Make | Read | Through | Unread
Plan = Generator[Step, Any, Any]


@dataclass(frozen=True)
class Call:
    """`is_parsed` for the structured answers of `.parse()`."""

    endpoint: Endpoint
    body: Json
    answers_message: bool
    is_stream: bool
    is_parsed: bool

    def plan(self) -> Plan:
        body = copy.deepcopy(self.body)
        found = yield from self._read(self.endpoint.asked, body, "input")
        documents = tuple(Part("retrieved", text) for text in retrieved.get())
        if found.slots or documents or found.unread:
            stopped = yield from self._asked(body, found, documents)
            if stopped is not None:
                return (yield from self._stop(*stopped, body, {}))
        background = _background(self._quietly(self.endpoint.asked, body).parts, documents)
        answer = yield Send(body)
        if self.endpoint.answered is None:
            return answer
        if self.is_stream:
            return (yield Through(answer, background))
        return (yield from self._answered(body, answer, background, may_ask_again=True))

    def _asked(
        self, body: Json, found: Texts, documents: tuple[Part, ...]
    ) -> Generator[Step, Any, tuple[Verdict, Stage] | None]:
        """Judges and masks the request. The verdict and its stage, where it may not be sent."""
        parts = (*found.parts, *documents)
        numbers = tuple(range(len(parts)))
        verdict: Verdict = yield Judge(Subject(parts), numbers, found.gaps)
        if verdict.blocked:
            return verdict, at_part(verdict, parts)
        try:
            found.put(verdict, numbers[: len(found.slots)])
        except ValueError:
            return unmaskable(verdict), "tool_call"
        for document, number in zip(documents, numbers[len(found.slots) :], strict=True):
            _mask_document(self.endpoint.asked(body), document.text, verdict.texts[number])
        return None

    def _answered(self, body: Json, answer: Any, background: tuple[Part, ...], *, may_ask_again: bool) -> Plan:
        told: Json | None = yield Read(answer)
        assert self.endpoint.answered is not None
        found = (yield from self._read(self.endpoint.answered, told, "output")) if told is not None else Texts()
        if told is None or not (found.slots or found.unread):
            return answer
        parts = (*found.parts, *background)
        numbers = tuple(range(len(found.slots)))
        verdict: Verdict = yield Judge(Subject(parts), numbers, found.gaps)
        if verdict.action == "reask" and may_ask_again and self.endpoint.again is not None:
            body = self.endpoint.again(body, found, message_of(verdict))
            again = yield Send(body)
            return (yield from self._answered(body, again, background, may_ask_again=False))
        if verdict.blocked:
            return (yield from self._stop(verdict, at_part(verdict, parts), body, told))
        try:
            changed = found.put(verdict, numbers)
        except ValueError:
            return (yield from self._stop(unmaskable(verdict), "tool_call", body, told))
        return (yield Make(_without_originals(told))) if changed else answer

    def _read(self, texts_of: Callable[[Json], Texts], body: Json, stage: Stage) -> Generator[Step, Any, Texts]:
        """The texts; none of a body whose shape we do not know, which the guard then lets pass unjudged, or blocks."""
        try:
            return texts_of(body)
        except Exception as error:
            safety.note("guard texts", error)
            verdict: Verdict = yield Unread(f"the {stage} could not be read: {type(error).__name__}")
        if verdict.blocked:
            raise Blocked(verdict, stage)
        return Texts()

    def _quietly(self, texts_of: Callable[[Json], Texts], body: Json) -> Texts:
        try:
            return texts_of(body)
        except Exception:  # it was told of where the texts were read to be judged
            return Texts()

    def _stop(self, verdict: Verdict, stage: Stage, body: Json, answer: Json) -> Plan:
        stopped = self.endpoint.stopped
        if stopped is None or (verdict.action != "fallback" and not self.answers_message):
            raise Blocked(verdict, stage)
        return (yield Make(stopped(body, answer, message_of(verdict), as_refusal=self.is_parsed)))


def _background(asked: tuple[Part, ...], documents: tuple[Part, ...]) -> tuple[Part, ...]:
    """What an answer is measured against: everything in the request but what the model itself has said before."""
    return (*(part for part in asked if part.role != "assistant"), *documents)


def _mask_document(found: Texts, original: str, masked: str) -> None:
    """In the messages the document stands as the application has put it there."""
    if original == masked:
        return
    for slot in found.slots:
        if original in slot.part.text and not slot.is_value:
            slot.put(slot.part.text.replace(original, masked))


_ORIGINALS = ("parsed", "parsed_arguments", "parsed_output")


def _without_originals(told: Any) -> Any:
    """Log probabilities name every token of the text as it was, and what was parsed from it holds it again: the client
    parses the masked text anew."""
    if isinstance(told, list):
        return [_without_originals(each) for each in told]
    if not isinstance(told, dict):
        return told
    shown = {key: value for key, value in told.items() if key not in _ORIGINALS}
    kept = {key: value if key == "input" else _without_originals(value) for key, value in shown.items()}
    if kept.get("logprobs"):
        kept["logprobs"] = [] if isinstance(kept["logprobs"], list) else None
    return kept


def body_of(options: Any) -> Json:
    """The request's body as it will be sent, `extra_body` included."""
    body = options.json_data if isinstance(options.json_data, Mapping) else {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if isinstance(extra, Mapping) else dict(body)
