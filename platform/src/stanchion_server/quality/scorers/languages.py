"""Which language each side speaks, and whether the answer keeps to the question's."""

from __future__ import annotations

from stanchion_guard.detectors import detector_class
from stanchion_guard.detectors.language import identify
from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single, blind_to
from stanchion_server.quality.scorers.texts import reading_of

MOST_CHARACTERS = 600
"""Of a text's beginning, by which its language is told."""


def language_of(text: str) -> tuple[str | None, float]:
    """Code and confidence; None where too little tells."""
    reading = reading_of(text)
    return reading.keep("scorers.language", lambda: identify(reading.raw[:MOST_CHARACTERS]))


class _Named(Single):
    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, f"1.language-{detector_class('language').version}")

    def named(self, text: str) -> Result | None:
        code, confidence = language_of(text)
        return None if code is None else self.result(confidence, code)


class PromptLanguage(_Named):
    def judge(self, example: Example) -> Result | None:
        return self.named(example.prompt)


class ResponseLanguage(_Named):
    def judge(self, example: Example) -> Result | None:
        return self.named(example.response)


class LanguageMatch(_Named):
    """1 for the same language; else what the less certain of the two leaves open."""

    def judge(self, example: Example) -> Result | None:
        (asked, sure), (answered, surer) = language_of(example.prompt), language_of(example.response)
        if asked is None or answered is None:
            return None
        if asked == answered:
            return self.result(1.0, asked)
        return self.result(1.0 - min(sure, surer), f"{asked}-{answered}", f"asked in {asked}, answered in {answered}")


_BLIND = blind_to("language", f"Only the first {MOST_CHARACTERS} characters are read.")
KINDS = (
    Kind(
        Known(
            id="language_prompt", title="Language of the prompt", family="language", lane="fast",
            direction="high_is_good", threshold=None, usual_ratio=1.0, blind_to=_BLIND,
        ),
        PromptLanguage,
    ),
    Kind(
        Known(
            id="language_response", title="Language of the answer", family="language", lane="fast",
            direction="high_is_good", threshold=None, usual_ratio=1.0, blind_to=_BLIND,
        ),
        ResponseLanguage,
    ),
    Kind(
        Known(
            id="language_match", title="Answered in the language of the question", family="language", lane="fast",
            direction="high_is_good", threshold=0.5, usual_ratio=1.0,
            blind_to=f"{_BLIND} A request to translate is no fault and counts as one.",
        ),
        LanguageMatch,
    ),
)  # fmt: skip
