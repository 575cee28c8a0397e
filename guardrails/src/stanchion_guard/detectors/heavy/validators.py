"""Any validator of guardrails-ai as a detector."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from stanchion_guard.detectors import Tier, Unavailable
from stanchion_guard.detectors.heavy import consent
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading


class GuardrailsValidator:
    """Score 1 where the validator fails, 0 where it passes. Its error spans are the findings, else the whole text.

    The validator runs with on_fail=noop, one call at a time, and gets the input parts as the metadata `query` and the
    evidence as `sources`. Building one turns guardrails-ai's telemetry and remote inference off in this process.
    """

    name = "guardrails_ai"
    version = "1"
    tier: Tier = "heavy"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "validator": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"},
            "arguments": {"type": "object"},
            "label": {"type": "string", "minLength": 1},
        },
        "required": ["validator"],
        "additionalProperties": False,
    }
    labels = ()
    threshold = 0.5
    blind_to = "Whatever the validator is blind to. Most say yes or no, so that a threshold changes nothing."

    def __init__(
        self, validator: str, arguments: Mapping[str, Any] | None = None, label: str = "validator_failed"
    ) -> None:
        module, name = consent.validator_path(validator)
        _go_quiet()
        try:
            made = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise Unavailable(f"the validator {validator} is not installed here: install its package") from error
        self._validator = made(**(arguments or {}), on_fail="noop")
        self._label, self._lock = label, threading.Lock()

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw
        if not text:
            return Detection(None, skipped="no text")
        metadata = {
            "query": "\n".join(subject.texts("input")),
            "sources": list(subject.texts("retrieved", "tool_result")),
        }
        with self._lock:
            result = self._validator.validate(text, metadata)
        if result.outcome == "pass":
            return Detection(0.0)
        if result.outcome != "fail":
            raise ValueError("the validator gave neither pass nor fail")
        return self._failed(text, part, result)

    def _failed(self, text: str, part: int, result: Any) -> Detection:
        spans = [(span.start, span.end) for span in result.error_spans or ()] or [(0, len(text))]
        reason = f"{type(self._validator).__name__} fails"
        findings = tuple(Finding(self.name, self._label, 1.0, part, start, end, reason) for start, end in spans)
        fixed = result.fix_value
        if not isinstance(fixed, str):
            return Detection(1.0, findings)
        if len(spans) == 1:
            start, end = spans[0]
            after = len(text) - end
            if fixed.startswith(text[:start]) and fixed.endswith(text[end:]) and len(fixed) >= start + after:
                return Detection(1.0, findings, replacements={0: fixed[start : len(fixed) - after]})
        whole = Finding(self.name, self._label, 1.0, part, 0, len(text), reason)
        return Detection(1.0, (whole,), replacements={0: fixed})


def _go_quiet() -> None:
    try:
        settings = import_module("guardrails.settings").settings
    except ImportError as error:
        raise Unavailable("guardrails-ai is not installed: pip install 'stanchion-guard[guardrails-ai]'") from error
    settings.rc.enable_metrics = False
    settings.rc.use_remote_inferencing = False
    settings.disable_tracing = True
