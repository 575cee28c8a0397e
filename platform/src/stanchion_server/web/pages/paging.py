"""Ways on and back through a long list: `cursor` says where a page starts, `trail` how the reader came there."""

from __future__ import annotations

from django.http import QueryDict

MAX_TRAIL = 20


def older(params: QueryDict, cursor: str, next_cursor: str | None) -> str:
    if next_cursor is None:
        return ""
    trail = [*filter(None, params.get("trail", "").split(",")), cursor or "-"]
    return _with(params, next_cursor, trail[-MAX_TRAIL:])


def newer(params: QueryDict) -> str:
    trail = [part for part in params.get("trail", "").split(",") if part]
    back = trail.pop() if trail else "-"
    return _with(params, "" if back == "-" else back, trail)


def _with(params: QueryDict, cursor: str, trail: list[str]) -> str:
    changed = params.copy()
    for name, value in (("cursor", cursor), ("trail", ",".join(trail))):
        changed.pop(name, None)
        if value:
            changed[name] = value
    return "?" + changed.urlencode()
