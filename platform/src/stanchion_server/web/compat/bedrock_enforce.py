"""Bedrock's enforced guardrail of an account: the project's enforced policy, with the version that is live in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse, JsonResponse

from stanchion_server.kernel import db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import selectors, services
from stanchion_server.policies.models import Policy
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import bedrock, bedrock_write, door
from stanchion_server.web.compat.door import Asker, bad

_FIELDS = ("guardrailIdentifier", "guardrailVersion", "selectiveContentGuarding", "modelEnforcement")
_EVERYTHING: Mapping[str, tuple[dict[str, Any], ...]] = {
    "selectiveContentGuarding": (
        {}, {"system": "COMPREHENSIVE"}, {"messages": "COMPREHENSIVE"},
        {"system": "COMPREHENSIVE", "messages": "COMPREHENSIVE"},
    ),
    "modelEnforcement": ({"includedModels": ["ALL"], "excludedModels": []},),
}  # fmt: skip
"""What says that nothing is left out; a part of the traffic cannot be chosen here."""


def put(asker: Asker) -> HttpResponse:
    """The version goes live and its policy judges every check of the project from now on."""
    bedrock_write.known(asker.body, "configId", "guardrailInferenceConfig")
    policy, number = _wanted(asker, asker.body.get("guardrailInferenceConfig"))
    if (config_id := asker.body.get("configId")) is not None:
        _enforced(asker, config_id)
    changes = {"live": number, "is_enforced": True}
    with db.away_is_unavailable():
        policy = services.roll_out(asker.project_id, policy.pk, changes, asker.actor)
    told = _told(asker, policy)
    return JsonResponse({name: told[name] for name in ("configId", "updatedAt", "updatedBy")})


def index(asker: Asker) -> HttpResponse:
    with db.away_is_unavailable():
        policy = selectors.enforced(asker.project_id)
    return JsonResponse({"guardrailsConfig": [_told(asker, policy)] if policy else []})


def delete(asker: Asker, config_id: str) -> HttpResponse:
    """The policy stays, with its live version, for those who ask for it."""
    policy = _enforced(asker, config_id)
    with db.away_is_unavailable():
        services.release(asker.project_id, policy.pk, asker.actor)
    return JsonResponse({})


def _wanted(asker: Asker, config: object) -> tuple[Policy, int]:
    if not isinstance(config, Mapping):
        raise bad("`guardrailInferenceConfig`", "an object")
    bedrock_write.known(config, *_FIELDS)
    for name, values in _EVERYTHING.items():
        if config.get(name) is not None and config[name] not in values:
            raise SenderError("unsupported_field", f"`{name}` must leave nothing out: every check is judged here.")
    name = bedrock.name_in(bedrock_write.text(config, "guardrailIdentifier", longest=2048, shortest=1))
    version = bedrock.version_in(bedrock_write.text(config, "guardrailVersion", longest=10))
    if not version.isdigit():
        raise SenderError("bad_version", "A version's number is enforced, never DRAFT. Create a version first.")
    policy = bedrock.policy_named(asker.project_id, name)
    if policy is None:
        raise bedrock.not_found(name)
    return policy, int(version)


def _enforced(asker: Asker, config_id: object) -> Policy:
    with db.away_is_unavailable():
        policy = selectors.enforced(asker.project_id)
    if policy is None or bedrock.identifier_of(policy) != config_id:
        raise SenderError("not_found", "The project enforces no guardrail under this `configId`.", 404)
    return policy


def _told(asker: Asker, policy: Policy) -> dict[str, Any]:
    """The `configId` is the guardrail's identifier: there is one configuration."""
    identifier = bedrock.identifier_of(policy)
    with db.away_is_unavailable():
        events = selectors.events(asker.project_id, policy.pk)
    last = next(event for event in events if event.action == "enforce")
    at = last.at.isoformat().replace("+00:00", "Z")
    return {
        "configId": identifier, "guardrailId": identifier, "guardrailArn": bedrock.arn_of(asker.project_id, identifier),
        "guardrailVersion": str(policy.live), "owner": "ACCOUNT", "createdAt": at, "createdBy": last.actor,
        "updatedAt": at, "updatedBy": last.actor,
    }  # fmt: skip


collection = door.view(bedrock.failure, {"GET": (Scope.ADMIN, index), "PUT": (Scope.ADMIN, put)})
single = door.view(bedrock.failure, {"DELETE": (Scope.ADMIN, delete)})
