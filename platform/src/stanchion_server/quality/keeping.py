"""Writes scores: one row per call, scorer and version, whoever writes it and however often.

The common case is a plain COPY. Scores that are there already make it fail; then the rows go through a staging table,
and what was there first stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from stanchion_server.ingest.messages import clean_text, to_json
from stanchion_server.kernel import copy, db, money
from stanchion_server.quality.records import CallKey, Evidence, Score

MAX_LABEL_CHARS = 100
MAX_REASON_CHARS = 4_000
MAX_EVIDENCE = 50
_INT4 = 2**31 - 1
DIMENSIONS = ("feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version")
_COLUMNS = (
    "project_id", "trace_id", "span_id", "start_time", *DIMENSIONS, "scorer", "scorer_version", "source", "scored_at",
    "score", "threshold", "cost_usd", "input_tokens", "output_tokens", "elapsed_us", "is_flagged", "label", "reason",
    "evidence",
)  # fmt: skip
"""In the order in which `_rows` writes them."""
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
    body = copy.body(len(_COLUMNS), _rows(project_id, sorted(scores, key=_place)))
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


def _rows(project_id: int, scores: Iterable[Score]) -> Iterator[bytes]:
    """What the scores of a call share is encoded once: they follow each other."""
    project = copy.bigint(project_id)
    key: CallKey | None = None
    of_call = b""
    for score in scores:
        if score.key is not key:
            key = score.key
            of_call = project + _of_call(key, score.facts)
        yield of_call + _of_score(score)


def _of_call(key: CallKey, facts: Mapping[str, str]) -> bytes:
    place = copy.uuid(key.trace_id) + copy.bigint(key.span_id) + copy.timestamptz(key.start_time)
    return place + b"".join([copy.label(facts.get(name, "")) for name in DIMENSIONS])


def _of_score(score: Score) -> bytes:
    result = score.result
    return b"".join((
        _of_scorer(score.scorer, score.scorer_version, score.source),
        copy.timestamptz(score.scored_at), copy.float8(result.score), copy.float8(score.threshold),
        copy.numeric(_usd(result.cost_usd)), copy.integer(_integer(result.input_tokens)),
        copy.integer(_integer(result.output_tokens)), copy.integer(min(score.elapsed_us, _INT4)),
        copy.boolean(result.is_flagged), copy.label(clean_text(result.label)[:MAX_LABEL_CHARS]),
        copy.text(clean_text(result.reason)[:MAX_REASON_CHARS]), copy.jsonb(_evidence(result.evidence)),
    ))  # fmt: skip


@lru_cache(maxsize=1024)
def _of_scorer(scorer: str, version: str, source: str) -> bytes:
    return copy.text(scorer) + copy.text(version) + copy.text(source)


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
