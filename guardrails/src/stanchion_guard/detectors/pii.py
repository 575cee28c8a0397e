"""Personal data by shape, check digits and the words beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from stanchion_guard.detectors import Tier
from stanchion_guard.identifiers.finance import FINANCE
from stanchion_guard.identifiers.national import NATIONAL
from stanchion_guard.identifiers.people import find_people
from stanchion_guard.identifiers.personal import PERSONAL
from stanchion_guard.identifiers.phones import find_phones
from stanchion_guard.identifiers.rules import MOST_COVERS, Rule, Scanner, Span, best_spans, covering
from stanchion_guard.known import fresh
from stanchion_guard.reading import also, plain, plain_bytes
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import Bytes
from stanchion_guard.views import Reading, View

_RULES = (*FINANCE, *NATIONAL, *PERSONAL)
LABELS: tuple[str, ...] = (*dict.fromkeys(rule.label for rule in _RULES), "PHONE", "PERSON")
ONLY_ON_REQUEST = frozenset({"URL", "DOMAIN", "AGE", "PERSON", "ADDRESS", "POSTAL_CODE", "USERNAME"})
"""Labels that are no harm in most texts or that need a model to be found well: a rule has to name them."""
DEFAULT_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "AU")


class Pii:
    """Finds identifiers of people in the plain view, and in what escapes and encoded runs stand for."""

    name: ClassVar[str] = "pii"
    version: ClassVar[str] = "3"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = LABELS
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Names and addresses without a title, an introduction, a form field or a common given name; numbers whose "
        "shape is shared with order numbers, where no word beside them tells; numbers spelt out in words, in "
        "digits other than 0 to 9, or in groups with signs between that are neither spaces, dots nor hyphens; "
        "letter-spaced addresses; escapes in a third layer."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "entities": {"type": "array", "items": {"enum": list(LABELS)}, "minItems": 1, "uniqueItems": True},
            "regions": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}, "maxItems": 20},
            "context": {
                "type": "object",
                "propertyNames": {"enum": list(LABELS)},
                "additionalProperties": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 50},
            },
        },
    }

    def __init__(
        self,
        entities: Sequence[str] | None = None,
        regions: Sequence[str] = DEFAULT_REGIONS,
        context: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`entities`: labels to look for, all but `ONLY_ON_REQUEST` where not stated. `regions`: whose numbering plans
        apply to telephone numbers without a country code. `context`: more words that speak for a label."""
        wanted = frozenset(LABELS) - ONLY_ON_REQUEST if entities is None else frozenset(entities)
        if unknown := wanted - frozenset(LABELS):
            raise ValueError(f"pii knows no entity {sorted(unknown)[0]!r}; it knows {', '.join(LABELS)}")
        self._phones, self._people = "PHONE" in wanted, "PERSON" in wanted
        self._regions = tuple(regions)
        more = tuple((label, tuple(words)) for label, words in sorted((context or {}).items()))
        self._scanner = _scanner(wanted, more)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        found = self._findings(plain(reading), part, plain_bytes(reading))
        for view in also(reading):
            found += fresh(view, self._findings(view, part, Bytes(view.text)), found)
        score = max([finding.score for finding in found], default=0.0)
        return Detection(score, tuple(found))

    def _findings(self, view: View, part: int, data: Bytes) -> list[Finding]:
        name, original = self.name, view.original
        return [
            Finding(name, span.label, span.score, part, *original(span.start, span.end), span.reason, view.name)
            for span in self.spans(data)
        ]

    def spans(self, data: Bytes) -> list[Span]:
        """Everything found in one text, whatever its score, without overlaps."""
        spans = list(self._scanner.scan(data))
        if self._phones:
            spans += find_phones(data, self._regions, [span for span in spans if covering(span)][:MOST_COVERS])
        if self._people:
            spans += find_people(data)
        return best_spans(spans) if len(spans) > 1 else spans


@cache
def _scanner(wanted: frozenset[str], more: tuple[tuple[str, tuple[str, ...]], ...]) -> Scanner:
    extra = dict(more)
    return Scanner([_with_words(rule, extra.get(rule.label, ())) for rule in _RULES if rule.label in wanted])


def _with_words(rule: Rule, words: Sequence[str]) -> Rule:
    if not words:
        return rule
    listed = "|".join(re.escape(word) for word in words)
    return replace(rule, context=f"{rule.context}|{listed}" if rule.context else listed)
