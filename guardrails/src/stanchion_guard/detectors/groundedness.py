"""Whether an answer stands on its sources, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.features import Evidence, gather
from stanchion_guard.grounding.ledger import ROUNDED, Ledger
from stanchion_guard.grounding.lexicon import STOP, word_set
from stanchion_guard.grounding.weighing import Weighed, weigh
from stanchion_guard.grounding.words import Sentence, sentences
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

MOST_CLAIMS = 200
MOST_EVIDENCE = 60_000
MOST_PLACES = 5
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
    `MOST_CLAIMS` make the check skip with a reason rather than judge a part of the text. A rounded figure may be off
    the sources' by `last_digit_off` of one in its last digit: 0.5 allows rounding, 1 cutting off, too.
    """

    name = "groundedness"
    version = "4"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"last_digit_off": {"type": "number", "minimum": 0, "maximum": 1}},
        "additionalProperties": False,
    }
    labels = (
        "new_material",
        "number_differs",
        "name_not_in_sources",
        "negated",
        "opposite",
        "relation_differs",
        "no_overlap",
    )
    threshold = 0.7
    blind_to = (
        "Compares words, their common opposites and classes, denials, numbers, names and who does what to whom within"
        " one sentence of the sources, in English: what takes two sentences or knowledge of the world passes, a free"
        " paraphrase may be flagged, and nothing outside the sources is known. An inference model is the heavier tier."
    )

    def __init__(self, last_digit_off: float = ROUNDED) -> None:
        self._steps = last_digit_off

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
        return self._judge(claims, evidence, Ledger(texts, self._steps), part, reading.raw)

    def _judge(self, claims: Sequence[Sentence], evidence: Evidence, ledger: Ledger, part: int, text: str) -> Detection:
        worst, findings = 0.0, []
        for claim in claims:
            found = weigh(text[claim.start : claim.end], claim.tokens, evidence, ledger)
            score = round(found.doubt, 4)
            worst = max(worst, score)
            if score >= 0.5:
                label, reason = reason_of(found, claim, text)
                findings.append(Finding(self.name, label, score, part, claim.start, claim.end, reason))
        return Detection(worst, tuple(findings))


def is_claim(sentence: Sentence, text: str) -> bool:
    """Not a question, small talk or a refusal: something that sources could support."""
    written = text[sentence.start : sentence.end]
    if written.endswith("?") or written.lower().startswith(_DECLINED):
        return False
    words = [token for token in sentence.tokens if token.content or token.number is not None]
    return bool(words) and any(token.word not in _SMALL_TALK and token.word not in STOP for token in words)


def reason_of(weighed: Weighed, claim: Sentence, text: str) -> tuple[str, str]:
    """Label and sentence of what speaks most against a claim of `text`.

    The reason says where the words stand in the text, never which they are: they may be secret.
    """

    def at(words: Sequence[str]) -> str:
        return _places(words, text[claim.start : claim.end], claim.start)

    found, contrast = weighed.found, weighed.found.contrast
    if weighed.turned:
        return "number_differs", f"the sources have the number {at(weighed.turned)} the other way round: a loss, a fall"
    if weighed.partial:
        return "number_differs", f"the sources have the number {at(weighed.partial)} for one of the two only"
    if contrast.numbers:
        return "number_differs", f"the sources do not bear out the number {at(contrast.numbers)}"
    if found.values[0] >= 0.9:
        return "no_overlap", "hardly a word of the claim is in the sources"
    if contrast.opposites:
        return "opposite", f"the sources say the opposite of the word {at(contrast.opposites)}"
    if contrast.crossed or contrast.raised:
        why = "of somebody or something else" if contrast.crossed else "of fewer"
        return "relation_differs", f"the sources say this {why}: {at(contrast.crossed or contrast.raised)}"
    if contrast.flipped:
        return "negated", f"the claim denies what the sources say, or the other way round: {at(contrast.flipped)}"
    if found.missing_names:
        return "name_not_in_sources", f"the sources do not have the name {at(found.missing_names)}"
    if contrast.rivals:
        return "opposite", f"the sources have another of the same kind in place of the word {at(contrast.rivals)}"
    if found.new_words:
        return "new_material", f"the sources do not have the words {at(found.new_words)}"
    return "new_material", "the words of the claim are in the sources, but not in this relation"


def _places(words: Sequence[str], claim: str, start: int) -> str:
    """ "at 12-16, 20-24": characters of the text, of the first few words that can be found again."""
    lower, begin, places = claim.lower(), 0, []
    for word in words[:MOST_PLACES]:
        found = lower.find(word, begin)
        if found >= 0 and len(lower) == len(claim):
            begin = found + len(word)
            places.append(f"{start + found}-{start + begin}")
    return f"at {', '.join(places)}" if places else "in it"
