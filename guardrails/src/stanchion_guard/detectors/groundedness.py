"""Whether an answer stands on its sources, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.features import Comparison, Evidence, compare, gather
from stanchion_guard.grounding.lexicon import STOP, word_set
from stanchion_guard.grounding.model import unsupported
from stanchion_guard.grounding.words import Sentence, sentences
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

MOST_CLAIMS = 200
MOST_EVIDENCE = 60_000
_SMALL_TALK = word_set(
    """hi hello thanks thank welcome bye goodbye sorry please great good morning evening day sure help let know
    glad"""
)
_DECLINED = (
    "i don't know",
    "i do not know",
    "i'm sorry",
    "i cannot",
    "i can't",
    "i am unable",
    "i'm unable",
    "no information",
)


class Groundedness:
    """Score: the least supported claim of the answer, 1 = not supported. Evidence: retrieved and tool-result parts.

    Words of the input count neither for nor against a claim. Evidence past `MOST_EVIDENCE` characters and claims past
    `MOST_CLAIMS` make the check skip with a reason rather than judge a part of the text.
    """

    name = "groundedness"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("new_material", "number_differs", "name_not_in_sources", "negated", "opposite", "no_overlap")
    threshold = 0.7
    blind_to = (
        "Compares words, numbers and names, in English: a claim made of the sources' own words in another relation"
        " passes, a true paraphrase in other words is flagged, and nothing outside the sources is known. An inference"
        " model is the heavier tier."
    )

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        texts = [p.text for i, p in enumerate(subject.parts) if p.stage in ("retrieved", "tool_result") and i != part]
        if not any(text.strip() for text in texts):
            return Detection(None, skipped="there is no retrieved or tool-result part to judge against")
        if sum(map(len, texts)) > MOST_EVIDENCE:
            return Detection(None, skipped=f"the sources are longer than {MOST_EVIDENCE} characters")
        claims = [sentence for sentence in sentences(reading.raw) if is_claim(sentence, reading.raw)]
        if not claims or len(claims) > MOST_CLAIMS:
            why = f"more than {MOST_CLAIMS} claims" if claims else "no claims: only questions, small talk or a refusal"
            return Detection(None, skipped=why)
        evidence = gather([sentence for text in texts for sentence in sentences(text)])
        return self._judge(claims, evidence, part)

    def _judge(self, claims: Sequence[Sentence], evidence: Evidence, part: int) -> Detection:
        worst, findings = 0.0, []
        for claim in claims:
            found = compare(claim.tokens, evidence)
            score = round(unsupported(found), 4)
            worst = max(worst, score)
            if score >= 0.5:
                label, reason = reason_of(found)
                findings.append(Finding(self.name, label, score, part, claim.start, claim.end, reason))
        return Detection(worst, tuple(findings))


def is_claim(sentence: Sentence, text: str) -> bool:
    """Not a question, small talk or a refusal: something that sources could support."""
    written = text[sentence.start : sentence.end]
    if written.endswith("?") or written.lower().startswith(_DECLINED):
        return False
    words = [token for token in sentence.tokens if token.content or token.number is not None]
    return bool(words) and any(token.word not in _SMALL_TALK and token.word not in STOP for token in words)


def reason_of(found: Comparison) -> tuple[str, str]:
    """Label and sentence of what speaks most against a claim."""
    if found.missing_numbers:
        return "number_differs", f"{len(found.missing_numbers)} number(s) of the claim are not in the sources"
    if found.values[0] >= 0.9:
        return "no_overlap", "hardly a word of the claim is in the sources"
    if found.opposite:
        return "opposite", "the sources have the opposite, or another of the same kind, in its place"
    if found.negated and found.values[0] < 0.5:
        return "negated", "the claim denies what the closest sentence of the sources says, or the other way round"
    if found.missing_names:
        return "name_not_in_sources", f"{len(found.missing_names)} name(s) of the claim are not in the sources"
    return "new_material", f"{len(found.new_words)} content word(s) of the claim are not in the sources"
