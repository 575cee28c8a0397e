"""What scorers say of this project's answers, at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality.selectors import queue
from stanchion_server.quality.selectors.distributions import GROUPS
from stanchion_server.reports import quality as reports
from stanchion_server.reports.quality import Standing
from stanchion_server.web.pages import histograms
from stanchion_server.web.pages.callfilters import LONGEST, NONE, Chip
from stanchion_server.web.pages.frame import Visit, project_page

LABELS: Mapping[str, str] = {
    "feature": "Feature", "provider": "Provider", "model": "Model", "environment": "Environment", "release": "Release",
    "prompt_name": "Prompt", "prompt_version": "Prompt version",
}  # fmt: skip
OUTCOMES = {
    "shed": "left out under load",
    "unavailable": "cannot run here",
    "quarantined": "failed three times",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A scorer with scores, and their picture."""

    standing: Standing
    picture: histograms.Picture


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    lines: tuple[Line, ...]


@require_GET
@project_page
def quality(visit: Visit) -> HttpResponse:
    """Parameters named like dimensions narrow everything to calls with that value; `(none)` asks for none."""
    filters, chips = filters_of(visit.request.GET)
    span, project_id = visit.span, visit.project.pk
    found = reports.standings(project_id, span.start, span.end, filters)
    every = reports.standings(project_id, span.start, span.end) if filters else found
    missed = _missed(queue.unscored(project_id, span.start, span.end), every)
    lanes = queue.lanes(project_id, clock.now())
    return visit.render(
        "pages/quality.html",
        "quality",
        families=_families(found),
        silent=[one for one in found if not one.found and one.state != "absent"],
        absent=_by_remedy(found),
        chips=chips,
        labels=LABELS.items(),
        scores=sum(one.found.scores for one in found if one.found),
        flagged=sum(one.found.flagged for one in found if one.found),
        calls=max((one.found.scores for one in found if one.found), default=0),
        unscored=[(one, OUTCOMES.get(one.outcome, one.outcome)) for one in missed],
        unscored_calls=sum(one.calls for one in missed),
        lanes=lanes,
        quarantined=sum(lane.quarantined_jobs for lane in lanes),
        waiting=max((lane.waiting.total_seconds() * 1000 for lane in lanes if lane.waiting), default=None),
    )


def _missed(unscored: Iterable[queue.Unscored], found: Iterable[Standing]) -> list[queue.Unscored]:
    """Without what nobody has set up here: scorers that cannot run and have no score in the range either. `found` is
    of all calls, as `unscored` is."""
    never = {one.scorer for one in found if one.state == "absent" and not one.found}
    return [one for one in unscored if one.outcome != "unavailable" or one.scorer not in never]


def _by_remedy(found: Iterable[Standing]) -> dict[str, list[str]]:
    """Titles of scorers that cannot run, by what is missing."""
    titles: dict[str, list[str]] = {}
    for one in found:
        if one.state == "absent":
            titles.setdefault(one.absent, []).append(one.title)
    return titles


def _families(found: Sequence[Standing]) -> list[Family]:
    lines = [
        Line(one, histograms.picture(one.found.histogram, one.threshold, one.direction)) for one in found if one.found
    ]
    groups = groupby(lines, key=lambda line: line.standing.family)
    return [Family(name, tuple(group)) for name, group in groups]


def filters_of(params: Mapping[str, str]) -> tuple[dict[str, str], tuple[Chip, ...]]:
    """Filters of `distributions`, and what lifts each of them."""
    given = {name: params[name].strip() for name in GROUPS if params.get(name, "").strip()}
    for name, value in given.items():
        if len(value) > LONGEST or "\0" in value:
            raise SenderError("bad_filter", f"The filter “{name}” takes at most {LONGEST} characters without NUL.")
    chips = tuple(Chip(name, LABELS[name], value) for name, value in given.items())
    return {name: "" if value == NONE else value for name, value in given.items()}, chips
