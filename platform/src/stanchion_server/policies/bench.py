"""One text tried against a policy by hand: judged like any other, recorded nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_guard.engine import Guard
from stanchion_guard.records import Check, Finding, Part, Stage, Subject, Verdict
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, marking
from stanchion_server.policies.asking import whole
from stanchion_server.policies.models import Policy

MAX_CHARACTERS = 100_000
DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class Tried:
    """`findings` and `checks` are those of the text itself; what it was measured against is not judged."""

    verdict: Verdict
    text: str
    redacted: str | None
    marked: marking.Marked
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]


def try_out(guard: Guard, text: str, stage: Stage, question: str = "", documents: Sequence[str] = ()) -> Tried:
    """Raises SenderError for no text or more than a hundred thousand characters."""
    text = whole(text)
    background = [Part("input", whole(question), role="user")] if question.strip() else []
    background += [Part("retrieved", whole(document)) for document in documents if document.strip()]
    total = sum(len(part.text) for part in background) + len(text)
    if not text or total > MAX_CHARACTERS:
        raise SenderError("bad_text", f"Paste a text of 1 to {MAX_CHARACTERS:,} characters; {total:,} came.")
    verdict = engine.run(guard, Subject((Part(stage, text), *background)), engine.Manner((0,)))
    findings = tuple(one for one in verdict.findings if one.part == 0)
    return Tried(
        verdict=verdict,
        text=text,
        redacted=verdict.texts[0] if verdict.texts[0] != text else None,
        marked=marking.mark(text, findings),
        findings=findings,
        checks=tuple(one for one in verdict.checks if one.part == 0),
    )


def guard_for(project_id: int, policy: Policy | None, name: str, which: str) -> Guard:
    """The guard of a built-in policy (`policy` None), of the draft, or of a version by its number."""
    if policy is None:
        return engine.built_in(name)
    if which == DRAFT:
        return engine.guard_of_text(project_id, policy.draft)
    if not which.isascii() or not which.isdecimal() or not policy.versions.filter(number=int(which[:9])).exists():
        raise SenderError("no_such_version", f"Policy “{policy.name}” has no version “{which[:40]}”.", 404)
    return engine.guard_of(project_id, policy.pk, int(which[:9]))
