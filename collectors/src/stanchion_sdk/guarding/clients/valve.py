"""What lets the pieces of a provider's stream through: texts as they are judged, tool calls once they are whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry import context as otel_context

from ..judging import at_part, unjudged, unmaskable
from ..shapes import Part, Stage, Subject, Verdict
from ..streams import MOST_HELD, TextStream
from .texts import Texts

Json = dict[str, Any]


class Flow(Protocol):
    """A stream's chunks as JSON: what goes in comes out judged. Once `stopped`, nothing more comes."""

    valve: Valve

    def feed(self, chunk: Json) -> list[Json]: ...

    def finish(self) -> list[Json]:
        """What was still held when the source ended."""

    def farewell(self, message: str) -> list[Json]:
        """The chunks that end a stopped stream with a message in place of the rest."""


class Valve:
    """`stopped` is the verdict that ended the stream, with the stage it was about; `is_broken` once a chunk came that
    could not be read."""

    def __init__(
        self,
        open_stream: Callable[[Stage, tuple[Part, ...]], TextStream],
        judge: Callable[[Subject, tuple[int, ...]], Verdict],
        background: tuple[Part, ...],
    ) -> None:
        self._open, self._judge, self._background = open_stream, judge, background
        self._context = otel_context.get_current()
        self._channels: dict[Any, TextStream] = {}
        self._shown: dict[Any, list[str]] = {}
        self._held_characters = 0
        self.remembers = False
        self.stopped: tuple[Verdict, Stage] | None = None
        self.is_broken = False

    def feed(self, channel: Any, text: str) -> str:
        """What of a channel's text may be shown now."""
        if self.stopped is not None:
            return ""
        stream = self._channels.get(channel)
        if stream is None:
            token = otel_context.attach(self._context)
            try:
                stream = self._channels[channel] = self._open("output", self._background)
            finally:
                otel_context.detach(token)
        return self._noted(channel, stream, stream.feed(text))

    def finish(self, channel: Any) -> str:
        """The rest of a channel; empty for one that never was."""
        stream = self._channels.get(channel)
        if stream is None or self.stopped is not None:
            return ""
        return self._noted(channel, stream, stream.finish())

    def hold(self, text: str) -> None:
        """Counts what waits for a tool call to be whole; one that never ends is stopped."""
        self._held_characters += len(text)
        if self._held_characters > MOST_HELD and self.stopped is None:
            self.stopped = unjudged(Subject(()), "", "block", "the tool calls are too long to be held"), "tool_call"

    def shown(self, channel: Any) -> str | None:
        """All that was shown of a channel, for a flow that set `remembers`."""
        return "".join(self._shown[channel]) if channel in self._shown else None

    def channels(self) -> list[Any]:
        return list(self._channels)

    def judge(self, texts: Texts) -> bool:
        """Judges texts that are whole and masks them in place; False when that ended the stream."""
        if self.stopped is not None or not texts.slots:
            return self.stopped is None
        numbers = tuple(range(len(texts.slots)))
        token = otel_context.attach(self._context)
        try:
            verdict = self._judge(Subject((*texts.parts, *self._background)), numbers)
        finally:
            otel_context.detach(token)
        try:
            if not verdict.blocked:
                texts.put(verdict, numbers)
                return True
        except ValueError:
            verdict = unmaskable(verdict)
        self.stopped = verdict, at_part(verdict, texts.parts)
        return False

    def close(self) -> None:
        """Concludes what is open, so that every judgement is told of."""
        for stream in self._channels.values():
            stream.finish()

    def _noted(self, channel: Any, stream: TextStream, text: str) -> str:
        if stream.blocked and stream.verdict is not None:
            self.stopped = stream.verdict, stream.stage
        if self.remembers:
            self._shown.setdefault(channel, []).append(text)
        return text
