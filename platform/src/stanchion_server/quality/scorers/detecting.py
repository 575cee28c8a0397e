"""Scorers that are one detector of the engine on one side of the call: toxicity, harm, injection, leaks, refusals."""

from __future__ import annotations

from dataclasses import replace

from stanchion_guard.classifiers import linear
from stanchion_guard.detectors import Detector, build
from stanchion_guard.records import Detection, Finding, Part, Subject
from stanchion_server.quality.records import Evidence, Example, Place, Result
from stanchion_server.quality.scorers.known import Kind, Known, Single, blind_to
from stanchion_server.quality.scorers.texts import answered, asked, reading_of

_CLASSIFIERS = frozenset({"toxicity", "harmful_intent", "prompt_injection"})


def version_of(detector: Detector, own: str = "1") -> str:
    """Changes with the detector, and with the classifiers' weights where they decide."""
    weights = f".{linear.load().version}" if detector.name in _CLASSIFIERS else ""
    return f"{own}.{detector.name}-{detector.version}{weights}"


def evidence_of(place: Place, finding: Finding) -> Evidence:
    return Evidence(place, finding.start, finding.end, finding.label, finding.score, finding.reason)


def loudest(detection: Detection) -> str:
    """The label of the strongest finding, "" without any. A general label gives way to the kind beside it."""
    found = sorted(detection.findings, key=lambda one: (one.score, one.label != "toxic"), reverse=True)
    return found[0].label if found else ""


class PromptDetector(Single):
    def __init__(self, known: Known, detector: Detector) -> None:
        super().__init__(known, version_of(detector))
        self._detector = detector

    def judge(self, example: Example) -> Result | None:
        if not example.prompt.strip():
            return None
        detection = self._detector.detect(reading_of(example.prompt), 0, asked(example))
        return self._told(detection, "prompt")

    def _told(self, detection: Detection, place: Place) -> Result | None:
        if detection.score is None:
            return None
        evidence = [evidence_of(place, finding) for finding in detection.findings]
        return self.result(detection.score, loudest(detection), evidence=evidence)


class ResponseDetector(PromptDetector):
    def judge(self, example: Example) -> Result | None:
        if not example.response.strip():
            return None
        detection = self._detector.detect(reading_of(example.response), 1, answered(example))
        return self._told(detection, "response")


class ContextDetector(PromptDetector):
    """The worst of the sources, each judged by itself: joined, a harmless one would dilute an attack in another."""

    def judge(self, example: Example) -> Result | None:
        found: list[tuple[float, str, list[Evidence]]] = []
        for index, text in enumerate(example.contexts):
            detection = self._detector.detect(reading_of(text), 0, Subject((Part("retrieved", text),)))
            if detection.score is not None:
                evidence = [replace(evidence_of("context", one), place_index=index) for one in detection.findings]
                found.append((detection.score, loudest(detection), evidence))
        if not found:
            return None
        score, label, _ = max(found, key=lambda one: one[0])
        return self.result(score, label, evidence=[one for _, _, evidence in found for one in evidence])


_ON = {"prompt": PromptDetector, "response": ResponseDetector, "context": ContextDetector}


def kind(place: Place, detector: str, name: str, title: str, family: str, usual_ratio: float = 1.0) -> Kind:
    """A scorer of the fast lane with the detectors' own threshold, low being good."""
    known = Known(name, title, family, "fast", "low_is_good", 0.5, usual_ratio, blind_to(detector), detector=detector)
    return Kind(known, lambda told, parameters: _ON[place](told, build(detector, {})))


KINDS = (
    kind("prompt", "toxicity", "toxicity_prompt", "Toxicity of the prompt", "toxicity"),
    kind("response", "toxicity", "toxicity_response", "Toxicity of the answer", "toxicity"),
    kind("prompt", "harmful_intent", "harm_prompt", "Request for harm", "safety"),
    kind("prompt", "prompt_injection", "injection_prompt", "Prompt injection", "safety"),
    kind("context", "prompt_injection", "injection_context", "Injection in what was retrieved", "safety", 0.25),
    kind("prompt", "pii", "pii_prompt", "Personal data in the prompt", "privacy"),
    kind("response", "pii", "pii_response", "Personal data in the answer", "privacy"),
    kind("response", "secrets", "secrets_response", "Secrets in the answer", "privacy"),
    kind("response", "refusal", "refusal", "Refusal or abstention", "abstention"),
    kind("response", "advice", "disclaimers", "Advice without a caution", "policy"),
)
