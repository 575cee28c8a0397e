"""What a rating is, how it reads, and which of two under one id is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from uuid import UUID

WORST, BEST, MIDDLE = -1.0, 1.0, 0.5


class Tone(IntEnum):
    """How a rating reads: was it bad or good?"""

    NEGATIVE = -1
    NEUTRAL = 0
    POSITIVE = 1


class Source(Enum):
    """Which door a rating came through."""

    SDK = "sdk"
    API = "api"
    PAGE = "page"


class Fate(Enum):
    """What happens to a rating when its id may be known already."""

    NEW = "new"
    SAME = "same"
    REPLACES = "replaces"
    OUTDATED = "outdated"
    OTHER_TARGET = "other_target"
    CONTRADICTS = "contradicts"


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's word on a trace, one span of it, or a session; empty texts were not given.

    `score` runs from 0, the worst, to 1, the best; negative ones down to -1 read as bad as 0. `user` is whoever rated,
    as the sender calls them (best a hash, as spans carry it); for a rating by hand, the name that they sign in with.
    """

    id: str
    name: str
    score: float | None
    label: str
    comment: str
    correction: str
    trace_id: UUID | None
    span_id: int | None
    session_id: str
    user: str
    source: Source
    rated_at: datetime

    @property
    def tone(self) -> Tone | None:
        return tone_of(self.score, self.label)

    @property
    def target(self) -> tuple[UUID | None, int | None, str]:
        return self.trace_id, self.span_id, self.session_id

    @property
    def words(self) -> tuple[object, ...]:
        return self.name, self.score, self.label, self.comment, self.correction, self.user


_LABELS = {
    Tone.POSITIVE: ("thumbs_up", "thumb_up", "up", "positive", "good", "like", "liked", "helpful", "👍"),
    Tone.NEGATIVE: (
        "thumbs_down", "thumb_down", "down", "negative", "bad", "dislike", "disliked", "unhelpful", "not_helpful", "👎",
    ),
    Tone.NEUTRAL: ("neutral",),
}  # fmt: skip
_TONES = {label: tone for tone, labels in _LABELS.items() for label in labels}
_SKIN_TONES = dict.fromkeys(range(0x1F3FB, 0x1F400))


def tone_of(score: float | None, label: str) -> Tone | None:
    """A label that everybody understands decides; else the score: below 0.5 is negative, above it positive.

    So 1 and 0 read as thumbs up and down, and so do 1 and -1; who means "neither" with 0 sends the label "neutral".
    None where there is neither a known label nor a score, as with a comment alone.
    """
    known = _TONES.get("_".join(label.translate(_SKIN_TONES).replace("-", " ").replace("_", " ").lower().split()))
    if known is not None or score is None:
        return known
    if score == MIDDLE:
        return Tone.NEUTRAL
    return Tone.POSITIVE if score > MIDDLE else Tone.NEGATIVE


def fate_of(new: Rating, known: Rating | None) -> Fate:
    """The later one wins, so that ratings may arrive twice and out of order; a rating never moves to another target.

    Times are compared to the microsecond, which is what the database keeps.
    """
    if known is None:
        return Fate.NEW
    if new.target != known.target:
        return Fate.OTHER_TARGET
    if new.words == known.words:
        return Fate.SAME
    if new.rated_at == known.rated_at:
        return Fate.CONTRADICTS
    return Fate.REPLACES if new.rated_at > known.rated_at else Fate.OUTDATED
