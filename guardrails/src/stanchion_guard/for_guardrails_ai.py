"""Our policies as a guardrails-ai validator: `Guard().use(StanchionGuard(policy="default", on_fail="fix"))`.

Needs the extra stanchion-guard[guardrails-ai].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from guardrails.classes.validation.validation_result import ErrorSpan  # type: ignore[import-not-found,unused-ignore]
from guardrails.validators import FailResult, PassResult, ValidationResult, Validator, register_validator  # type: ignore[import-not-found,unused-ignore]

from stanchion_guard.engine import Guard
from stanchion_guard.policy import BUILT_IN, load, named
from stanchion_guard.records import ACTIONS, Stage, Verdict


@register_validator(name="stanchion/guard", data_type="string")
class StanchionGuard(Validator):  # type: ignore[misc,unused-ignore]
    """Fails where the policy's verdict is redact or more; a flag passes, and the result's metadata tells of it.

    `policy` is a built-in policy's name, a file, or a policy as data. The fix value is the text after redaction, or,
    where the policy blocks, its message. Metadata may carry `query`, and `context` as a list of texts.
    """

    def __init__(
        self, policy: str | Mapping[str, Any] = "default", stage: Stage = "output", on_fail: Any = None
    ) -> None:
        super().__init__(on_fail=on_fail, policy=policy, stage=stage)
        self._stage = stage
        self._guard = Guard(_policy(policy))

    def _validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        verdict = self._guard.check(
            str(value), self._stage, query=metadata.get("query"), context=metadata.get("context") or ()
        )
        told = {
            "action": verdict.action,
            "policy": verdict.policy,
            "policy_version": verdict.policy_version,
            "coverage_complete": verdict.coverage.complete,
            "not_run": [list(each) for each in verdict.coverage.not_run],
        }
        if ACTIONS.index(verdict.action) < ACTIONS.index("redact"):
            return PassResult(metadata=told)
        return _failed(verdict, told)


def _policy(given: str | Mapping[str, Any]) -> Any:
    if isinstance(given, str):
        return named(given) if given in BUILT_IN else load(Path(given).read_bytes())
    return load(given)


def _failed(verdict: Verdict, told: dict[str, Any]) -> ValidationResult:
    here = [finding for finding in verdict.findings if finding.part == 0]
    labels = sorted({finding.label for finding in here})
    spans = [ErrorSpan(start=one.start, end=one.end, reason=f"{one.label}: {one.reason}") for one in here]
    fixed = (verdict.message or "") if verdict.blocked else verdict.texts[0]
    message = f"the policy {verdict.policy} says {verdict.action}: {', '.join(labels) or 'a check did not run'}"
    return cast(ValidationResult, FailResult(error_message=message, fix_value=fixed, error_spans=spans, metadata=told))
