"""Is it healthy, and what changed? Money is that of calls and of the project's own cards, where it has any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.costs import hours, selectors_allocation
from stanchion_server.costs.allocation import USE
from stanchion_server.traces import selectors
from stanchion_server.traces.selectors import MetricRow
from stanchion_server.web.pages import callfilters, tiles
from stanchion_server.web.pages.frame import Visit, project_page

PROJECT_COOKIE_AGE_S = 365 * 24 * 3600
SHOWN, LOOKED_AT = 8, 200
"""Groups that are shown, and of how many the dearest are sought where own hours count: API dollars say little then."""


@dataclass(frozen=True, slots=True)
class Hours:
    """What closed hours of own deployments cost: in all, idling included, and by feature."""

    usd: Decimal | None
    by_feature: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Spent:
    row: MetricRow
    usd: Decimal | None
    own_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    name: str
    rows: Sequence[Spent]
    whole_usd: Decimal | None


@require_GET
@project_page
def overview(visit: Visit) -> HttpResponse:
    own = _own(visit.project.pk, visit.span.start, visit.span.end)
    found = selectors.overview(
        visit.project.pk, visit.span.start, visit.span.end, top=SHOWN if own.usd is None else LOOKED_AT
    )
    before = hours.floor(visit.span.start - (visit.span.end - visit.span.start))
    past_usd = selectors_allocation.paid_usd(visit.project.pk, before, hours.floor(visit.span.start))
    is_hosting = own.usd is not None or bool(found.now.hosted_calls)
    charts = tiles.charts(found.series, found.step_s, "API cost" if is_hosting else "Cost")
    response = visit.render(
        "pages/overview.html",
        "overview",
        found=found,
        tiles=tiles.tiles(found.now, found.before, own.usd, past_usd),
        charts=[(chart, tiles.twin(chart)) for chart in charts],
        groups=(
            _features(found.top_features, found.now, own),
            Group(
                "Models by API cost" if is_hosting else "Models by cost",
                "model",
                [Spent(row, row.cost_usd, None) for row in found.top_models[:SHOWN]],
                found.now.cost_usd,
            ),
        ),
        none=callfilters.NONE,
        is_new=not found.now.calls and not _any_call(visit),
    )
    response.set_cookie(
        "project", visit.project.slug, PROJECT_COOKIE_AGE_S, samesite="Lax", secure=visit.request.is_secure()
    )
    return response


def _own(project_id: int, start: datetime, end: datetime) -> Hours:
    """Hours of which some part lies in the range count whole, as in the cost explorer."""
    rows = selectors_allocation.by_feature(project_id, hours.floor(start), end)
    used = {row.group["feature"]: row.usd for row in rows if row.kind == USE}
    return Hours(sum((row.usd for row in rows), Decimal(0)) if rows else None, used)


def _features(rows: Sequence[MetricRow], now: MetricRow, own: Hours) -> Group:
    """Dearest first; a feature whose calls all stand outside of LOOKED_AT has its hours in the whole alone."""
    told = [_with_own(row, own.by_feature.get(row.group["feature"])) for row in rows]
    told.sort(key=lambda one: (one.usd is None, -(one.usd or 0)))
    whole = now.cost_usd if own.usd is None else own.usd + (now.cost_usd or 0)
    return Group("Features by cost", "feature", told[:SHOWN], whole)


def _with_own(row: MetricRow, own_usd: Decimal | None) -> Spent:
    return Spent(row, row.cost_usd if own_usd is None else own_usd + (row.cost_usd or 0), own_usd)


def _any_call(visit: Visit) -> bool:
    return bool(selectors.calls(visit.project.pk, selectors.CallFilter(charge=None), limit=1).items)
