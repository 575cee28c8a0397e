"""The bodies OTLP answers with, written by hand: they have two fields each, and no JSON or protobuf library is quicker.

`google.rpc.Status` for every failure, `Export…ServiceResponse` for success.
"""

from __future__ import annotations

import json

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

# HTTP status to google.rpc.Code (google/rpc/code.proto, read 2026-11).
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}
_REJECTED_NAMES = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}


def failure(http_status: int, message: str, media_type: str) -> bytes:
    """A `google.rpc.Status` in the media type of the request."""
    code = _CODES.get(http_status, 2)
    if media_type == JSON:
        return json.dumps({"code": code, "message": message}, ensure_ascii=False).encode()
    return _number(1, code) + _text(2, message)


def success(signal: str, rejected: int, message: str, media_type: str) -> bytes:
    """An export response; `partial_success` is only there when something was rejected or there is a warning."""
    is_partial = bool(rejected or message)
    if media_type == JSON:
        partial = {_REJECTED_NAMES[signal]: str(rejected), "errorMessage": message}
        return json.dumps({"partialSuccess": partial} if is_partial else {}, ensure_ascii=False).encode()
    if not is_partial:
        return b""
    inner = _number(1, rejected) + _text(2, message)
    return b"\x0a" + _varint(len(inner)) + inner


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value) if value else b""


def _text(field: int, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return bytes([field << 3 | 2]) + _varint(len(data)) + data if data else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
