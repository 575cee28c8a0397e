"""Who the asker is here: what a key, or a person's role, may do. Every valid key may ask, whatever its scopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stanchion_server.tenants.models import Project
from stanchion_server.web.api import access, base, shapes


@dataclass(frozen=True, slots=True)
class Asker:
    project: str
    who: str
    scopes: tuple[str, ...]


class Me(base.Resource):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As everywhere, but without asking for a scope."""
        APIView.initial(self, request, *args, **kwargs)
        given = request.query_params.getlist("project")
        self.asker = access.access_of(request, given[0] if given and "\0" not in given[0] else "")

    @base.described("read_me", "What the asker's key or role may do", shapes.schema_of(Asker), (), tag="access")
    def get(self, request: Request) -> Response:
        slug = Project.objects.values_list("slug", flat=True).get(pk=self.asker.project_id)
        return self.answer(Asker(slug, self.asker.who, tuple(sorted(self.asker.scopes))))
