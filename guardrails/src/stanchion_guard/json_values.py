"""JSON text with the place of every value, schemas whose patterns cannot hang, and repair of the common faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jsonschema
import re2
from jsonschema import validators
from referencing import Registry

DEEPEST = 64
MOST_ERRORS = 50
MOST_REFERENCES = 100_000
"""References followed in one check: definitions that name each other twice double with every step."""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
Path = tuple[str | int, ...]
Places = dict[Path, tuple[int, int]]
_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder(parse_constant=lambda name: (_ for _ in ()).throw(ValueError(f"{name} is not JSON")))


@dataclass(frozen=True, slots=True)
class Fault:
    """Where something is wrong, in characters of the text, and why; the reason does not quote the value."""

    start: int
    end: int
    reason: str


def parse(text: str) -> tuple[Any, Places]:
    """The value and where each part of it stands. ValueError for anything that is not one JSON value, or too deep."""
    places: Places = {}
    value, end = _value(text, _skip(text, 0), (), places)
    if _skip(text, end) != len(text):
        raise ValueError(f"text after the JSON value at character {end}")
    return value, places


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _value(text: str, at: int, path: Path, places: Places) -> tuple[Any, int]:
    if len(path) > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST}")
    opening = text[at : at + 1]
    if opening in ("{", "["):
        value, end = (_object if opening == "{" else _array)(text, at, path, places)
    else:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ValueError(f"{error.msg} at character {error.pos}") from None
        except (RecursionError, StopIteration):
            raise ValueError("not JSON") from None
    places[path] = (at, end)
    return value, end


def _object(text: str, at: int, path: Path, places: Places) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"a property name in double quotes is expected at character {at}")
        key, at = _value(text, at, (), {})
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"a colon is expected at character {at}")
        if key in found:
            raise ValueError(f"a property stands twice at character {at}")
        found[key], at = _value(text, _skip(text, at + 1), (*path, key), places)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return found, at + 1
        at = _comma(text, at)


def _array(text: str, at: int, path: Path, places: Places) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        item, at = _value(text, at, (*path, len(found)), places)
        found.append(item)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return found, at + 1
        at = _comma(text, at)


def _comma(text: str, at: int) -> int:
    if text[at : at + 1] != ",":
        raise ValueError(f"a comma or a closing bracket is expected at character {at}")
    return _skip(text, at + 1)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    if validator.is_type(instance, "string") and not _matcher(pattern).search(instance):
        yield jsonschema.ValidationError("does not match the pattern")


def _pattern_properties(validator: Any, rules: Mapping[str, Any], instance: Any, schema: Any) -> Any:
    if validator.is_type(instance, "object"):
        for pattern, rule in rules.items():
            matcher = _matcher(pattern)
            for key in [key for key in instance if matcher.search(key)]:
                yield from validator.descend(instance[key], rule, path=key, schema_path=pattern)


def _matcher(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Any:
    """The library compares every item with every other one."""
    if wanted and validator.is_type(instance, "array") and len({_key(item) for item in instance}) < len(instance):
        yield jsonschema.ValidationError("has an item twice")


def _key(value: Any) -> Any:
    """Equal where JSON Schema calls two values equal: 1 is 1.0 and is not true."""
    if isinstance(value, dict):
        return frozenset((name, _key(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(map(_key, value))
    return (type(value).__name__, value) if isinstance(value, bool) else value


_left: ContextVar[list[int]] = ContextVar("references_left")


def _counted(keyword: str) -> Any:
    follow: Any = jsonschema.Draft202012Validator.VALIDATORS[keyword]

    def counted(validator: Any, reference: Any, instance: Any, schema: Any) -> Any:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("the schema's definitions refer to each other too often")
        yield from follow(validator, reference, instance, schema) or ()

    return counted


_VALIDATOR: Any = validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items,
        "$ref": _counted("$ref"),
        "$dynamicRef": _counted("$dynamicRef"),
    },
)


def compile_schema(schema: Mapping[str, Any]) -> Any:
    """A validator. ValueError for one that is no schema, refers outside itself, or has a pattern RE2 cannot run."""
    try:
        _VALIDATOR.check_schema(dict(schema))
        _check_inside(schema, 0)
    except (jsonschema.SchemaError, re2.error) as error:
        why = error.message if isinstance(error, jsonschema.SchemaError) else "RE2 cannot run a pattern in it"
        raise ValueError(f"not a usable JSON schema: {why}") from None
    return _VALIDATOR(dict(schema), registry=Registry())  # the library's own would fetch what it does not know


def _check_inside(schema: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"the schema is nested deeper than {DEEPEST}")
    if isinstance(schema, Mapping):
        for reference in (schema.get(keyword) for keyword in _REFERENCES):
            if isinstance(reference, str) and not reference.startswith("#"):
                raise ValueError("the schema refers to another document; put it under $defs")
        if isinstance(schema.get("pattern"), str):
            _matcher(schema["pattern"])
        for pattern in schema.get("patternProperties") or ():
            _matcher(pattern)
    for inside in schema.values() if isinstance(schema, Mapping) else schema if isinstance(schema, list) else ():
        _check_inside(inside, depth + 1)


def check_schema(validator: Any, value: Any, places: Places, text: str) -> list[Fault]:
    """What the schema says against the value, at most `MOST_ERRORS`, each at the value it is about. Raises ValueError
    where that takes more than `MOST_REFERENCES`."""
    faults = []
    _left.set([MOST_REFERENCES])
    for error in validator.iter_errors(value):
        start, end = places.get(tuple(error.absolute_path), (0, len(text)))
        where = "/".join(str(step) for step in error.absolute_schema_path)
        faults.append(Fault(start, end, f"against the schema at {where[:120]}"))
        if len(faults) == MOST_ERRORS:
            break
    return sorted(faults, key=lambda fault: fault.start)


def repair(text: str) -> str | None:
    """JSON text mended: taken out of a fence or a sentence, quotes, commas, Python words and brackets put right.

    None when it still is not one JSON value. Never guesses a missing value.
    """
    body = _unfenced(text)
    starts = [at for at in (body.find("{"), body.find("[")) if at >= 0]
    if not starts:
        return None
    mended = _mend(body[min(starts) :])
    try:
        parse(mended)
    except ValueError:
        return None
    return mended


def _unfenced(text: str) -> str:
    opening = text.find("```")
    if opening < 0:
        return text
    line = text.find("\n", opening)
    closing = text.find("```", opening + 3)
    return text[line + 1 : closing if closing > line else len(text)] if line >= 0 else text


_WORDS = {"True": "true", "False": "false", "None": "null", "undefined": "null"}
_CLOSERS = {"{": "}", "[": "]"}


def _mend(text: str) -> str:
    out: list[str] = []
    stack: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            quoted, at = _string(text, at)
            out.append(quoted)
            continue
        if text.startswith("//", at):
            line = text.find("\n", at)
            at = len(text) if line < 0 else line
            continue
        if character.isalpha() or character == "_":
            word, at = _word(text, at)
            out.append(_bareword(word, text, at))
            continue
        if character in "{[":
            stack.append(_CLOSERS[character])
        elif character in "}]":
            _drop_comma(out)
            while stack and stack[-1] != character:
                out.append(stack.pop())
            if not stack:
                at += 1
                continue
            stack.pop()
        out.append(character)
        at += 1
        if character in "}]" and not stack:
            break
    _drop_comma(out)
    return "".join(out) + "".join(reversed(stack))


def _drop_comma(out: list[str]) -> None:
    last = len(out) - 1
    while last >= 0 and out[last].isspace():
        last -= 1
    if last >= 0 and out[last] == ",":
        del out[last]


def _string(text: str, at: int) -> tuple[str, int]:
    quote, start = text[at], at + 1
    at = start
    pieces: list[str] = []
    while at < len(text) and text[at] != quote:
        if text[at] == "\\":
            pieces.append(text[at + 1 : at + 2] if text[at + 1 : at + 2] == "'" else text[at : at + 2])
            at += 2
            continue
        pieces.append({'"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(text[at], text[at]))
        at += 1
    return '"' + "".join(pieces) + '"', at + 1


def _word(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] in "_-$"):
        end += 1
    return text[at:end], end


def _bareword(word: str, text: str, end: int) -> str:
    """A key without quotes gets them; Python's and JavaScript's constants become JSON's."""
    if text[_skip(text, end) : _skip(text, end) + 1] == ":":
        return json.dumps(word)
    return _WORDS.get(word, word)
