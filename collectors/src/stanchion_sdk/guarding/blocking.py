"""`Blocked`: what a guard raises where it was asked to, and what stands in for the text where it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the SDK is imported without the engine
    from .shapes import Stage, Verdict

MESSAGE = "This was stopped by a guardrail."
"""Where neither the rule nor the policy says what the user may be shown."""


class Blocked(Exception):
    """A policy stopped a text at `stage`. `str()` of it may be shown to the end user; `verdict` holds the texts."""

    def __init__(self, verdict: Verdict, stage: Stage) -> None:
        super().__init__(message_of(verdict))
        self.verdict, self.stage = verdict, stage

    def __reduce__(self) -> tuple[type[Blocked], tuple[Verdict, Stage]]:
        return Blocked, (self.verdict, self.stage)


def message_of(verdict: Verdict) -> str:
    """Of a policy that is not there or switched to block everything, no reason: that is the operator's to know."""
    return (verdict.message if verdict.checks else None) or MESSAGE
