"""How selectors read: bounded in time, in a read-only way, rows as tuples; and the cursors of long lists."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from uuid import UUID

import psycopg.errors
from django.db import OperationalError, connection, transaction

from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_from_hex

Item = TypeVar("Item")
Row = tuple[Any, ...]

TIMEOUT_MS = 15_000
MAX_CURSOR_CHARS = 400
NOTHING_SET: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list; `next_cursor` is None on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None


@contextmanager
def bounded(timeout_ms: int = TIMEOUT_MS, *, planner: Mapping[str, str] = NOTHING_SET) -> Iterator[None]:
    """Queries inside end after `timeout_ms` with SenderError `query_too_slow`. `planner`: PostgreSQL's own settings for
    those whose plan it would guess badly.

    JIT is off: compiling costs more than any of these queries, and is paid anew by each.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true)", [str(timeout_ms)]
            )
            for name, value in planner.items():
                cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
            yield
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        raise SenderError(
            "query_too_slow", f"The answer took longer than {timeout_ms // 1000} s. Ask for a shorter time range.", 422
        ) from error


def rows(sql: str, params: Sequence[Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(params))
        found: list[Row] = cursor.fetchall()
        return found


def named_rows(sql: str, params: Mapping[str, Any]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(sql, dict(params))
        found: list[Row] = cursor.fetchall()
        return found


def trace_id_or_none(text: str) -> UUID | None:
    """The id, or None for what cannot be one: nothing can be stored under it."""
    if len(text) != 32 or not text.isascii() or not text.isalnum():
        return None
    try:
        return UUID(hex=text)
    except ValueError:
        return None


def span_id_or_none(text: str) -> int | None:
    if len(text) != 16 or not text.isascii() or not text.isalnum():
        return None
    try:
        return span_id_from_hex(text)
    except ValueError:
        return None


def encode_cursor(*parts: datetime | int | str) -> str:
    """An opaque place in a list."""
    plain = [part.astimezone(UTC).isoformat() if isinstance(part, datetime) else part for part in parts]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID, int]:
    """Time, trace and span of the last item seen. SenderError `bad_cursor` for anything this server did not make."""
    with _ours():
        when, trace_id, span_id = _parts(cursor)
        if not -(2**63) <= int(span_id) < 2**63:
            raise ValueError("not one of ours")
        return _moment(when), UUID(hex=trace_id), int(span_id)


def decode_text_cursor(cursor: str) -> tuple[datetime, str]:
    """Time and id of the last item seen, for lists of things with an id of text; otherwise as `decode_cursor`."""
    with _ours():
        when, item_id = _parts(cursor)
        if not isinstance(item_id, str) or not item_id.isascii() or "\0" in item_id:
            raise ValueError("not one of ours")
        return _moment(when), item_id


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError, binascii.Error) as error:
        raise SenderError("bad_cursor", "The cursor is not one this server made. Start again without it.") from error


def _parts(cursor: str) -> Any:
    if len(cursor) > MAX_CURSOR_CHARS:
        raise ValueError("too long")
    return json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))


def _moment(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("not one of ours")
    return time.astimezone(UTC)
