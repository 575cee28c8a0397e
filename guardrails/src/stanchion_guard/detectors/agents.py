"""Limits on what an agent may call and spend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from stanchion_guard.detectors import Tier, Unavailable
from stanchion_guard.json_values import Fault, check_schema, compile_schema, parse
from stanchion_guard.records import Detection, Finding, Stage, Subject
from stanchion_guard.views import Reading


class ToolAllowList:
    """Every tool not on the list is refused, and so are arguments outside the tool's JSON Schema.

    `allow` and `deny` take names with `*`; a denied name wins. `arguments` maps a tool's name to a JSON Schema, whose
    `pattern` is matched by RE2.
    """

    name = "tool_allow_list"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "allow": {"type": "array", "items": {"type": "string"}},
            "deny": {"type": "array", "items": {"type": "string"}},
            "arguments": {"type": "object", "additionalProperties": {"type": "object"}},
        },
        "additionalProperties": False,
    }
    stages: tuple[Stage, ...] = ("tool_call",)
    labels = ("denied_tool", "unknown_tool", "unnamed_tool", "bad_arguments")
    threshold = 0.5
    blind_to = "What a permitted tool does with permitted arguments, and calls the application does not report."

    def __init__(
        self,
        allow: Sequence[str] | None = None,
        deny: Sequence[str] = (),
        arguments: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        if allow is None and not deny and not arguments:
            raise ValueError("tool_allow_list needs at least one of allow, deny and arguments")
        self._allow = None if allow is None else tuple(allow)
        self._deny = tuple(deny)
        self._schemas = {tool: compile_schema(schema) for tool, schema in (arguments or {}).items()}

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        if subject.parts[part].stage != "tool_call":
            return Detection(None, skipped="the part is not a tool call")
        tool = subject.parts[part].name
        if refused := self._refused(tool):
            label, reason = refused
            whole = Finding(self.name, label, 1.0, part, 0, len(reading.raw), reason)
            return Detection(1.0, (whole,))
        findings = [
            Finding(self.name, "bad_arguments", 1.0, part, fault.start, fault.end, fault.reason)
            for fault in self._faults(tool or "", reading.raw)
        ]
        return Detection(1.0 if findings else 0.0, tuple(findings))

    def _refused(self, tool: str | None) -> tuple[str, str] | None:
        if not tool:
            return "unnamed_tool", "the call does not say which tool it is"
        if any(fnmatchcase(tool.casefold(), name.casefold()) for name in self._deny):
            return "denied_tool", "the tool is on the deny list"
        if self._allow is not None and not any(fnmatchcase(tool, name) for name in self._allow):
            return "unknown_tool", "the tool is not on the allow list"
        return None

    def _faults(self, tool: str, text: str) -> list[Fault]:
        if tool not in self._schemas:
            return []
        try:
            value, places = parse(text or "{}")
        except ValueError as error:
            return [Fault(0, len(text), f"the arguments are not JSON: {error}")]
        return check_schema(self._schemas[tool], value, places, text)


class AgentCap:
    """Score 1 when a cap is passed; below it, the largest share of a cap that is used up, times 0.5.

    A cap on what the caller does not tell of cannot be judged, and must not pass for kept: unavailable."""

    name = "agent_cap"
    version = "2"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "steps": {"type": "integer", "minimum": 0},
            "tool_calls": {"type": "integer", "minimum": 0},
            "tokens": {"type": "integer", "minimum": 0},
            "cost_usd": {"type": "number", "minimum": 0},
        },
        "minProperties": 1,
        "additionalProperties": False,
    }
    labels = ("steps", "tool_calls", "tokens", "cost_usd")
    threshold = 0.5
    blind_to = "Spending that the application does not report in the subject's usage."

    def __init__(
        self,
        steps: int | None = None,
        tool_calls: int | None = None,
        tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        caps = {"steps": steps, "tool_calls": tool_calls, "tokens": tokens, "cost_usd": cost_usd}
        self._caps = {key: cap for key, cap in caps.items() if cap is not None}
        if not self._caps or any(cap < 0 for cap in self._caps.values()):
            raise ValueError("agent_cap needs at least one cap, and no cap below zero")

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        spent = {key: getattr(subject.usage, key) for key in self._caps}
        known = {key: value for key, value in spent.items() if value is not None}
        passed = [key for key, value in known.items() if value > self._caps[key]]
        if passed:
            return Detection(1.0, tuple(self._finding(key, known[key], part, len(reading.raw)) for key in passed))
        missing = [key for key in spent if key not in known]
        if missing:
            raise Unavailable(f"not told how much was used of {', '.join(missing)}: give it in `usage`")
        shares = [value / self._caps[key] if self._caps[key] else 0.0 for key, value in known.items()]
        return Detection(round(0.49 * max(shares), 4))

    def _finding(self, key: str, value: float, part: int, length: int) -> Finding:
        reason = f"{key}: {json.dumps(value)} used, {json.dumps(self._caps[key])} allowed"
        return Finding(self.name, key, 1.0, part, 0, length, reason)
