"""Detoxify on prompts and answers, from local files: six or more labels, each with the passage that it is about."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from stanchion_guard.detectors import Detector, build, detector_class
from stanchion_guard.detectors import Unavailable as DetectorUnavailable
from stanchion_guard.detectors.heavy import consent
from stanchion_guard.records import Detection, Part, Subject
from stanchion_server.quality.records import Example, Place, Result
from stanchion_server.quality.scorers import Unavailable
from stanchion_server.quality.scorers.detecting import evidence_of, loudest
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single, blind_to
from stanchion_server.quality.scorers.texts import reading_of

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "checkpoint": {"type": "string", "minLength": 1},
        "config": {"type": "string", "minLength": 1},
        "model": {"enum": ["original", "unbiased", "multilingual"]},
    },
    "additionalProperties": False,
}
_UNSTATED = (
    "not available: no files are stated: set the parameters `checkpoint` and `config` to files in a folder that"
    " STANCHION_GUARD_MODELS allows"
)


def absent() -> str:
    if find_spec("detoxify") is None:
        return "not available: detoxify is not installed: pip install 'stanchion-guard[detoxify]'"
    return _UNSTATED


class Detoxified(Single):
    """The highest of Detoxify's scores. The version names the checkpoint's file, so keep another under another name.
    The model is loaded when the first call is scored: whoever only asks what can run pays nothing."""

    place: Place
    _detector: Detector | None

    def __init__(self, known: Known, parameters: Parameters) -> None:
        if find_spec("detoxify") is None or not {"checkpoint", "config"} <= parameters.keys():
            raise Unavailable(absent())
        checkpoint = consent.model_path(parameters["checkpoint"])
        consent.model_path(parameters["config"])
        self._given, self._detector = parameters, None
        super().__init__(known, f"1.detoxify-{detector_class('detoxify').version}.{checkpoint.name}"[:80])

    def judge(self, example: Example) -> Result | None:
        text = example.prompt if self.place == "prompt" else example.response
        if not text.strip():
            return None
        reading = reading_of(text)
        return self._told(self._ready().detect(reading, 0, Subject((Part("output", reading.raw),))))

    def _ready(self) -> Detector:
        if self._detector is None:
            try:
                self._detector = build("detoxify", self._given)
            except DetectorUnavailable as problem:
                raise Unavailable(f"not available: {problem}") from problem
        return self._detector

    def _told(self, detection: Detection) -> Result | None:
        if detection.score is None:
            return None
        found = sorted(detection.findings, key=lambda one: -one.score)
        reason = ", ".join(f"{one.label} {one.score:.2f}" for one in found)
        return self.result(detection.score, loudest(detection), reason, [evidence_of(self.place, one) for one in found])


class DetoxifiedPrompt(Detoxified):
    place: Place = "prompt"


class DetoxifiedResponse(Detoxified):
    place: Place = "response"


def _known(name: str, title: str) -> Known:
    blind = blind_to("detoxify")
    return Known(name, title, "toxicity", "slow", "low_is_good", 0.5, 0.05, blind, absent, PARAMETERS)


KINDS = (
    Kind(_known("detoxify_prompt", "Toxicity of the prompt, by Detoxify"), DetoxifiedPrompt),
    Kind(_known("detoxify_response", "Toxicity of the answer, by Detoxify"), DetoxifiedResponse),
)
