"""Metric points into rows for the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import orjson

from stanchion_server.ingest.messages import to_json
from stanchion_server.ingest.records import PointRecord, RawPoint
from stanchion_server.kernel.ids import digest64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_VALUE = 1e15


def normalise_points(points: Sequence[RawPoint]) -> tuple[PointRecord, ...]:
    """A value of 1e15 or more is stored as unknown: it would poison every sum over its series."""
    return tuple(_record(point) for point in points)


def _record(point: RawPoint) -> PointRecord:
    series = [point.name, point.unit, point.kind, point.attributes, point.scope.name, point.resource.resource_id]
    value = point.value
    return PointRecord(
        series_id=digest64(orjson.dumps(series, option=orjson.OPT_SORT_KEYS)),
        name=point.name,
        unit=point.unit,
        kind=point.kind,
        temporality=point.temporality,
        start_time=_moment(point.start_ns) if point.start_ns else None,
        time=_moment(point.time_ns),
        value=value if value is not None and abs(value) < _MAX_VALUE else None,
        histogram_json=None if point.histogram is None else to_json(point.histogram),
        attributes_json=to_json(point.attributes),
        resource=point.resource,
    )


def _moment(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)
