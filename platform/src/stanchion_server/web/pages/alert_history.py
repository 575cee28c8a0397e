"""The history of alerts: who changed what, of everything or of one thing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from stanchion_server.alerts import history
from stanchion_server.alerts.models import Change
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages.frame import Visit, project_page

PAGES = {
    "rule": "alert_rule", "channel": "alert_channel", "window": "maintenance_window", "owner": "alert_owner",
    "incident": "incident",
}  # fmt: skip
MOST_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Line:
    """A change, where the thing is that it was made to (empty where it has no page), and its detail in words."""

    row: Change
    path: str
    words: tuple[str, ...]


@require_GET
@project_page
def alert_history(visit: Visit) -> HttpResponse:
    """`kind` and `number` in the query name one thing; `before` goes on after a change's id."""
    asked = visit.request.GET
    kind = asked.get("kind", "")
    if kind and kind not in Change.Kind.values:
        raise SenderError("bad_kind", f"kind is {kind[:40]!r}: it must be one of {', '.join(Change.Kind.values)}.")
    values: dict[str, Any] = {"kind": kind or None}
    values |= {name: _number(name, asked[name]) for name in ("number", "before") if asked.get(name)}
    found = history.changes(visit.project.pk, **history.asked(values))
    return visit.render(
        "pages/alert_history.html", "alerts", lines=lines(visit, found), kind=kind, kinds=Change.Kind.choices,
        number=values.get("number"), last=found[-1].pk if len(found) == history.MOST_LISTED else None,
    )  # fmt: skip


def of(visit: Visit, kind: Change.Kind, number: int) -> list[Line]:
    """The last deeds on one thing, for its page."""
    return lines(visit, history.changes(visit.project.pk, kind.value, number, limit=20))


def lines(visit: Visit, rows: tuple[Change, ...]) -> list[Line]:
    there = history.living(visit.project.pk, rows)
    return [Line(row, _path(visit, row) if (row.kind, row.number) in there else "", _words(row)) for row in rows]


def _path(visit: Visit, row: Change) -> str:
    return reverse(PAGES[row.kind], args=(visit.project.slug, row.number)) if row.kind in PAGES else ""


def _words(row: Change) -> tuple[str, ...]:
    found = []
    for name, (before, after) in row.detail.items():
        change = _told(after) if before is None else f"{_told(before)} → {_told(after)}"
        found.append(f"{name}: {change}")
    return tuple(found)


def _told(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise SenderError(f"bad_{name}", f"{name} is {text[:40]!r}: it must be a whole number.")
    return int(text)
