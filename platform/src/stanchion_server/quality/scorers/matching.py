"""Likeness of the answer to another one: a person's correction, or what the version before had answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stanchion_server.quality.records import Example, Result
from stanchion_server.quality.scorers.known import Kind, Known, Parameters, Single
from stanchion_server.quality.scorers.texts import reading_of, words_of

MOST_WORDS = 2_000


def token_f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    """Harmonic mean of the shares of words that the other side has too, counted with repetitions (as SQuAD does, but
    articles count)."""
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted)) if said and wanted else 0.0


def rouge_l(said: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words (Lin 2004, with precision and recall weighing the same)."""
    common = _longest_common(said, wanted)
    return 2 * common / (len(said) + len(wanted)) if said and wanted else 0.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits: one addition of long integers a word (Hyyrö 2004)."""
    where: dict[str, int] = {}
    for place, word in enumerate(one):
        where[word] = where.get(word, 0) | 1 << place
    everything = (1 << len(one)) - 1
    rest = everything
    for word in other:
        hit = rest & where.get(word, 0)
        rest = (rest + hit) | (rest - hit)
    return (~rest & everything).bit_count()


class Match(Single):
    """Token F1; the reason tells ROUGE-L beside it, which minds the order of the words."""

    def __init__(self, known: Known, parameters: Parameters) -> None:
        super().__init__(known, "1")

    def other(self, example: Example) -> str | None:
        raise NotImplementedError

    def judge(self, example: Example) -> Result | None:
        other = self.other(example)
        if not other or not other.strip() or not example.response.strip():
            return None
        said, wanted = _words(example.response), _words(other)
        if not wanted:
            return None
        label = "same" if said == wanted else ""
        return self.result(token_f1(said, wanted), label, f"ROUGE-L {rouge_l(said, wanted):.2f}")


class ReferenceMatch(Match):
    def other(self, example: Example) -> str | None:
        return example.reference


def _words(text: str) -> list[str]:
    return [word.lower() for word in words_of(reading_of(text))[:MOST_WORDS]]


_BLIND = f"The same in other words; scripts written without spaces; words after the first {MOST_WORDS:,}."
KINDS = (
    Kind(
        Known(
            id="reference_match", title="Words shared with the reference answer", family="similarity", lane="fast",
            direction="high_is_good", threshold=None, usual_ratio=1.0, blind_to=_BLIND,
        ),
        ReferenceMatch,
    ),
)  # fmt: skip
