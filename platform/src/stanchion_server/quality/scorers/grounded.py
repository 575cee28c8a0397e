"""Whether the answer stands on what the model was given, and whether all of it is about the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from stanchion_guard.detectors import detector_class
from stanchion_guard.detectors.groundedness import MOST_CLAIMS, MOST_EVIDENCE, is_claim, reason_of
from stanchion_guard.detectors.relevance import off_question
from stanchion_guard.grounding.features import gather
from stanchion_guard.grounding.ledger import Ledger
from stanchion_guard.grounding.weighing import weigh
from stanchion_guard.grounding.words import Sentence
from stanchion_server.quality.records import Evidence, Example, Result
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single, blind_to
from stanchion_server.quality.scorers.texts import reading_of, said_of, sentences_of, wanted_of

UNSUPPORTED = 0.5
"""From here on the engine's model holds a claim for not supported rather than supported."""
ON_QUESTION = 0.5
"""Below this a context counts as beside the question in the evidence."""


class Grounded(Single):
    """The share of the answer's claims that is to be expected as supported: the mean of the claims' chances. Evidence:
    the claims that are more likely not supported, those with a number that differs among them."""

    detector: ClassVar[str] = "groundedness"

    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, f"1.{self.detector}-{detector_class(self.detector).version}")

    def sources(self, example: Example) -> tuple[str, ...]:
        return example.contexts

    def judge(self, example: Example) -> Result | None:
        texts = [text for text in self.sources(example) if text.strip()]
        if not texts or not example.response.strip() or sum(map(len, texts)) > MOST_EVIDENCE:
            return None
        reading = reading_of(example.response)
        claims = [sentence for sentence in sentences_of(reading) if is_claim(sentence, reading.raw)]
        if not claims or len(claims) > MOST_CLAIMS:
            return None
        return self._weigh(reading.raw, claims, texts)

    def _weigh(self, text: str, claims: Sequence[Sentence], texts: Sequence[str]) -> Result:
        known = gather([one for source in texts for one in sentences_of(reading_of(source))])
        ledger, against, total = Ledger(texts), [], 0.0
        for claim in claims:
            found = weigh(text[claim.start : claim.end], claim.tokens, known, ledger)
            total += 1.0 - found.doubt
            if found.doubt >= UNSUPPORTED:
                label, reason = reason_of(found, claim, text)
                against.append(Evidence("response", claim.start, claim.end, label, round(found.doubt, 4), reason))
        reason = f"{len(claims) - len(against)} of {len(claims)} claims are supported"
        return self.result(total / len(claims), _worst(against), reason, against)


class GroundedInReference(Grounded):
    """The same against the answer that a person gave instead."""

    def sources(self, example: Example) -> tuple[str, ...]:
        return (example.reference,) if example.reference else ()


def _worst(against: Sequence[Evidence]) -> str:
    return max(against, key=lambda one: one.score or 0.0).label if against else ""


class Relevance(Single):
    detector: ClassVar[str] = "relevance"

    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, f"1.{self.detector}-{detector_class(self.detector).version}")

    def taken_up(self, question: str, text: str) -> float | None:
        """How much of the question's weight of words the text takes up, 0..1; None where one of them has no words."""
        wanted, said = wanted_of(reading_of(question)), said_of(reading_of(text))
        return 1.0 - off_question(wanted, said) if wanted and said.stems else None


class AnswerRelevance(Relevance):
    def judge(self, example: Example) -> Result | None:
        score = self.taken_up(example.asked, example.response)
        return None if score is None else self.result(score)


class ContextRelevance(Relevance):
    """The mean over the contexts. Evidence: those beside the question."""

    def judge(self, example: Example) -> Result | None:
        found = [(index, self.taken_up(example.asked, text)) for index, text in enumerate(example.contexts)]
        scores = [(index, score) for index, score in found if score is not None]
        if not scores:
            return None
        beside = [
            Evidence(
                "context", 0, 0, "beside_question", round(1.0 - score, 4), "takes up little of the question", index
            )
            for index, score in scores
            if score < ON_QUESTION
        ]
        reason = f"{len(scores) - len(beside)} of {len(scores)} contexts take up the question"
        return self.result(sum(score for _, score in scores) / len(scores), "", reason, beside)


_SAYS_NOTHING_OF = "A question that points back at earlier turns has few words of its own to be taken up."
KINDS = (
    Kind(
        Known(
            id="groundedness", title="Groundedness in the sources", family="groundedness", lane="fast",
            direction="high_is_good", threshold=0.5, usual_ratio=0.25, blind_to=blind_to("groundedness"),
        ),
        Grounded,
    ),
    Kind(
        Known(
            id="reference_groundedness", title="Groundedness in the reference answer", family="groundedness",
            lane="fast",
            direction="high_is_good", threshold=0.5, usual_ratio=1.0,
            blind_to=blind_to("groundedness", "What is right and not in the reference counts as made up."),
        ),
        GroundedInReference,
    ),
    Kind(
        Known(
            id="context_relevance", title="Relevance of the sources", family="relevance", lane="fast",
            direction="high_is_good", threshold=0.1, usual_ratio=1.0,
            blind_to=blind_to("relevance", _SAYS_NOTHING_OF),
        ),
        ContextRelevance,
    ),
    Kind(
        Known(
            id="answer_relevance", title="Relevance of the answer", family="relevance", lane="fast",
            direction="high_is_good", threshold=0.1, usual_ratio=1.0,
            blind_to=blind_to("relevance", _SAYS_NOTHING_OF),
        ),
        AnswerRelevance,
    ),
)  # fmt: skip
