"""Bedrock's management of guardrails over our policies: create, read, list, update, delete, and make a version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.http import HttpResponse, JsonResponse

from stanchion_server.kernel import db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, selectors, services
from stanchion_server.policies.models import Policy, PolicyVersion
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.compat import bedrock, bedrock_read, bedrock_write, door
from stanchion_server.web.compat.door import Asker, bad

MAX_PAGE = 1000


def create(asker: Asker) -> HttpResponse:
    name = bedrock_write.text(asker.body, "name", longest=50, shortest=1)
    document = _compiled(bedrock_write.document(asker.body))
    description = bedrock_write.text(asker.body, "description", longest=200)
    with db.away_is_unavailable():
        project = Project.objects.get(pk=asker.project_id)
        policy = services.create(project, name, document, asker.actor, description, _request(asker))
    return _accepted(asker, policy, createdAt=_time(policy.created_at))


def update(asker: Asker, identifier: str) -> HttpResponse:
    """The draft alone changes: versions are for ever."""
    policy = _policy(asker, identifier)
    if asker.body.get("name") != policy.name:
        raise SenderError("bad_name", f"A policy keeps its name: send “{policy.name}”.")
    document = _compiled(bedrock_write.document(asker.body))
    description = bedrock_write.text(asker.body, "description", longest=200)
    with db.away_is_unavailable():
        policy = services.save_draft(asker.project_id, policy.pk, document, asker.actor, description)
    return _accepted(asker, policy, updatedAt=_time(policy.draft_changed_at))


def publish(asker: Asker, identifier: str) -> HttpResponse:
    bedrock_write.known(asker.body, "description", "clientRequestToken")
    note = bedrock_write.text(asker.body, "description", longest=200)
    policy = _policy(asker, identifier)
    with db.away_is_unavailable():
        version = services.publish(asker.project_id, policy.pk, asker.actor, note, _request(asker, str(policy.pk)))
    return JsonResponse({"guardrailId": bedrock.identifier_of(policy), "version": str(version.number)}, status=202)


def read(asker: Asker, identifier: str) -> HttpResponse:
    policy = _policy(asker, identifier)
    wanted = bedrock.version_in(asker.request.GET.get("guardrailVersion", ""))
    version = None if wanted in ("", "DRAFT") else _version(asker, policy, int(wanted))
    compiled = engine.compile_text(version.document if version else policy.draft)
    told = bedrock_read.configuration(compiled)
    return JsonResponse(_summary(asker, policy, version, "guardrailId", "guardrailArn") | told)


def delete(asker: Asker, identifier: str) -> HttpResponse:
    policy = _policy(asker, identifier)
    if asker.request.GET.get("guardrailVersion"):
        raise SenderError("bad_version", "A version is never deleted: decisions refer to it. Delete the guardrail.")
    with db.away_is_unavailable():
        services.archive(asker.project_id, policy.pk, asker.actor)
    return JsonResponse({}, status=202)


def index(asker: Asker) -> HttpResponse:
    """All drafts, or the draft and the versions of one guardrail; `nextToken` is where to go on."""
    limit = _number(asker, "maxResults", MAX_PAGE)
    start = _number(asker, "nextToken", 0, least=0)
    rows = _listed(asker)
    page = rows[start : start + limit]
    more = {"nextToken": str(start + limit)} if start + limit < len(rows) else {}
    items = [_summary(asker, policy, version, "id", "arn") for policy, version in page]
    return JsonResponse({"guardrails": items, **more})


def _listed(asker: Asker) -> Sequence[tuple[Policy, PolicyVersion | None]]:
    identifier = asker.request.GET.get("guardrailIdentifier", "")
    with db.away_is_unavailable():
        if not identifier:
            return [(policy, None) for policy in selectors.policies(asker.project_id)]
        policy = _policy(asker, identifier)
        return [(policy, None), *((policy, one) for one in selectors.versions(asker.project_id, policy.pk))]


def _number(asker: Asker, name: str, default: int, *, least: int = 1) -> int:
    text = asker.request.GET.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= least):
        raise bad(f"`{name}`", f"a number from {least}")
    return min(int(text), MAX_PAGE) if name == "maxResults" else int(text)


def _policy(asker: Asker, identifier: str) -> Policy:
    policy = bedrock.policy_named(asker.project_id, bedrock.name_in(identifier))
    if policy is None:
        raise bedrock.not_found(identifier)
    return policy


def _version(asker: Asker, policy: Policy, number: int) -> PolicyVersion:
    with db.away_is_unavailable():
        found = selectors.version(asker.project_id, policy.pk, number)
    if found is None:
        raise SenderError("no_such_version", f"Policy “{policy.name}” has no version {number}.", 404)
    return found


def _compiled(document: str) -> str:
    """The same document. SenderError where it compiles to something that could not run here: such a guardrail would
    block everything, since what was not checked does not pass."""
    if absent := engine.compile_text(document).unavailable:
        rule, reason = absent[0]
        raise SenderError("unavailable_check", f"{rule} cannot run on this server: {reason}.")
    return document


def _summary(
    asker: Asker, policy: Policy, version: PolicyVersion | None, id_name: str, arn_name: str
) -> dict[str, Any]:
    identifier = bedrock.identifier_of(policy)
    return {
        id_name: identifier,
        arn_name: bedrock.arn_of(asker.project_id, identifier),
        "name": policy.name,
        **({"description": policy.description[:200]} if policy.description else {}),
        "version": str(version.number) if version else "DRAFT",
        "status": "READY",
        "createdAt": _time(version.created_at if version else policy.created_at),
        "updatedAt": _time(version.created_at if version else policy.draft_changed_at),
    }


def _accepted(asker: Asker, policy: Policy, **times: str) -> HttpResponse:
    identifier = bedrock.identifier_of(policy)
    arn = bedrock.arn_of(asker.project_id, identifier)
    return JsonResponse({"guardrailId": identifier, "guardrailArn": arn, "version": "DRAFT", **times}, status=202)


def _request(asker: Asker, of: str = "") -> str:
    """A name for a request that carries a token: the same token and content, the same name. Empty without a token."""
    if not bedrock_write.text(asker.body, "clientRequestToken", longest=256):
        return ""
    content = json.dumps(asker.body, sort_keys=True)
    return sha256(f"{of}:{content}".encode("utf-8", "surrogatepass")).hexdigest()


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


collection = door.view(bedrock.failure, {"GET": (Scope.ADMIN, index), "POST": (Scope.ADMIN, create)})
single = door.view(
    bedrock.failure,
    {
        "GET": (Scope.ADMIN, read), "POST": (Scope.ADMIN, publish), "PUT": (Scope.ADMIN, update),
        "DELETE": (Scope.ADMIN, delete),
    },
)  # fmt: skip
