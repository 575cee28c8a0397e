"""OpenAI's `POST /v1/moderations`: every category in all three maps, and those that nothing here can judge, named."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse, JsonResponse

from stanchion_guard import summary
from stanchion_guard.records import Part, Subject, Verdict
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import asking, engine
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import door
from stanchion_server.web.compat.door import Asker

# The keys of openai-python 3's `types/moderation.py`, read 2026-11.
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
MAX_INPUTS = 64
_NO_PROJECT = 0
_DEFAULT_MODEL = "omni-moderation-latest"
_RULE_OF: Mapping[str, str] = {
    "harassment": "toxic", "hate": "hate", "illicit": "harmful_request", "self-harm": "self_harm",
    "sexual": "sexual", "violence": "violence",
}  # fmt: skip
"""Each category's detector label. The subdivisions have none."""
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


def _rule(label: str) -> str:
    detector = "harmful_intent" if label == "harmful_request" else "toxicity"
    parameters = "" if detector == "harmful_intent" else f", parameters: {{labels: [{label}]}}"
    return f"  - {{id: {label}, stages: [input], detector: {detector}, action: flag{parameters}}}\n"


_SCORERS = (
    "policy: moderations\nversion: 1\ndefaults: {when_late: flag, when_failed: flag}\nrules:\n"
    + "".join(map(_rule, _RULE_OF.values()))
)  # fmt: skip


def create(asker: Asker) -> HttpResponse:
    inputs = _inputs(asker.body.get("input"))
    model = door.text_in(asker.body, "model") or _DEFAULT_MODEL
    policy = door.policy_name(asker)
    asking.bounded(tuple(Part("input", text) for text in inputs))
    results = [_result(asker, policy, text) for text in inputs]
    return JsonResponse({"id": f"modr-{uuid.uuid4().hex}", "model": model[:200], "results": results})


def failure(status: int, code: str, message: str) -> HttpResponse:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return JsonResponse({"error": {"message": message, "type": kind, "param": None, "code": code}}, status=status)


def _inputs(value: object) -> list[str]:
    if isinstance(value, str):
        return [asking.whole(value)]
    if not isinstance(value, list) or not value:
        raise door.bad("`input`", "a text, a list of texts or a list of parts")
    if len(value) > MAX_INPUTS:
        raise SenderError("too_large", f"At most {MAX_INPUTS} inputs are read at once; {len(value)} came.", 413)
    if all(isinstance(item, str) for item in value):
        return [asking.whole(item) for item in value]
    return ["\n".join(_part(item) for item in value)]


def _part(item: object) -> str:
    if not isinstance(item, Mapping):
        raise door.bad("`input`", "a text, a list of texts or a list of parts")
    if item.get("type") != "text":
        raise SenderError("unsupported_input", "Only parts of type `text` are checked here: images are not.")
    return door.text_in(item, "text")


def _result(asker: Asker, policy: str, text: str) -> dict[str, Any]:
    verdict = door.check(asker, policy, [Part("input", text, role="user")], door.origin("openai")).verdict
    scores = _scores(text, verdict)
    found = {name: scores.get(name) for name in CATEGORIES}
    flagged = {name: _is_flagged(score) for name, score in found.items()}
    missing = [name for name, score in found.items() if score is None]
    return {
        "flagged": any(flagged.values()) or verdict.blocked,
        "categories": flagged,
        "category_scores": {name: score or 0.0 for name, score in found.items()},
        "category_applied_input_types": {name: [] if name in missing else ["text"] for name in CATEGORIES},
        "unsupported_categories": missing,
        "stanchion": _told(verdict, text),
    }


def _scores(text: str, verdict: Verdict) -> dict[str, float | None]:
    """The category's own detector, or what the policy's heavier one of the same label found, whichever is louder. None:
    nothing ran that could judge the category."""
    guard = engine.guard_of_text(_NO_PROJECT, _SCORERS)
    checks = engine.run(guard, Subject((Part("input", text),)), engine.Manner()).checks
    ran = {check.rule: check.score or 0.0 for check in checks if check.outcome == "ran"}
    return {category: _louder(ran.get(label), _found(verdict, label)) for category, label in _RULE_OF.items()}


def _found(verdict: Verdict, label: str) -> list[float]:
    return [finding.score for finding in verdict.findings if finding.label == label]


def _louder(score: float | None, found: Sequence[float]) -> float | None:
    return max([*found, *([] if score is None else [score])], default=None)


def _is_flagged(score: float | None) -> bool:
    return score is not None and score >= 0.5


def _told(verdict: Verdict, text: str) -> dict[str, Any]:
    told = summary.answer(verdict, Subject((Part("input", text),)))
    return {name: told[name] for name in ("action", "message", "policy", "policy_version", "labels", "coverage")}


moderations = door.view(failure, {"POST": (Scope.GUARD, create)})
