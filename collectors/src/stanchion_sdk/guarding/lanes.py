"""One policy's stream of one text, as the engine runs it."""

from __future__ import annotations

from dataclasses import replace

from stanchion_guard import Guard
from stanchion_guard.combining import failed
from stanchion_guard.streaming import Stream

from .. import safety
from .bundles import Turn
from .judging import Judgement, Lane
from .shapes import Part, Stage, Subject, Verdict
from .streams import Unjudged


def lane_of(turn: Turn, stage: Stage, background: tuple[Part, ...]) -> Lane:
    if turn.guard is None:
        return Unjudged(turn.mode, turn.nobody(Subject((Part(stage, ""),))))
    return Watched(turn, turn.guard, stage, background)


class Watched:
    """A version that judges. Keeps what the engine holds back, so that nothing is lost if the engine breaks."""

    def __init__(self, turn: Turn, guard: Guard, stage: Stage, background: tuple[Part, ...]) -> None:
        self._turn, self._guard, self._stage, self._background = turn, guard, stage, background
        self._stream = Stream(guard, stage, background, None)
        self._held: list[str] = []
        self._received = 0
        self._broken: Verdict | None = None
        self.mode, self.blocked = turn.mode, False
        self.hold_back_characters = self._stream.hold_back_characters

    def feed(self, text: str) -> str:
        self._received += len(text)
        if self._broken is not None or self.blocked:
            return "" if self.blocked else text
        self._held.append(text)
        try:
            released = self._stream.feed(text)
        except Exception as error:
            return self._break(error)
        self.blocked = released.blocked
        if released.text or self.blocked:
            held = "".join(self._held)
            self._held = [held[len(held) - released.held_characters :]] if released.held_characters else []
        return released.text

    def finish(self) -> str:
        if self._broken is not None:
            return ""
        try:
            released = self._stream.finish()
        except Exception as error:
            return self._break(error)
        self._held, self.blocked = [], self.blocked or released.blocked
        return released.text

    def judgement(self) -> Judgement:
        verdict = self._broken if self._broken is not None else self._stream.verdict
        assert verdict is not None
        return Judgement(self.mode, self._turn.named(verdict))

    def _break(self, error: Exception) -> str:
        """From here the policy's own `when_failed` decides; what was held back goes out only if that lets it."""
        safety.note("guard stream", error)
        subject = Subject((Part(self._stage, ""), *self._background))
        verdict = failed(self._guard.policy, subject, (0,), error)
        coverage = replace(verdict.coverage, total_characters=self._received)
        self._broken = replace(verdict, texts=(), coverage=coverage)
        self.blocked, held, self._held = verdict.blocked, "".join(self._held), []
        return "" if self.blocked else held
