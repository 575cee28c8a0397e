"""Bulk writes on Django's own connection, below its ORM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from django.db.utils import InterfaceError, OperationalError

from stanchion_server.kernel.errors import Unavailable

AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
"""The database is gone, overloaded or out of space. Serialisation failures and deadlocks are of this family, too."""

CursorType = psycopg.Cursor[tuple[Any, ...]]


@contextmanager
def raw_cursor() -> Iterator[CursorType]:
    """A psycopg cursor inside Django's current transaction; it takes part in `transaction.atomic`."""
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        yield cursor


def copy_in(cursor: CursorType, table: str, columns: tuple[str, ...], body: bytes) -> None:
    """Writes a body made by `kernel.copy.pack`. `table` and `columns` are names from our own code."""
    names = ", ".join(f'"{name}"' for name in columns)
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.write(body)


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Turns the loss of the database into `Unavailable`, and drops the connection: the next use makes one."""
    try:
        yield
    except AWAY as error:
        if not connection.in_atomic_block:
            connection.close()
        raise Unavailable(f"the database cannot take this now: {type(error).__name__}") from error
