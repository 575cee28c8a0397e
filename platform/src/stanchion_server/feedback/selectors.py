"""Reads of ratings; the project comes first, and no statement goes without it.

What counts for a call: the ratings of its trace as a whole, of its own span, and of the span directly around it, which
is where an application that rates the step around a call has its span. A session's rating is about the conversation:
it shows with the session and on its traces, and counts for no single call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from django.db.models import Count, Min, Q

from stanchion_server.feedback import models
from stanchion_server.feedback.ratings import Rating, Source, Tone
from stanchion_server.kernel.ids import span_id_from_hex, span_id_to_hex
from stanchion_server.traces.filters import Condition
from stanchion_server.traces.selectors import CallSummary, reading

MAX_PAGE = 500
TRACES_AT_ONCE = 2_000
_Said = tuple[datetime | None, datetime | None, int]
"""When the first good rating and the first correction came, and how many bad ratings there are."""


class Rated(Enum):
    """Which calls, or which ratings, a filter asks for. One with a good and a bad rating is found under both."""

    NEGATIVE = "negative"
    POSITIVE = "positive"
    NEUTRAL = "neutral"
    ANY = "any"
    NONE = "none"


_TONES = {Rated.NEGATIVE: Tone.NEGATIVE, Rated.POSITIVE: Tone.POSITIVE, Rated.NEUTRAL: Tone.NEUTRAL}


@dataclass(frozen=True, slots=True)
class RatingView:
    """A rating as it is read. `rating` is how it reads, None where it has neither a known label nor a score."""

    id: str
    name: str
    rating: Tone | None
    score: float | None
    label: str
    comment: str
    correction: str
    trace_id: str | None
    span_id: str | None
    session_id: str
    user: str
    source: str
    rated_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many ratings read which way; `other` are neutral or only a comment."""

    positive: int = 0
    negative: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.positive + self.negative + self.other

    def plus(self, tone: int | None, count: int) -> Tally:
        good, bad = count * (tone == Tone.POSITIVE), count * (tone == Tone.NEGATIVE)
        return Tally(self.positive + good, self.negative + bad, self.other + count - good - bad)


@dataclass(frozen=True, slots=True)
class RatingFilter:
    """Which ratings; None asks nothing. `start` is inclusive, `end` exclusive, both by when people rated."""

    start: datetime | None = None
    end: datetime | None = None
    trace_id: str | None = None
    span_id: str | None = None
    session_id: str | None = None
    name: str | None = None
    label: str | None = None
    user: str | None = None
    source: Source | None = None
    rated: Rated = Rated.ANY


def by_id(project_id: int, ids: Sequence[str]) -> dict[str, Rating]:
    rows = models.Rating.objects.filter(project_id=project_id, rating_id__in=ids)
    return {row.rating_id: _rating(row) for row in rows}


def ratings(
    project_id: int, wanted: RatingFilter, cursor: str | None = None, limit: int = 50
) -> reading.Page[RatingView]:
    """The newest first. `cursor` is `next_cursor` of the page before."""
    conditions = _conditions(wanted)
    if conditions is None:
        return reading.Page((), None)
    rows = models.Rating.objects.filter(conditions, project_id=project_id)
    if cursor:
        when, after = reading.decode_text_cursor(cursor)
        rows = rows.filter(Q(rated_at__lt=when) | Q(rated_at=when, rating_id__lt=after))
    limit = min(max(limit, 1), MAX_PAGE)
    with reading.bounded():
        found = [view_of(row) for row in rows.order_by("-rated_at", "-rating_id")[: limit + 1]]
    last = found[limit - 1] if len(found) > limit else None
    next_cursor = reading.encode_cursor(last.rated_at, last.id) if last else None
    return reading.Page(tuple(found[:limit]), next_cursor)


def _conditions(wanted: RatingFilter) -> Q | None:
    """None where nothing can match: an id that is none."""
    found = Q()
    if wanted.trace_id is not None:
        trace = reading.trace_id_or_none(wanted.trace_id)
        if trace is None:
            return None
        found &= Q(trace_id=trace)
    if wanted.span_id is not None:
        span = reading.span_id_or_none(wanted.span_id)
        if span is None:
            return None
        found &= Q(span_id=span)
    equal = {
        "rated_at__gte": wanted.start, "rated_at__lt": wanted.end, "session_id": wanted.session_id,
        "name": wanted.name, "label": wanted.label, "rated_by": wanted.user,
        "source": wanted.source.value if wanted.source else None, "tone": _TONES.get(wanted.rated),
    }  # fmt: skip
    return found & Q(**{name: value for name, value in equal.items() if value is not None})


def of_trace(
    project_id: int, trace_id: str, session_ids: Iterable[str], limit: int = 100
) -> tuple[tuple[RatingView, ...], int]:
    """The newest ratings of a trace, its spans, and the sessions it belongs to, and how many there are."""
    trace = reading.trace_id_or_none(trace_id)
    if trace is None:
        return (), 0
    sessions = [session for session in session_ids if session]
    rows = models.Rating.objects.filter(
        Q(trace_id=trace) | Q(trace_id=None, session_id__in=sessions), project_id=project_id
    )
    with reading.bounded():
        found = tuple(view_of(row) for row in rows.order_by("-rated_at", "-rating_id")[:limit])
        return found, len(found) if len(found) < limit else rows.count()


def of_calls(project_id: int, calls: Sequence[CallSummary]) -> dict[tuple[str, str], Tally]:
    """What was said of each of these calls, by trace and span; those of which nothing was are left out."""
    spans = [
        (
            UUID(hex=call.trace_id),
            span_id_from_hex(call.span_id),
            None if call.parent_span_id is None else span_id_from_hex(call.parent_span_id),
        )
        for call in calls
    ]
    return {(trace.hex, span_id_to_hex(span)): tally for (trace, span), tally in of_spans(project_id, spans).items()}


def of_spans(project_id: int, spans: Sequence[tuple[UUID, int, int | None]]) -> dict[tuple[UUID, int], Tally]:
    """`of_calls` for (trace, span, parent) as they are stored."""
    traces = {trace for trace, _span, _parent in spans}
    if not traces:
        return {}
    rows = models.Rating.objects.filter(project_id=project_id, trace_id__in=traces)
    counted: dict[tuple[UUID, int | None], Tally] = {}
    with reading.bounded():
        for trace, span, tone, count in (
            rows.order_by().values_list("trace_id", "span_id", "tone").annotate(count=Count("rating_id"))
        ):
            counted[trace, span] = counted.get((trace, span), Tally()).plus(tone, count)
    found = {(trace, span): _tally_of(trace, {None, span, parent}, counted) for trace, span, parent in spans}
    return {place: tally for place, tally in found.items() if tally.total}


def _tally_of(trace: UUID, spans: Iterable[int | None], counted: Mapping[tuple[UUID, int | None], Tally]) -> Tally:
    total = Tally()
    for span in spans:
        if (part := counted.get((trace, span))) is not None:
            total = Tally(total.positive + part.positive, total.negative + part.negative, total.other + part.other)
    return total


@dataclass(frozen=True, slots=True)
class Approval:
    """Since when people hold an answer for good; `is_corrected` where they wrote it anew."""

    since: datetime
    is_corrected: bool


def approvals(project_id: int, spans: Sequence[tuple[UUID, int, int | None]]) -> dict[tuple[UUID, int], Approval]:
    """Of calls as (trace, span, parent), in order of time: those with a correction, from the first on, and those with
    good ratings and no bad one. What is said of a whole trace, or of the span above, is said of the last call there:
    the earlier ones routed, searched or rewrote. A bad word takes the approval of all of them."""
    said: dict[tuple[UUID, int | None], _Said] = {}
    traces = list(dict.fromkeys(trace for trace, _span, _parent in spans))
    for first in range(0, len(traces), TRACES_AT_ONCE):
        said.update(_said(project_id, traces[first : first + TRACES_AT_ONCE]))
    last = {(trace, place): span for trace, span, parent in spans for place in (None, parent)}
    found = {}
    for trace, span, parent in spans:
        words = {place: said[trace, place] for place in (None, span, parent) if (trace, place) in said}
        own = [word for place, word in words.items() if place == span or last[trace, place] == span]
        is_bad = any(bad for *_times, bad in words.values())
        if (approval := _approval(own, is_bad=is_bad)) is not None:
            found[trace, span] = approval
    return found


def _said(project_id: int, traces: Sequence[UUID]) -> dict[tuple[UUID, int | None], _Said]:
    good, corrected = Q(tone=Tone.POSITIVE), ~Q(correction="")
    rows = models.Rating.objects.filter(good | corrected | Q(tone=Tone.NEGATIVE), project_id=project_id)
    counted = rows.filter(trace_id__in=traces).order_by().values_list("trace_id", "span_id")
    with reading.bounded():
        return {
            (trace, span): (first_good, first_corrected, bad)
            for trace, span, first_good, first_corrected, bad in counted.annotate(
                first_good=Min("rated_at", filter=good), first_corrected=Min("rated_at", filter=corrected),
                bad=Count("rating_id", filter=Q(tone=Tone.NEGATIVE)),
            )
        }  # fmt: skip


def _approval(words: Sequence[_Said], *, is_bad: bool) -> Approval | None:
    corrected = [at for _good, at, _bad in words if at is not None]
    if corrected:
        return Approval(min(corrected), is_corrected=True)
    good = [at for at, _corrected, _bad in words if at is not None]
    return Approval(min(good), is_corrected=False) if good and not is_bad else None


def of_sessions(project_id: int, session_ids: Sequence[str]) -> dict[str, Tally]:
    """The ratings that name each session, with or without a trace."""
    wanted = [session for session in session_ids if session]
    rows = models.Rating.objects.filter(project_id=project_id, session_id__in=wanted).order_by()
    found: dict[str, Tally] = {}
    with reading.bounded():
        for session, tone, count in rows.values_list("session_id", "tone").annotate(count=Count("rating_id")):
            found[session] = found.get(session, Tally()).plus(tone, count)
    return found


def call_conditions(project_id: int, rated: Rated) -> tuple[Condition, ...]:
    """Conditions on calls under the alias `c`, for `traces.selectors.calls`.

    The first of a positive question repeats the second more coarsely: it lets the database start from the ratings
    where they are few, and from the calls where ratings are many.
    """
    tone = _TONES.get(rated)
    and_tone, params = ("", ()) if tone is None else (" AND r.tone = %s", (int(tone),))
    counts = Condition(
        "EXISTS (SELECT 1 FROM ratings r WHERE r.project_id = %s AND r.trace_id = c.trace_id"  # noqa: S608 - no text of a visitor's
        f" AND (r.span_id IS NULL OR r.span_id = c.span_id OR r.span_id = c.parent_span_id){and_tone})",
        (project_id, *params),
    )
    if rated is Rated.NONE:
        return (Condition(f"NOT {counts.sql}", counts.params),)
    traces = Condition(
        "c.trace_id IN (SELECT r.trace_id FROM ratings r WHERE r.project_id = %s AND r.trace_id IS NOT NULL"  # noqa: S608
        f"{and_tone})",
        (project_id, *params),
    )
    return traces, counts


def view_of(row: models.Rating) -> RatingView:
    return RatingView(
        id=row.rating_id,
        name=row.name,
        rating=None if row.tone is None else Tone(row.tone),
        score=row.score,
        label=row.label,
        comment=row.comment,
        correction=row.correction,
        trace_id=row.trace_id.hex if row.trace_id else None,
        span_id=None if row.span_id is None else span_id_to_hex(row.span_id),
        session_id=row.session_id,
        user=row.rated_by,
        source=row.source,
        rated_at=row.rated_at,
        received_at=row.received_at,
    )


def _rating(row: models.Rating) -> Rating:
    return Rating(
        row.rating_id, row.name, row.score, row.label, row.comment, row.correction, row.trace_id, row.span_id,
        row.session_id, row.rated_by, Source(row.source), row.rated_at,
    )  # fmt: skip
