"""What a rule would have done over the last days, before it is saved or as it is stored. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import compiled, definitions, documents, moments, previewing
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.previewing import DAYS, MOST_DAYS
from stanchion_server.alerts.records import Labels
from stanchion_server.alerts.replaying import Episode, Point
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.api import base, shapes
from stanchion_server.web.api.alerts import TAG, project_of, rule_of
from stanchion_server.web.api.parameters import Parameter

MOST_EPISODES = 200
MOST_LINES = 20


def _days(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 4 and 1 <= int(value) <= MOST_DAYS):
        raise ValueError(f"a whole number from 1 to {MOST_DAYS}")
    return int(value)


DAYS_BACK = (Parameter("days", _days, f"How many of the last days; {DAYS} unless given.", type="integer"),)


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """`end` is null while it would still fire. `worst` and `threshold` are in the preview's `unit`; `members` are the
    groups inside of a rule that takes groups together."""

    labels: Mapping[str, str]
    start: datetime
    end: datetime | None
    worst: float | None
    threshold: float | None
    samples: int | None
    reason: str
    is_no_data: bool
    is_flapping: bool
    members: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class LineView:
    """One group's readings: per time the worst of the `step_s` that begin there, null where none could be judged."""

    labels: Mapping[str, str]
    fired: int
    values: tuple[float | None, ...]
    thresholds: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PreviewView:
    """`fired` is null where the past of the rule's readings is not known, which `notes` give the reason for. `moments`
    is how often it was judged from `start` to `end`, once a minute at most, `outcomes` how these judgements ended, one
    per moment and group. `episodes` are the newest of all that `fired` counts, `lines` those groups that fired most."""

    fired: int | None
    days: int
    start: datetime | None
    end: datetime | None
    every_s: int
    moments: int
    outcomes: Mapping[str, int]
    unit: str
    episodes: tuple[EpisodeView, ...]
    groups: int
    step_s: int | None
    times: tuple[datetime, ...]
    lines: tuple[LineView, ...]
    notes: tuple[str, ...]


class Preview(base.Resource):
    known = DAYS_BACK

    @base.described(
        "preview_alert_rule", "How often the rule would have fired; nothing is written", shapes.schema_of(PreviewView),
        DAYS_BACK, tag=TAG, request={"application/json": {"type": "object"}},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        return previewed(self, _definition(request.data))


class OnePreview(base.Resource):
    known = DAYS_BACK

    @base.described(
        "preview_stored_alert_rule", "How often the stored rule would have fired", shapes.schema_of(PreviewView),
        DAYS_BACK, "number", tag=TAG,
    )  # fmt: skip
    def get(self, request: Request, number: int) -> Response:
        found = compiled.compiled(rule_of(self, number))
        if found.definition is None:
            raise SenderError("bad_rule", f"The rule cannot be judged any more: {found.error} Change it first.", 409)
        return previewed(self, found.definition)


def _definition(body: Any) -> Definition:
    """The rule as it is made, or `{"yaml": ...}` with one rule."""
    if isinstance(body, dict) and set(body) == {"yaml"}:
        if not isinstance(body["yaml"], str):
            raise SenderError("bad_rule", "yaml must be text: one rule as a document.")
        written, mistakes = documents.read_one(body["yaml"])
        if written is None:
            told = (f"Line {one.line}: {one.message}" if one.line else one.message for one in mistakes)
            raise SenderError("bad_rule", " ".join(told)[:2_000])
        return written.definition
    definition, problems = definitions.parse(body)
    if definition is None:
        raise SenderError("bad_rule", " ".join(problem.message for problem in problems)[:2_000])
    return definition


def previewed(resource: base.Resource, definition: Definition) -> Response:
    days = resource.values.get("days", DAYS)
    found = previewing.preview(project_of(resource), definition, days, clock.now())
    return resource.answer(view_of(definition, days, found))


def view_of(definition: Definition, days: int, found: previewing.Preview) -> PreviewView:
    replayed = found.replayed
    shared: dict[str, Any] = {
        "days": days, "start": found.start, "end": found.end, "moments": found.moments, "notes": found.notes,
        "every_s": int(definition.patience.every.total_seconds()), "unit": moments.unit_of(definition),
    }  # fmt: skip
    if replayed is None or found.start is None or found.end is None:
        return PreviewView(fired=None, outcomes={}, episodes=(), groups=0, step_s=None, times=(), lines=(), **shared)
    count = (found.end - found.start) // replayed.step + 1
    return PreviewView(
        fired=len(replayed.episodes), outcomes=replayed.outcomes, groups=len(replayed.lines),
        episodes=tuple(_episode(one) for one in replayed.episodes[-MOST_EPISODES:]),
        step_s=int(replayed.step.total_seconds()),
        times=tuple(found.start + place * replayed.step for place in range(count)),
        lines=tuple(
            _line(labels, fired, points, count) for labels, fired, points in replayed.ranked()[:MOST_LINES]
        ), **shared,
    )  # fmt: skip


def _episode(one: Episode) -> EpisodeView:
    return EpisodeView(
        labels=dict(one.labels), start=one.start, end=one.end, worst=one.worst, threshold=one.threshold,
        samples=one.samples, reason=one.reason, is_no_data=one.is_no_data, is_flapping=one.is_flapping,
        members=tuple(dict(labels) for labels in one.members),
    )  # fmt: skip


def _line(labels: Labels, fired: int, points: Mapping[int, Point], count: int) -> LineView:
    found = [points.get(place) for place in range(count)]
    values = tuple(None if one is None else one.value for one in found)
    return LineView(dict(labels), fired, values, tuple(None if one is None else one.threshold for one in found))
