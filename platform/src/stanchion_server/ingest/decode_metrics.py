"""Metric data points of both encodings. Every point of every kind becomes one RawPoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stanchion_server.ingest.decode_json import JsonRequest
from stanchion_server.ingest.decode_protobuf import Parsed
from stanchion_server.ingest.decode_spans import (
    Refusals,
    check_count,
    json_enum,
    json_resource,
    json_scope,
    json_text,
    protobuf_resource,
    protobuf_scope,
)
from stanchion_server.ingest.decode_values import (
    Mender,
    dicts,
    json_attributes,
    json_double,
    json_integer,
    json_unsigned,
    listed,
    protobuf_attributes,
)
from stanchion_server.ingest.records import Alteration, Decoded, RawPoint, RawResource, RawScope

_KINDS = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponential_histogram": "exponential_histogram",
    "summary": "summary",
}
_JSON_KINDS = {"exponentialHistogram": "exponential_histogram", **{k: k for k in _KINDS if "_" not in k}}
_TEMPORALITIES = {"AGGREGATION_TEMPORALITY_DELTA": 1, "AGGREGATION_TEMPORALITY_CUMULATIVE": 2}
_NO_RECORDED_VALUE = 1
_MAX_BUCKETS = 4096


def from_protobuf(parsed: Parsed) -> Decoded:
    points: list[RawPoint] = []
    mender = Mender()
    for r, group in enumerate(parsed.message.resource_metrics):
        resource, resource_bits = protobuf_resource(group.resource, mender)
        for s, scoped in enumerate(group.scope_metrics):
            scope, scope_bits = protobuf_scope(scoped.scope, mender)
            for i, metric in enumerate(scoped.metrics):
                bits = resource_bits | scope_bits
                if parsed.mended and parsed.is_mended(r, s, i):
                    bits |= Alteration.INVALID_UTF8
                points.extend(_protobuf_points(metric, scope, resource, mender, bits))
    return Decoded(len(points), points=tuple(points))


def _protobuf_points(
    metric: Any, scope: RawScope, resource: RawResource, mender: Mender, bits: int
) -> Iterator[RawPoint]:
    which = metric.WhichOneof("data")
    if which is None:
        return
    data = getattr(metric, which)
    mender.bits = 0
    name, unit = mender.text(metric.name, 512), mender.text(metric.unit, 64)
    bits |= mender.take()
    for point in data.data_points:
        mender.bits = bits
        value, histogram = _protobuf_number(point, which, mender)
        attributes = protobuf_attributes(point.attributes, mender)
        yield RawPoint(
            name=name,
            unit=unit,
            kind=_KINDS[which],
            temporality=getattr(data, "aggregation_temporality", 0),
            monotonic=getattr(data, "is_monotonic", False),
            start_ns=point.start_time_unix_nano,
            time_ns=point.time_unix_nano,
            value=value,
            histogram=histogram,
            attributes=attributes,
            scope=scope,
            resource=resource,
            alterations=Alteration(mender.bits),
        )


def _protobuf_number(point: Any, which: str, mender: Mender) -> tuple[float | None, dict[str, Any] | None]:
    if point.flags & _NO_RECORDED_VALUE:
        return None, None
    if which in ("gauge", "sum"):
        member = point.WhichOneof("value")
        return (None if member is None else mender.number(float(getattr(point, member)))), None
    found: dict[str, Any] = {"count": point.count}
    if which == "summary":
        found["sum"] = mender.number(point.sum)
        found["quantiles"] = [[mender.number(q.quantile), mender.number(q.value)] for q in point.quantile_values]
        return None, found
    for part in ("sum", "min", "max"):
        found[part] = mender.number(getattr(point, part)) if point.HasField(part) else None
    if which == "histogram":
        found["bounds"] = [mender.number(bound) for bound in mender.first(point.explicit_bounds, _MAX_BUCKETS)]
        found["counts"] = list(mender.first(point.bucket_counts, _MAX_BUCKETS))
        return None, found
    found |= {"scale": point.scale, "zero_count": point.zero_count}
    for side in ("positive", "negative"):
        buckets = getattr(point, side)
        found[side] = {"offset": buckets.offset, "counts": list(mender.first(buckets.bucket_counts, _MAX_BUCKETS))}
    return None, found


def from_json(request: dict[str, Any], max_items: int) -> Decoded:
    points: list[RawPoint] = []
    refusals = Refusals()
    mender = request.mender() if isinstance(request, JsonRequest) else Mender()
    sent = 0
    for group in dicts(request.get("resourceMetrics")):
        resource, resource_bits = json_resource(group.get("resource"), mender)
        for scoped in dicts(group.get("scopeMetrics")):
            scope, scope_bits = json_scope(scoped.get("scope"), mender)
            for metric in dicts(scoped.get("metrics")):
                for built in _json_points(metric, scope, resource, mender, resource_bits | scope_bits):
                    sent += 1
                    check_count(sent, max_items)
                    if built is None:
                        refusals.add("malformed", "A data point must be a JSON object.")
                    else:
                        points.append(built)
    return Decoded(sent, points=tuple(points), rejections=refusals.all())


def _json_points(
    metric: dict[str, Any], scope: RawScope, resource: RawResource, mender: Mender, bits: int
) -> Iterator[RawPoint | None]:
    which = next((key for key in _JSON_KINDS if isinstance(metric.get(key), dict)), None)
    if which is None:
        return
    data, kind = metric[which], _JSON_KINDS[which]
    mender.bits = 0
    name, unit = json_text(metric.get("name"), mender, 512), json_text(metric.get("unit"), mender, 64)
    bits |= mender.take()
    for point in listed(data.get("dataPoints")):
        if not isinstance(point, dict):
            yield None
            continue
        mender.bits = bits
        value, histogram = _json_number(point, kind, mender)
        attributes = json_attributes(point.get("attributes"), mender)
        yield RawPoint(
            name=name,
            unit=unit,
            kind=kind,
            temporality=min(json_enum(data.get("aggregationTemporality"), _TEMPORALITIES), 2),
            monotonic=data.get("isMonotonic") is True,
            start_ns=json_unsigned(point.get("startTimeUnixNano")),
            time_ns=json_unsigned(point.get("timeUnixNano")),
            value=value,
            histogram=histogram,
            attributes=attributes,
            scope=scope,
            resource=resource,
            alterations=Alteration(mender.bits),
        )


def _json_number(point: dict[str, Any], kind: str, mender: Mender) -> tuple[float | None, dict[str, Any] | None]:
    if json_unsigned(point.get("flags")) & _NO_RECORDED_VALUE:
        return None, None
    if kind in ("gauge", "sum"):
        if point.get("asDouble") is not None:
            return json_double(point["asDouble"], mender), None
        integer = json_integer(point.get("asInt"), mender)
        return (float(integer) if isinstance(integer, int) else None), None
    found: dict[str, Any] = {"count": json_unsigned(point.get("count"))}
    if kind == "summary":
        found["sum"] = json_double(point.get("sum", 0.0), mender)
        found["quantiles"] = [
            [json_double(q.get("quantile", 0.0), mender), json_double(q.get("value", 0.0), mender)]
            for q in dicts(point.get("quantileValues"))
        ]
        return None, found
    for part in ("sum", "min", "max"):
        found[part] = json_double(point.get(part), mender)
    if kind == "histogram":
        bounds = mender.first(listed(point.get("explicitBounds")), _MAX_BUCKETS)
        found["bounds"] = [json_double(bound, mender) for bound in bounds]
        found["counts"] = _counts(point, mender)
        return None, found
    found |= {"scale": _signed(point.get("scale"), mender), "zero_count": json_unsigned(point.get("zeroCount"))}
    for side in ("positive", "negative"):
        buckets = inner if isinstance(inner := point.get(side), dict) else {}
        found[side] = {"offset": _signed(buckets.get("offset"), mender), "counts": _counts(buckets, mender)}
    return None, found


def _counts(holder: dict[str, Any], mender: Mender) -> list[int]:
    return [json_unsigned(count) for count in mender.first(listed(holder.get("bucketCounts")), _MAX_BUCKETS)]


def _signed(value: Any, mender: Mender) -> int:
    integer = json_integer(value, mender)
    return integer if isinstance(integer, int) else 0
