"""Checks data against a JSON Schema, every fault with its path and a remedy.

The keywords that policies and detectors' parameters use are read here: importing the jsonschema library takes longer
than building a whole guard does. A schema with any other keyword is handed to that library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]
Fault = tuple[Path, str, bool]
"""Path, sentence, and whether it is the key and not the value that is wrong."""

_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "object": ("a mapping", lambda value: isinstance(value, dict)),
    "array": ("a list", lambda value: isinstance(value, list)),
    "string": ("a text (quote it)", lambda value: isinstance(value, str)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "number": ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "integer": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "null": ("empty", lambda value: value is None),
}
_LOUD = {"type", "enum", "const", "required", "properties", "additionalProperties", "items", "minimum", "maximum"}
_LOUD |= {
    "exclusiveMinimum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
}
_LOUD |= {"propertyNames"}
_QUIET = {"$schema", "$id", "title", "description", "default", "examples"}


def faults(value: Any, schema: Mapping[str, Any], path: Path = ()) -> Iterator[Fault]:
    """Everything in `value` that `schema` does not allow."""
    if _readable(schema):
        yield from _faults(value, schema, path)
    else:
        yield from _library_faults(value, schema, path)


def _readable(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return isinstance(schema, bool)
    if not schema.keys() <= _LOUD | _QUIET or "\\Z" in schema.get("pattern", ""):
        return False
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[key] for key in ("items", "additionalProperties", "propertyNames") if key in schema]
    return all(_readable(each) for each in inner)


def _library_faults(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    from jsonschema import Draft202012Validator  # 0.1 s to import: only for schemas beyond the keywords above

    for error in Draft202012Validator(schema).iter_errors(value):
        yield (*path, *error.absolute_path), error.message[:300], False


def _faults(value: Any, schema: Any, path: Path) -> Iterator[Fault]:
    if isinstance(schema, bool):
        if not schema:
            yield path, "nothing may stand here", False
        return
    wrong = next(_scalar_faults(value, schema), None)
    if wrong is not None:
        yield path, wrong, False
    elif isinstance(value, dict):
        yield from _mapping_faults(value, schema, path)
    elif isinstance(value, list):
        yield from _list_faults(value, schema, path)


def _scalar_faults(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    allowed = schema.get("type", list(_TYPES))
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if not any(_TYPES[name][1](value) for name in allowed):
        yield f"must be {' or '.join(_TYPES[name][0] for name in allowed)}{_hint(schema)}"
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is not None and value not in choices:
        yield f"must be one of {', '.join(map(str, choices))}{guess(value, choices)}"
    if isinstance(value, str):
        yield from _text_faults(value, schema)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_faults(value, schema)


def _text_faults(value: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield "must not be empty" if not value else f"must have at least {schema['minLength']} characters"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"has {len(value):,} characters, at most {schema['maxLength']:,} are allowed"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"must match {schema['pattern']}{_hint(schema)}"


def _number_faults(value: float, schema: Mapping[str, Any]) -> Iterator[str]:
    low, high, above = (schema.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if (low is not None and value < low) or (high is not None and value > high) or value != value:
        span = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        yield f"must be {' and '.join(span)}"
    if above is not None and value <= above:
        yield f"must be more than {above}"


def _mapping_faults(value: dict[str, Any], schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield path, f"'{key}' is missing{_hint(known.get(key, {}))}", True
    if len(value) < schema.get("minProperties", 0):
        yield path, f"must have at least {schema['minProperties']} entries{_hint(schema)}", False
    others, names = schema.get("additionalProperties", True), schema.get("propertyNames", True)
    for key in value:
        yield from ((inner, text, True) for inner, text, _ in _faults(key, names, (*path, key)))
    for key, inner in value.items():
        if key in known:
            yield from _faults(inner, known[key], (*path, key))
        elif others is False:
            listed = ", ".join(known) if known else "none"
            yield (*path, key), f"unknown key '{key}'{guess(key, list(known)) or f'; known here: {listed}'}", True
        else:
            yield from _faults(inner, others, (*path, key))


def _list_faults(value: list[Any], schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if len(value) < schema.get("minItems", 0):
        yield path, f"must have at least {schema['minItems']} entries{_hint(schema)}", False
    if len(value) > schema.get("maxItems", len(value)):
        yield path, f"has {len(value):,} entries, at most {schema['maxItems']:,} are allowed", False
    if schema.get("uniqueItems") and len(set(map(repr, value))) < len(value):
        yield path, "holds an entry twice: remove one", False
    inner = schema.get("items", True)
    if inner is not True:
        for index, each in enumerate(value):
            yield from _faults(each, inner, (*path, index))


def _hint(schema: Any) -> str:
    said = schema.get("description") if isinstance(schema, Mapping) else None
    return f" ({said})" if said else ""


def guess(value: Any, choices: Sequence[Any]) -> str:
    """A question with the nearest choice where one of the choices is near, else nothing."""
    near = get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
