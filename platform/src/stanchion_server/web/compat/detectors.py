"""The Detectors API of the FMS Guardrails Orchestrator: a policy, or one of our detectors, under the id of a detector.

Shapes after the project's own clients and `openapi_detector_api.yaml`, read 2026-11; both generations of chat and
document requests are taken. The answers have no place for an action and for coverage: those travel as headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, path

from stanchion_guard.records import STAGES, Check, Part, Stage, Subject
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import asking, engine, single
from stanchion_server.policies.engine import Checked, Manner
from stanchion_server.policies.spoken import Unread
from stanchion_server.routes import guard_check, guard_version
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import door
from stanchion_server.web.compat.door import Asker, bad

ID_HEADER = "detector-id"
_CONTEXTS = ("docs", "document", "chunks")
_ROLES: Mapping[str, Stage] = {
    "system": "input", "developer": "input", "user": "input", "assistant": "output", "tool": "tool_result",
}  # fmt: skip
_INSTRUCTIONS = ("system", "developer")
_MESSAGE = frozenset({"role", "author", "content", "name", "tool_calls", "tool_call_id"})
_NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Asked:
    """`judged` are the indexes of the parts that are told of; the others are what those are measured against."""

    parts: tuple[Part, ...]
    judged: tuple[int, ...]
    unread: tuple[str, ...] = ()


def read_contents(body: Mapping[str, Any]) -> Asked:
    _known(body, "contents", "detector_params")
    texts = door.texts_in(body, "contents")
    stage = _params(body, "stage").get("stage", "input")
    if stage not in STAGES:
        raise bad("`detector_params.stage`", f"one of {', '.join(STAGES)}")
    return Asked(tuple(Part(stage, text) for text in texts), tuple(range(len(texts))))


def read_generation(body: Mapping[str, Any]) -> Asked:
    """The answer is judged, with the prompt as its question."""
    _known(body, "prompt", "generated_text", "detector_params")
    _params(body)
    prompt, answer = _wanted(body, "prompt"), _wanted(body, "generated_text")
    return Asked((Part("input", prompt, role="user"), Part("output", answer, role="assistant")), (1,))


def read_chat(body: Mapping[str, Any]) -> Asked:
    """`messages` as chat APIs have them, or `chat_history` with authors; everything but system texts is judged. Tool
    definitions come along and are told as not checked."""
    _known(body, "messages", "chat_history", "tools", "detector_params")
    _params(body)
    name = "messages" if "messages" in body else "chat_history"
    rows = body.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise bad(f"`{name}`", "a list of messages")
    found = [one for row in rows for one in _message(row)]
    parts = tuple(one for one in found if isinstance(one, Part))
    unread = [one.name for one in found if isinstance(one, Unread)] + (["tools"] if body.get("tools") else [])
    judged = tuple(index for index, part in enumerate(parts) if part.role not in _INSTRUCTIONS)
    return Asked(parts, judged, tuple(dict.fromkeys(unread)))


def read_document(body: Mapping[str, Any]) -> Asked:
    """The text and the documents that it is held against are judged."""
    _known(body, "content", "prompt", "context_type", "context", "detector_params")
    _params(body)
    kind = body.get("context_type")
    if kind == "url":
        raise SenderError("unsupported_context", "Addresses are not fetched here: send the texts, as `docs`.", 422)
    if kind not in _CONTEXTS:
        raise bad("`context_type`", f"one of {', '.join(_CONTEXTS)}")
    documents = [Part("retrieved", text) for text in door.texts_in(body, "context")]
    text = (
        Part("input", _wanted(body, "prompt"), role="user")
        if "prompt" in body and "content" not in body
        else Part("output", _wanted(body, "content"), role="assistant")
    )
    if "prompt" in body and "content" in body:
        raise bad("`prompt` and `content`", "one of the two")
    parts = (text, *documents)
    return Asked(parts, tuple(range(len(parts))))


def contents(asker: Asker) -> HttpResponse:
    """One list for each text, with code point offsets in it."""
    asked = read_contents(asker.body)
    checked = _check(asker, asked)
    found: list[list[dict[str, Any]]] = [[] for _ in asked.parts]
    for finding in checked.verdict.findings:
        text = asked.parts[finding.part].text
        place = {"start": finding.start, "end": finding.end, "text": text[finding.start : finding.end]}
        found[finding.part].append({**place, **_detection(asker, finding.label, finding.detector, finding.score)})
    for check in _unchecked(checked):
        text = asked.parts[check.part].text
        place = {"start": 0, "end": len(text), "text": text}
        found[check.part].append({**place, **_detection(asker, _NOT_CHECKED, check.rule, 1.0)})
    return _answered(checked, found, asked.unread)


def whole(read: Callable[[Mapping[str, Any]], Asked]) -> Callable[[Asker], HttpResponse]:
    """A handler that answers with what was found anywhere: each label of a detector once, with its largest score."""

    def handle(asker: Asker) -> HttpResponse:
        asked = read(asker.body)
        checked = _check(asker, asked)
        scores: dict[tuple[str, str], float] = {}
        for label, detector, score in _found(checked):
            scores[label, detector] = max(score, scores.get((label, detector), 0.0))
        return _answered(checked, [_detection(asker, *names, score) for names, score in scores.items()], asked.unread)

    return handle


def failure(status: int, code: str, message: str) -> HttpResponse:
    """The format knows 404 and 422 for what a caller did wrong, and repeats the status as `code`."""
    told = 422 if status in (400, 413) else status
    return JsonResponse({"code": told, "message": message, "stanchion": code}, status=told)


def _check(asker: Asker, asked: Asked) -> Checked:
    name = asker.request.headers.get(ID_HEADER) or "default"
    if not engine.is_name(name):
        raise _unknown(name)
    subject, came = Subject(asking.bounded(asked.parts)), door.origin("detectors")
    manner = Manner(asked.judged, unread=asked.unread)
    is_policy = name in engine.BUILT_IN or engine.state_of(asker.project_id, name) is not None
    if not is_policy and single.is_detector(name):
        return guard_version.check_detector(asker.caller, name, subject, came, manner)
    if not is_policy:
        raise _unknown(name)
    return guard_check.check(asker.caller, name, subject, came, manner)


def _unknown(name: str) -> SenderError:
    told = f"There is no policy and no detector “{asking.whole(name)[:80]}”. Name one in the header `{ID_HEADER}`."
    return SenderError("detector_not_found", told, 404)


def _message(row: Mapping[str, Any]) -> Iterator[Part | Unread]:
    role = door.text_in(row, "role") or door.text_in(row, "author")
    if role not in _ROLES:
        raise bad("The role of every message", f"one of {', '.join(_ROLES)}")
    if unknown := sorted(name for name in row if name not in _MESSAGE and row[name] is not None):
        raise SenderError("unknown_field", f"There is no field “{asking.whole(unknown[0])[:60]}” in a message here.")
    content = row.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    if not isinstance(blocks, list) or not all(_is_text(block) for block in blocks):
        raise bad("The content of every message", "a text or a list of text parts: nothing else is checked here")
    if blocks:
        yield Part(_ROLES[role], "\n".join(asking.whole(block["text"]) for block in blocks), role=role)
    yield from door.tool_calls_in(row)


def _is_text(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _known(body: Mapping[str, Any], *names: str) -> None:
    if unknown := sorted(set(body) - set(names)):
        told = f"There is no field “{asking.whole(unknown[0])[:60]}” here. Known are: {', '.join(names)}."
        raise SenderError("unknown_field", told)


def _params(body: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    params = body.get("detector_params") or {}
    if not isinstance(params, Mapping):
        raise bad("`detector_params`", "an object")
    if unknown := sorted(set(params) - set(names)):
        told = f"The parameter “{asking.whole(unknown[0])[:60]}” is not known here: thresholds stand in the policy."
        raise SenderError("unknown_parameter", told)
    return params


def _wanted(body: Mapping[str, Any], name: str) -> str:
    if not isinstance(body.get(name), str):
        raise bad(f"`{name}`", "a text")
    return door.text_in(body, name)


def _found(checked: Checked) -> Iterator[tuple[str, str, float]]:
    for finding in checked.verdict.findings:
        yield finding.label, finding.detector, finding.score
    for check in _unchecked(checked):
        yield _NOT_CHECKED, check.rule, 1.0


def _unchecked(checked: Checked) -> list[Check]:
    """Checks that say more than `allow` without having found anything: late, failed, or cut. They must not pass as
    clean; a switch that blocks everything stands for a check, too."""
    said: set[tuple[int, str]] = {(one.part, one.detector) for one in checked.verdict.findings}
    without = [one for one in checked.verdict.checks if one.action != "allow" and (one.part, one.detector) not in said]
    if without or not checked.verdict.blocked or checked.verdict.findings:
        return without
    return [Check("policy", "policy", "1", 0, "unavailable", 0, 0, action="block")]


def _detection(asker: Asker, label: str, kind: str, score: float) -> dict[str, Any]:
    name = asker.request.headers.get(ID_HEADER) or "default"
    return {"detection": label, "detection_type": kind, "detector_id": name, "score": round(score, 4)}


def _answered(checked: Checked, found: Sequence[Any], unread: Sequence[str]) -> HttpResponse:
    response = JsonResponse(found, safe=False)
    response["x-stanchion-action"] = checked.verdict.action
    response["x-stanchion-coverage"] = "complete" if checked.verdict.coverage.complete else "incomplete"
    if unread:
        response["x-stanchion-not-checked"] = ", ".join(unread)
    return response


def health(request: HttpRequest) -> HttpResponse:
    return JsonResponse("ok", safe=False)


def _post(handler: Callable[[Asker], HttpResponse]) -> Callable[..., HttpResponse]:
    return door.view(failure, {"POST": (Scope.GUARD, handler)})


_chat, _PREFIX = _post(whole(read_chat)), "api/v1/text/"
urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{_PREFIX}contents", _post(contents)),
    path(f"{_PREFIX}generation", _post(whole(read_generation))),
    path(f"{_PREFIX}chat", _chat),
    path(f"{_PREFIX}context/chat", _chat),
    path(f"{_PREFIX}context/doc", _post(whole(read_document))),
    path("health", health),
]
