"""Structures that arrive as text: JSON, JSON inside a JSON string, or the repr of a Python literal."""

from __future__ import annotations

import ast
import re
from typing import Any

import orjson

from stanchion_server.ingest.messages import clean

_MAX_REPR = 256 * 1024
_MAX_REPR_DEPTH = 48
_STRING = re.compile(r"'(?:[^'\\]|\\.)*(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)", re.DOTALL)
_WORD = re.compile(r"\b(?:True|False|None)\b")
_LITERAL = re.compile(r"[\[\](){},:\s\d.eE_+\-]*")
_UNARY_CHAIN = re.compile(r"[-+]\s*[-+]")


def structure(value: Any) -> Any:
    """The list, dict or text that a value stands for; a text that is none of the known encodings stays as it is."""
    if not isinstance(value, str):
        return value
    first = value[:1] or " "
    if first.isspace():
        first = value.lstrip()[:1]
    if first not in ("[", "{", '"', "("):
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _literal(value)
    if isinstance(found, str) and found[:1] in ("[", "{"):
        return structure(found)
    return found


def unquoted(value: Any) -> Any:
    """A text without the JSON quotes some clients put around every value."""
    if isinstance(value, str) and len(value) > 1 and value[0] == '"' == value[-1]:
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _literal(text: str) -> Any:
    """Only what is a plain literal by its characters reaches the parser: deep or clever code could exhaust the
    stack."""
    if len(text) > _MAX_REPR or text[:1] == '"':
        return text
    skeleton = _WORD.sub("0", _STRING.sub("0", text))
    if not _LITERAL.fullmatch(skeleton) or _UNARY_CHAIN.search(skeleton) or _depth(skeleton) > _MAX_REPR_DEPTH:
        return text
    try:
        return clean(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _depth(skeleton: str) -> int:
    depth = deepest = 0
    for char in skeleton:
        if char in "[({":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "])}":
            depth -= 1
    return deepest
