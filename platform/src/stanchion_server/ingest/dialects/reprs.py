"""Answers that a framework sent as the repr of Python objects: `ChatCompletion(id='…', usage=CompletionUsage(…))`.

smolagents and Haystack tell the cached tokens nowhere else. Only the usage is parsed, never run, and only where it is a
plain literal of names, numbers and brackets; the rest is found by its words.
"""

from __future__ import annotations

import ast
import re
from typing import Any

_MAX_CHARS = 64 * 1024
_MAX_USAGE = 4096
_USAGE = re.compile(r"(?:\busage=|'usage': )(?:[A-Za-z_]\w*\(|\{)")
_PLAIN = re.compile(r"[\w'\s=:,.(){}\[\]-]*")
_ID = re.compile(r"\b(?:ChatCompletion|Response|Message)\(id='([^'\\]{1,256})'")
_MODEL = re.compile(r"(?:\bmodel=|'model': )'([^'\\]{1,256})'")
_FINISH = re.compile(r"(?:\bfinish_reason=|'finish_reason': |\bstop_reason=)'([a-z_]{1,64})'")


def read_repr(text: str) -> dict[str, Any]:
    """A provider's response object with what its repr tells of `id`, `model`, `usage`, `stop_reason`."""
    text = text[:_MAX_CHARS]
    found = {key: match[1] for key, rule in _RULES if (match := rule.search(text))}
    usage = _usage(text)
    return {**found, "usage": usage} if usage else {}


_RULES = (("id", _ID), ("model", _MODEL), ("stop_reason", _FINISH))


def _usage(text: str) -> dict[str, Any] | None:
    last: re.Match[str] | None = None
    for match in _USAGE.finditer(text):
        last = match  # the answer's own text may quote one; the object's stands behind it
    if last is None:
        return None
    start = last.end() - 1
    end = _closing(text, start)
    begin = text.index("=" if "=" in last[0] else ":", last.start()) + 1
    source = text[begin:end].strip()
    if end == 0 or not _PLAIN.fullmatch(source):
        return None
    try:
        found = _value(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _closing(text: str, start: int) -> int:
    """The place behind the bracket that closes the one at `start`; 0 where none does, or too far, or too deep."""
    depth = 0
    for place in range(start, min(len(text), start + _MAX_USAGE)):
        if text[place] in "({[":
            depth += 1
            if depth > 8:
                return 0
        elif text[place] in ")}]":
            depth -= 1
            if depth == 0:
                return place + 1
    return 0


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Call):
        return {word.arg: _value(word.value) for word in node.keywords if word.arg}
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        return {key: _value(value) for key, value in zip(keys, node.values, strict=True) if isinstance(key, str)}
    return None
