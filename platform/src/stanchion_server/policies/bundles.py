"""What an application needs to judge by itself: the texts of the versions in force, and which is which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from stanchion_guard.rollout import State
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine
from stanchion_server.policies.models import PolicyVersion


@dataclass(frozen=True, slots=True)
class Bundle:
    """`content` is {policies: [one, or two with the enforced one], ...}; `etag` changes exactly when it does."""

    content: dict[str, Any]
    etag: str


def bundle_of(project_id: int, name: str) -> Bundle:
    """Raises SenderError 404 for a policy that neither the project nor the engine has."""
    asked = engine.state_of(project_id, name)
    if asked is None and name not in engine.BUILT_IN:
        raise SenderError("policy_not_found", f"There is no policy “{name[:80]}”. Use “default”, or make it.", 404)
    enforced = engine.state_of(project_id, "")
    states = [asked] if asked else []
    if enforced and (asked is None or enforced.policy_id != asked.policy_id):
        states.append(enforced)
    rows = [_one(project_id, state) for state in states]
    if asked is None:
        rows.insert(0, {"name": name, "built_in": True})
    content = {"policies": rows}
    return Bundle(content, sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32])


def _one(project_id: int, state: State) -> dict[str, Any]:
    wanted = [number for number in (state.live, state.shadow, state.canary) if number is not None]
    rows = PolicyVersion.objects.filter(project_id=project_id, policy_id=state.policy_id, number__in=wanted)
    return {
        "id": state.policy_id,
        "name": state.name,
        "live": state.live,
        "shadow": state.shadow,
        "shadow_until": _iso(state.shadow_until),
        "canary": state.canary,
        "canary_percent": state.canary_percent,
        "canary_until": _iso(state.canary_until),
        "switch": state.switch,
        "switch_reason": state.switch_reason,
        "documents": {str(row.number): row.document for row in rows},
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
