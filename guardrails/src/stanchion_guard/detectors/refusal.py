"""Refusals and abstentions: the answer declines instead of answering."""

# ruff: noqa: E501, ISC004 - a pattern broken over lines is harder to check than a long line

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import re2

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

_HEAD = 400
_HINTS = (
    "sorry", "can't", "cannot", "can not", "unable", "not able", "won't", "apolog", "as an ai", "don't know", "no information",
    "not sure", "decline", "lo siento", "no puedo", "désolé", "je ne peux", "je ne suis pas", "tut mir leid", "kann nicht",
    "kann ich", "leider", "mi dispiace", "non posso", "desculpe", "não posso", "lamento", "sinto muito", "het spijt", "ik kan",
    "извините", "не могу", "抱歉", "无法", "不能", "申し訳", "できません", "죄송", "can’t", "won’t", "don’t", "do not",
    "not appropriate", "against my", "must refuse", "refuse to", "przykro", "nie mogę", "üzgünüm", "آسف", "क्षमा",
)  # fmt: skip
_REFUSALS = (
    r"\bi(?:'m| am) (?:very |so |really |truly )?sorry,? (?:but )?(?:i|we|that|this)\b",
    r"\b(?:sorry|apologi[sz]e|unfortunately)[^.\n]{0,40}\b(?:i|we) (?:can'?t|cannot|can not|won'?t|am unable|are unable|am not able)\b",
    r"\bi (?:can'?t|cannot|can not|won'?t|will not|must decline to|am unable to|am not able to|refuse to|must refuse to)"
    r" (?:help|assist|provide|comply|support|answer|share|give|create|write|generate|fulfil|fulfill|do|engage|discuss|offer|participate"
    r"|continue|produce|respond|recommend|access)\b",
    r"\bi(?:'m| am) (?:unable|not able) to (?:help|assist|provide|comply|answer|share|create|write|generate|fulfil|fulfill|do|discuss)\b",
    r"\bas an ai\b[^.\n]{0,60}\b(?:can'?t|cannot|not able|unable|don'?t|do not)\b",
    r"\b(?:lo siento|disculpa)[^.\n]{0,40}\bno puedo\b|\bno puedo (?:ayudar|proporcionar|responder|ofrecer)",
    r"\bdésolée?[^.\n]{0,40}\bje ne (?:peux|suis)\b|\bje ne (?:peux|suis) pas (?:vous |t'|en mesure|aider|fournir|répondre)",
    r"\btut mir leid[^.\n]{0,40}\bich (?:kann|darf)\b|\b(?:kann|darf) ich (?:dir |ihnen |dabei )?(?:leider )?nicht (?:helfen|beantworten|weiter)"
    r"|\bich kann (?:dir |ihnen |dabei |das )?(?:leider )?nicht\b",
    r"\bmi dispiace[^.\n]{0,40}\bnon posso\b|\bnon posso (?:aiutar|fornir|rispond)",
    r"\b(?:desculpe|lamento|sinto muito)[^.\n]{0,40}\bnão posso\b|\bnão posso (?:ajudar|fornecer|responder)",
    r"\bhet spijt me[^.\n]{0,40}\bkan\b[^.\n]{0,20}\bniet\b|\bik kan (?:je |u )?(?:daar )?niet (?:mee |bij )?helpen",
    r"\bprzykro mi[^.\n]{0,40}\bnie mogę\b|\bnie mogę (?:pomóc|udzielić)",
    r"извините[^.\n]{0,40}не могу|я не могу (?:помочь|предоставить|ответить|выполнить)",
    r"(?:抱歉|对不起)[^。\n]{0,20}(?:无法|不能)|我(?:无法|不能)(?:提供|帮助|回答|协助)",
    r"申し訳[^。\n]{0,30}(?:できません|お答え)|(?:お手伝い|お答え|提供)(?:すること)?(?:は|が)?できません",
    r"죄송[^.\n]{0,30}(?:없습니다|어렵습니다)",
)  # fmt: skip
_ABSTENTIONS = (
    r"\bi (?:don'?t|do not) (?:know|have (?:any |enough |that |access to )?(?:information|data|knowledge|details))\b",
    r"\bi(?:'m| am) not (?:sure|certain|aware)\b",
    r"\b(?:there is|there's|i have|the (?:context|document|text|source)s? (?:does|do|provides?|contains?)) (?:not|no)\b[^.\n]{0,40}\b(?:information|mention|answer|contain|say|specify)",
    r"\b(?:not|isn'?t) (?:mentioned|specified|stated|provided) in the (?:context|document|text|source|passage)",
    r"\bno (?:lo )?sé\b|\bje ne sais pas\b|\bich weiß (?:es )?nicht\b|\bnon (?:lo )?so\b|\bnão sei\b|我不知道|わかりません|не знаю",
)  # fmt: skip
_BUT = r"\b(?:however|but|instead|that said|what i can|here(?:'s| is| are)|i can (?:help|offer|suggest|tell|provide))\b"


@cache
def _patterns() -> tuple[Any, Any, Any]:
    options = re2.Options()
    options.case_sensitive = False
    joined = ["(?:" + ")|(?:".join(group) + ")" for group in (_REFUSALS, _ABSTENTIONS)]
    return re2.compile(joined[0], options), re2.compile(joined[1], options), re2.compile(_BUT, options)


class Refusal:
    """Score 1 = a plain refusal, 0.6 = a refusal that goes on to answer ("partial"), 0.7 = "does not know"."""

    name = "refusal"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("refusal", "partial_refusal", "abstention")
    threshold = 0.5
    blind_to = (
        f"Reads the first {_HEAD} characters against set phrases of 12 languages: a refusal told as a story, by changing the"
        " subject, or after a long preamble passes; a quoted refusal counts."
    )

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw[:_HEAD].replace("’", "'")
        lowered = text.lower()
        if not any(hint in lowered for hint in _HINTS):
            return Detection(0.0)
        refusal, abstention, but = _patterns()
        if found := refusal.search(text):
            partial = len(reading.raw) - found.end() > 200 and but.search(reading.raw, found.end())
            label, score = ("partial_refusal", 0.6) if partial else ("refusal", 1.0)
        elif found := abstention.search(text):
            label, score = "abstention", 0.7
        else:
            return Detection(0.0)
        reason = {"refusal": "declines to answer", "partial_refusal": "declines, then goes on"}.get(
            label, "says it does not know"
        )
        return Detection(score, (Finding(self.name, label, score, part, found.start(), found.end(), reason),))
