"""LiteLLM's generic guardrail: a gateway asks about the texts of a request or an answer before it passes them on."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpResponse, JsonResponse

from stanchion_guard import summary
from stanchion_guard.records import Part, Stage, Subject, Verdict
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import asking, spoken
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.engine import Checked
from stanchion_server.policies.spoken import Unread
from stanchion_server.routes import guard_version
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import door
from stanchion_server.web.compat.door import Asker, bad

_TYPES: Mapping[object, Stage] = {"request": "input", "response": "output"}
_UNSEEN = ("images", "tools")
_MESSAGES = "structured_messages"
_MESSAGE = "Blocked by a guardrail."
_UNMASKABLE = (
    "A tool call, or a message beside the texts, holds something that must be masked: no place here takes that back."
)


def guard(asker: Asker) -> HttpResponse:
    body = asker.body
    kind = body.get("input_type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise bad("`input_type`", "request or response")
    texts = door.texts_in(body, "texts")
    said = list(_said(body.get(_MESSAGES)))
    calls = list(door.tool_calls_in(body))
    beside = [*calls, *_beside(said, [*texts, *(one.text for one in calls if isinstance(one, Part))])]
    parts = [*_texts(texts, said, _TYPES[kind]), *(one for one in beside if isinstance(one, Part))]
    unread = [one.name for one in (*beside, *said) if isinstance(one, Unread)]
    unseen = list(dict.fromkeys([*(name for name in _UNSEEN if body.get(name)), *unread]))
    if not parts:
        return JsonResponse({"action": "NONE", "texts": texts, "stanchion": {"not_checked": unseen}})
    checked = door.check(asker, _policy(asker), parts, _origin(body), unseen)
    holdback = _holdback(asker.project_id, checked, parts[: len(texts)]) if kind == "response" else None
    return JsonResponse(_answer(checked.verdict, parts, texts, holdback, unseen))


def failure(status: int, code: str, message: str) -> HttpResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def _policy(asker: Asker) -> str:
    """The header goes first: a gateway sets it in its configuration, while its users can add parameters."""
    more = asker.body.get("additional_provider_specific_params")
    stated = more.get("policy") if isinstance(more, Mapping) else None
    return door.policy_name(asker, None if asker.request.headers.get(door.POLICY_HEADER) else stated)


def _texts(texts: Sequence[str], said: Sequence[Part | Unread], stage: Stage) -> list[Part]:
    """Texts get the stage of their message's role where the messages hold these texts in this order."""
    voices = iter(one for one in said if isinstance(one, Part) and one.stage != "tool_call")
    found = [next((one for one in voices if one.text == text), None) if text else Part(stage, text) for text in texts]
    if said and None not in found:
        return [one for one in found if one is not None]
    return [Part(stage, text, role="user" if stage == "input" else "assistant") for text in texts]


def _beside(said: Sequence[Part | Unread], judged: Sequence[str]) -> Iterator[Part]:
    """What the messages hold and neither the texts nor the tool calls do: each of those stands for one."""
    left = Counter(judged)
    for one in said:
        if isinstance(one, Part) and one.text:
            left[one.text] -= 1
            if left[one.text] < 0:
                yield one


def _said(messages: object) -> Iterator[Part | Unread]:
    """What the messages hold; one that cannot be read is named, since a gateway takes a refusal for a block."""
    for message in messages if isinstance(messages, list) else [messages] if messages else ():
        try:
            yield from list(spoken.pieces(message)) if isinstance(message, Mapping) else [Unread(_MESSAGES)]
        except SenderError:
            yield Unread(_MESSAGES)


def _origin(body: Mapping[str, Any]) -> Origin:
    data = body.get("request_data")
    user = data.get("user_api_key_end_user_id") if isinstance(data, Mapping) else None
    session = body.get("litellm_trace_id")
    came = replace(door.origin("litellm"), user_id=_label(user), session_id=_label(session))
    try:
        return replace(came, trace_id=uuid.UUID(str(session)))
    except ValueError:
        return came


def _label(value: object) -> str:
    return asking.whole(value).replace("\0", "\ufffd")[:200] if isinstance(value, str) else ""


def _answer(
    verdict: Verdict, parts: Sequence[Part], texts: Sequence[str], holdback: list[int] | None, unseen: Sequence[str]
) -> dict[str, Any]:
    told = summary.answer(verdict, Subject(tuple(parts)))
    shown = ("policy", "policy_version", "action", "rules", "labels", "coverage")
    answer: dict[str, Any] = {"stanchion": {name: told[name] for name in shown} | {"not_checked": list(unseen)}}
    if holdback is not None:
        answer["stream_holdback_chars"] = holdback
    changed = [part.text != text for part, text in zip(parts, verdict.texts, strict=True)]
    if verdict.blocked:
        return answer | {"action": "BLOCKED", "blocked_reason": verdict.message or _MESSAGE, "texts": list(texts)}
    if any(changed[len(texts) :]):
        return answer | {"action": "BLOCKED", "blocked_reason": _UNMASKABLE, "texts": list(texts)}
    action = "GUARDRAIL_INTERVENED" if any(changed) else "NONE"
    return answer | {"action": action, "texts": list(verdict.texts[: len(texts)])}


def _holdback(project_id: int, checked: Checked, parts: Sequence[Part]) -> list[int]:
    """How many characters at the end of each text, as answered, the streaming guard would not show yet."""
    behind = guard_version.behind(project_id, checked.decided)
    answered = zip(parts, checked.verdict.texts, strict=False)
    if behind is None:
        return [0 for _ in parts]
    return [_held(behind.stream(part.stage).feed(part.text).text, text) for part, text in answered]


def _held(released: str, answered: str) -> int:
    return len(answered) - len(released) if answered.startswith(released) else len(answered)


guardrail = door.view(failure, {"POST": (Scope.GUARD, guard)})
