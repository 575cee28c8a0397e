"""What a request carries: its bytes, announced or chunked, and the JSON in them."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from stanchion_server.kernel.errors import SenderError

MAX_DEPTH = 100
_READ_BYTES = 256 << 10


def is_chunked(request: HttpRequest) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def chunked(request: HttpRequest, limit: int) -> bytes | None:
    """A body whose length nobody announced, to its end; None when it is longer than `limit`."""
    stream = request.META["wsgi.input"]
    found = bytearray()
    while chunk := stream.read(_READ_BYTES):
        found += chunk
        if len(found) > limit:
            return None
    return bytes(found)


def gather(request: HttpRequest, limit: int) -> None:
    """Makes a chunked body one of a known length: Django and its parsers take a body without one for empty."""
    if not is_chunked(request):
        return
    try:
        found = chunked(request, limit)
    except (UnreadablePostError, OSError) as error:
        raise SenderError("unreadable_body", "The connection ended before the body did.") from error
    if found is None:
        raise too_large(limit)
    request.META["CONTENT_LENGTH"] = str(len(found))
    request._stream = io.BytesIO(found)  # where Django reads a request's body from


def too_large(limit: int) -> SenderError:
    return SenderError("too_large", f"The body is larger than {limit >> 20} MiB. Send less at once.", 413)


def parsed(data: bytes) -> Any:
    """The JSON value. Raises SenderError for what two readers could take for different things, and for deep nesting."""
    try:
        found = json.loads(data, object_pairs_hook=_single, parse_constant=_no_number)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise SenderError("bad_json", f"The body is not readable JSON: {str(error)[:120]}.") from error
    _check_depth(found)
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        rows = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [inner for row in rows for inner in row if isinstance(inner, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> SenderError:
    return SenderError(
        "bad_json", f"The body is nested deeper than {MAX_DEPTH} levels. Send what lies deeper as a text."
    )


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys a sender's own reader may take the other one: what is judged would not be what is used.
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        told = twice.encode("utf-8", "replace").decode()[:60]
        raise SenderError("duplicate_key", f"The key “{told}” stands twice in one object.")
    return found


def _no_number(name: str) -> None:
    raise SenderError("bad_json", f"{name} is no number in JSON.")
