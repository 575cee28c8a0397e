"""Results as JSON, and the OpenAPI schema of the same: both read off the dataclasses, so that they cannot differ."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cache
from typing import Any

CONTENT_FIELDS = frozenset({
    "input_preview", "output_preview", "status_message", "content", "parameters", "body", "attributes", "events",
    "links", "resource", "comment", "correction", "explanation",
})  # fmt: skip
"""What only `read:content` may see; null for everyone else."""

MONEY = {"type": "string", "format": "decimal", "description": "US dollars."}


def plain(value: Any, hidden: frozenset[str] = frozenset()) -> Any:
    """JSON values: times as RFC 3339 UTC, money as text, enumerations by lower-case name. `hidden` fields are null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: None if item.name in hidden else plain(getattr(value, item.name), hidden)
            for item in dataclasses.fields(value)
        }
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, Mapping):
        return {key: plain(item, hidden) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, hidden) for item in value]
    return value


@cache
def _hints(shape: type) -> dict[str, Any]:
    return typing.get_type_hints(shape)


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of what `plain` makes of a value of this type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        rest = [argument for argument in arguments if argument is not type(None)]
        return _nullable(schema_of(rest[0])) if len(rest) == 1 else {}
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    return _scalar(kind)


def _object(kind: type) -> dict[str, Any]:
    hints = _hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]
    properties = {
        name: _nullable(schema_of(hints[name])) if name in CONTENT_FIELDS else schema_of(hints[name]) for name in names
    }
    return {"type": "object", "properties": properties, "required": names}


def _scalar(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        return {"type": "string", "enum": [item.name.lower() for item in kind]}
    known: dict[Any, dict[str, Any]] = {
        str: {"type": "string"}, int: {"type": "integer", "format": "int64"}, float: {"type": "number"},
        bool: {"type": "boolean"}, datetime: {"type": "string", "format": "date-time"}, Decimal: dict(MONEY),
    }  # fmt: skip
    return known.get(kind, {})


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "nullable": True} if schema else schema


def page_schema(kind: type) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": schema_of(kind)},
            "next_cursor": {"type": "string", "nullable": True},
        },
        "required": ["items", "next_cursor"],
    }


def list_schema(kind: type) -> dict[str, Any]:
    items = {"type": "array", "items": schema_of(kind)}
    return {"type": "object", "properties": {"items": items}, "required": ["items"]}


ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        }
    },
    "required": ["error"],
}
