"""Recorded calls scored again by named scorers: what a new version says of them stands beside what the old one said.

Jobs are opened in slices, and only while few of them wait, so that calls which have just arrived keep their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality import jobs
from stanchion_server.quality.jobs import Place
from stanchion_server.quality.models import Rescoring, ScoreJob
from stanchion_server.quality.panels import panels
from stanchion_server.quality.records import Lane
from stanchion_server.quality.selectors import settings
from stanchion_server.traces.selectors import reading

SLICE = 500
MOST_OPEN = 1_000
"""Open jobs of one project beyond which no slice is added."""
MAX_CALLS = 200_000
MAX_WINDOW = timedelta(days=90)
MAX_RUNNING = 5
State = Rescoring.State


@dataclass(frozen=True, slots=True)
class Wanted:
    """`window_start` inclusive, `window_end` exclusive; empty `features` means all."""

    scorers: tuple[str, ...]
    window_start: datetime
    window_end: datetime
    features: tuple[str, ...] = ()
    max_calls: int = MAX_CALLS


def create(project_id: int, wanted: Wanted, actor: str) -> Rescoring:
    """Raises SenderError for scorers that are not there or cannot run, and a window without sense."""
    _check(project_id, wanted)
    where, params = _where(project_id, wanted.window_start, wanted.window_end, wanted.features)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM llm_calls WHERE {where} LIMIT {MAX_CALLS}) t"  # noqa: S608 - names of our own
    with reading.bounded():
        total = min(wanted.max_calls, int(reading.rows(sql, params)[0][0]))
    return Rescoring.objects.create(
        project_id=project_id, scorers=sorted(set(wanted.scorers)), features=list(wanted.features),
        window_start=wanted.window_start, window_end=wanted.window_end, max_calls=wanted.max_calls,
        calls_total=total, created_at=clock.now(), created_by=actor,
    )  # fmt: skip


def cancel(project_id: int, rescoring_id: int) -> bool:
    """No further jobs; those that are open are done. False when it is over already."""
    rows = Rescoring.objects.filter(project_id=project_id, pk=rescoring_id, state=State.RUNNING)
    return rows.update(state=State.CANCELLED, finished_at=clock.now()) == 1


def step(now: datetime) -> int:
    """One slice for each re-scoring that has room; how many jobs were opened."""
    running = Rescoring.objects.filter(state=State.RUNNING).order_by("pk").values_list("pk", flat=True)
    return sum(_slice(rescoring_id, now) for rescoring_id in running)


@transaction.atomic
def _slice(rescoring_id: int, now: datetime) -> int:
    rows = Rescoring.objects.select_for_update(skip_locked=True).filter(pk=rescoring_id, state=State.RUNNING)
    wish = rows.first()
    if wish is None or not _has_room(wish.project_id):
        return 0
    calls = _next_calls(wish)
    _open(wish, calls, now)
    wish.calls_opened += len(calls)
    if calls:
        trace_id, span_id, start = calls[-1]
        wish.cursor = [start.isoformat(), trace_id.hex, span_id]
    if len(calls) < SLICE or wish.calls_opened >= wish.max_calls:
        wish.state, wish.finished_at = State.DONE, now
    wish.save(update_fields=["calls_opened", "cursor", "state", "finished_at"])
    return len(calls)


def _has_room(project_id: int) -> bool:
    waiting = ScoreJob.objects.filter(project_id=project_id, state=ScoreJob.State.OPEN)
    return len(waiting.values_list("lane")[: MOST_OPEN + 1]) <= MOST_OPEN


def _open(wish: Rescoring, calls: Sequence[Place], now: datetime) -> None:
    panel = panels.of(settings.rules(wish.project_id).parameters(""))
    lanes: dict[Lane, list[str]] = {}
    for offer in panel.offers:
        if offer.id in wish.scorers:
            lanes.setdefault(offer.lane, []).append(offer.id)
    with db.raw_cursor() as cursor:
        for lane, scorers in lanes.items():
            jobs.reopen(cursor, wish.project_id, calls, now, jobs.RESCORE, lane=lane, scorers=scorers)


def _next_calls(wish: Rescoring) -> list[Place]:
    where, params = _where(wish.project_id, wish.window_start, wish.window_end, tuple(wish.features))
    if wish.cursor:
        when, trace_id, span_id = wish.cursor
        where += " AND (start_time, trace_id, span_id) > (%s::timestamptz, %s::uuid, %s)"
        params += [when, trace_id, span_id]
    limit = min(SLICE, wish.max_calls - wish.calls_opened)
    sql = f"SELECT trace_id, span_id, start_time FROM llm_calls WHERE {where} ORDER BY 3, 1, 2 LIMIT {limit}"  # noqa: S608
    return [(row[0], row[1], row[2]) for row in reading.rows(sql, params)]


def _where(project_id: int, start: datetime, end: datetime, features: tuple[str, ...]) -> tuple[str, list[Any]]:
    where = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"
    params: list[Any] = [project_id, start, end, int(Charge.CHARGED), int(SpanKind.LLM)]
    if features:
        where += " AND feature = ANY (%s)"
        params.append(list(features))
    return where, params


def _check(project_id: int, wanted: Wanted) -> None:
    panel = panels.of(settings.rules(project_id).parameters(""))
    if not wanted.scorers:
        raise SenderError("no_scorers", "Name at least one scorer.")
    for name in wanted.scorers:
        if name in panel.absent:
            raise SenderError("scorer_unavailable", f"{name} cannot run here: {panel.absent[name]}")
        if name not in panel.scorers:
            raise SenderError(
                "no_such_scorer", f"There is no scorer {name[:80]!r}. The page “Scorers” lists them.", 404
            )
    if not timedelta(0) < wanted.window_end - wanted.window_start <= MAX_WINDOW:
        raise SenderError("bad_window", f"The window must end after it starts and span at most {MAX_WINDOW.days} days.")
    if not 1 <= wanted.max_calls <= MAX_CALLS:
        raise SenderError("bad_max_calls", f"Ask for 1 to {MAX_CALLS:,} calls, not {wanted.max_calls:,}.")
    if Rescoring.objects.filter(project_id=project_id, state=State.RUNNING).count() >= MAX_RUNNING:
        raise SenderError("too_many_rescorings", f"{MAX_RUNNING} re-scorings are running already. Cancel one.", 409)
