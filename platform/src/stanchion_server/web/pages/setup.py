"""From nothing to the first span: a key, a snippet that runs, and a check that turns green by itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_http_methods

from stanchion_server.tenants import services
from stanchion_server.tenants.models import ApiKey, Scope
from stanchion_server.traces import selectors
from stanchion_server.web.pages import snippets
from stanchion_server.web.pages.frame import Visit, project_page


@require_http_methods(["GET", "POST"])
@project_page
def setup(visit: Visit) -> HttpResponse:
    """GET shows the steps; POST makes an ingest key and shows it in place, once."""
    request = visit.request
    secret = ""
    if request.method == "POST":
        visit.require_admin()
        name = request.POST.get("name", "").strip()[:120] or "Setup page"
        secret = services.create_key(visit.project, name, [Scope.INGEST.value, Scope.GUARD.value])
    tabs = snippets.snippets(endpoint(request), secret or snippets.PLACEHOLDER_KEY)
    chosen = next((tab for tab in tabs if tab.id == request.GET.get("with")), tabs[0])
    return visit.render(
        "pages/setup.html",
        "setup",
        tabs=tabs,
        chosen=chosen,
        secret=secret,
        endpoint=endpoint(request),
        live_keys=ApiKey.objects.filter(project=visit.project, revoked_at=None).count(),
        first=_newest(visit),
    )


@require_GET
@project_page
def first_span(visit: Visit) -> HttpResponse:
    """The part of the setup page that is asked again every two seconds until a call is there."""
    return visit.render("pages/_first_span.html", "setup", first=_newest(visit))


def endpoint(request: HttpRequest) -> str:
    """The address to send to: the public one where it is this host, else the one the person came by."""
    public: str = settings.PUBLIC_URL
    return public if urlsplit(public).netloc == request.get_host() else request.build_absolute_uri("/").rstrip("/")


def _newest(visit: Visit) -> selectors.CallSummary | None:
    page = selectors.calls(visit.project.pk, selectors.CallFilter(charge=None), limit=1)
    return page.items[0] if page.items else None
