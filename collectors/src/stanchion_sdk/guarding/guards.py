"""`AppGuard`: verdicts for an application, each told to the server as a guardrail span."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, TypeVar, overload

from .. import attributes as names
from .. import safety, scope
from . import functions
from .judging import Ask, Judgement, Lane, Source, Unanswered, record, unjudged, with_gaps
from .shapes import STAGES, Part, Stage, Subject, Verdict
from .streams import AsyncStreamed, Streamed, TextStream, Unjudged, Whole

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])


class AppGuard:
    """For all threads and event loops. Never raises into the application but `Blocked` where it was asked to, and for
    arguments of the wrong type."""

    def __init__(self, source: Source, name: str, when_unavailable: str, deadline_ms: float | None = None) -> None:
        self._source, self._name, self._when_unavailable = source, name, when_unavailable
        self._deadline_ms = deadline_ms

    def check(
        self, text: str, stage: Stage = "input", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Verdict:
        """Judges one text; `query` and `context` are what it is measured against."""
        background = background_parts(query, context)
        return self.judge(Subject((Part(stage, a_text(text)), *background)), judged=(0,))

    async def acheck(
        self, text: str, stage: Stage = "input", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Verdict:
        """`check` for an event loop, which goes on meanwhile."""
        return await asyncio.to_thread(
            self.check, text, stage, query=query, context=context if isinstance(context, str) else tuple(context)
        )

    def judge(
        self, subject: Subject, *, judged: tuple[int, ...] | None = None, gaps: tuple[tuple[str, str], ...] = ()
    ) -> Verdict:
        """Judges an exchange: all its parts, or those whose indexes are given. `gaps` are what the caller knows to lie
        outside of it, name and reason: they stand in the coverage."""
        refuse_nonsense(subject, judged)
        ask = self._ask(subject, judged)
        told = [with_gaps(one, gaps) for one in self._told(ask)]
        for one in told:
            record(one, subject, ask.check_id)
        try:
            return self._source.obeyed(subject, told)
        except Exception as error:
            return self._nobody(ask, _reason("guard", error)).verdict

    async def ajudge(
        self, subject: Subject, *, judged: tuple[int, ...] | None = None, gaps: tuple[tuple[str, str], ...] = ()
    ) -> Verdict:
        return await asyncio.to_thread(self.judge, subject, judged=judged, gaps=gaps)

    def pass_unjudged(self, reason: str) -> Verdict:
        """For what cannot be judged at all: recorded as such, and blocked where `when_unavailable` says so."""
        ask = self._ask(Subject((Part("input", ""),)), None)
        told = self._nobody(ask, reason)
        record(told, ask.subject, ask.check_id)
        return told.verdict

    @overload
    def stream(
        self, chunks: Iterable[str], stage: Stage = "output", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Streamed: ...

    @overload
    def stream(
        self,
        chunks: AsyncIterable[str],
        stage: Stage = "output",
        *,
        query: str | None = None,
        context: Iterable[str] = (),
    ) -> AsyncStreamed: ...

    def stream(
        self, chunks: Any, stage: Stage = "output", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Streamed | AsyncStreamed:
        """Iterates over what of `chunks`, in order, may be shown; an asynchronous source has an asynchronous answer.

        Ends early where a policy blocks: `verdict` tells, `shown_characters` how much was seen before.
        """
        stream = self.open_stream(stage, background_parts(query, context))
        return AsyncStreamed(stream, chunks) if hasattr(chunks, "__aiter__") else Streamed(stream, chunks)

    @overload
    def guarded(self, function: F) -> F: ...

    @overload
    def guarded(
        self, *, argument: str | None = None, when_blocked: Literal["raise", "answer"] = "raise"
    ) -> Callable[[F], F]: ...

    @overload
    def guarded(
        self, function: F, *, argument: str | None = None, when_blocked: Literal["raise", "answer"] = "raise"
    ) -> F: ...

    def guarded(
        self,
        function: F | None = None,
        *,
        argument: str | None = None,
        when_blocked: Literal["raise", "answer"] = "raise",
    ) -> Any:
        """Decorates a function, coroutine function, generator or async generator: its `argument` (the first one unless
        named) is checked as input, what it returns or yields as output, and both are masked where the policy says so.

        A block raises `Blocked`, or with "answer" the message takes the place of what is returned; `fallback` always
        answers with its message, and `reask` is a block. Raises TypeError for an argument that is not there, and for
        an argument or a return value that is neither a text nor None.
        """
        manner = functions.Manner(argument, when_blocked)
        if function is not None:
            return functions.wrapped(self, function, manner)
        return lambda decorated: functions.wrapped(self, decorated, manner)

    def openai(self, client: C, *, when_blocked: Literal["raise", "answer"] = "raise") -> C:
        """A copy of an openai client, sync or async, whose calls are judged: messages, tool results and documents
        before they are sent, texts and tool calls before they are seen, in streams too. The client itself stays as it
        is. `when_blocked` as for `guarded`; the message then comes in the client's own type of answer.

        Raises TypeError for what is no such client, and in a call for a raw response that streams.
        """
        from .clients import endpoints, wrapping

        answers_message = functions.Manner(None, when_blocked).when_blocked == "answer"
        return wrapping.guarded_client(self, client, endpoints.OPENAI, answers_message=answers_message)

    def anthropic(self, client: C, *, when_blocked: Literal["raise", "answer"] = "raise") -> C:
        """`openai` for a client of anthropic."""
        from .clients import endpoints, wrapping

        answers_message = functions.Manner(None, when_blocked).when_blocked == "answer"
        return wrapping.guarded_client(self, client, endpoints.ANTHROPIC, answers_message=answers_message)

    @contextmanager
    def retrieved(self, *documents: str) -> Iterator[None]:
        """The guarded clients' calls inside rest on these documents: they are judged as such before a call, and answers
        are measured against them. A masked document is masked where the messages hold it word for word."""
        from .clients.calls import retrieved

        token = retrieved.set((*retrieved.get(), *map(a_text, documents)))
        try:
            yield
        finally:
            retrieved.reset(token)

    def refresh(self) -> bool:
        """Asks the server for the policy now, which else happens every ten seconds; whether it answered."""
        return self._source.refresh()

    def open_stream(self, stage: Stage, background: tuple[Part, ...] = ()) -> TextStream:
        """A text that arrives in pieces, for sources that are no iterators."""
        refuse_nonsense(Subject((Part(stage, ""), *background)))
        ask = self._ask(Subject((Part(stage, ""), *background)), (0,))
        return TextStream(self._lanes(stage, background, ask), stage, ask.check_id, self._source.obeyed)

    def _lanes(self, stage: Stage, background: tuple[Part, ...], ask: Ask) -> list[Lane]:
        try:
            lanes = self._source.lanes(stage, background, ask)
        except Exception as error:
            return [Unjudged("live", self._nobody(ask, _reason("guard stream", error)).verdict)]
        if lanes is not None:
            return lanes
        return [Whole("live", lambda text: self._told(_with(ask, text))[0], lambda reason: self._nobody(ask, reason))]

    def _ask(self, subject: Subject, judged: tuple[int, ...] | None) -> Ask:
        check_id = uuid.uuid4().hex
        key = str(scope.current_labels().get(names.SESSION) or check_id)
        return Ask(subject, judged, check_id, key, self._deadline_ms)

    def _told(self, ask: Ask) -> list[Judgement]:
        try:
            return self._source.judge(ask)
        except Exception as error:
            return [self._nobody(ask, _reason("guard", error))]

    def _nobody(self, ask: Ask, reason: str) -> Judgement:
        return Judgement("live", unjudged(ask.subject, self._name or "local", self._when_unavailable, reason))


def _with(ask: Ask, text: str) -> Ask:
    """The same for the whole of a streamed text."""
    first, *background = ask.subject.parts
    return replace(ask, subject=Subject((Part(first.stage, text), *background)))


def _reason(place: str, error: Exception) -> str:
    if isinstance(error, Unanswered):
        return str(error)
    safety.note(place, error)
    return f"failed: {type(error).__name__}"


def a_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the text is a {type(value).__name__}, not a str")
    return value


def refuse_nonsense(subject: Subject, judged: tuple[int, ...] | None = None) -> None:
    """What nobody would look at must not pass for clean."""
    for part in subject.parts:
        a_text(part.text)
        if part.stage not in STAGES:
            raise ValueError(f"the stage {str(part.stage)[:40]!r} is none of {', '.join(STAGES)}")
    for index in judged or ():
        if not 0 <= index < len(subject.parts):
            raise ValueError(f"there is no part {index} to be judged: the parts are 0 to {len(subject.parts) - 1}")


def background_parts(query: str | None, context: Iterable[str]) -> tuple[Part, ...]:
    if isinstance(context, str):
        raise TypeError("`context` is a list of texts, not one text")
    asked = (Part("input", query),) if query else ()
    return (*asked, *(Part("retrieved", document) for document in context))
