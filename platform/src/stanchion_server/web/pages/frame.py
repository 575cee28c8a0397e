"""What every page of a project shares: who asks, which project, which time range, and what the navigation shows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Project, Role
from stanchion_server.web.pages import timespan

P = ParamSpec("P")

WRITERS = frozenset({Role.ADMIN.value, Role.OWNER.value})
READERS = WRITERS | {Role.ANALYST.value}


@dataclass(frozen=True, slots=True)
class Visit:
    """One signed-in person looking at one project they belong to."""

    request: HttpRequest
    project: Project
    role: str
    span: timespan.Timespan

    @property
    def who(self) -> str:
        """The name that stands beside what this person changes."""
        return str(self.request.user.get_username())

    @property
    def may_administer(self) -> bool:
        return self.role in WRITERS

    @property
    def may_read(self) -> bool:
        """Prompts and answers are for analysts and up; viewers see numbers."""
        return self.role in READERS

    def require_admin(self) -> None:
        if not self.may_administer:
            raise PermissionDenied("Only admins and owners of the organisation may change this.")

    def require_reader(self) -> None:
        if not self.may_read:
            raise PermissionDenied("Only analysts, admins and owners may rate.")

    def render(self, template: str, page: str, status: int = 200, **context: Any) -> HttpResponse:
        """The page `page` (its name in the navigation) with everything the frame needs."""
        shared = {
            "visit": self,
            "project": self.project,
            "projects": access.projects_for(self.request.user),
            "span": self.span,
            "presets": timespan.PRESETS,
            "page": page,
        }
        response = render(self.request, template, {**shared, **context}, status=status)
        add_never_cache_headers(response)
        return response


def project_page(
    view: Callable[Concatenate[Visit, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Lets a member in and shows a stranger 404, as if the project did not exist. What the address asks wrongly is a
    400 that says what to write instead."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(_visit(request, slug), *args, **kwargs)
        except SenderError as error:
            if error.http_status == 404:
                raise Http404(error.message) from error
            return bad_request_page(request, error.message, error.http_status)
        except Unavailable:
            return unavailable_page(request)

    return login_required(wrapped)


def _visit(request: HttpRequest, slug: str) -> Visit:
    assert request.user.is_authenticated
    project = access.project_for(request.user, slug)
    span = timespan.read(request.GET.get("from", ""), request.GET.get("to", ""), clock.now())
    return Visit(request, project, access.role_in(request.user, project) or "", span)


def bad_request_page(request: HttpRequest, message: str, status: int) -> HttpResponse:
    again = request.path if request.method == "GET" and request.GET else ""
    context = {"title": "That does not work", "message": message, "again": again}
    return render(request, "pages/error.html", context, status=status)


def unavailable_page(request: HttpRequest) -> HttpResponse:
    message = "The database does not answer right now. Telemetry is kept by its senders; try again in a moment."
    response = render(request, "pages/error.html", {"title": "Not available", "message": message}, status=503)
    response["Retry-After"] = "1"
    return response
