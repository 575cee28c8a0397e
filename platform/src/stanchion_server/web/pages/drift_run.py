"""One run of a monitor: what drifted, how far, in which calls; and Evidently's page of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from stanchion_server.drift import columns, selectors, services, texts
from stanchion_server.drift.models import DriftResult, DriftRun
from stanchion_server.web import sandbox
from stanchion_server.web.pages import formats
from stanchion_server.web.pages.drift import compares
from stanchion_server.web.pages.frame import Visit, project_page

_CHART_WIDTH, _CHART_HEIGHT = 140, 34
FIGURES = {
    "psi": "PSI",
    "wasserstein": "Wasserstein, in standard deviations",
    "mmd": "MMD",
    "median_reference": "Median before",
    "median_current": "Median now",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the small chart."""

    x: str
    y: str
    width: str
    height: str
    sort: str


@dataclass(frozen=True, slots=True)
class Line:
    """A category, or a bin, as text: what the chart shows."""

    label: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as it is read. `change` says the main thing in a few words."""

    result: DriftResult
    label: str
    change: str
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    figures: tuple[tuple[str, str], ...]
    segments: tuple[Mapping[str, Any], ...]
    words: tuple[tuple[str, str], ...]

    @property
    def has_more(self) -> bool:
        return bool(self.lines or self.figures or self.segments or self.words or self.result.examples)


@require_GET
@project_page
def run(visit: Visit, number: int) -> HttpResponse:
    """HTMX asks for the part alone, every few seconds while something is still being made."""
    found = _run(visit, number)
    results = [shown(one, may_read=visit.may_read) for one in selectors.results(visit.project.pk, found.pk)]
    report = selectors.report(visit.project.pk, found.pk)
    is_over = found.state in (DriftRun.State.DONE, DriftRun.State.QUARANTINED)
    is_settled = is_over and (report is None or report.state != "waiting")
    template = "pages/_drift_run.html" if visit.request.headers.get("HX-Request") else "pages/drift_run.html"
    return visit.render(
        template, "drift", run=found, results=results, report=report, is_settled=is_settled,
        drifted=[one for one in results if one.result.verdict == "drift"], compares=compares(found.monitor),
        chart_width=_CHART_WIDTH, chart_height=_CHART_HEIGHT,
    )  # fmt: skip


@require_POST
@project_page
def retry_run(visit: Visit, number: int) -> HttpResponse:
    """A run that was put aside, or a report that failed, is made again."""
    visit.require_admin()
    found = _run(visit, number)
    is_again = services.retry(visit.project.pk, found.pk) or services.retry_report(visit.project.pk, found.pk)
    messages.success(visit.request, "It is made again." if is_again else "There is nothing to make again.")
    return redirect("drift_run", visit.project.slug, found.pk)


@require_GET
@project_page
def report(visit: Visit, number: int) -> HttpResponse:
    """Evidently's page in an origin of its own; `download` in the query saves it instead."""
    found = _run(visit, number)
    html = selectors.report_html(visit.project.pk, found.pk)
    if html is None:
        raise Http404("This run has no report.")
    return sandbox.page(html, f"drift-{found.pk}.html", is_download="download" in visit.request.GET)


def _run(visit: Visit, number: int) -> DriftRun:
    found = selectors.run(visit.project.pk, number)
    if found is None:
        raise Http404("No such run in this project.")
    return found


def shown(result: DriftResult, *, may_read: bool) -> Shown:
    """Words come from prompts and answers: `may_read` shows them."""
    return Shown(
        result=result,
        label=columns.label_of(result.column),
        change=_change(result),
        bars=_bars(result.bars),
        lines=_lines(result),
        figures=_figures(result),
        segments=tuple({**one, "name": one["dimension"].replace("_", " ")} for one in result.segments),
        words=tuple(
            (_heading(label), ", ".join(map(_word, listed)))
            for label, listed in result.words.items()
            if listed and may_read
        ),
    )


def _heading(label: str) -> str:
    return {"more": "More often now", "less": "Less often now"}.get(label, label.capitalize())


def _word(word: str) -> str:
    """Words are compared by their first letters alone."""
    return f"{word}…" if len(word) == texts.STEM else word


def _change(result: DriftResult) -> str:
    figures, bars = result.second_figures, result.bars
    if "median_current" in figures:
        before, now = (_value(figures[name], result.unit) for name in ("median_reference", "median_current"))
        return f"median {before} → {now}"
    if bars.get("labels"):
        label = bars["labels"][0]
        before, now = (formats.percent(bars[window][0]) for window in ("reference", "current"))
        return f"“{label}” {before} → {now}"
    return ""


def _value(value: float, unit: str) -> str:
    if unit == "ms":
        return formats.duration(value)
    if unit == "usd":
        return formats.usd(Decimal(repr(value)))
    if unit == "score":
        return f"{value:.3f}"
    return f"{formats.compact(value)} {unit}".strip()


def _figures(result: DriftResult) -> tuple[tuple[str, str], ...]:
    found = []
    for name, value in result.second_figures.items():
        text = _value(value, result.unit) if name.startswith("median") else f"{value:.3f}"
        found.append((FIGURES.get(name, name), text))
    return tuple(found)


def _lines(result: DriftResult) -> tuple[Line, ...]:
    bars = result.bars
    if not bars.get("reference"):
        return ()
    edges = bars.get("edges") or ()
    bins = [f"{_value(low, result.unit)} to {_value(high, result.unit)}" for low, high in pairwise(edges)]
    labels = bars.get("labels") or bins
    return tuple(Line(label, *pair) for label, *pair in zip(labels, bars["reference"], bars["current"], strict=True))


def _bars(bars: Mapping[str, Sequence[float]]) -> tuple[Bar, ...]:
    """The reference as a wide pale bar, the current window as a narrow one before it."""
    pairs = list(zip(bars.get("reference", ()), bars.get("current", ()), strict=True))
    highest = max((share for pair in pairs for share in pair), default=0.0)
    if not highest:
        return ()
    step = _CHART_WIDTH / len(pairs)
    found = []
    for place, pair in enumerate(pairs):
        for share, sort, inset in ((pair[0], "before", 0.06), (pair[1], "now", 0.3)):
            height = share / highest * _CHART_HEIGHT
            x, width = step * (place + inset), step * (1 - 2 * inset)
            found.append(Bar(f"{x:.1f}", f"{_CHART_HEIGHT - height:.1f}", f"{width:.1f}", f"{height:.1f}", sort))
    return tuple(found)
