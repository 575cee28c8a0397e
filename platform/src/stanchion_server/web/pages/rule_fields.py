"""A rule as a form's fields and back. Pure.

A form holds the common part of a rule; what else the rule says travels beside it, unchanged. What people type wrongly
stays what they typed, so that reading the rule tells them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from stanchion_server.alerts.fields import Problem
from stanchion_server.alerts.measures import SOURCES

PLAIN = ("name", "title", "severity", "description", "for", "keep_firing", "no_data", "every", "runbook")
"""Fields of text that are called the same in the rule."""
PARAMS = ("scorer", "over_ms")
NUMBERS: Mapping[str, tuple[str, ...]] = {
    "threshold": ("recovers_at", "min_bad"),
    "surge": ("times", "least"),
    "baseline": ("deviations", "weeks"),
    "release": ("change_ratio",),
    "burn_rate": ("objective_ratio", "min_bad"),
    "absence": (),
}
TEXTS: Mapping[str, tuple[str, ...]] = {
    "threshold": (), "surge": ("lookback",), "baseline": ("direction",), "release": ("direction",), "burn_rate": (),
    "absence": ("seen_within",),
}  # fmt: skip
DEFAULTS: Mapping[str, str] = {
    "watched": "calls error_ratio", "type": "threshold", "side": "above", "severity": "warning", "window": "15m",
    "for": "5m", "by_1": "feature",
}  # fmt: skip
SINGLE = (
    *PLAIN, *PARAMS, "watched", "where", "by_1", "by_2", "window", "min_samples", "type", "side", "limit",
    "recovers_at", "min_bad",
    *(f"{sort}_{name}" for sort, names in NUMBERS.items() if sort != "threshold" for name in names),
    *(f"{sort}_{name}" for sort, names in TEXTS.items() for name in names), "rest",
)  # fmt: skip


def to_plain(values: Mapping[str, str], channels: Iterable[str]) -> dict[str, Any]:
    """The rule that the fields say; empty fields say nothing."""
    rest = _rest(values.get("rest", ""))
    source, _blank, measure = values.get("watched", "").partition(" ")
    watch: dict[str, Any] = {"source": source, "measure": measure}
    if where := _where(values.get("where", "")):
        watch["where"] = where
    if by := [values[name] for name in ("by_1", "by_2") if values.get(name)]:
        watch["by"] = by
    if values.get("window"):
        watch["window"] = values["window"]
    if params := _params(source, measure, values):
        watch["params"] = params
    if values.get("min_samples"):
        watch["min_samples"] = _number(values["min_samples"])
    plain = {name: values[name] for name in PLAIN if values.get(name)}
    told = {**plain, "watch": watch, "when": _when(values, rest.pop("when", {})), **rest}
    return {**told, "channels": list(channels)} if channels else told


def _params(source: str, measure: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Those that the measure takes: what was typed for another one is not meant."""
    kind = SOURCES.get(source)
    known = kind.measures.get(measure) if kind else None
    return {
        name: _number(values[name]) if sort == "number" else values[name]
        for name, (sort, _default) in (known.params if known else {}).items()
        if name in PARAMS and values.get(name)
    }


def _when(values: Mapping[str, str], rest: Any) -> dict[str, Any]:
    sort = values.get("type", "threshold")
    when: dict[str, Any] = {} if sort == "threshold" else {"type": sort}
    if sort == "threshold" and values.get("limit"):
        when["below" if values.get("side") == "below" else "above"] = _number(values["limit"])
    for name in NUMBERS.get(sort, ()):
        if text := values.get(_field(sort, name)):
            when[name] = _number(text)
    for name in TEXTS.get(sort, ()):
        if text := values.get(_field(sort, name)):
            when[name] = text
    is_same = isinstance(rest, dict) and rest.get("type", "threshold") == sort
    return {**rest, **when} if is_same else when


def _field(sort: str, name: str) -> str:
    return name if sort == "threshold" else f"{sort}_{name}"


def from_plain(plain: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """The fields that say the rule, and the channels."""
    watch, when = _mapping(plain.get("watch")), _mapping(plain.get("when"))
    values = {name: _text(plain[name]) for name in PLAIN if name in plain}
    values["watched"] = f"{_text(watch.get('source'))} {_text(watch.get('measure'))}"
    values["where"] = "\n".join(f"{name} = {_text(value)}" for name, value in _mapping(watch.get("where")).items())
    by = [*(_text(name) for name in _list(watch.get("by"))), "", ""]
    values |= {"by_1": by[0], "by_2": by[1]}
    values |= {name: _text(watch[name]) for name in ("window", "min_samples") if name in watch}
    values |= {name: _text(value) for name, value in _mapping(watch.get("params")).items() if name in PARAMS}
    sort = _text(when.get("type")) or "threshold"
    values["type"] = sort
    for side in ("above", "below"):
        if side in when:
            values |= {"side": side, "limit": _text(when[side])}
    for name in (*NUMBERS.get(sort, ()), *TEXTS.get(sort, ())):
        if name in when:
            values[_field(sort, name)] = _text(when[name])
    values["rest"] = _rest_of(plain, sort, when)
    return values, [_text(name) for name in _list(plain.get("channels"))]


def _rest_of(plain: Mapping[str, Any], sort: str, when: Mapping[str, Any]) -> str:
    known = {*PLAIN, "watch", "when", "channels"}
    rest = {name: value for name, value in plain.items() if name not in known}
    said = {*NUMBERS.get(sort, ()), *TEXTS.get(sort, ()), "type", "above", "below"}
    more = {name: value for name, value in when.items() if name not in said}
    if more:
        rest["when"] = more if sort == "threshold" else {"type": sort, **more}
    return json.dumps(rest) if rest else ""


def fits(plain: Mapping[str, Any]) -> bool:
    """Whether the fields can say the rule without changing it; browsers take line breaks out of most of them."""
    values, channels = from_plain(plain)
    lines = [text for name, text in values.items() if name not in ("where", "rest")]
    if any(text != text.strip() or len(text.splitlines()) > 1 for text in lines):
        return False
    when = dict(_mapping(plain.get("when")))
    if when.get("type") == "threshold":
        del when["type"]
    return to_plain(values, channels) == {**plain, "when": when}


def beside(rest: str) -> list[str]:
    """The names of what the rule says beside the fields."""
    plain = _rest(rest)
    when = _mapping(plain.pop("when", {}))
    return [*plain, *(f"when.{name}" for name in when if name != "type")]


def field_of(problem: Problem, values: Mapping[str, str]) -> str:
    """The field that a problem belongs to; empty when no field says it."""
    path = tuple(str(part) for part in problem.path)
    first, name = path[0] if path else "", path[1] if len(path) > 1 else ""
    if first == "watch":
        if name in ("source", "measure"):
            return "watched"
        if name == "by":
            return "by_1"
        return path[2] if name == "params" and len(path) > 2 and path[2] in PARAMS else name
    if first == "when":
        if name in ("above", "below", ""):
            return "limit" if values.get("type", "threshold") == "threshold" else "type"
        field = _field(values.get("type", "threshold"), name)
        return field if field in SINGLE else "type"
    return first if first in SINGLE or first == "channels" else ""


def _where(text: str) -> dict[str, str]:
    """`feature = refunds` by line; a line without a sign is a name without a value, which reading the rule tells."""
    found = {}
    for line in text.splitlines():
        name, _sign, value = line.partition("=")
        if name.strip():
            found[name.strip()] = value.strip()
    return found


def _number(text: str) -> int | float | str:
    """What is no number stays as it is."""
    plain = text.strip()
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        return text


def _rest(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return "" if value is None else str(value)
