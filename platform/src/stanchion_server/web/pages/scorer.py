"""One scorer: how its scores are spread, how they move, where they differ, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel.errors import SenderError
from stanchion_server.quality.selectors import scores
from stanchion_server.quality.selectors.distributions import GROUPS, Distribution, ScoreQuery, distributions
from stanchion_server.quality.selectors.scores import ScoreFilter
from stanchion_server.reports import quality as reports
from stanchion_server.reports import truth as truths
from stanchion_server.reports.quality import Standing
from stanchion_server.traces.selectors import grains
from stanchion_server.traces.selectors.overview import step_for
from stanchion_server.web.pages import histograms, tiles
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.quality import LABELS, filters_of

LARGE = 90
MOST_WORST = 25
MOST_GROUPS = 30


@dataclass(frozen=True, slots=True)
class GroupRow:
    value: str
    found: Distribution
    picture: histograms.Picture


@require_GET
@project_page
def scorer(visit: Visit, name: str) -> HttpResponse:
    """`version` takes another version than the one with most scores, `by` the dimension that is compared."""
    filters, chips = filters_of(visit.request.GET)
    standing = standing_of(visit, name, filters)
    rows = _rows(visit, name, filters)
    version = _version(visit.request.GET.get("version", ""), standing, rows)
    found = next((row for row in rows if row.scorer_version == version), None)
    by = _dimension(visit.request.GET.get("by", "feature"))
    wanted = ScoreFilter(visit.span.start, visit.span.end, scorer=name, version=version, facts=filters)
    worst = scores.worst(visit.project.pk, wanted, standing.direction, MOST_WORST) if found else ()
    charts = _charts(visit, name, version, filters, standing) if found else ()
    window = truths.Window(visit.project.pk, visit.span.start, visit.span.end)
    return visit.render(
        "pages/scorer.html",
        "quality",
        one=standing,
        found=found,
        picture=_large(found, standing) if found else None,
        version=version,
        versions=[row.scorer_version for row in rows],
        by=by,
        labels=LABELS.items(),
        groups=_groups(visit, name, version, filters, by, standing) if found else (),
        charts=[(chart, tiles.twin(chart)) for chart in charts],
        worst=reports.shown(visit.project.pk, worst),
        truth=truths.truth(window, name, version, visit.request.GET.get("against", "")) if found else None,
        calibration=truths.calibrated(window, name, version) if found and standing.family == "judge" else None,
        chips=chips,
    )


def standing_of(visit: Visit, name: str, filters: Mapping[str, str]) -> Standing:
    found = reports.standings(visit.project.pk, visit.span.start, visit.span.end, filters)
    standing = next((one for one in found if one.scorer == name), None)
    if standing is None and not scores.newest(visit.project.pk, ScoreFilter(scorer=name), limit=1).items:
        raise Http404("There is no such scorer in this project.")
    return standing or reports.outside(name)


def _rows(visit: Visit, name: str, filters: Mapping[str, str]) -> list[Distribution]:
    found = distributions(
        visit.project.pk, ScoreQuery(visit.span.start, visit.span.end, scorers=(name,), filters=filters)
    )
    return sorted(found, key=lambda row: -row.scores)


def _version(asked: str, standing: Standing, rows: Sequence[Distribution]) -> str:
    if asked and asked not in {row.scorer_version for row in rows}:
        raise SenderError("bad_version", f"No score of this range is of version “{asked[:80]}”.", 404)
    return asked or (standing.found.scorer_version if standing.found else "")


def _dimension(asked: str) -> str:
    if asked not in GROUPS:
        raise SenderError("bad_filter", f"“{asked[:60]}” is no dimension. Choose one of: {', '.join(GROUPS)}.")
    return asked


def _large(found: Distribution, one: Standing) -> histograms.Picture:
    return histograms.picture(found.histogram, one.threshold, one.direction, LARGE)


def _groups(
    visit: Visit, name: str, version: str, filters: Mapping[str, str], by: str, one: Standing
) -> list[GroupRow]:
    """The largest groups, the worst first."""
    query = ScoreQuery(visit.span.start, visit.span.end, group_by=(by,), scorers=(name,), filters=filters)
    rows = [row for row in distributions(visit.project.pk, query) if row.scorer_version == version]
    kept = sorted(rows, key=lambda row: -row.scores)[:MOST_GROUPS]
    sign = -1 if one.direction == "low_is_good" else 1
    kept.sort(key=lambda row: sign * row.mean)
    return [GroupRow(row.group[by], row, histograms.picture(row.histogram, one.threshold, one.direction))
            for row in kept]  # fmt: skip


def _charts(
    visit: Visit, name: str, version: str, filters: Mapping[str, str], one: Standing
) -> tuple[dict[str, Any], ...]:
    span = visit.span
    step = step_for(span.end - span.start)
    query = ScoreQuery(span.start, span.end, step=step, scorers=(name,), filters=filters)
    rows = [row for row in distributions(visit.project.pk, query) if row.scorer_version == version]
    by_time = {row.bucket: row for row in rows}
    times = grains.steps(span.start, span.end, step)
    shared = {"times": [int(time.timestamp()) for time in times], "step_s": int(step.total_seconds())}
    found = [by_time.get(time) for time in times]

    def chart(key: str, title: str, values: list[Any], unit: str, colour: str, *, bars: bool) -> dict[str, Any]:
        series = {"label": title, "colour": colour, "values": values, "bars": bars, "dash": False}
        return {**shared, "id": f"chart-{key}", "title": title, "unit": unit, "series": [series]}

    mean = chart("mean", "Mean score", [row and row.mean for row in found], "ratio", "--s1", bars=False)
    flagged = chart("flagged", "Flagged", [row and row.flagged_ratio for row in found], "percent", "--s2", bars=False)
    many = chart("scores", "Scores", [row.scores if row else 0 for row in found], "count", "--s1", bars=True)
    return (mean, many) if one.threshold is None else (mean, flagged, many)
