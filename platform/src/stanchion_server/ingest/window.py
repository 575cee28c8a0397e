"""Which times are believed: from the project's late window up to 24 hours ahead.

Every accepted item therefore has a day whose partition may be made, and one wrong clock cannot make thousands of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from stanchion_server.ingest.records import Alteration, Decoded, RawLog, RawPoint, RawSpan, Rejection

AHEAD = timedelta(hours=24)
SKEW = timedelta(minutes=5)

_NS = 1_000_000_000
_LAST_WRITABLE_NS = 253_402_300_799 * _NS  # the end of the year 9999, the last that a datetime can name

Item = TypeVar("Item", RawSpan, RawLog, RawPoint)


@dataclass(frozen=True, slots=True)
class _Window:
    oldest_ns: int
    newest_ns: int
    skewed_from_ns: int
    now_ns: int
    days: int

    def fault(self, time_ns: int) -> tuple[str, str] | None:
        if time_ns < self.oldest_ns:
            return "too_old", _too_old(time_ns, self.days)
        if time_ns > self.newest_ns:
            return "too_far_in_future", _too_far(time_ns)
        return None


def split_by_window(decoded: Decoded, now: datetime, late_window_days: int) -> Decoded:
    """Moves items outside the window into the rejections, and flags the clock of those more than 5 minutes ahead.

    A span is judged by its start. An end beyond the window is not believed: the span keeps its start, gets no duration
    and the flag. A log record without any time is taken to be of now.
    """
    now_ns = int(now.timestamp()) * _NS
    window = _Window(
        oldest_ns=now_ns - late_window_days * 86_400 * _NS,
        newest_ns=now_ns + int(AHEAD.total_seconds()) * _NS,
        skewed_from_ns=now_ns + int(SKEW.total_seconds()) * _NS,
        now_ns=now_ns,
        days=late_window_days,
    )
    refused: Counter[tuple[str, str]] = Counter()
    spans = _inside(decoded.spans, window, refused, _span_in)
    logs = _inside(decoded.logs, window, refused, _log_in)
    points = _inside(decoded.points, window, refused, _point_in)
    if not refused and spans == decoded.spans and logs == decoded.logs and points == decoded.points:
        return decoded
    rejections = tuple(Rejection(reason, detail, count) for (reason, detail), count in refused.items())
    return replace(decoded, spans=spans, logs=logs, points=points, rejections=decoded.rejections + rejections)


def _inside(
    items: Iterable[Item],
    window: _Window,
    refused: Counter[tuple[str, str]],
    judge: Callable[[Item, _Window], Item | tuple[str, str]],
) -> tuple[Item, ...]:
    kept: list[Item] = []
    for item in items:
        verdict = judge(item, window)
        if isinstance(verdict, tuple):
            _count(refused, verdict)
        else:
            kept.append(verdict)
    return tuple(kept)


def _count(refused: Counter[tuple[str, str]], fault: tuple[str, str]) -> None:
    """One sentence per reason: the first value stands for all."""
    reason, _ = fault
    known = next((key for key in refused if key[0] == reason), fault)
    refused[known] += 1


def _span_in(span: RawSpan, window: _Window) -> RawSpan | tuple[str, str]:
    if fault := window.fault(span.start_ns):
        return fault
    if span.end_ns > window.newest_ns:
        return replace(span, end_ns=span.start_ns, alterations=span.alterations | Alteration.CLOCK_SKEW)
    if span.start_ns > window.skewed_from_ns:
        return replace(span, alterations=span.alterations | Alteration.CLOCK_SKEW)
    return span


def _log_in(log: RawLog, window: _Window) -> RawLog | tuple[str, str]:
    time_ns = log.time_ns or log.observed_ns
    if not time_ns:
        return replace(log, observed_ns=window.now_ns)
    if fault := window.fault(time_ns):
        return fault
    if time_ns > window.skewed_from_ns:
        return replace(log, alterations=log.alterations | Alteration.CLOCK_SKEW)
    return log


def _point_in(point: RawPoint, window: _Window) -> RawPoint | tuple[str, str]:
    if fault := window.fault(point.time_ns):
        return fault
    if point.time_ns > window.skewed_from_ns:
        return replace(point, alterations=point.alterations | Alteration.CLOCK_SKEW)
    return point


def _too_old(time_ns: int, days: int) -> str:
    return (
        f"{_written(time_ns)} is more than {days} days ago. Check the sender's clock and units (OTLP counts "
        "nanoseconds), or widen the project's late window."
    )


def _too_far(time_ns: int) -> str:
    return f"{_written(time_ns)} is more than 24 hours ahead. Check the sender's clock and units (nanoseconds)."


def _written(time_ns: int) -> str:
    if not 0 < time_ns < _LAST_WRITABLE_NS:
        return f"The time {time_ns}"
    return datetime.fromtimestamp(time_ns // _NS, UTC).isoformat()
