"""Feedback in: from a request body to ratings.

inflate -> read each -> keep, with scoring jobs for what was rated -> an answer per rating. The caller may answer when
`accept` returns: what it counts as stored is committed. Whether the rated trace is here yet does not matter; the two
are joined when they are read.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from celery import shared_task
from django.db import transaction

from stanchion_server.feedback import parsing, retention, services
from stanchion_server.feedback.ratings import Fate, Rating, Source, Tone
from stanchion_server.ingest import inflate
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import jobs
from stanchion_server.traces.retention import KEEP_DAYS

MAX_INFLATED_BYTES = 8 << 20

_STATUS = {Fate.NEW: "stored", Fate.SAME: "stored", Fate.REPLACES: "stored", Fate.OUTDATED: "outdated"}
_REFUSED = {
    Fate.OTHER_TARGET: "rates another trace, span or session already. Take a new id: a rating cannot move.",
    Fate.CONTRADICTS: "is taken by another rating of the very same time. To change one, send a later time_ns.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rating, in the order of the request. `stored`: it is what is kept now, also when it was kept
    before; `outdated`: a later one of the same id is; `rejected`: `error` says why."""

    id: str | None
    status: str
    error: SenderError | None = None


def accept(project_id: int, body: bytes, encoding: str, source: Source) -> tuple[list[Outcome], bool]:
    """An outcome per rating, and whether the body was a list. Raises SenderError when nothing of the body can be read,
    Unavailable when it could not be stored now; nothing is kept then."""
    items, is_list = parsing.items_of(inflate.inflate(body, encoding, MAX_INFLATED_BYTES))
    read = [_read(item, source) for item in items]
    with db.away_is_unavailable():
        fates = iter(keep(project_id, [rating for rating in read if isinstance(rating, Rating)]))
    return [_outcome(rating, next(fates)) if isinstance(rating, Rating) else rating for rating in read], is_list


def keep(project_id: int, ratings: Sequence[Rating]) -> list[Fate]:
    """What became of each. Calls that were rated badly or corrected are scored again: by scorers that had left them
    out, and against the correction."""
    with transaction.atomic():
        fates = services.keep(project_id, ratings)
        told = [rating for rating, fate in zip(ratings, fates, strict=True) if fate in (Fate.NEW, Fate.REPLACES)]
        targets = {(one.trace_id, one.span_id) for one in told if one.tone is Tone.NEGATIVE or one.correction}
        with db.raw_cursor() as cursor:
            rated = [(trace, span) for trace, span in targets if trace is not None]
            jobs.reopen_traces(cursor, project_id, rated, clock.now(), jobs.RATED)
    return fates


def _read(item: Any, source: Source) -> Rating | Outcome:
    try:
        rating = parsing.rating_of(item, source, clock.now(), KEEP_DAYS)
    except SenderError as error:
        return Outcome(None, "rejected", error)
    return rating if rating.id else replace(rating, id=uuid.uuid4().hex)


def _outcome(rating: Rating, fate: Fate) -> Outcome:
    if fate in _REFUSED:
        return Outcome(rating.id, "rejected", SenderError("id_taken", f"id={rating.id!r} {_REFUSED[fate]}", 409))
    return Outcome(rating.id, _STATUS[fate])


@shared_task
def expire_ratings() -> None:
    """Every hour: the end of what is past its retention."""
    retention.run(clock.now())
