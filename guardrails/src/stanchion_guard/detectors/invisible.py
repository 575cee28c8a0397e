"""Text that a model reads and a person does not see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from stanchion_guard.detectors import Tier
from stanchion_guard.reading import hidden
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import bytes_of, pattern
from stanchion_guard.views import Reading

_SCORES = {
    "tag_characters": 0.95,
    "direction_override": 0.8,
    "variation_selectors": 0.6,
    "zero_width": 0.4,
    "soft_hyphens": 0.4,
    "control_characters": 0.4,
    "direction_marks": 0.3,
}
_LONG_RUN = 4
_MANY = 4
_MOST_FINDINGS = 500
_UNSEEN_STYLE = pattern(
    r"(?i)<[a-z][^<>]*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em|rem|%)?\s*[;\"']|opacity\s*:\s*0(?:\.0+)?\s*[;\"']"
    r"|color\s*:\s*(?:transparent|rgba\([^)]{0,30},\s*0\)))[^<>]*>"
)  # fmt: skip


class InvisibleText:
    """Unseen characters for which the script or emoji beside them has no use, and markup styled to be unseen."""

    name: ClassVar[str] = "invisible_text"
    version: ClassVar[str] = "1"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = (*(kind.upper() for kind in _SCORES), "UNSEEN_MARKUP")
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "White text on white ground, text outside the page, text in images, styles in another file."
    )
    parameters: ClassVar[Mapping[str, Any]] = {"type": "object", "additionalProperties": False, "properties": {}}

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        """Few zero-width characters stay under the threshold: copied web pages are full of them."""
        if not hidden(reading) and "<" not in reading.raw:
            return Detection(0.0)
        findings = [*self._runs(reading, part), *self._markup(reading, part)][:_MOST_FINDINGS]
        empty = {index: "" for index, found in enumerate(findings) if found.label != "UNSEEN_MARKUP"}
        return Detection(max((f.score for f in findings), default=0.0), tuple(findings), replacements=empty)

    def _runs(self, reading: Reading, part: int) -> Iterator[Finding]:
        runs = [run for run in hidden(reading) if not run.honest]
        many = len(runs) >= _MANY
        for run in runs:
            score = _SCORES[run.kind]
            if many or run.end - run.start >= _LONG_RUN:
                score = max(score, 0.85)
            reason = f"{run.end - run.start} unseen characters, {len(runs)} such runs in the text"
            yield Finding(self.name, run.kind.upper(), score, part, run.start, run.end, reason)

    def _markup(self, reading: Reading, part: int) -> Iterator[Finding]:
        if "<" not in reading.raw:
            return
        for hit in bytes_of(reading).hits(_UNSEEN_STYLE):
            reason = "an element styled so that nobody sees it"
            yield Finding(self.name, "UNSEEN_MARKUP", 0.7, part, hit.start, hit.end, reason)
