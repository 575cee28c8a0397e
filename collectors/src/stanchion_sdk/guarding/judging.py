"""What is asked of a policy, what it says, and how that reaches the server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context

from stanchion_wire.decisions import SCOPE, Decision, to_attributes

from .. import safety
from ..startup import running
from .shapes import Coverage, Part, Stage, Subject, Verdict

NO_SERVER = "no server is known: call init() or set STANCHION_ENDPOINT"


@dataclass(frozen=True)
class Ask:
    """One check. `judged` are the parts under judgement, None for all. `key` (a session, else the check's id) decides
    on which side of a canary it falls."""

    subject: Subject
    judged: tuple[int, ...] | None
    check_id: str
    key: str
    deadline_ms: float | None


@dataclass(frozen=True)
class Judgement:
    """`mode` is live, canary or shadow. `is_recorded` where whoever judged has told the server already."""

    mode: str
    verdict: Verdict
    is_recorded: bool = False


class Lane(Protocol):
    """One policy's stream of one text. Once `blocked`, `feed` gives nothing more."""

    mode: str
    blocked: bool
    hold_back_characters: int | None

    def feed(self, text: str) -> str: ...

    def finish(self) -> str: ...

    def judgement(self) -> Judgement:
        """After `finish`."""


class Unanswered(Exception):
    """Nobody could judge. Its text says why, and holds nothing of what was to be judged."""


class Source(Protocol):
    """Where judgement comes from."""

    def judge(self, ask: Ask) -> list[Judgement]:
        """Raises Unanswered."""

    def lanes(self, stage: Stage, background: tuple[Part, ...], ask: Ask) -> list[Lane] | None:
        """None where nothing but a whole text can be judged. Raises Unanswered."""

    def obeyed(self, subject: Subject, told: list[Judgement]) -> Verdict:
        """The one verdict to obey of those that are no shadow's."""

    def refresh(self) -> bool: ...


def unjudged(subject: Subject, policy: str, action: str, reason: str) -> Verdict:
    """A verdict that no check stands behind, and that says so."""
    texts = tuple(part.text for part in subject.parts)
    coverage = Coverage(sum(map(len, texts)), 0, 0, (("policy", reason),))
    return Verdict("block" if action == "block" else "allow", texts, (), (), coverage, policy, "", None, 0)


def record(one: Judgement, subject: Subject, check_id: str, context: Context | None = None) -> None:
    """A guardrail span below the current one. It holds no text; in mode "off" no digest of one either."""
    if one.is_recorded:
        return
    try:
        told = _summary(one.verdict, subject)
        state = running()
        if state is not None and state.settings.content == "off":
            told["text_digest"] = None
        decision = Decision(check_id=check_id, mode=one.mode, source="sdk", **told)
        tracer = state.provider.get_tracer(SCOPE) if state is not None else trace.get_tracer(SCOPE)
        tracer.start_span(f"guard {decision.policy}", context, attributes=to_attributes(decision)).end()
    except Exception as error:
        safety.note("guard span", error)


def _summary(verdict: Verdict, subject: Subject) -> dict[str, Any]:
    try:
        from stanchion_guard import summary
    except ImportError:  # then only verdicts that nothing stands behind are told from here
        return _summary_of_unjudged(verdict, subject)
    told = summary.of(verdict, subject)
    return told if verdict.texts else {**told, "text_digest": None}


def _summary_of_unjudged(verdict: Verdict, subject: Subject) -> dict[str, Any]:
    return {
        "policy": verdict.policy,
        "policy_version": verdict.policy_version,
        "stage": subject.parts[0].stage if subject.parts else "",
        "action": verdict.action,
        "characters": verdict.coverage.total_characters,
        "guarded_characters": 0,
        "is_complete": False,
        "elapsed_us": verdict.elapsed_us,
        "not_run": verdict.coverage.not_run,
    }


def with_gaps(one: Judgement, gaps: tuple[tuple[str, str], ...]) -> Judgement:
    if not gaps:
        return one
    coverage = replace(one.verdict.coverage, not_run=(*one.verdict.coverage.not_run, *gaps))
    return replace(one, verdict=replace(one.verdict, coverage=coverage))


def at_part(verdict: Verdict, parts: tuple[Part, ...]) -> Stage:
    """The stage of the part for which the verdict's action was asked, else of the first."""
    asked = (check.part for check in verdict.checks if check.action == verdict.action and check.part < len(parts))
    return parts[next(asked, 0)].stage if parts else "input"


def unmaskable(verdict: Verdict) -> Verdict:
    """A tool call's arguments that would be no JSON under their masks: neither they nor the original may go on."""
    return replace(verdict, action="block", message=None)
