"""Signing in, choosing colours, and the way to the first project."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from stanchion_server.tenants import access

THEME_COOKIE_AGE_S = 365 * 24 * 3600


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The overview of the project seen last, or of the first one."""
    assert request.user.is_authenticated
    projects = access.projects_for(request.user)
    seen = projects.filter(slug=request.COOKIES.get("project", "")[:60].replace("\0", "")).first()
    project = seen or projects.first()
    if project is None:
        return render(request, "pages/noproject.html", {})
    return redirect("overview", project.slug)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keeps the choice in a cookie, so that the server paints the right colours first."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    chosen = request.POST.get("theme", "")
    if chosen in {"light", "dark"}:
        response.set_cookie("theme", chosen, THEME_COOKIE_AGE_S, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
