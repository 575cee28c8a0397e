"""A Bedrock guardrail's configuration as a policy document of ours. Pure. Every field becomes a rule, is refused with a
sentence, or says what is so here anyway (`tierName` CLASSIC, modality TEXT)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import asking
from stanchion_server.web.compat import bedrock_names as names
from stanchion_server.web.compat.door import bad

_Row = Mapping[str, Any]
_Group = tuple[str, str, str]
_DIRECTIONS = ("input", "output")
_ACTIONS = {"BLOCK": "block", "ANONYMIZE": "redact", "NONE": "flag"}
_DETECTOR_OF: Mapping[str, tuple[str, dict[str, Any]]] = {
    "INSULTS": ("toxicity", {"labels": ["toxic"]}),
    "HATE": ("toxicity", {"labels": ["hate"]}),
    "SEXUAL": ("toxicity", {"labels": ["sexual"]}),
    "VIOLENCE": ("toxicity", {"labels": ["violence", "self_harm"]}),
    "MISCONDUCT": ("harmful_intent", {}),
    "PROMPT_ATTACK": ("prompt_injection", {}),
}
_DIRECTED = ("inputAction", "outputAction", "inputEnabled", "outputEnabled")
_KNOWN = frozenset(
    {
        "name", "description", "blockedInputMessaging", "blockedOutputsMessaging", "clientRequestToken",
        "topicPolicyConfig", "contentPolicyConfig", "wordPolicyConfig", "sensitiveInformationPolicyConfig",
        "contextualGroundingPolicyConfig",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule to be written: for a direction, with what it does there."""

    id: str
    direction: str
    detector: str
    action: str
    parameters: dict[str, Any]
    threshold: float | None = None
    description: str = ""


def document(body: _Row) -> str:
    """The policy as JSON. SenderError names the field that has no counterpart or is not as Bedrock wants it."""
    for name, value in body.items():
        if name not in _KNOWN and value not in (None, [], {}):
            raise SenderError("unsupported_field", f"`{str(name)[:60]}` has no counterpart here. Leave it out.")
    messages = {"input": text(body, "blockedInputMessaging"), "output": text(body, "blockedOutputsMessaging")}
    if not all(1 <= len(message) <= 500 for message in messages.values()):
        raise bad("`blockedInputMessaging` and `blockedOutputsMessaging`", "texts of 1 to 500 characters")
    rules = [*_topics(body), *_filters(body), *_words(body), *_entities(body), *_regexes(body), *_grounding(body)]
    if not rules:
        raise SenderError("no_rules", "The guardrail would check nothing: configure at least one enabled policy.")
    made = {
        "policy": text(body, "name"),
        "version": "1",
        "description": text(body, "description", longest=200),
        "message": messages["input"],
        "defaults": {"when_late": "block", "when_failed": "block"},
        "rules": [_written(rule, messages[rule.direction]) for rule in rules],
    }
    return json.dumps(made, ensure_ascii=False, indent=2)


def _written(rule: Rule, message: str) -> dict[str, Any]:
    made = {"id": rule.id, "stages": [rule.direction], "detector": rule.detector, "action": rule.action}
    more = {"parameters": rule.parameters, "threshold": rule.threshold, "description": rule.description or None}
    return {**made, **{name: value for name, value in more.items() if value is not None}, "message": message}


def _topics(body: _Row) -> Iterator[Rule]:
    for index, row in enumerate(_rows(body, "topicPolicyConfig", "topicsConfig")):
        known(row, "name", "definition", "examples", "type", *_DIRECTED)
        one_of(row, "type", ("DENY",))
        examples = row.get("examples") or []
        if not isinstance(examples, list) or not all(isinstance(one, str) and one for one in examples):
            raise bad("`examples`", "a list of texts")
        parameters = {
            "name": text(row, "name", longest=100, shortest=1),
            "definition": text(row, "definition", longest=200, shortest=1),
            "examples": [asking.whole(one) for one in examples],
        }
        for direction, action in _directions(row, "BLOCK"):
            yield Rule(f"topic-{index}-{direction}", direction, "topic", action, parameters)


def _filters(body: _Row) -> Iterator[Rule]:
    for row in _rows(body, "contentPolicyConfig", "filtersConfig"):
        known(row, "type", "inputStrength", "outputStrength", "inputModalities", "outputModalities", *_DIRECTED)
        kind = one_of(row, "type", tuple(_DETECTOR_OF))
        for name in ("inputModalities", "outputModalities"):
            if row.get(name) not in (None, ["TEXT"]):
                raise bad(f"`{name}`", "TEXT: images are not checked here")
        detector, parameters = _DETECTOR_OF[kind]
        for direction, action in _directions(row, "BLOCK"):
            strength = one_of(row, f"{direction}Strength", ("NONE", "LOW", "MEDIUM", "HIGH"))
            if strength != "NONE":
                rule = f"filter-{kind.lower()}-{direction}"
                yield Rule(rule, direction, detector, action, parameters, names.THRESHOLD_OF[strength])


def _words(body: _Row) -> Iterator[Rule]:
    for row in _rows(body, "wordPolicyConfig", "managedWordListsConfig"):
        known(row, "type", *_DIRECTED)
        one_of(row, "type", (names.PROFANITY,))
        for direction, action in _directions(row, "BLOCK"):
            managed = {"words": list(names.PROFANE), "label": names.PROFANITY}
            yield Rule(f"profanity-{direction}", direction, "words", action, managed)
    groups: dict[tuple[str, str], list[str]] = {}
    for row in _rows(body, "wordPolicyConfig", "wordsConfig"):
        known(row, "text", *_DIRECTED)
        for group in _directions(row, "BLOCK"):
            groups.setdefault(group, []).append(text(row, "text", longest=100, shortest=1))
    for (direction, action), words in groups.items():
        parameters = {"words": words, "label": f"WORD_{action.upper()}"}
        yield Rule(f"words-{action}-{direction}", direction, "words", action, parameters)


def _entities(body: _Row) -> Iterator[Rule]:
    groups: dict[_Group, list[str]] = {}
    for row in _rows(body, "sensitiveInformationPolicyConfig", "piiEntitiesConfig"):
        known(row, "type", "action", *_DIRECTED)
        detector, label = _entity(row.get("type"))
        for direction, action in _directions(row, one_of(row, "action", tuple(_ACTIONS))):
            groups.setdefault((detector, direction, action), []).append(label)
    for (detector, direction, action), labels in groups.items():
        parameters = {"entities" if detector == "pii" else "kinds": sorted(set(labels))}
        yield Rule(f"{detector}-{action}-{direction}", direction, detector, action, parameters)


def _entity(kind: object) -> tuple[str, str]:
    if isinstance(kind, str) and (label := names.LABEL_OF.get(kind)):
        return "pii", label
    if isinstance(kind, str) and kind in names.SECRET_OF:
        return "secrets", names.SECRET_OF[kind]
    raise bad(f"`type` {str(kind)[:60]!r}", f"one of {', '.join(sorted((*names.LABEL_OF, *names.SECRET_OF)))}")


def _regexes(body: _Row) -> Iterator[Rule]:
    for index, row in enumerate(_rows(body, "sensitiveInformationPolicyConfig", "regexesConfig")):
        known(row, "name", "description", "pattern", "action", *_DIRECTED)
        named = text(row, "name", longest=100, shortest=1)
        parameters = {"patterns": [{"name": named, "regex": text(row, "pattern", longest=500, shortest=1)}]}
        told = text(row, "description", longest=1000)
        for direction, action in _directions(row, one_of(row, "action", tuple(_ACTIONS))):
            yield Rule(f"regex-{index}-{direction}", direction, "pattern", action, parameters, None, told)


def _grounding(body: _Row) -> Iterator[Rule]:
    """On outputs only, and the other way round: a score of theirs below their threshold is one of ours above ours."""
    for row in _rows(body, "contextualGroundingPolicyConfig", "filtersConfig"):
        known(row, "type", "threshold", "action", "enabled")
        kind, threshold = one_of(row, "type", ("GROUNDING", "RELEVANCE")), row.get("threshold")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 0.99:
            raise bad("`threshold`", "a number from 0 to 0.99")
        detector = {bedrock: ours for ours, bedrock in names.GROUNDING_OF.items()}[kind]
        ours = round(1 - threshold, 4)
        if _flag(row, "enabled"):
            action = one_of(row, "action", ("BLOCK", "NONE"), "BLOCK")
            yield Rule(f"{kind.lower()}-output", "output", detector, _ACTIONS[action], {}, ours)


def _directions(row: _Row, action: str) -> Iterator[tuple[str, str]]:
    """The directions that are enabled, each with our action for it; `action` where the direction states none."""
    allowed = tuple(_ACTIONS) if "pattern" in row or "action" in row else ("BLOCK", "NONE")
    for direction in _DIRECTIONS:
        stated = one_of(row, f"{direction}Action", allowed, action)
        if _flag(row, f"{direction}Enabled"):
            yield direction, _ACTIONS[stated]


def _rows(body: _Row, policy: str, name: str) -> list[_Row]:
    config = body.get(policy)
    if config is None:
        return []
    if not isinstance(config, Mapping):
        raise bad(f"`{policy}`", "an object")
    known(config, *_LISTS[policy], "tierConfig")
    tier = config.get("tierConfig")
    if tier is not None and tier != {"tierName": "CLASSIC"}:
        raise bad("`tierConfig`", "left out or CLASSIC: there is one tier here")
    rows = config.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise bad(f"`{name}`", "a list of objects")
    return rows


_LISTS: Mapping[str, tuple[str, ...]] = {
    "topicPolicyConfig": ("topicsConfig",),
    "contentPolicyConfig": ("filtersConfig",),
    "wordPolicyConfig": ("wordsConfig", "managedWordListsConfig"),
    "sensitiveInformationPolicyConfig": ("piiEntitiesConfig", "regexesConfig"),
    "contextualGroundingPolicyConfig": ("filtersConfig",),
}


def known(row: _Row, *fields: str) -> None:
    if unknown := sorted(str(name) for name in row if name not in fields):
        raise SenderError("unsupported_field", f"`{unknown[0][:60]}` has no counterpart here. Leave it out.")


def one_of(row: _Row, name: str, values: tuple[str, ...], default: str | None = None) -> str:
    value = row.get(name, default)
    if not isinstance(value, str) or value not in values:
        raise bad(f"`{name}`", f"one of {', '.join(values)}")
    return value


def text(row: _Row, name: str, *, longest: int = 500, shortest: int = 0) -> str:
    value = row.get(name)
    found = "" if value is None else value
    if not isinstance(found, str) or not shortest <= len(found) <= longest:
        raise bad(f"`{name}`", f"a text of {shortest} to {longest} characters")
    return asking.whole(found)


def _flag(row: _Row, name: str) -> bool:
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad(f"`{name}`", "true or false")
    return value is not False
