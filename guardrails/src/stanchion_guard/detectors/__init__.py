"""Every detector by name. A detector is written once and runs in line, over REST, and on recorded traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, Protocol, cast

from stanchion_guard.records import Detection, Subject
from stanchion_guard.views import Reading

Tier = Literal["light", "heavy"]


class Unavailable(Exception):
    """The detector cannot run here: an extra is not installed, a model file is missing. The text names the remedy."""


class BadParameters(ValueError):
    """Parameters that the schema allows and the detector cannot take: the path of each below them, and a sentence."""

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(text for _, text in problems))
        self.problems = tuple(problems)


class Detector(Protocol):
    """Built once from a rule's parameters, then called from many threads at once: no state of its own after building.

    `version` changes whenever the same text may get another score. `parameters` is the JSON Schema of the keyword
    arguments. `blind_to` says in a sentence or two what it cannot see. `threshold` is for a rule that states none.
    """

    name: str
    version: str
    tier: Tier
    parameters: Mapping[str, Any]
    labels: tuple[str, ...]
    threshold: float
    blind_to: str

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        """Judges `subject.parts[part]`, whose views `reading` gives. May raise; the engine counts that as "failed"."""
        ...


_LIGHT = {
    "pii": "pii:Pii",
    "secrets": "secrets:Secrets",
    "words": "words:Words",
    "pattern": "pattern:Pattern",
    "links": "links:Links",
    "invisible_text": "invisible:InvisibleText",
    "obfuscation": "obfuscation:Obfuscation",
    "length": "length:Length",
    "language": "language:Language",
    "prompt_injection": "injection:PromptInjection",
    "toxicity": "toxicity:Toxicity",
    "harmful_intent": "harm:HarmfulIntent",
    "groundedness": "groundedness:Groundedness",
    "relevance": "relevance:Relevance",
    "topic": "topic:Topic",
    "json_schema": "structure:JsonSchema",
    "format": "structure:Format",
    "code": "code:Code",
    "refusal": "refusal:Refusal",
    "advice": "advice:Advice",
    "repetition": "repetition:Repetition",
    "canary": "leakage:Canary",
    "system_prompt_leak": "leakage:SystemPromptLeak",
    "known_attack": "similarity:KnownAttack",
    "tool_allow_list": "agents:ToolAllowList",
    "agent_cap": "agents:AgentCap",
}
_HEAVY = {
    "detoxify": "heavy.detoxify_model:DetoxifyModel",
    "guardrails_ai": "heavy.validators:GuardrailsValidator",
    "embedding_topic": "heavy.embeddings:EmbeddingTopic",
    "prompt_injection_model": "heavy.second_look:PromptInjectionModel",
    "harmful_intent_model": "heavy.second_look:HarmfulIntentModel",
    "toxicity_model": "heavy.second_look:ToxicityModel",
    "llm_judge": "heavy.judge:LlmJudge",
}
NAMES: tuple[str, ...] = (*_LIGHT, *_HEAVY)


def detector_class(name: str) -> type[Detector]:
    """Imports only the module that holds it. KeyError for a name that is not in `NAMES`."""
    module, _, attribute = (_LIGHT.get(name) or _HEAVY[name]).partition(":")
    return cast(type[Detector], getattr(import_module(f"{__name__}.{module}"), attribute))


def build(name: str, parameters: Mapping[str, Any]) -> Detector:
    """A ready detector. Raises Unavailable, and ValueError with a sentence for parameters that make no sense."""
    return detector_class(name)(**parameters)
