"""Whether the answer has the form that the request asked for."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from stanchion_guard.detectors import Detector, build, detector_class
from stanchion_guard.detectors.structure import LONGEST
from stanchion_guard.reading import read
from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.scorers.detecting import evidence_of, loudest
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single, blind_to
from stanchion_server.quality.scorers.texts import answered

MOST_SCHEMAS = 256


class FormatValidity(Single):
    """1 for valid, 0.4 for valid once repaired, 0 for neither. A schema that cannot be used leaves the question whether
    the answer is JSON at all."""

    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, f"1.json_schema-{detector_class('json_schema').version}")
        self._detectors: OrderedDict[str, tuple[Detector, str]] = OrderedDict()

    def judge(self, example: Example) -> Result | None:
        if not example.expected_format or not example.response.strip() or len(example.response) > LONGEST:
            return None
        detector, reason = self._detector(example.expected_format)
        detection = detector.detect(read(example.response), 1, answered(example))
        if detection.score is None:
            return None
        evidence = [evidence_of("response", finding) for finding in detection.findings]
        return self.result(1.0 - detection.score, loudest(detection) or "valid", reason, evidence)

    def _detector(self, expected: Any) -> tuple[Detector, str]:
        key = json.dumps(expected, sort_keys=True, default=str)
        if key not in self._detectors:
            self._detectors[key] = _compiled(expected)
            if len(self._detectors) > MOST_SCHEMAS:
                self._detectors.popitem(last=False)
        return self._detectors[key]


def _compiled(expected: Any) -> tuple[Detector, str]:
    if not isinstance(expected, Mapping):
        return build("json_schema", {}), ""
    try:
        return build("json_schema", {"schema": expected}), ""
    except ValueError:
        return build("json_schema", {}), "the schema asked for cannot be used: judged only whether it is JSON"


KINDS = (
    Kind(
        Known(
            id="format_validity", title="Form that was asked for", family="format", lane="fast",
            direction="high_is_good", threshold=0.5, usual_ratio=1.0,
            blind_to=blind_to("json_schema", "Forms that the request states only in its words."),
        ),
        FormatValidity,
    ),
)  # fmt: skip
