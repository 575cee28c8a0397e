"""Keeps ratings: each once, however often and in whatever order it arrives."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from stanchion_server.feedback import models, selectors
from stanchion_server.feedback.ratings import Fate, Rating, fate_of
from stanchion_server.kernel import clock

_LOCK = 0x5261_7465
_KEPT = (
    "name", "score", "label", "tone", "comment", "correction", "rated_by", "source", "rated_at", "received_at",
)  # fmt: skip


def keep(project_id: int, ratings: Sequence[Rating]) -> list[Fate]:
    """What became of each, in the same order. All that are new or replace an older one are committed together.

    Writers of one project take turns, so that two at once cannot both take an id.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashint8(%s))", [_LOCK, project_id])
        known = selectors.by_id(project_id, [rating.id for rating in ratings])
        fates, changed = [], {}
        for rating in ratings:
            fate = fate_of(rating, known.get(rating.id))
            if fate in (Fate.NEW, Fate.REPLACES):
                known[rating.id] = changed[rating.id] = rating
            fates.append(fate)
        _write(project_id, list(changed.values()))
    return fates


def _write(project_id: int, ratings: Sequence[Rating]) -> None:
    now = clock.now()
    models.Rating.objects.bulk_create(
        [
            models.Rating(
                project_id=project_id,
                rating_id=rating.id,
                name=rating.name,
                score=rating.score,
                label=rating.label,
                tone=rating.tone,
                comment=rating.comment,
                correction=rating.correction,
                trace_id=rating.trace_id,
                span_id=rating.span_id,
                session_id=rating.session_id,
                rated_by=rating.user,
                source=rating.source.value,
                rated_at=rating.rated_at,
                received_at=now,
            )
            for rating in ratings
        ],
        update_conflicts=True,
        unique_fields=["project_id", "rating_id"],
        update_fields=_KEPT,
    )
