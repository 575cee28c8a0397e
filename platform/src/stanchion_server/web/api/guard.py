"""One text, exchange or tool call against a policy: the verdict, with what was checked and what was not."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_guard import summary
from stanchion_guard.records import ACTIONS, STAGES
from stanchion_server.policies import asking
from stanchion_server.policies.engine import Manner
from stanchion_server.routes import guard_check
from stanchion_server.tenants import access
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base

_TEXT: dict[str, Any] = {"type": "string"}
_PART: dict[str, Any] = {
    "type": "object",
    "properties": {
        "stage": {**_TEXT, "enum": list(STAGES)},
        "text": _TEXT,
        **{name: {**_TEXT, "nullable": True} for name in ("role", "name", "kind", "language")},
    },
    "required": ["stage", "text"],
}
ASKED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "policy": {**_TEXT, "default": "default", "description": "A policy of the project, or a built-in one."},
        "text": {**_TEXT, "description": "One text; `stage` says what it is."},
        "stage": {**_TEXT, "enum": list(STAGES), "default": "input"},
        "messages": {
            "type": "array",
            "items": {"type": "object"},
            "description": "As chat APIs take them: texts, tool calls and results; coverage names the rest.",
        },
        "response": {**_TEXT, "description": "What the model answered."},
        "contexts": {
            "type": "array",
            "items": {},
            "description": "Retrieved texts, or objects of a retriever: {text, name, kind}.",
        },
        "tool_calls": {
            "type": "array",
            "items": {"type": "object"},
            "description": "{name, arguments}, or as chat APIs have it.",
        },
        "tool_results": {
            "type": "array",
            "items": {"type": "object"},
            "description": "{name, content}, or as chat APIs have it.",
        },
        "parts": {"type": "array", "items": _PART},
        "query": {**_TEXT, "description": "The question that an output answers."},
        "judged": {
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
            "description": "Those of `parts` to be judged; the others are what they are measured against.",
        },
        "usage": {"type": "object", "description": "What an agent has spent: steps, tool_calls, tokens, cost_usd."},
        "deadline_ms": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": asking.MAX_DEADLINE_MS},
        **dict.fromkeys(("check_id", "trace_id", "span_id", "session_id", "user_id", "feature", "release"), _TEXT),
        "environment": _TEXT,
    },
}
_ROWS = {"type": "array", "items": {"type": "object"}}
VERDICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "check_id": _TEXT,
        "action": {**_TEXT, "enum": list(ACTIONS)},
        "message": {**_TEXT, "nullable": True, "description": "What the end user may be shown."},
        "texts": {"type": "array", "items": _TEXT, "description": "The parts after redaction, in order."},
        "policy": _TEXT,
        "policy_version": _TEXT,
        "mode": {**_TEXT, "enum": ["live", "canary"]},
        "stage": _TEXT,
        "elapsed_us": {"type": "integer"},
        "rules": {"type": "array", "items": _TEXT},
        "labels": {"type": "array", "items": _TEXT},
        "findings": _ROWS,
        "checks": _ROWS,
        "coverage": {"type": "object"},
    },
    "required": ["check_id", "action", "texts", "policy", "policy_version", "findings", "checks", "coverage"],
}


class Check(base.Resource):
    scope = Scope.GUARD
    write_scopes = (Scope.GUARD,)

    @base.described(
        "check",
        "The verdict of a policy",
        VERDICT_SCHEMA,
        (),
        tag="guard",
        request={"application/json": ASKED_SCHEMA},
    )
    def post(self, request: Request) -> Response:
        asked = asking.read(request.data, "rest")
        manner = Manner(asked.judged, asked.deadline_ms, asked.unread)
        caller = caller_of(request, self.asker.project_id)
        checked = guard_check.check(caller, asked.policy, asked.subject, asked.origin, manner)
        told = summary.answer(checked.verdict, asked.subject)
        return Response({"check_id": asked.origin.check_id, "mode": checked.decided.mode, **told})


def caller_of(request: Request, project_id: int) -> guard_check.Caller:
    key_id = request.auth.key_id if isinstance(request.auth, access.Principal) else 0
    client = (request.headers.get("User-Agent") or "unknown").split(" ", 1)[0][:60]
    return guard_check.Caller(project_id, key_id, client)
