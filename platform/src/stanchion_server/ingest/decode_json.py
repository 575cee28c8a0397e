"""Bytes into the top-level object of an OTLP/JSON request.

orjson first; what it refuses but other writers emit (NaN, Infinity, 1e400, lone surrogates, bytes that are not UTF-8)
is read once more by the standard library, and the values are mended one by one.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from stanchion_server.ingest.decode_values import Mender
from stanchion_server.ingest.records import Alteration
from stanchion_server.kernel.errors import SenderError

_SIGNALS = {"resourceSpans": "/v1/traces", "resourceLogs": "/v1/logs", "resourceMetrics": "/v1/metrics"}


class JsonRequest(dict[str, Any]):
    """The request object, and how careful its readers must be with texts."""

    is_suspicious = False
    surrogate_mark = int(Alteration.SURROGATE_REPLACED)

    def mender(self) -> Mender:
        mender = Mender()
        mender.is_suspicious, mender.surrogate_mark = self.is_suspicious, self.surrogate_mark
        return mender


def parse(body: bytes, key: str) -> JsonRequest:
    """The request as an object that has `key`, or nothing at all (an empty request is valid)."""
    try:
        request = _object(orjson.loads(body))
    except orjson.JSONDecodeError:
        request = _parse_leniently(body)
    _check_signal(request, key)
    return request


def _parse_leniently(body: bytes) -> JsonRequest:
    try:
        text = body.decode("utf-8", "surrogateescape")
        request = _object(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise SenderError(
            "undecodable", f"The body is not JSON: {str(error)[:200]}. Check the exporter's protocol."
        ) from error
    request.is_suspicious = True
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        request.surrogate_mark = int(Alteration.INVALID_UTF8)
    return request


def _object(value: Any) -> JsonRequest:
    if not isinstance(value, dict):
        raise SenderError("undecodable", "The body must be a JSON object, as OTLP/JSON has it.")
    return JsonRequest(value)


def _check_signal(request: JsonRequest, key: str) -> None:
    if key in request:
        return
    for other, path in _SIGNALS.items():
        if other in request:
            raise SenderError("wrong_signal", f"The body holds {other}, which belongs to {path}.")
