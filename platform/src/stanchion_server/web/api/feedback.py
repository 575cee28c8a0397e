"""Ratings: sent by the SDK and by anybody with an ingest key, read back by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.feedback import parsing, selectors
from stanchion_server.feedback.ratings import BEST, WORST, Source
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.routes import feedback, telemetry
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.calls import DEFAULT_RANGE, RATED
from stanchion_server.web.api.parameters import CURSOR, LIMIT, RANGE, Parameter

SOURCES = {source.value: source for source in Source}
RENAMED = {"session": "session_id", "rating": "rated"}
ADDRESS = "/api/v1/feedback"
MAX_BODY_BYTES = min(1 << 20, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

_TEXT = {"type": "string"}
ONE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "maxLength": 128, "description": "Under the same id it is kept once. Made if left out."},
        "name": {**_TEXT, "default": parsing.DEFAULT_NAME, "description": "What was asked, like `helpful`."},
        "score": {"type": "number", "minimum": WORST, "maximum": BEST, "description": "0 worst, 1 best; -1 is 0."},
        "label": {**_TEXT, "description": "`thumbs_up` and `thumbs_down` are understood, as are some more."},
        "comment": _TEXT,
        "correction": {**_TEXT, "description": "What the answer should have been."},
        "trace_id": {**_TEXT, "description": "32 hex digits. This or `session_id` is needed."},
        "span_id": {**_TEXT, "description": "16 hex digits; needs `trace_id`."},
        "session_id": _TEXT,
        "user": {**_TEXT, "description": "Who rated: a hash, best the one on the spans."},
        "time_ns": {"type": "integer", "format": "int64", "description": "Nanoseconds since 1970; now if left out."},
    },
}  # fmt: skip
for _name, _limit in parsing.MAX_CHARS.items():
    ONE_SCHEMA["properties"][_name] = {**ONE_SCHEMA["properties"][_name], "maxLength": _limit}
SENT_SCHEMA = {
    "oneOf": [ONE_SCHEMA, {"type": "array", "items": ONE_SCHEMA, "minItems": 1, "maxItems": parsing.MAX_ITEMS}]
}
OUTCOME_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "nullable": True},
        "status": {"type": "string", "enum": ["stored", "outdated", "rejected"]},
        "error": shapes.ERROR_SCHEMA["properties"]["error"],
    },
    "required": ["id", "status"],
}
ANSWER_SCHEMA = {
    "oneOf": [
        OUTCOME_SCHEMA,
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": OUTCOME_SCHEMA}, "rejected": {"type": "integer"}},
            "required": ["items", "rejected"],
        },
    ]
}


class Feedback(base.Resource):
    write_scopes = (Scope.INGEST, Scope.WRITE_SCORES)
    known = (
        *RANGE,
        Parameter("trace_id", parameters.text, "Only ratings of this trace and its spans (32 hex digits)."),
        Parameter("span_id", parameters.text, "Only ratings of this span (16 hex digits)."),
        Parameter("session", parameters.text, "Only ratings that name this session."),
        Parameter("name", parameters.text, "Only ratings with exactly this name."),
        Parameter("label", parameters.text, "Only ratings with exactly this label."),
        Parameter("user", parameters.text, "Only ratings by this user."),
        Parameter("source", parameters.one_of(SOURCES), "Which door they came through.", options=tuple(SOURCES)),
        Parameter(
            "rating",
            parameters.one_of({name: rated for name, rated in RATED.items() if name != "none"}),
            "How they read.",
            options=("negative", "positive", "neutral", "any"),
        ),
        CURSOR,
        LIMIT,
    )

    @base.described(
        "list_feedback", "Ratings, the newest first", shapes.page_schema(selectors.RatingView), known, tag="feedback"
    )
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        cursor, limit = values.pop("cursor", None), values.pop("limit", 50)
        renamed = {RENAMED.get(name, name): value for name, value in values.items()}
        wanted = selectors.RatingFilter(start=start, end=end, **renamed)
        return self.answer(selectors.ratings(self.asker.project_id, wanted, cursor, limit))

    @base.described(
        "send_feedback",
        f"One rating, or a list of up to {parsing.MAX_ITEMS} of which each is answered; gzip is read",
        ANSWER_SCHEMA,
        (),
        tag="feedback",
        request={"application/json": SENT_SCHEMA},
    )
    def post(self, request: Request) -> Response:
        try:
            body = _body(request)
            outcomes, is_list = feedback.accept(
                self.asker.project_id, body, request.headers.get("Content-Encoding", ""), _source(request)
            )
        except (SenderError, Unavailable) as error:
            _count(request, error)
            raise
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        for refused in errors:
            _count(request, refused)
        if is_list:
            return Response({"items": [_plain(outcome) for outcome in outcomes], "rejected": len(errors)})
        if errors:
            raise errors[0]
        return Response(_plain(outcomes[0]))


class DoorMiddleware:
    """Takes ratings that come with a key before any other middleware sees them. An application knows this server by
    whatever name its network has for it; telemetry gets in by any name, so ratings must, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._post = Feedback.as_view()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_key = request.headers.get("Authorization") or request.headers.get("x-api-key")
        if request.path_info != ADDRESS or request.method != "POST" or not has_key:
            return self._get_response(request)
        response = self._post(request)
        response.render()
        return response


def _plain(outcome: feedback.Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": outcome.id, "status": outcome.status}
    if outcome.error is not None:
        answer["error"] = {"code": outcome.error.code, "message": outcome.error.message}
    return answer


def _body(request: Request) -> bytes:
    media_type = (request.META.get("CONTENT_TYPE") or "none").split(";", 1)[0].strip().lower()
    if media_type != "application/json":
        raise SenderError(
            "unsupported_media_type", f"Content-Type “{media_type[:60]}” is not supported. Send application/json.", 415
        )
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isascii() and announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise SenderError("too_large", f"The body is larger than {MAX_BODY_BYTES} bytes. Send shorter lists.", 413)
    try:
        return bytes(request._request.body)
    except (UnreadablePostError, OSError) as error:
        raise SenderError("unreadable_body", "The connection ended before the body did.") from error


def _source(request: Request) -> Source:
    return Source.SDK if request.headers.get("User-Agent", "").startswith("stanchion-sdk/") else Source.API


def _count(request: Request, error: SenderError | Unavailable) -> None:
    """Refusals stand on the ingest-health page, beside those of telemetry. People at a browser see theirs at once."""
    key = request.auth
    if not isinstance(key, access.Principal):
        return
    sender = telemetry.Sender(key.project_id, key.key_id, request.headers.get("User-Agent", ""), key.late_window_days)
    telemetry.refuse(sender, "feedback", error, 0)
    telemetry.write_refusals()
