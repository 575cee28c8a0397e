"""The door: OTLP over HTTP. Raw bytes in, rows committed, then an answer; no cookies, no session, never a redirect.

Exporters take every 2xx and 3xx for success, retry 503, drop on 4xx and (the newer ones) on 500. So whatever may pass
by itself is 503 with `Retry-After: 1`, and 429 means a quota and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from stanchion_server.ingest.admission import PARSED_WEIGHT, Bounds, Gate
from stanchion_server.ingest.decode import Encoding
from stanchion_server.ingest.inflate import inflate
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.routes import telemetry
from stanchion_server.routes.telemetry import Sender, Signal
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Scope
from stanchion_server.web import bodies, http_status
from stanchion_server.web.http_status import JSON, PROTOBUF

# Ours, Langfuse's, LangSmith's, and the address of a client that was given the full path as its base.
DOOR = re.compile(
    r"^/*(?:api/public/otel/+|otel/+)?(?:v1/(?:traces|metrics|logs)/+)?v1/(?P<signal>traces|metrics|logs)/*$"
)
USAGE = (
    "This address takes OTLP telemetry: POST an Export{name}ServiceRequest as application/x-protobuf or "
    "application/json, with your key as `Authorization: Bearer <key>`. In OpenTelemetry SDKs set "
    "OTEL_EXPORTER_OTLP_ENDPOINT to this server's base address."
)
_NAMES = {"traces": "Trace", "metrics": "Metrics", "logs": "Logs"}
_READ_BYTES = 256 << 10

_data_dir = os.environ.get("STANCHION_DATA_DIR", "")
gate = Gate(
    Bounds(max_in_flight_bytes=settings.INGEST_MAX_IN_FLIGHT_BYTES, max_parses=settings.INGEST_MAX_PARSES),
    Path(_data_dir) if _data_dir else None,
)


class DoorMiddleware:
    """Answers OTLP requests before any other middleware sees them: nothing there may redirect, set a cookie or check a
    host name on this path."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match = DOOR.match(request.path_info)
        return receive(request, match["signal"]) if match else self._get_response(request)


@csrf_exempt
def receive(request: HttpRequest, signal: str) -> HttpResponse:
    """One export request, answered in its own media type."""
    media_type = _media_type(request)
    try:
        response = _receive(request, cast(Signal, signal), media_type)
    except SenderError as error:
        _skip_body(request)
        response = _failure(error.http_status, error.message, media_type)
    except Unavailable as error:
        _skip_body(request)
        response = _failure(503, f"Not accepted now ({error.reason}); send it again.", media_type)
        response["Retry-After"] = "1"
    if response.status_code not in (200, 401, 403, 405):
        response._has_been_logged = True  # type: ignore[attr-defined]  # the ledger has it: overload must not flood the log
    telemetry.write_refusals()
    return response


def _receive(request: HttpRequest, signal: Signal, media_type: str) -> HttpResponse:
    if request.method != "POST":
        response = _failure(405, USAGE.format(name=_NAMES[signal]), media_type)
        response["Allow"] = "POST"
        return response
    principal = access.authenticate(request.headers, request.META.get("REMOTE_ADDR", ""))
    principal.require(Scope.INGEST)
    sender = Sender(
        principal.project_id, principal.key_id, request.headers.get("User-Agent", ""), principal.late_window_days
    )
    length = _content_length(request)
    try:
        if not _media_type(request, default=""):
            raise _unsupported_type(request)
        outcome = _accept(request, sender, signal, media_type, length, principal.daily_span_quota)
    except (SenderError, Unavailable) as error:
        telemetry.refuse(sender, signal, error, length or 0)
        raise
    body = http_status.success(signal, outcome.rejected, outcome.message, media_type)
    return HttpResponse(body, content_type=media_type)


def _accept(
    request: HttpRequest, sender: Sender, signal: Signal, media_type: str, length: int | None, daily_quota: int | None
) -> telemetry.Outcome:
    limit = settings.INGEST_MAX_BODY_BYTES
    if length is not None and length > limit:
        raise _too_large(limit)
    telemetry.check_quota(sender.project_id, signal, daily_quota)
    with gate.request(length or 0) as hold:
        body = _read(request, length, limit)
        inflated = inflate(body, request.headers.get("Content-Encoding", ""), settings.INGEST_MAX_INFLATED_BYTES)
        hold.add(len(inflated) * PARSED_WEIGHT)
        encoding: Encoding = "json" if media_type == JSON else "protobuf"
        try:
            return telemetry.accept(sender, signal, inflated, encoding, body_bytes=len(body), gate=gate)
        except Unavailable as error:
            if error.reason.startswith("the database"):
                gate.note_database_away()
            raise


def _read(request: HttpRequest, length: int | None, limit: int) -> bytes:
    """The whole body, at most `limit` bytes, whether or not its length was announced."""
    try:
        body = request.read(length) if length is not None else bodies.chunked(request, limit)
    except (UnreadablePostError, OSError) as error:
        raise SenderError("unreadable_body", "The connection ended before the body did.") from error
    if body is None:
        raise _too_large(limit)
    if length is not None and len(body) < length:
        raise SenderError("unreadable_body", f"The body ended after {len(body)} of {length} bytes.")
    return body


def _skip_body(request: HttpRequest) -> None:
    """Reads what a refused sender is still writing, within the limit: a client whose connection breaks while it writes
    never sees the answer."""
    left = settings.INGEST_MAX_BODY_BYTES
    stream = request.META["wsgi.input"] if _content_length(request) is None else request
    try:
        while left > 0 and (chunk := stream.read(_READ_BYTES)):
            left -= len(chunk)
    except (UnreadablePostError, OSError):
        return


def _content_length(request: HttpRequest) -> int | None:
    """None when the body is chunked or the header is no number; then the read itself is bounded."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if bodies.is_chunked(request):
        return None
    return int(text) if text.isascii() and text.isdigit() else 0


def _media_type(request: HttpRequest, default: str = JSON) -> str:
    """The request's media type when it is one of ours, without parameters."""
    name = (request.META.get("CONTENT_TYPE") or "").split(";", 1)[0].strip().lower()
    if name in (PROTOBUF, "application/protobuf"):
        return PROTOBUF
    return JSON if name == JSON else default


def _failure(status: int, message: str, media_type: str) -> HttpResponse:
    return HttpResponse(http_status.failure(status, message, media_type), status=status, content_type=media_type)


def _unsupported_type(request: HttpRequest) -> SenderError:
    name = (request.META.get("CONTENT_TYPE") or "none")[:60]
    return SenderError(
        "unsupported_media_type",
        f"Content-Type “{name}” is not supported. Send application/x-protobuf or application/json.",
        415,
    )


def _too_large(limit: int) -> SenderError:
    return SenderError(
        "too_large",
        f"The body is larger than {limit} bytes. Compress it or send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).",
        413,
    )
