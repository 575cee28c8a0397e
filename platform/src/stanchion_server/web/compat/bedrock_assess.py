"""A verdict as a Bedrock assessment. Pure. What Bedrock has no word for is told as a `regexes` row named after our
detector and label, so that nothing found goes untold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stanchion_guard.policy import Policy
from stanchion_guard.records import ACTIONS, Check, Finding, Part, Verdict
from stanchion_server.web.compat import bedrock_names as names

UNIT_CHARACTERS = 1_000
"""Characters in a text unit: AWS's Bedrock pricing page, read 2026-11."""
MAX_MATCH = 500
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assessed:
    """What one policy said of which parts. `policy` is None where none judged (a switch was thrown)."""

    verdict: Verdict
    parts: tuple[Part, ...]
    policy: Policy | None
    is_full: bool
    rules: Mapping[str, Mapping[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        written = self.policy.as_json()["rules"] if self.policy else ()
        object.__setattr__(self, "rules", {rule["id"]: rule for rule in written})


def assessment(assessed: Assessed) -> _Row:
    """The members that have something to tell; with `is_full` also what was looked for and not found."""
    regexes, entities = _sensitive(assessed)
    made: _Row = {
        "topicPolicy": {"topics": list(_topics(assessed))},
        "contentPolicy": {"filters": list(_filters(assessed))},
        "wordPolicy": dict(zip(("customWords", "managedWordLists"), _words(assessed), strict=True)),
        "sensitiveInformationPolicy": {"piiEntities": entities, "regexes": regexes},
        "contextualGroundingPolicy": {"filters": list(_grounding(assessed))},
    }
    return {name: value for name, value in made.items() if any(value.values())}


def usage(verdicts: Iterable[Verdict], characters: int) -> dict[str, int]:
    """Text units of each kind of check that ran, whatever it found."""
    ran = {names.kind_of(check.detector) for one in verdicts for check in one.checks if check.outcome == "ran"}
    units = math.ceil(characters / UNIT_CHARACTERS)
    return {name: units if kind in ran else 0 for kind, name in names.UNITS.items()}


def _found(assessed: Assessed, *kinds: str) -> Iterator[tuple[Finding, str, str]]:
    """Findings of these kinds with the text they stand on and Bedrock's word for what was done."""
    for finding in assessed.verdict.findings:
        if names.kind_of(finding.detector) in kinds:
            match = assessed.parts[finding.part].text[finding.start : finding.end][:MAX_MATCH]
            yield finding, match, _action(assessed, finding)


def _action(assessed: Assessed, finding: Finding) -> str:
    acted = [
        check.action
        for check in assessed.verdict.checks
        if check.triggered and (check.detector, check.part) == (finding.detector, finding.part)
        if _is_of(assessed.rules.get(check.rule), finding.label)
    ]
    return names.ACTION_OF[max(acted, key=ACTIONS.index, default="flag")]


def _is_of(rule: Mapping[str, Any] | None, label: str) -> bool:
    """Whether a rule could have made a finding of this label."""
    if rule is None:
        return True
    parameters = rule.get("parameters", {})
    patterns = [one["name"] for one in parameters.get("patterns", ())] if rule["detector"] == "pattern" else None
    word = [parameters.get("label", "WORD")] if rule["detector"] == "words" else None
    limits = (rule.get("labels"), *(parameters.get(name) for name in ("entities", "labels", "kinds")), patterns, word)
    return all(limit is None or label in limit for limit in limits)


def _looked(assessed: Assessed, *kinds: str) -> Iterator[tuple[Check, Mapping[str, Any]]]:
    """The checks of these kinds that ran, with their rules as written."""
    for check in assessed.verdict.checks:
        if check.outcome == "ran" and names.kind_of(check.detector) in kinds:
            yield check, assessed.rules.get(check.rule, {})


def _topics(assessed: Assessed) -> Iterator[_Row]:
    for check, rule in _looked(assessed, "topic"):
        if check.triggered or assessed.is_full:
            name = str(rule.get("parameters", {}).get("name", check.rule))[:100]
            action = names.ACTION_OF[check.action] if check.triggered else "NONE"
            yield {"name": name, "type": "DENY", "action": _blocks(action), "detected": check.triggered}


def _filters(assessed: Assessed) -> Iterator[_Row]:
    told: dict[str, tuple[float, _Row]] = {}
    for finding, _, action in _found(assessed, "content"):
        kind = names.filter_of(finding.detector, finding.label)
        if kind is not None and finding.score > told.get(kind, (-1.0, {}))[0]:
            row = {"type": kind, "confidence": names.confidence(finding.score), "action": _blocks(action)}
            told[kind] = (finding.score, row | {"filterStrength": _strength(assessed, finding), "detected": True})
    yield from (row for _, row in told.values())
    if assessed.is_full:
        kinds = {kind for check, _ in _looked(assessed, "content") for kind in _kinds_of(check.detector)}
        for kind in sorted(kinds - set(told)):
            yield {"type": kind, "confidence": "NONE", "action": "NONE", "detected": False}


def _kinds_of(detector: str) -> set[str]:
    return {kind for (name, _), kind in names.FILTER_OF.items() if name == detector}


def _strength(assessed: Assessed, finding: Finding) -> str:
    if assessed.policy is None:
        return "NONE"
    triggered = {check.rule for check in assessed.verdict.checks if check.triggered}
    limits = [
        rule.threshold
        for rule in assessed.policy.rules
        if rule.id in triggered and assessed.rules[rule.id]["detector"] == finding.detector
    ]
    return names.strength(min(limits, default=0.5))


def _words(assessed: Assessed) -> tuple[list[_Row], list[_Row]]:
    custom, managed = [], []
    for finding, match, action in _found(assessed, "word"):
        row = {"match": match, "action": _blocks(action), "detected": True}
        if finding.label == names.PROFANITY:
            managed.append(row | {"type": names.PROFANITY})
        else:
            custom.append(row)
    return custom, managed


def _sensitive(assessed: Assessed) -> tuple[list[_Row], list[_Row]]:
    regexes, entities = [], []
    for finding, match, action in _found(assessed, "sensitive", "regex"):
        row = {"match": match, "action": action, "detected": True}
        kind = names.entity_of(finding.detector, finding.label)
        if kind:
            entities.append(row | {"type": kind})
        else:
            regexes.append(row | _named(assessed, finding))
    if assessed.is_full:
        entities += _absent(assessed, {str(row["type"]) for row in entities})
    return regexes, entities


def _absent(assessed: Assessed, seen: set[str]) -> list[_Row]:
    """The types that a rule names and that were not found."""
    rules = [rule for _, rule in _looked(assessed, "sensitive")]
    asked = {names.PII_OF.get(label) for rule in rules for label in rule.get("parameters", {}).get("entities", ())}
    missing = sorted(kind for kind in asked if kind and kind not in seen)
    return [{"match": "", "type": kind, "action": "NONE", "detected": False} for kind in missing]


def _named(assessed: Assessed, finding: Finding) -> _Row:
    if finding.detector != "pattern":
        return {"name": f"{finding.detector}/{finding.label}"[:100]}
    for rule in assessed.rules.values():
        for pattern in rule.get("parameters", {}).get("patterns", ()) if rule["detector"] == "pattern" else ():
            if pattern["name"] == finding.label:
                return {"name": finding.label, "regex": pattern["regex"]}
    return {"name": finding.label}


def _grounding(assessed: Assessed) -> Iterator[_Row]:
    """Bedrock counts the other way round: 1 is grounded. Told whether or not it triggered, as Bedrock does."""
    thresholds = {rule.id: rule.threshold for rule in assessed.policy.rules} if assessed.policy else {}
    for check, _ in _looked(assessed, "grounding"):
        if check.score is not None:
            action = names.ACTION_OF[check.action] if check.triggered else "NONE"
            yield {
                "type": names.GROUNDING_OF[check.detector],
                "threshold": round(1 - thresholds.get(check.rule, 0.5), 4),
                "score": round(1 - check.score, 4),
                "action": _blocks(action),
                "detected": check.triggered,
            }


def _blocks(action: str) -> str:
    """Only sensitive information can be ANONYMIZED there."""
    return "NONE" if action == "ANONYMIZED" else action
