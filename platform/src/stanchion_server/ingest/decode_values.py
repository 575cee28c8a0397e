"""Attribute values of both OTLP encodings, cleaned as `ingest.records` promises."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from stanchion_server.ingest.records import Alteration, AttributeValue

MAX_DEPTH = 16
MAX_TEXT = 64 * 1024
MAX_CONTENT = 1024 * 1024
MAX_ATTRIBUTES = 512
_MAX_LIST = 100_000
# A cut subtree is written out as text down to this depth; upb refuses a request nested deeper than about 45 values.
_MAX_CUT_DEPTH = 64
_INT64 = 1 << 63
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTENT_KEY = re.compile(
    r"prompt|completion|message|content|input|output|result|response|request|argument|args|document|instruction"
    r"|query|text|value|event|choice|body|tool"
)


class Mender:
    """Collects what had to be changed in the item being read; `surrogate_mark` is what a lone surrogate counts as."""

    __slots__ = ("bits", "is_suspicious", "surrogate_mark")

    def __init__(self) -> None:
        self.bits = 0
        self.is_suspicious = False
        self.surrogate_mark = int(Alteration.SURROGATE_REPLACED)

    def take(self) -> int:
        """What was changed since the last call."""
        bits, self.bits = self.bits, 0
        return bits

    def text(self, value: str, limit: int = MAX_TEXT) -> str:
        if "\0" in value:
            value = value.replace("\0", "\ufffd")
            self.bits |= Alteration.NUL_REPLACED
        if self.is_suspicious and _SURROGATE.search(value):
            value = _SURROGATE.sub("\ufffd", value)
            self.bits |= self.surrogate_mark
        if len(value) > limit:
            value = value[:limit]
            self.bits |= Alteration.VALUE_TRUNCATED
        return value

    def number(self, value: float) -> float | None:
        if math.isfinite(value):
            return value
        self.bits |= Alteration.NUMBER_DROPPED
        return None

    def capped(self, values: dict[str, AttributeValue], limit: int = MAX_ATTRIBUTES) -> dict[str, AttributeValue]:
        if len(values) <= limit:
            return values
        self.bits |= Alteration.VALUE_TRUNCATED
        return dict(list(values.items())[:limit])

    def first(self, items: Any, limit: int) -> Any:
        """The first `limit` items of a sequence."""
        if len(items) <= limit:
            return items
        self.bits |= Alteration.VALUE_TRUNCATED
        return items[:limit]


def text_limit(key: str) -> int:
    """Characters a text under this key may have: names that speak of texts may hold prompts."""
    return MAX_CONTENT if _CONTENT_KEY.search(key.lower()) else MAX_TEXT


def protobuf_attributes(pairs: Iterable[Any], mender: Mender) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for pair in pairs:
        key = pair.key
        if "\0" in key or len(key) > 1024:
            key = mender.text(key, 1024)
        value = pair.value
        text = value.string_value
        if text:
            if len(text) > MAX_TEXT or "\0" in text:
                text = mender.text(text, text_limit(key))
            found[key] = text
        else:
            found[key] = protobuf_value(value, mender, text_limit, key)
    return mender.capped(found) if len(found) > MAX_ATTRIBUTES else found


def protobuf_value(value: Any, mender: Mender, limit_of: Any, key: str, depth: int = 0) -> AttributeValue:
    which = value.WhichOneof("value")
    if which == "int_value":
        return value.int_value  # type: ignore[no-any-return]
    if which == "bool_value":
        return value.bool_value  # type: ignore[no-any-return]
    if which == "double_value":
        return mender.number(value.double_value)
    if which == "string_value":
        return mender.text(value.string_value, limit_of(key))
    if which == "bytes_value":
        return mender.text(base64.b64encode(value.bytes_value).decode(), limit_of(key))
    if which not in ("array_value", "kvlist_value"):
        return None
    nested = _protobuf_container(value, which, mender, limit_of, key, depth)
    return cut_to_text(nested, mender) if depth == MAX_DEPTH else nested


def _protobuf_container(
    value: Any, which: str, mender: Mender, limit_of: Any, key: str, depth: int
) -> list[AttributeValue] | dict[str, AttributeValue]:
    if which == "array_value":
        items = mender.first(value.array_value.values, _MAX_LIST)
        return [protobuf_value(item, mender, limit_of, key, depth + 1) for item in items]
    return {
        mender.text(pair.key, 1024): protobuf_value(pair.value, mender, limit_of, key, depth + 1)
        for pair in value.kvlist_value.values
    }


def json_attributes(pairs: Any, mender: Mender) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for pair in dicts(pairs):
        key = pair.get("key")
        key = mender.text(key, 1024) if isinstance(key, str) else ""
        found[key] = json_value(pair.get("value"), mender, text_limit, key)
    return mender.capped(found)


def json_value(value: Any, mender: Mender, limit_of: Any, key: str, depth: int = 0) -> AttributeValue:
    """One AnyValue. The first known member wins; anything else is the empty value."""
    if not isinstance(value, Mapping):
        return None
    if (text := value.get("stringValue")) is not None:
        return mender.text(str(text), limit_of(key))
    if (number := value.get("intValue")) is not None:
        return json_integer(number, mender)
    if (flag := value.get("boolValue")) is not None:
        return flag if isinstance(flag, bool) else str(flag).lower() == "true"
    if (number := value.get("doubleValue")) is not None:
        return json_double(number, mender)
    if (text := value.get("bytesValue")) is not None:
        return mender.text(str(text), limit_of(key))
    return _json_nested(value, mender, limit_of, key, depth)


def _json_nested(value: Mapping[str, Any], mender: Mender, limit_of: Any, key: str, depth: int) -> AttributeValue:
    nested: list[AttributeValue] | dict[str, AttributeValue]
    if depth > _MAX_CUT_DEPTH:
        mender.bits |= Alteration.NESTING_CUT
        return "…"
    if isinstance(array := value.get("arrayValue"), Mapping):
        items = mender.first(listed(array.get("values")), _MAX_LIST)
        nested = [json_value(item, mender, limit_of, key, depth + 1) for item in items]
    elif isinstance(pairs := value.get("kvlistValue"), Mapping):
        nested = {
            mender.text(str(pair.get("key", "")), 1024): json_value(pair.get("value"), mender, limit_of, key, depth + 1)
            for pair in dicts(pairs.get("values"))
        }
    else:
        return None
    return cut_to_text(nested, mender) if depth == MAX_DEPTH else nested


def cut_to_text(nested: list[AttributeValue] | dict[str, AttributeValue], mender: Mender) -> str:
    mender.bits |= Alteration.NESTING_CUT
    return orjson.dumps(nested).decode()


def json_integer(value: Any, mender: Mender) -> AttributeValue:
    """A 64-bit integer as number or digits; beyond 64 bit, or no integer at all, it stays text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return mender.number(value)
        value = int(value)
    if isinstance(value, str):
        if len(value) > 20 or not value.lstrip("-").isdecimal():
            return mender.text(value)
        value = int(value)
    if not isinstance(value, int):
        return None
    return value if -_INT64 <= value < _INT64 else mender.text(_digits(value))


def _digits(value: int) -> str:
    return str(value) if value.bit_length() < 4096 else hex(value)


def json_double(value: Any, mender: Mender) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return mender.number(float(value))
    except (ValueError, OverflowError):
        mender.bits |= Alteration.NUMBER_DROPPED
        return None


def json_unsigned(value: Any) -> int:
    """A uint64 as number or digits; 0 for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value < 1 << 64 else 0


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
