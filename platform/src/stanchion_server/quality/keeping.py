"""Writes scores: one row per call, scorer and version, whoever writes it and however often.

The common case is a plain COPY. Scores that are there already make it fail; then the rows go through a staging table,
and what was there first stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stanchion_server.ingest.messages import clean_text, to_json
from stanchion_server.kernel import copy, db, money
from stanchion_server.quality.records import Evidence, Score

MAX_LABEL_CHARS = 100
MAX_REASON_CHARS = 4_000
MAX_EVIDENCE = 50
_INT4 = 2**31 - 1
DIMENSIONS = ("feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version")
_ENCODERS: Mapping[str, copy.Encoder] = {
    "project_id": copy.encoded, "trace_id": copy.uuid, "span_id": copy.bigint, "start_time": copy.timestamptz,
    "scored_at": copy.timestamptz, "score": copy.float8, "threshold": copy.float8, "cost_usd": copy.numeric,
    "input_tokens": copy.integer, "output_tokens": copy.integer, "elapsed_us": copy.integer, "is_flagged": copy.boolean,
    "scorer": copy.label, "scorer_version": copy.label, "source": copy.label, "label": copy.label, "reason": copy.text,
    **dict.fromkeys(DIMENSIONS, copy.label), "evidence": copy.jsonb,
}  # fmt: skip
_COLUMNS = tuple(_ENCODERS)
_NAMES = ", ".join(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Unscored:
    """Why a scorer did not score some calls: outcome "shed", "unavailable" or "quarantined"."""

    scorer: str
    outcome: str
    calls: int
    detail: str = ""


def add(cursor: db.CursorType, project_id: int, scores: Sequence[Score], *, is_new: bool) -> int:
    """How many were new. With `is_new` a row that is there raises UniqueViolation. Marks the minutes whose sums
    change; the partitions must be there."""
    if not scores:
        return 0
    frame = copy.bigint(project_id)
    body = copy.pack(tuple(_ENCODERS.values()), (_row(frame, score) for score in sorted(scores, key=_place)))
    if is_new:
        db.copy_in(cursor, "scores", _COLUMNS, body)
        fresh = len(scores)
    else:
        cursor.execute(b"CREATE TEMP TABLE staging_scores (LIKE scores INCLUDING DEFAULTS) ON COMMIT DROP")
        db.copy_in(cursor, "staging_scores", _COLUMNS, body)
        cursor.execute(
            f"INSERT INTO scores ({_NAMES}) SELECT {_NAMES} FROM staging_scores"  # noqa: S608 - names of our own
            " ORDER BY start_time, trace_id, span_id, scorer ON CONFLICT DO NOTHING".encode()
        )
        fresh = cursor.rowcount
        cursor.execute(b"DROP TABLE staging_scores")
    mark(cursor, project_id, (score.key.start_time for score in scores))
    return fresh


def mark(cursor: db.CursorType, project_id: int, times: Iterable[datetime]) -> None:
    """The minutes of these calls need new sums."""
    minutes = sorted({time.replace(second=0, microsecond=0) for time in times})
    cursor.execute(
        "INSERT INTO dirty_score_minutes (project_id, minute) SELECT %s, unnest(%s::timestamptz[])",
        (project_id, minutes),
    )


def count(cursor: db.CursorType, project_id: int, unscored: Iterable[Unscored], now: datetime) -> None:
    """Adds to the counts of this hour, in order, so that two workers wait for each other."""
    sums: Counter[tuple[str, str]] = Counter()
    details: dict[tuple[str, str], str] = {}
    for one in unscored:
        sums[one.scorer, one.outcome] += one.calls
        details[one.scorer, one.outcome] = one.detail
    for (scorer, outcome), calls in sorted(sums.items()):
        cursor.execute(
            "INSERT INTO score_counts (project_id, bucket, scorer, outcome, calls, detail)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, bucket, scorer, outcome)"
            " DO UPDATE SET calls = score_counts.calls + excluded.calls, detail = excluded.detail",
            (
                project_id, now.astimezone(UTC).replace(minute=0, second=0, microsecond=0), scorer, outcome, calls,
                details[scorer, outcome][:MAX_REASON_CHARS],
            ),
        )  # fmt: skip


def _place(score: Score) -> tuple[Any, ...]:
    return score.key.start_time, score.key.trace_id.int, score.key.span_id, score.scorer


def _row(frame: bytes, score: Score) -> tuple[Any, ...]:
    key, result = score.key, score.result
    return (
        frame, key.trace_id, key.span_id, key.start_time, score.scored_at, result.score, score.threshold,
        _usd(result.cost_usd), _integer(result.input_tokens), _integer(result.output_tokens),
        min(score.elapsed_us, _INT4), result.is_flagged, score.scorer, score.scorer_version, score.source,
        clean_text(result.label)[:MAX_LABEL_CHARS], clean_text(result.reason)[:MAX_REASON_CHARS],
        *(score.facts.get(name, "") for name in DIMENSIONS), _evidence(result.evidence),
    )  # fmt: skip


def _usd(value: Decimal | None) -> Decimal | None:
    return None if value is None else money.usd(value)


def _integer(value: int | None) -> int | None:
    return None if value is None or not 0 <= value <= _INT4 else value


def _evidence(found: Sequence[Evidence]) -> bytes | None:
    if not found:
        return None
    rows = [
        {"place": one.place, "place_index": one.place_index, "start": one.start, "end": one.end, "label": one.label,
         "score": one.score, "reason": one.reason}
        for one in found[:MAX_EVIDENCE]
    ]  # fmt: skip
    return to_json(rows)
