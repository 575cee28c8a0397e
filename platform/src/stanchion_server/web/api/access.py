"""Who asks the API, for which project, with which scopes: a key of the project, or a person who signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Project, Role, Scope, User

ROLE_SCOPES: dict[str, frozenset[str]] = {
    Role.VIEWER: frozenset({Scope.READ_METRICS.value}),
    Role.ANALYST: frozenset({Scope.READ_METRICS.value, Scope.READ_CONTENT.value, Scope.WRITE_SCORES.value}),
    Role.ADMIN: frozenset({Scope.ADMIN.value}),
    Role.OWNER: frozenset({Scope.ADMIN.value}),
}


@dataclass(frozen=True, slots=True)
class Access:
    """One project, and what may be done there. `who` is for sentences, not for decisions; `actor` is the name that
    stands beside what is changed."""

    project_id: int
    scopes: frozenset[str]
    who: str
    actor: str

    def allows(self, scope: Scope) -> bool:
        return scope.value in self.scopes or Scope.ADMIN.value in self.scopes

    def require(self, *scopes: Scope) -> None:
        """Raises SenderError 403 unless one of them is there."""
        if not any(self.allows(scope) for scope in scopes):
            names = " or ".join(f"`{scope.value}`" for scope in scopes)
            raise SenderError(
                "missing_scope", f"{self.who} lacks the scope {names}. Use a key or a role that has it.", 403
            )


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>` or `x-api-key: <key>`. A request with neither header is left to the session."""

    def authenticate(self, request: Request) -> tuple[Any, access.Principal] | None:
        if not (request.headers.get("Authorization") or request.headers.get("x-api-key")):
            return None
        return None, access.authenticate(request.headers, request.META.get("REMOTE_ADDR", ""))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = KeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key of the project: `Authorization: Bearer …`."}


AUTHENTICATION = (KeyAuthentication, SessionAuthentication)


def access_of(request: Request, slug: str) -> Access:
    """What the asker may do in the project called `slug`, or in the only one there is. A project that is not theirs
    does not exist: 404."""
    if isinstance(request.auth, access.Principal):
        return _of_key(request.auth, slug)
    if isinstance(request.user, User):
        return _of_person(request.user, slug)
    raise SenderError("missing_key", access.MISSING, 401)


def _of_key(principal: access.Principal, slug: str) -> Access:
    if slug and not Project.objects.filter(pk=principal.project_id, slug=slug).exists():
        raise _no_project(slug)
    name = principal.key_name
    return Access(principal.project_id, principal.scopes, f"The API key “{name}”", f"API key {name}")


def _of_person(user: User, slug: str) -> Access:
    projects = list(access.projects_for(user).filter(**({"slug": slug} if slug else {}))[:2])
    if not projects:
        raise _no_project(slug)
    if len(projects) > 1:
        raise SenderError("project_needed", "You have several projects. Add `project=<slug>` to the request.")
    role = access.role_in(user, projects[0]) or ""
    return Access(projects[0].pk, ROLE_SCOPES.get(role, frozenset()), f"Your role “{role}”", user.get_username())


def _no_project(slug: str) -> SenderError:
    return SenderError("project_not_found", f"You have no project “{slug[:60]}”.", 404)
