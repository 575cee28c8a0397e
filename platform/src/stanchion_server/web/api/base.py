"""What every resource shares: the asker, the parameters, the answer to whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.tenants.models import Scope
from stanchion_server.web import bodies
from stanchion_server.web.api import access, parameters, shapes

MAX_BODY_BYTES = 8 << 20
"""The longest text that the check API reads, escaped as JSON, with room for what stands around it."""
ERRORS = {
    400: "The request is not readable; the message says which value, and what to do.",
    401: "No valid key and no session.",
    403: "The scope is missing.",
    404: "There is no such thing in your project.",
    422: "The question is too large to answer.",
    503: "The database is away; try again after `Retry-After` seconds.",
}


class StrictJson(BaseParser):
    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:
        return bodies.parsed(stream.read(MAX_BODY_BYTES))


class Resource(APIView):
    """One address. `known` are its query parameters, `scope` what it takes, `write_scopes` where writing takes another:
    any of them."""

    authentication_classes = access.AUTHENTICATION
    permission_classes = ()
    renderer_classes = (JSONRenderer,)
    parser_classes: tuple[type[BaseParser], ...] = (StrictJson,)
    known: ClassVar[tuple[parameters.Parameter, ...]] = ()
    scope: ClassVar[Scope] = Scope.READ_METRICS
    write_scopes: ClassVar[tuple[Scope, ...]] = ()
    asker: access.Access
    values: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        given = request.query_params.getlist("project")
        self.asker = access.access_of(request, given[0] if given and "\0" not in given[0] else "")
        self.asker.require(
            *(self.write_scopes if request.method not in SAFE_METHODS and self.write_scopes else (self.scope,))
        )
        self.values = parameters.read_all(request.query_params, (parameters.PROJECT, *self.known))
        self.values.pop("project", None)
        bodies.gather(request._request, MAX_BODY_BYTES)
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
            raise bodies.too_large(MAX_BODY_BYTES)

    @property
    def hidden(self) -> frozenset[str]:
        return frozenset() if self.asker.allows(Scope.READ_CONTENT) else shapes.CONTENT_FIELDS

    def answer(self, value: Any) -> Response:
        return Response(shapes.plain(value, self.hidden))

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return failure


def failure(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every expected failure in one shape; None leaves the rest to be reported as ours."""
    if isinstance(error, SenderError):
        headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}
        return _failed(error.http_status, error.code, error.message, headers)
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(error.retry_after_s)}
        return _failed(503, "unavailable", "The server cannot answer now. Try again shortly.", headers)
    if isinstance(error, Http404):
        return _failed(404, "not_found", "There is nothing at this address.", {})
    if isinstance(error, exceptions.APIException):
        code = error.get_codes()
        return _failed(error.status_code, code if isinstance(code, str) else "bad_request", str(error.detail), {})
    return None


def _failed(status: int, code: str, message: str, headers: dict[str, str]) -> Response:
    """What a message quotes of the request may hold half a character, which no answer can."""
    told = message.encode("utf-8", "replace").decode()
    return Response({"error": {"code": code, "message": told}}, status=status, headers=headers)


def not_found(what: str, name: str) -> SenderError:
    return SenderError("not_found", f"Your project has no {what} {name[:80]!r}.", 404)


def described(
    name: str, summary: str, schema: dict[str, Any], known: tuple[parameters.Parameter, ...], *path: str, **more: Any
) -> Callable[[Any], Any]:
    """The OpenAPI description of one method: `name` is its operationId, `path` its path
    parameters."""
    responses: dict[int, Any] = {more.pop("status", 200): OpenApiResponse(schema, description=summary)}
    responses |= {status: OpenApiResponse(shapes.ERROR_SCHEMA, description=text) for status, text in ERRORS.items()}
    in_path = [OpenApiParameter(name, str, OpenApiParameter.PATH, description="Lower-case hex.") for name in path]
    in_query = [parameter.described() for parameter in (parameters.PROJECT, *known)]
    decorate: Callable[[Any], Any] = extend_schema(
        operation_id=name,
        summary=summary,
        parameters=[*in_path, *in_query],
        responses=responses,
        tags=[more.pop("tag", "telemetry")],
        **more,
    )
    return decorate
