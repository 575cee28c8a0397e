"""What every foreign format shares: the key, the bounded body, and failures told in the format's own shape."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from stanchion_guard.records import Part, Subject
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.policies import asking, engine, spoken
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.engine import Checked, Manner
from stanchion_server.policies.fields import rows
from stanchion_server.policies.spoken import Unread
from stanchion_server.routes import guard_check
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Scope
from stanchion_server.web import bodies

MAX_BODY_BYTES = 8 << 20
"""A million characters, escaped as JSON, with room for what stands around them."""
POLICY_HEADER = "x-stanchion-policy"


@dataclass(frozen=True, slots=True)
class Asker:
    """An authenticated request. `body` is empty where the method has none."""

    request: HttpRequest
    principal: access.Principal
    body: Mapping[str, Any]

    @property
    def project_id(self) -> int:
        return self.principal.project_id

    @property
    def actor(self) -> str:
        return f"The API key “{self.principal.key_name}”"[:150]

    @property
    def caller(self) -> guard_check.Caller:
        client = (self.request.headers.get("User-Agent") or "unknown").split(" ", 1)[0][:60]
        return guard_check.Caller(self.project_id, self.principal.key_id, client)


Failure = Callable[[int, str, str], HttpResponse]
"""HTTP status, our stable code, and a sentence, in the shape of one format."""
Handler = Callable[..., HttpResponse]


def view(failure: Failure, handlers: Mapping[str, tuple[Scope, Handler]]) -> Callable[..., HttpResponse]:
    """A view that answers each method of `handlers` to a key with its scope: handler(asker, **path)."""

    @csrf_exempt
    def answer(request: HttpRequest, **path: str) -> HttpResponse:
        try:
            return _answer(request, handlers, path)
        except SenderError as error:
            response = failure(error.http_status, error.code, error.message)
        except Unavailable as error:
            response = failure(503, "unavailable", "The server cannot answer now. Try again shortly.")
            response["Retry-After"] = str(error.retry_after_s)
        if response.status_code == 401:
            response["WWW-Authenticate"] = "Bearer"
        if response.status_code == 405:
            response["Allow"] = ", ".join(sorted(handlers))
        return response

    return answer


def _answer(
    request: HttpRequest, handlers: Mapping[str, tuple[Scope, Handler]], path: Mapping[str, str]
) -> HttpResponse:
    found = handlers.get(request.method or "")
    if found is None:
        raise SenderError("method_not_allowed", f"This address takes {', '.join(sorted(handlers))}.", 405)
    scope, handler = found
    principal = access.authenticate(request.headers, request.META.get("REMOTE_ADDR", ""))
    principal.require(scope)
    body = _body(request) if request.method in ("POST", "PUT") else {}
    return handler(Asker(request, principal, body), **path)


def _body(request: HttpRequest) -> Mapping[str, Any]:
    bodies.gather(request, MAX_BODY_BYTES)
    try:
        data = request.read(MAX_BODY_BYTES + 1)
    except (UnreadablePostError, OSError) as error:
        raise SenderError("unreadable_body", "The connection ended before the body did.") from error
    if len(data) > MAX_BODY_BYTES:
        raise bodies.too_large(MAX_BODY_BYTES)
    found = bodies.parsed(data) if data.strip() else {}
    if not isinstance(found, dict):
        raise bad("The body", "a JSON object")
    return found


def bad(what: str, wanted: str) -> SenderError:
    return SenderError("bad_body", f"{what} must be {wanted}.", 400)


def text_in(row: Mapping[str, Any], name: str) -> str:
    """The text under `name`, empty when it is absent; SenderError for anything but a text."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad(f"`{name}`", "a text")
    return asking.whole(value)


def texts_in(row: Mapping[str, Any], name: str) -> list[str]:
    """The texts of a list, empty when it is absent."""
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad(f"`{name}`", "a list of texts")
    return [asking.whole(item) for item in value]


def tool_calls_in(row: Mapping[str, Any]) -> Iterator[Part | Unread]:
    """The tool calls of a message as chat APIs have them, none where there are none."""
    for call in rows(row, "tool_calls"):
        yield from spoken.call(call)


def policy_name(asker: Asker, stated: object = None) -> str:
    """The policy that the request asks for: `stated`, else the header, else `default`."""
    name = stated if stated is not None else asker.request.headers.get(POLICY_HEADER) or "default"
    if not isinstance(name, str) or not engine.is_name(name):
        raise SenderError("policy_not_found", f"“{str(name)[:80]}” is no policy name.", 404)
    return name


def check(asker: Asker, policy: str, parts: Sequence[Part], came: Origin, unread: Sequence[str] = ()) -> Checked:
    """Judges and records, as the check API does. Bounded as that is. `unread` stands in the coverage."""
    subject = Subject(asking.bounded(tuple(parts)))
    return guard_check.check(asker.caller, policy, subject, came, Manner(unread=tuple(unread)))


def origin(source: str) -> Origin:
    return Origin(uuid.uuid4().hex, source, uuid.uuid4())
