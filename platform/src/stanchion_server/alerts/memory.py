"""A group's memory as JSON and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from stanchion_server.alerts.records import Group

_TIMES = frozenset({"since", "judged_at", "bad_since", "last_bad_at", "data_at"})


def to_json(groups: Mapping[str, Group]) -> dict[str, Any]:
    """Times as seconds since 1970; what is None or empty is left out."""
    return {key: _plain(group) for key, group in groups.items()}


def from_json(plain: Mapping[str, Any]) -> dict[str, Group]:
    return {key: _group(one) for key, one in plain.items()}


def _plain(group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(group, name)
        if value is None or value is False or value == () or value == "":
            continue
        if name in _TIMES:
            value = value.timestamp()
        elif name == "turns":
            value = [turn.timestamp() for turn in value]
        found[name] = value
    found["labels"] = [list(label) for label in group.labels]
    return found


def _group(plain: Mapping[str, Any]) -> Group:
    values = {name: value for name, value in plain.items() if name in _NAMES}
    for name in _TIMES & values.keys():
        values[name] = _time(values[name])
    values["turns"] = tuple(_time(turn) for turn in values.get("turns", ()))
    values["labels"] = tuple((name, value) for name, value in values["labels"])
    return Group(**values)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_NAMES = tuple(item.name for item in fields(Group))
