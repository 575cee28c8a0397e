"""Medical, legal and financial advice that carries no word of caution."""

# ruff: noqa: E501 - a pattern broken over lines is harder to check than a long line

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import re2

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.words import spans
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

FIELDS = ("medical", "legal", "financial")
_TOPICS = {
    "medical": r"\b(?:dos(?:e|age)s?|\d+ ?(?:mg|mcg|ml)|tablets?|pills?|antibiotics?|ibuprofen|paracetamol|acetaminophen|aspirin|insulin"
    r"|medications?|medicines?|symptoms?|diagnos\w+|prescri\w+|treatments?|therap\w+|surgery|chemotherapy|vaccin\w+|blood pressure"
    r"|antidepressants?|statins?|opioids?|disease|infection|tumou?r|cancer|diabetes|pregnan\w+)\b",
    "legal": r"\b(?:lawsuits?|sue|sued|court|liab(?:le|ility)|contracts?|plead|guilty|custody|divorce|landlord|tenant|evict\w*|copyright"
    r"|trademark|statute|plaintiff|defendant|settlement|subpoena|visa|asylum|inherit\w*|last will|power of attorney|felony|misdemeanou?r)\b",
    "financial": r"\b(?:invest\w*|stocks?|shares|bonds?|portfolio|crypto\w*|bitcoin|mortgage|loans?|401k|ira|pension|retire\w*|etfs?|index funds?"
    r"|mutual funds?|dividends?|tax(?:es)?|refinanc\w*|credit score|leverage|options trading|hedge|savings)\b",
}
_ADVICE = (
    r"\b(?:you (?:should|must|need to|ought to|can safely|don'?t need|had better)|i (?:recommend|suggest|advise)|my advice|be sure to"
    r"|make sure (?:to|you)|stop taking|start taking|take (?:\d|one|two|three)|put (?:all|your|\d)|(?:buy|sell|invest|refinance|plead|sign|sue)\b"
    r"|it(?:'s| is) (?:best|safe|fine) to|the best (?:option|choice|way)|guaranteed?)\b"
)
_CAUTION = (
    r"(?:consult|talk to|speak (?:to|with)|see|ask|contact|seek|check with)[^.\n]{0,50}(?:doctor|physician|professional|lawyer|attorney|solicitor|advis[eo]r"
    r"|pharmacist|accountant|specialist|provider|counsel|medical (?:help|attention|advice)|legal (?:help|advice)|planner)"
    r"|not (?:a )?(?:substitute for|medical advice|legal advice|financial advice|investment advice|tax advice|(?:a )?(?:doctor|lawyer|attorney|financial))"
    r"|(?:general|educational|informational) (?:information|purposes)|does not constitute|call (?:911|112|999|emergency)"
)


@cache
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    return re2.compile(pattern, options)


class Advice:
    """Score 0.9 for a sentence that tells what to do in the field without any caution, 0.2 when the answer has one."""

    name = "advice"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"fields": {"type": "array", "items": {"enum": list(FIELDS)}, "minItems": 1}},
        "additionalProperties": False,
    }
    labels = FIELDS
    threshold = 0.5
    blind_to = "English only, by set words: advice hidden in a story or a question passes; it cannot tell good advice from bad."

    def __init__(self, fields: Sequence[str] = FIELDS) -> None:
        unknown = set(fields) - set(FIELDS)
        if unknown or not fields:
            raise ValueError(
                f"advice fields are {', '.join(FIELDS)}; not {', '.join(sorted(unknown)) or 'an empty list'}"
            )
        self._fields = tuple(fields)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw
        present = [field for field in self._fields if _compiled(_TOPICS[field]).search(text)]
        if not present or not _compiled(_ADVICE).search(text):
            return Detection(0.0)
        findings = [f for start, end in spans(text) for f in self._sentence(text, start, end, present, part)]
        if not findings:
            return Detection(0.1)
        if _compiled(_CAUTION).search(text):
            return Detection(0.2)
        return Detection(0.9, tuple(findings))

    def _sentence(self, text: str, start: int, end: int, present: list[str], part: int) -> list[Finding]:
        sentence = text[start:end]
        if sentence.endswith("?") or not _compiled(_ADVICE).search(sentence):
            return []
        fields = [field for field in present if _compiled(_TOPICS[field]).search(sentence)]
        reason = "tells what to do, and no word of caution stands anywhere in the answer"
        return [Finding(self.name, field, 0.9, part, start, end, f"{field}: {reason}") for field in fields]
