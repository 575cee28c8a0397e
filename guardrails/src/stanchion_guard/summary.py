"""A verdict as plain data: for a span, a log line, or an answer over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import blake2b
from typing import Any

from stanchion_guard.records import Subject, Verdict


def of(verdict: Verdict, subject: Subject) -> dict[str, Any]:
    """What may be recorded anywhere: labels, scores and offsets, never a text. The keys are those of a recorded
    decision; `stage` is that of the first part, `text_digest` a signed 64-bit digest of all parts' texts."""
    return {
        "policy": verdict.policy,
        "policy_version": verdict.policy_version,
        "stage": subject.parts[0].stage if subject.parts else "",
        "action": verdict.action,
        "characters": verdict.coverage.total_characters,
        "guarded_characters": verdict.coverage.guarded_characters,
        "is_complete": verdict.coverage.complete,
        "elapsed_us": verdict.elapsed_us,
        "text_digest": text_digest(subject),
        "rules": tuple(dict.fromkeys(check.rule for check in verdict.checks if check.triggered)),
        "labels": tuple(dict.fromkeys(finding.label for finding in verdict.findings)),
        "findings": tuple(asdict(finding) for finding in verdict.findings),
        "checks": tuple(asdict(check) for check in verdict.checks),
        "not_run": verdict.coverage.not_run,
    }


def answer(verdict: Verdict, subject: Subject) -> dict[str, Any]:
    """The whole verdict for the caller, the texts after redaction included."""
    told = of(verdict, subject)
    del told["text_digest"], told["is_complete"], told["characters"], told["guarded_characters"], told["not_run"]
    coverage = {**asdict(verdict.coverage), "complete": verdict.coverage.complete}
    return {**told, "message": verdict.message, "texts": verdict.texts, "coverage": coverage}


def text_digest(subject: Subject) -> int:
    """The same for the same texts at the same stages, whoever checks them."""
    digest = blake2b(digest_size=8)
    for part in subject.parts:
        digest.update(f"{part.stage}\0{len(part.text)}\0{part.text}\0".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big", signed=True)
