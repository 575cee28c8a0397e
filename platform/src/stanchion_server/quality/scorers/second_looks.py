"""The guard's second look, a sentence model beside its light classifiers, on prompts and answers."""

from __future__ import annotations

from importlib.util import find_spec

from stanchion_guard.classifiers import linear
from stanchion_guard.detectors import Detector, build, detector_class
from stanchion_guard.detectors import Unavailable as DetectorUnavailable
from stanchion_guard.detectors.heavy import encoder, heads
from stanchion_guard.records import Detection, Part, Stage, Subject
from stanchion_server.quality.records import Example, Place, Result
from stanchion_server.quality.scorers import Unavailable
from stanchion_server.quality.scorers.detecting import evidence_of, loudest
from stanchion_server.quality.scorers.known import Kind, Known, Single, blind_to
from stanchion_server.quality.scorers.texts import reading_of


def absent() -> str | None:
    return f"not available: {encoder.ABSENT}" if find_spec(encoder.MODULE) is None else None


class SecondLook(Single):
    """The model is loaded when the first call is scored: whoever only asks what can run pays nothing."""

    _built: Detector | None

    def __init__(self, known: Known, place: Place) -> None:
        missing = absent()
        if missing is not None:
            raise Unavailable(missing)
        self._place, self._built, self._name = place, None, known.detector
        version = f"{detector_class(known.detector).version}.{heads.version()}.{linear.load().version}"
        super().__init__(known, f"1.{known.detector}-{version}"[:80])

    def judge(self, example: Example) -> Result | None:
        text = example.prompt if self._place == "prompt" else example.response
        if not text.strip():
            return None
        reading = reading_of(text)
        stage: Stage = "input" if self._place == "prompt" else "output"
        return self._told(self._ready().detect(reading, 0, Subject((Part(stage, reading.raw),))))

    def _ready(self) -> Detector:
        if self._built is None:
            try:
                self._built = build(self._name, {})
            except DetectorUnavailable as problem:
                raise Unavailable(f"not available: {problem}") from problem
        return self._built

    def _told(self, detection: Detection) -> Result | None:
        if detection.score is None:
            return None
        evidence = [evidence_of(self._place, one) for one in detection.findings]
        return self.result(detection.score, loudest(detection), evidence=evidence)


def kind(place: Place, detector: str, name: str, title: str, family: str) -> Kind:
    """A scorer of the slow lane that sees one call in a hundred if nothing else is set: 500 characters take it
    some 20 ms, about as long as all light scorers together take for ten calls."""
    blind = blind_to(detector)
    known = Known(name, title, family, "slow", "low_is_good", 0.5, 0.01, blind, absent, detector=detector)
    return Kind(known, lambda told, parameters: SecondLook(told, place))


KINDS = (
    kind("prompt", "prompt_injection_model", "injection_prompt_model", "Prompt injection, by a model", "safety"),
    kind("prompt", "harmful_intent_model", "harm_prompt_model", "Request for harm, by a model", "safety"),
    kind("prompt", "toxicity_model", "toxicity_prompt_model", "Toxicity of the prompt, by a model", "toxicity"),
    kind("response", "toxicity_model", "toxicity_response_model", "Toxicity of the answer, by a model", "toxicity"),
)
