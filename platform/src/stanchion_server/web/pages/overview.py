"""Is it healthy, and what changed?"""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.traces import selectors
from stanchion_server.web.pages import callfilters, tiles
from stanchion_server.web.pages.frame import Visit, project_page

PROJECT_COOKIE_AGE_S = 365 * 24 * 3600


@require_GET
@project_page
def overview(visit: Visit) -> HttpResponse:
    found = selectors.overview(visit.project.pk, visit.span.start, visit.span.end)
    charts = tiles.charts(found.series, found.step_s)
    response = visit.render(
        "pages/overview.html",
        "overview",
        found=found,
        tiles=tiles.tiles(found.now, found.before),
        charts=[(chart, tiles.twin(chart)) for chart in charts],
        groups=(
            ("Features", "feature", found.top_features),
            ("Models", "model", found.top_models),
        ),
        none=callfilters.NONE,
        is_new=not found.now.calls and not _any_call(visit),
    )
    response.set_cookie(
        "project", visit.project.slug, PROJECT_COOKIE_AGE_S, samesite="Lax", secure=visit.request.is_secure()
    )
    return response


def _any_call(visit: Visit) -> bool:
    return bool(selectors.calls(visit.project.pk, selectors.CallFilter(charge=None), limit=1).items)
