"""From what a sender wrote to ratings: every mistake is a SenderError that names the value and the remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.feedback.ratings import BEST, WORST, Rating, Source
from stanchion_server.ingest import scrub
from stanchion_server.ingest.window import AHEAD
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex

MAX_ITEMS = 500
MAX_CHARS = {"name": 100, "label": 100, "comment": 65_536, "correction": 65_536, "session_id": 500, "user": 200}
FIELDS = ("id", *MAX_CHARS, "score", "trace_id", "span_id", "time_ns")
DEFAULT_NAME = "user_feedback"
BY_HAND = "page-"
"""Ids of ratings by hand start like this; no key can send one."""

_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_HEX_32, _HEX_16 = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_CHARS = 60


def items_of(body: bytes) -> tuple[list[Any], bool]:
    """The ratings in a JSON body, unread, and whether they came as a list."""
    found = _json(body)
    if isinstance(found, dict):
        return [found], False
    if not isinstance(found, list):
        raise SenderError(
            "bad_body", f"The body is {_kind(found)}. Send one rating as a JSON object, or a list of them."
        )
    if not found:
        raise SenderError("bad_body", "The list is empty. Send at least one rating.")
    if len(found) > MAX_ITEMS:
        raise SenderError("too_many_items", f"The list holds {len(found)} ratings; send at most {MAX_ITEMS}.", 413)
    return found, True


def _json(body: bytes) -> Any:
    if not body.strip():
        raise SenderError("bad_body", "The body is empty. Send a rating as a JSON object.")
    try:
        return json.loads(body)
    except RecursionError as error:
        raise SenderError("bad_body", "The body is nested too deeply.") from error
    except UnicodeDecodeError as error:
        raise SenderError("bad_body", "The body is not UTF-8. Encode it as UTF-8.") from error
    except ValueError as error:
        raise SenderError("bad_body", f"The body is not JSON: {str(error)[:120]}.") from error


def rating_of(item: Any, source: Source, now: datetime, keep_days: int) -> Rating:
    """One rating, its texts without credentials. Without `time_ns` it is of now; without `id` that stays empty."""
    if not isinstance(item, dict):
        raise SenderError("bad_item", f"A rating is a JSON object, not {_kind(item)}.")
    unknown = sorted(set(item) - set(FIELDS))
    if unknown:
        raise SenderError("unknown_field", f"{_shown(unknown[0])} is not a field. Known: {', '.join(FIELDS)}.")
    given = {name: value for name, value in item.items() if value is not None}
    texts = {name: _text(name, given.get(name, ""), limit) for name, limit in MAX_CHARS.items()}
    trace_id, span_id = _trace_id(given.get("trace_id")), _span_id(given.get("span_id"))
    score = _score(given.get("score"))
    _check_target(trace_id, span_id, texts["session_id"])
    if score is None and not (texts["label"] or texts["comment"] or texts["correction"]):
        raise SenderError("empty_rating", "The rating says nothing. Give a score, label, comment or correction.")
    return Rating(
        id=_id(given.get("id")),
        name=texts["name"] or DEFAULT_NAME,
        score=score,
        label=texts["label"],
        comment=texts["comment"],
        correction=texts["correction"],
        trace_id=trace_id,
        span_id=span_id,
        session_id=texts["session_id"],
        user=texts["user"],
        source=source,
        rated_at=_time(given["time_ns"], now, keep_days) if "time_ns" in given else now,
    )


def _check_target(trace_id: object, span_id: object, session_id: str) -> None:
    if span_id is not None and trace_id is None:
        raise SenderError("no_target", "A span_id is only unique within its trace. Send its trace_id, too.")
    if trace_id is None and not session_id:
        raise SenderError("no_target", "The rating has no target. Send trace_id, trace_id and span_id, or session_id.")


def _id(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise SenderError("bad_id", f"id={_shown(value)} must be 1 to 128 letters, digits, or any of . _ : -")
    if value.startswith(BY_HAND):
        raise SenderError(
            "bad_id", f"id={_shown(value)}: ids that start with {BY_HAND!r} are ours. Choose another one."
        )
    return value


def _text(name: str, value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise SenderError("bad_field", f"{name}={_shown(value)} must be a text, not {_kind(value)}.")
    if len(value) > limit:
        raise SenderError("too_long", f"{name} has {len(value)} characters; send at most {limit}.")
    return clean(value)


def clean(text: str) -> str:
    """As the texts of spans are kept: credentials masked, NUL and halves of characters replaced."""
    return scrub.mask(_SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd")))


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SenderError("bad_score", f"score={_shown(value)} must be a number, not {_kind(value)}.")
    if not (isinstance(value, int) or math.isfinite(value)) or not WORST <= value <= BEST:
        raise SenderError(
            "bad_score",
            f"score={_shown(value)} must lie between 0 (worst) and 1 (best), or down to -1. Scale it: of five stars,"
            " send (stars - 1) / 4.",
        )
    return float(value) + 0.0  # -0.0 is 0.0


def _trace_id(value: Any) -> UUID | None:
    compact = _hex(value)
    if value is not None and not (_HEX_32.fullmatch(compact) and compact.strip("0")):
        raise SenderError("bad_trace_id", f"trace_id={_shown(value)} must be 32 hex digits, not all zero.")
    return UUID(hex=compact) if compact else None


def _span_id(value: Any) -> int | None:
    compact = _hex(value)
    if value is not None and not (_HEX_16.fullmatch(compact) and compact.strip("0")):
        raise SenderError("bad_span_id", f"span_id={_shown(value)} must be 16 hex digits, not all zero.")
    return span_id_from_hex(compact) if compact else None


def _hex(value: Any) -> str:
    return value.replace("-", "").lower() if isinstance(value, str) else ""


def _time(value: Any, now: datetime, keep_days: int) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SenderError("bad_time", f"time_ns={_shown(value)} must be a whole number: nanoseconds since 1970, UTC.")
    oldest, newest = now - timedelta(days=keep_days), now + AHEAD
    if not _ns(oldest) <= value <= _ns(newest):
        raise SenderError(
            "bad_time",
            f"time_ns={_shown(value)} is not a time of the last {keep_days} days in nanoseconds since 1970, UTC."
            " Check the unit and the sender's clock.",
        )
    return _EPOCH + timedelta(microseconds=value // 1000)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _kind(value: Any) -> str:
    names: Mapping[type, str] = {
        type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list",
        dict: "an object",
    }  # fmt: skip
    return names[type(value)]


def _shown(value: Any) -> str:
    """The value as the sender wrote it, short, and free of what an answer cannot carry."""
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    if isinstance(value, dict | list):
        return _kind(value)
    return scrub.mask(ascii(value[:_SHOWN_CHARS]) if isinstance(value, str) else str(value))
