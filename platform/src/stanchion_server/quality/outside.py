"""Keeps scores that others made, beside our own: one per call, name and version, however often it is sent.

Evaluations that come as telemetry are kept in the transaction that stores them. One whose call is not here yet is found
again, in its log record, when the call is scored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.db import transaction

from stanchion_server.ingest.records import LogRecord
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import digest64
from stanchion_server.quality import evaluations, keeping
from stanchion_server.quality.evaluations import EVENT, Evaluation, Item
from stanchion_server.quality.keeping import DIMENSIONS, Unscored
from stanchion_server.quality.records import CallKey, Result, Score
from stanchion_server.quality.selectors.scores import stored_versions
from stanchion_server.traces import partitions
from stanchion_server.traces.selectors import reading
from stanchion_server.traces.store import Written

REFUSED = "refused"
_EVENT_BYTES = EVENT.encode()
_DAY = timedelta(days=1)

Place = tuple[UUID, int]
Target = tuple[CallKey, dict[str, str]]


class Fate(Enum):
    """What became of a score from the API. CONTRADICTS: another value is kept under the same call, name and version."""

    NEW = "new"
    SAME = "same"
    CONTRADICTS = "contradicts"
    NO_SUCH_CALL = "no_such_call"


def keep_external(project_id: int, items: Sequence[Item], now: datetime) -> list[Fate]:
    """What became of each, in order. All that are new are committed together."""
    with transaction.atomic(), db.raw_cursor() as cursor:
        targets = _targets(cursor, project_id, {(item.trace_id, item.span_id) for item in items})
        known = _kept(cursor, project_id, items)
        fates, fresh = [], []
        for item in items:
            target = targets.get((item.trace_id, item.span_id))
            if target is None:
                fates.append(Fate.NO_SUCH_CALL)
                continue
            told = item.evaluation
            place = (item.trace_id, item.span_id, told.name, told.version)
            said = (told.score, told.label)
            if place in known:
                fates.append(Fate.SAME if known[place] == said else Fate.CONTRADICTS)
                continue
            known[place] = said
            fates.append(Fate.NEW)
            fresh.append(_score(target, told, "api", now))
        partitions.ensure({score.key.start_time.date() for score in fresh})
        keeping.add(cursor, project_id, fresh, is_new=False)
    return fates


def of_written(cursor: db.CursorType, written: Written) -> None:
    """The step after `traces.store`, in its transaction: evaluations on the events of spans and on log records."""
    told, refused = _told_by_spans(written)
    told_by_logs, refused_logs = _told_by_logs(
        (log.trace_id, log.span_id, log.attributes_json) for log in written.batch.logs if log.event_name == EVENT
    )
    found = [(place, one) for place, one in told + told_by_logs if place is not None]
    found += _by_response(cursor, written.project_id, [log for log in written.batch.logs if log.event_name == EVENT])
    refused += refused_logs
    if not found and not refused:
        return
    targets = _targets(cursor, written.project_id, {place for place, _one in found})
    now = written.received_at
    scores = [_score(targets[place], one, "telemetry", now) for place, one in found if place in targets]
    keeping.add(cursor, written.project_id, list(_once(scores)), is_new=False)
    keeping.count(cursor, written.project_id, refused, now)


def of_calls(project_id: int, calls: Mapping[CallKey, Mapping[str, str]]) -> list[Score]:
    """Evaluations of these calls on log records that came before them, as far as they are not kept yet."""
    if not calls:
        return []
    times = [key.start_time for key in calls]
    rows = reading.rows(
        "SELECT trace_id, span_id, attributes::text FROM log_records WHERE project_id = %s AND trace_id = ANY (%s)"
        ' AND "time" BETWEEN %s AND %s AND event_name = %s',
        (project_id, list({key.trace_id for key in calls}), min(times) - _DAY, max(times) + _DAY, EVENT),
    )
    told, _refused = _told_by_logs((row[0], row[1], row[2]) for row in rows)
    by_place = {(key.trace_id, key.span_id): (key, dict(facts)) for key, facts in calls.items()}
    scores = [_score(by_place[place], one, "telemetry", clock.now()) for place, one in told if place in by_place]
    done = stored_versions(project_id, [score.key for score in scores])
    return [one for one in _once(scores) if (one.key, one.scorer, one.scorer_version) not in done]


def _told_by_spans(written: Written) -> tuple[list[tuple[Place | None, Evaluation]], list[Unscored]]:
    events = (
        (span.trace_id, span.span_id, event.get("attributes") or {})
        for span in written.batch.spans
        if span.events_json and _EVENT_BYTES in span.events_json
        for event in json.loads(span.events_json)
        if event.get("name") == EVENT
    )
    return _told(events)


def _told_by_logs(
    rows: Iterable[tuple[UUID | None, int | None, bytes | str]],
) -> tuple[list[tuple[Place | None, Evaluation]], list[Unscored]]:
    return _told((trace, span, json.loads(attributes)) for trace, span, attributes in rows)


def _told(
    rows: Iterable[tuple[UUID | None, int | None, Any]],
) -> tuple[list[tuple[Place | None, Evaluation]], list[Unscored]]:
    found: list[tuple[Place | None, Evaluation]] = []
    refused = []
    for trace, span, attributes in rows:
        try:
            told = evaluations.of_event(attributes if isinstance(attributes, dict) else {})
        except SenderError as error:
            refused.append(Unscored(EVENT, REFUSED, 1, f"{_name(attributes)}: {error.message}"))
        else:
            found.append((None if trace is None or span is None else (trace, span), told))
    return found, refused


def _name(attributes: Any) -> str:
    name = attributes.get(evaluations.NAME) if isinstance(attributes, dict) else None
    return name[: evaluations.MAX_NAME_CHARS] if isinstance(name, str) and name else "without a name"


def _by_response(cursor: db.CursorType, project_id: int, logs: Sequence[LogRecord]) -> list[tuple[Place, Evaluation]]:
    """Events outside any span that name the response they judge."""
    wanted: dict[int, list[Evaluation]] = {}
    for log in logs:
        attributes = json.loads(log.attributes_json)
        response = attributes.get(evaluations.RESPONSE_ID)
        if log.span_id is None and isinstance(response, str) and response:
            told, _refused = _told([(None, None, attributes)])
            wanted.setdefault(digest64(response.encode()), []).extend(one for _place, one in told)
    if not wanted:
        return []
    cursor.execute(
        "SELECT DISTINCT ON (response_key) response_key, trace_id, span_id FROM llm_calls WHERE project_id = %s"
        " AND response_key = ANY (%s) AND charge = 0 ORDER BY response_key, start_time DESC",
        (project_id, list(wanted)),
    )
    return [((row[1], row[2]), one) for row in cursor.fetchall() for one in wanted[row[0]]]


def _targets(cursor: db.CursorType, project_id: int, places: set[Place]) -> dict[Place, Target]:
    """The stored call, or else span, of each place, with its dimensions."""
    found: dict[Place, Target] = {}
    if not places:
        return found
    rows = sorted(places)
    values = {"project_id": project_id, "traces": [row[0] for row in rows], "spans": [row[1] for row in rows]}
    plain = ", ".join(f"'' AS {name}" if name in ("provider", "model", "release") else name for name in DIMENSIONS)
    for table, columns in (("llm_calls", ", ".join(DIMENSIONS)), ("spans", plain)):
        cursor.execute(
            f"SELECT trace_id, span_id, start_time, {columns} FROM unnest(%(traces)s::uuid[], %(spans)s::bigint[])"  # noqa: S608
            f" AS wanted(t, s) JOIN {table} ON project_id = %(project_id)s AND trace_id = t AND span_id = s".encode(),
            values,
        )
        for trace, span, start, *facts in cursor.fetchall():
            key = CallKey(project_id, trace, span, start)
            found.setdefault((trace, span), (key, dict(zip(DIMENSIONS, facts, strict=True))))
    return found


def _kept(
    cursor: db.CursorType, project_id: int, items: Sequence[Item]
) -> dict[tuple[UUID, int, str, str], tuple[float, str]]:
    cursor.execute(
        "SELECT trace_id, span_id, scorer, scorer_version, score, label FROM scores WHERE project_id = %s"
        " AND trace_id = ANY (%s) AND span_id = ANY (%s)",
        (project_id, [item.trace_id for item in items], [item.span_id for item in items]),
    )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in cursor.fetchall()}


def _score(target: Target, told: Evaluation, source: str, now: datetime) -> Score:
    key, facts = target
    result = Result(told.score, told.label, told.is_flagged, told.reason)
    return Score(key, told.name, told.version, result, None, 0, source, now, facts)


def _once(scores: Iterable[Score]) -> Iterable[Score]:
    """The first of each call, name and version."""
    found: dict[tuple[CallKey, str, str], Score] = {}
    for score in scores:
        found.setdefault((score.key, score.scorer, score.scorer_version), score)
    return found.values()
