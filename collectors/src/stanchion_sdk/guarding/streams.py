"""A text in pieces under all policies: nothing is shown before each of them let it through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from dataclasses import replace

from opentelemetry import context as otel_context

from .blocking import message_of
from .judging import Judgement, Lane, record
from .shapes import Coverage, Part, Stage, Subject, Verdict

Obeyed = Callable[[Subject, list[Judgement]], Verdict]
MOST_HELD = 1_000_000
"""Characters that are kept for a check of the whole text at once; a longer text is not judged."""


class TextStream:
    """`feed` every piece and then `finish`; show what they give. For one thread, or one task, at a time.

    The policies stand one behind the other, so a later one reads what an earlier one has masked. Shadows read the
    original. `hold_back_characters` is the most that is ever held back, None for everything; `shown_characters` counts
    what was given out. Once `blocked` nothing more comes, and `verdict` says why. The decisions belong to the span that
    was current when the stream was made.
    """

    def __init__(self, lanes: list[Lane], stage: Stage, check_id: str, obeyed: Obeyed) -> None:
        self._lanes = [lane for lane in lanes if lane.mode != "shadow"]
        self._shadows = [lane for lane in lanes if lane.mode == "shadow"]
        self._subject, self._check_id, self._obeyed = Subject((Part(stage, ""),)), check_id, obeyed
        self._context = otel_context.get_current()
        held = [lane.hold_back_characters for lane in self._lanes]
        self.hold_back_characters = None if None in held else sum(size or 0 for size in held)
        self.stage = stage
        self.shown_characters = 0
        self.blocked = False
        self.verdict: Verdict | None = None

    def feed(self, piece: str) -> str:
        if self.verdict is not None:
            return ""
        for lane in self._shadows:
            lane.feed(piece)
        return self._shown(self._through(piece))

    def finish(self) -> str:
        """The rest, and the verdict."""
        if self.verdict is not None:
            return ""
        rest = "" if self.blocked else self._rest()
        self._conclude()
        return self._shown(rest)

    @property
    def message(self) -> str:
        """What may be shown in place of a text that was blocked."""
        self._conclude()
        assert self.verdict is not None
        return message_of(self.verdict)

    def _through(self, text: str) -> str:
        for lane in self._lanes:
            text = lane.feed(text) if text else ""
            if lane.blocked:
                self.blocked = True
                return ""
        return text

    def _rest(self) -> str:
        text = ""
        for lane in self._lanes:
            text = (lane.feed(text) if text else "") + lane.finish()
            if lane.blocked:
                self.blocked = True
                return ""
        return text

    def _shown(self, text: str) -> str:
        if self.blocked:
            self._conclude()
            return ""
        self.shown_characters += len(text)
        return text

    def _conclude(self) -> None:
        if self.verdict is not None:
            return
        told = []
        for lane in (*self._lanes, *self._shadows):
            lane.finish()
            told.append(lane.judgement())
        self.verdict = self._obeyed(self._subject, told)
        for one in told:
            record(one, self._subject, self._check_id, self._context)


class Unjudged:
    """A lane where nobody judges: a policy switched off, or blocking everything, or out of reach."""

    hold_back_characters: int | None = 0

    def __init__(self, mode: str, verdict: Verdict) -> None:
        self.mode, self.blocked = mode, verdict.blocked
        self._verdict, self._received = verdict, 0

    def feed(self, text: str) -> str:
        self._received += len(text)
        return "" if self.blocked else text

    def finish(self) -> str:
        return ""

    def judgement(self) -> Judgement:
        coverage = replace(self._verdict.coverage, total_characters=self._received)
        return Judgement(self.mode, replace(self._verdict, texts=(), coverage=coverage))


class Whole:
    """A lane that holds everything and asks at the end, for a source that cannot judge in pieces."""

    hold_back_characters: int | None = None

    def __init__(self, mode: str, ask: Callable[[str], Judgement], beyond: Callable[[str], Judgement]) -> None:
        """`beyond` says what is to be done with a text longer than MOST_HELD, of which it gets nothing but a reason."""
        self.mode, self.blocked = mode, False
        self._ask, self._beyond = ask, beyond
        self._held: list[str] = []
        self._size = 0
        self._told: Judgement | None = None

    def feed(self, text: str) -> str:
        self._size += len(text)
        if self._told is None:
            self._held.append(text)
            return self._settle(self._beyond("the text is too long")) if self._size > MOST_HELD else ""
        return "" if self.blocked else text

    def finish(self) -> str:
        return self._settle(self._ask("".join(self._held))) if self._told is None else ""

    def judgement(self) -> Judgement:
        assert self._told is not None
        return self._told

    def _settle(self, told: Judgement) -> str:
        text = told.verdict.texts[0] if told.verdict.checks else "".join(self._held)
        self._held, self.blocked = [], told.verdict.blocked
        verdict = replace(told.verdict, texts=(), coverage=_sized(told.verdict.coverage, self._size))
        self._told = replace(told, verdict=verdict)
        return "" if self.blocked else text


def _sized(coverage: Coverage, characters: int) -> Coverage:
    return coverage if coverage.total_characters else replace(coverage, total_characters=characters)


class Streamed:
    """What of a source of chunks may be shown. Iterate once; ends with the source, or where a policy blocks."""

    def __init__(self, stream: TextStream, chunks: Iterable[str]) -> None:
        self._stream, self._chunks = stream, chunks

    @property
    def verdict(self) -> Verdict | None:
        """After the iteration."""
        return self._stream.verdict

    @property
    def shown_characters(self) -> int:
        return self._stream.shown_characters

    @property
    def hold_back_characters(self) -> int | None:
        return self._stream.hold_back_characters

    def __iter__(self) -> Iterator[str]:
        try:
            for chunk in self._chunks:
                text = self._stream.feed(chunk)
                if text:
                    yield text
                if self._stream.blocked:
                    return
            rest = self._stream.finish()
            if rest:
                yield rest
        finally:
            self._stream.finish()
            if isinstance(self._chunks, Generator):
                self._chunks.close()


class AsyncStreamed(Streamed):
    """`Streamed` for an asynchronous source. Checks run in threads, so the event loop goes on."""

    def __init__(self, stream: TextStream, chunks: AsyncIterable[str]) -> None:
        super().__init__(stream, ())
        self._source = chunks

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        try:
            async for chunk in self._source:
                text = await asyncio.to_thread(self._stream.feed, chunk)
                if text:
                    yield text
                if self._stream.blocked:
                    return
            rest = await asyncio.to_thread(self._stream.finish)
            if rest:
                yield rest
        finally:
            self._stream.finish()
            if isinstance(self._source, AsyncGenerator):
                await self._source.aclose()
