"""Reads one window of a project's calls, bounded in rows, bytes and time."""

# ruff: noqa: S608 - every name in these statements is our own; what people typed is a parameter

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from stanchion_guard.detectors import language
from stanchion_server.drift import texts
from stanchion_server.drift.records import CallKey, Side, Window
from stanchion_server.drift.windows import holds_whole_days
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.traces.models import Content
from stanchion_server.traces.selectors import reading

MOST_CALLS = 4_000
MOST_USER_ROWS = 40_000
TIMEOUT_MS = 60_000
_AT_ONCE = 400
_HASHED = 1 << 20
_LATE = timedelta(days=1)
_COLUMNS = (
    "trace_id", "span_id", "start_time", "duration_ns", "time_to_first_token_ms", "input_tokens", "output_tokens",
    "cost_usd", "tool_call_count", "status", "error_type", "finish_reasons", "feature", "provider", "model",
    "prompt_name", "prompt_version", "release", "environment", "service", "session_id",
)  # fmt: skip
_PLAIN_LABELS = ("feature", "provider", "model", "release", "environment", "service")
_Read = dict[str, Any]


def read(project_id: int, window: Window, feature: str, most: int = MOST_CALLS) -> Side:
    """At most `most` calls; of more, those of traces drawn by a hash of the trace's id, so the same ones each time."""
    with reading.bounded(TIMEOUT_MS):
        counted = _count(project_id, window, feature)
        rows = _rows(project_id, window, feature, most, counted)
    keys = tuple(CallKey(row["trace_id"], row["span_id"], row["start_time"]) for row in rows)
    told = _texts(project_id, keys)
    return Side(
        keys=keys,
        units=tuple(row["session_id"] or row["trace_id"].hex for row in rows),
        numbers=_numbers(rows, told),
        labels=_labels(rows, told, window),
        words={name: [texts.words_of(one[place]) for one in told] for place, name in enumerate(("prompt", "response"))},
        scores=_scores(project_id, keys, window),
        counted=counted,
    )


def _where(project_id: int, window: Window, feature: str) -> tuple[str, list[Any]]:
    where = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"
    params: list[Any] = [project_id, window.start, window.end, int(Charge.CHARGED), int(SpanKind.LLM)]
    return (f"{where} AND feature = %s", [*params, feature]) if feature else (where, params)


def _count(project_id: int, window: Window, feature: str) -> int:
    where, params = _where(project_id, window, feature)
    return int(reading.rows(f"SELECT count(*) FROM llm_calls WHERE {where}", params)[0][0])


def _rows(project_id: int, window: Window, feature: str, most: int, counted: int) -> list[_Read]:
    where, params = _where(project_id, window, feature)
    if counted > most:
        where += f" AND (uuid_hash_extended(trace_id, 7) & {_HASHED - 1}) < %s"
        params.append(int(_HASHED * most / counted))
    sql = f"SELECT {', '.join(_COLUMNS)} FROM llm_calls WHERE {where} ORDER BY start_time, trace_id, span_id LIMIT %s"
    return [dict(zip(_COLUMNS, row, strict=True)) for row in reading.rows(sql, [*params, most * 2])]


def _numbers(rows: Sequence[_Read], told: Sequence[tuple[str, str]]) -> dict[str, list[float | None]]:
    def column(name: str) -> list[float | None]:
        return [None if row[name] is None else float(row[name]) for row in rows]

    return {
        "prompt_characters": [float(len(prompt)) if prompt else None for prompt, _answer in told],
        "response_characters": [float(len(answer)) if answer else None for _prompt, answer in told],
        "input_tokens": column("input_tokens"),
        "output_tokens": column("output_tokens"),
        "latency_ms": [row["duration_ns"] / 1e6 for row in rows],
        "ttft_ms": column("time_to_first_token_ms"),
        "cost_usd": column("cost_usd"),
        "tool_calls": column("tool_call_count"),
    }


def _labels(
    rows: Sequence[_Read], told: Sequence[tuple[str, str]], window: Window
) -> dict[str, list[str | None]]:  # fmt: skip
    labels: dict[str, list[str | None]] = {name: [row[name] or None for row in rows] for name in _PLAIN_LABELS}
    labels["outcome"] = [_outcome(row) for row in rows]
    labels["finish_reason"] = [row["finish_reasons"][0] if row["finish_reasons"] else None for row in rows]
    labels["prompt_version"] = [f"{row['prompt_name']} {row['prompt_version']}".strip() or None for row in rows]
    labels["language"] = [language.identify(prompt)[0] for prompt, _answer in told]
    labels["answer_language"] = [language.identify(answer)[0] for _prompt, answer in told]
    if holds_whole_days(window):
        labels["hour"] = [f"{row['start_time']:%H}" for row in rows]
    return labels


def _outcome(row: _Read) -> str:
    return f"error {row['error_type']}".strip() if row["status"] == Status.ERROR else "answered"


def _texts(project_id: int, keys: Sequence[CallKey]) -> list[tuple[str, str]]:
    """What was new in the prompt, and the answer; empty texts where no content was kept."""
    found: dict[tuple[Any, int], tuple[str, str]] = {}
    for part in _parts(keys):
        for place, parts in _contents(project_id, part).items():
            body = messages.merge(parts)
            found[place] = prompt_of(body), answer_of(body)
    return [found.get((key.trace_id, key.span_id), ("", "")) for key in keys]


def _parts(keys: Sequence[CallKey]) -> Iterator[Sequence[CallKey]]:
    for first in range(0, len(keys), _AT_ONCE):
        yield keys[first : first + _AT_ONCE]


def _contents(project_id: int, keys: Sequence[CallKey]) -> dict[tuple[Any, int], list[Any]]:
    rows = Content.objects.filter(
        project_id=project_id, trace_id__in={key.trace_id for key in keys}, span_id__in={key.span_id for key in keys},
        start_time__gte=min(key.start_time for key in keys) - _LATE,
        start_time__lte=max(key.start_time for key in keys) + _LATE,
    )  # fmt: skip
    grouped: dict[tuple[Any, int], list[Any]] = defaultdict(list)
    for row in rows.order_by("source", "start_time", "digest"):
        grouped[row.trace_id, row.span_id].append(row)
    return grouped


def prompt_of(body: Mapping[str, Any]) -> str:
    """The user's texts after the model's last answer in the history."""
    told = body.get("input") or ()
    answered = max((place for place, message in enumerate(told) if message.get("role") == "assistant"), default=-1)
    return _plain(message for message in told[answered + 1 :] if message.get("role") == "user")


def answer_of(body: Mapping[str, Any]) -> str:
    return _plain(body.get("output") or ())


def _plain(told: Any) -> str:
    parts = (part for message in told for part in message.get("parts") or ())
    return "\n".join(part["text"] for part in parts if part.get("type") == "text" and part.get("text"))


def _scores(
    project_id: int, keys: Sequence[CallKey], window: Window
) -> dict[tuple[str, str], list[float | None]]:  # fmt: skip
    sql = """SELECT trace_id, span_id, scorer, scorer_version, score FROM scores
        WHERE project_id = %s AND start_time >= %s AND start_time < %s AND trace_id = ANY (%s)"""
    places = {(key.trace_id, key.span_id): place for place, key in enumerate(keys)}
    found: dict[tuple[str, str], list[float | None]] = {}
    for part in _parts(keys):
        params = (project_id, window.start, window.end, [key.trace_id for key in part])
        for trace_id, span_id, scorer, version, score in reading.rows(sql, params):
            place = places.get((trace_id, span_id))
            if place is not None:
                found.setdefault((scorer, version), [None] * len(keys))[place] = score
    return found


def users(project_id: int, reference: Window, current: Window, feature: str) -> list[tuple[str, int, int]]:
    """User, slice and calls, for whole users drawn by a hash of their id; slices are as long as the current window and
    count backwards from it."""
    where, params = _where(project_id, Window(reference.start, current.end), feature)
    length_s = (current.end - current.start).total_seconds()
    sql = f"""SELECT user_id, ceil(extract(epoch FROM %s - start_time) / %s)::int - 1 AS slice, count(*)
        FROM llm_calls WHERE {where} AND user_id <> '' GROUP BY 1, 2
        ORDER BY hashtextextended(user_id, 7), 1, 2 LIMIT %s"""
    with reading.bounded(TIMEOUT_MS):
        rows = reading.rows(sql, [current.end, length_s, *params, MOST_USER_ROWS])
    return [(user, place, int(calls)) for user, place, calls in rows]
