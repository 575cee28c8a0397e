"""A policy document of ours as Bedrock's configuration of a guardrail. Pure. What Bedrock cannot say is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stanchion_guard.policy import Policy, Rule
from stanchion_server.web.compat import bedrock_names as names

_Row = dict[str, Any]
_DEFAULT_MESSAGE = "Blocked by a guardrail."
_ACTIONS = {
    "allow": "NONE", "flag": "NONE", "redact": "ANONYMIZE", "reask": "BLOCK", "fallback": "BLOCK", "block": "BLOCK",
}  # fmt: skip
_PLACES: Mapping[str, tuple[str, str]] = {
    "topic": ("topicPolicy", "topics"),
    "filter": ("contentPolicy", "filters"),
    "word": ("wordPolicy", "words"),
    "managed": ("wordPolicy", "managedWordLists"),
    "entity": ("sensitiveInformationPolicy", "piiEntities"),
    "regex": ("sensitiveInformationPolicy", "regexes"),
    "grounding": ("contextualGroundingPolicy", "filters"),
}


@dataclass(slots=True)
class _Config:
    """Rows by kind and key; a row gathers what the rules of both directions say."""

    rows: dict[tuple[str, str], _Row] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)

    def add(self, kind: str, key: str, rule: Rule, **own: object) -> None:
        row = self.rows.setdefault((kind, key), dict(own))
        if kind == "grounding":
            row |= {"action": _ACTIONS[rule.action], "enabled": True}
            return
        action = _ACTIONS[rule.action]
        for direction in ("input", "output"):
            row.setdefault(f"{direction}Enabled", False)
            if direction in rule.stages:
                row |= {f"{direction}Action": action, f"{direction}Enabled": True}
                if kind == "filter":
                    row[f"{direction}Strength"] = names.strength(rule.threshold)
        if kind in ("entity", "regex"):
            row.setdefault("action", action)


def configuration(policy: Policy) -> _Row:
    """The members of GetGuardrail's answer that come from the policy. `statusReasons` names every rule, and every stage
    of a rule, that has no counterpart in Bedrock."""
    config = _Config()
    written = {rule["id"]: rule for rule in policy.as_json()["rules"]}
    for rule in policy.rules:
        _add(config, rule, written[rule.id])
    made: _Row = {}
    for (kind, _), row in config.rows.items():
        member, name = _PLACES[kind]
        if kind == "filter":
            row = {"inputStrength": "NONE", "outputStrength": "NONE", **row}
        made.setdefault(member, {}).setdefault(name, []).append(row)
    messages = {
        "blockedInputMessaging": _message(policy, "input"),
        "blockedOutputsMessaging": _message(policy, "output"),
    }
    return made | messages | ({"statusReasons": config.untold[:100]} if config.untold else {})


def _add(config: _Config, rule: Rule, written: Mapping[str, Any]) -> None:
    detector, parameters = written["detector"], written.get("parameters", {})
    if beyond := [stage for stage in rule.stages if stage not in ("input", "output")]:
        config.untold.append(f"Rule {rule.id} also judges {', '.join(beyond)}, which Bedrock cannot say.")
    teller = _TELLERS.get(detector)
    told = teller(config, rule, detector, parameters, written) if teller and len(beyond) < len(rule.stages) else False
    if not told:
        config.untold.append(f"Rule {rule.id} (detector {detector}) has no counterpart in Bedrock.")


_Parameters = Mapping[str, Any]


def _topic(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    name, more = parameters["name"], {"examples": parameters.get("examples", [])}
    config.add("topic", name, rule, name=name, definition=parameters.get("definition") or name, type="DENY", **more)
    return True


def _filter(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    labels: Iterable[str] = parameters.get("labels") or written.get("labels") or _labels(detector)
    kinds = {kind for label in labels if (kind := names.filter_of(detector, label))}
    for kind in sorted(kinds):
        config.add("filter", kind, rule, type=kind)
    return bool(kinds)


def _labels(detector: str) -> list[str]:
    return [label for name, label in names.FILTER_OF if name == detector]


def _word(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    if parameters.get("label") == names.PROFANITY:
        config.add("managed", names.PROFANITY, rule, type=names.PROFANITY)
        return True
    for word in parameters["words"]:
        config.add("word", word, rule, text=word)
    return True


def _entity(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    """Labels without a type of Bedrock's are named one by one."""
    labels: Iterable[str] = parameters.get("entities") or parameters.get("kinds") or written.get("labels") or ()
    for label in labels:
        kind = names.entity_of(detector, label)
        if kind:
            config.add("entity", kind, rule, type=kind)
        else:
            config.untold.append(f"Rule {rule.id} looks for {label}, for which Bedrock has no type.")
    return bool(labels)


def _regex(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    told = {"description": written["description"]} if written.get("description") else {}
    for one in parameters["patterns"]:
        config.add("regex", one["name"], rule, name=one["name"], pattern=one["regex"], **told)
    return True


def _grounding(config: _Config, rule: Rule, detector: str, parameters: _Parameters, written: _Parameters) -> bool:
    kind = names.GROUNDING_OF[detector]
    config.add("grounding", kind, rule, type=kind, threshold=round(1 - rule.threshold, 4))
    return True


_TELLERS: Mapping[str, Callable[[_Config, Rule, str, _Parameters, _Parameters], bool]] = {
    "topic": _topic, "toxicity": _filter, "harmful_intent": _filter, "prompt_injection": _filter, "words": _word,
    "pii": _entity, "secrets": _entity, "pattern": _regex, "groundedness": _grounding, "relevance": _grounding,
}  # fmt: skip


def _message(policy: Policy, stage: str) -> str:
    said = (rule.message for rule in policy.rules if rule.message and stage in rule.stages)
    return (next(said, None) or policy.message or _DEFAULT_MESSAGE)[:500]
