"""Prompt attacks, harmful intent and toxicity by a sentence model beside the light classifiers: dearer and better.

Meant to come `after` the light detector of the same name, in the band of scores where that one is unsure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stanchion_guard.classifiers import judging, linear
from stanchion_guard.classifiers.judging import Judged
from stanchion_guard.detectors import Tier
from stanchion_guard.detectors.heavy import encoder, heads
from stanchion_guard.detectors.heavy.encoder import Embeds
from stanchion_guard.detectors.heavy.heads import Heads, Run
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

LONGEST, MOST_CHARACTERS = 4_000, 40_000
"""Characters of a window, and of all windows of a message, that are read: time and memory have a bound, whatever is
sent. 16 sentences are rarely longer."""
_LANGUAGES = (
    "Languages other than Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean, Polish, "
    "Portuguese, Russian, Spanish, Thai and Turkish; figures in docs/detectors.md."
)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the model says of one view: its score, and where its loudest window stands."""

    score: float
    judged: Judged
    window: Run

    def original(self) -> tuple[int, int]:
        return self.judged.view.original(*self.judged.segments.range_of(*self.window))


class _SecondLook:
    """The score of the loudest view: the light score and the network's together."""

    version = "1"
    tier: Tier = "heavy"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    threshold = 0.5
    reach: int | None = None
    name: ClassVar[str]
    labels: tuple[str, ...]
    target: ClassVar[str]
    reason: ClassVar[str]

    def __init__(self, model: tuple[Heads, Embeds] | None = None) -> None:
        """`model` None takes the shipped networks and the installed encoder; a policy cannot state another."""
        words = linear.load()
        loaded, self._encoder = (heads.load(), encoder.load()) if model is None else model
        self._head = loaded.by_target[self.target]
        self.version = f"{type(self).version}.{loaded.version}.{words.version}"

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        looks = self._looks(self._views(reading))
        if not looks:
            return Detection(None, skipped="no words")
        loud = [look for look in looks if look.score >= self.threshold]
        found = (self._finding(look, part) for look in loud)
        return Detection(max(look.score for look in looks), tuple(found), limit=judging.limit(reading))

    def _views(self, reading: Reading) -> Sequence[Judged]:
        """What the light classifier says of each view."""
        return judging.judge(reading, self.target)

    def _looks(self, views: Sequence[Judged]) -> list[_Look]:
        """All windows of all views are embedded in one go. A view that the budget leaves nothing for is not told."""
        windows = _windows(views)
        logits = self._head.logits(self._encoder.embed([text for _, _, text in windows])).tolist() if windows else []
        loudest: dict[int, tuple[float, Run]] = {}
        for logit, (number, run, _) in zip(logits, windows, strict=True):
            loudest[number] = max(loudest.get(number, (logit, run)), (logit, run))
        return [self._look(views[number], *found) for number, found in loudest.items()]

    def _look(self, one: Judged, logit: float, window: Run) -> _Look:
        return _Look(self._head.score(one.score, logit, len(one.segments)), one, window)

    def _finding(self, look: _Look, part: int) -> Finding:
        return Finding(
            self.name, self.labels[0], look.score, part, *look.original(), self.reason, look.judged.view.name
        )


def _windows(views: Sequence[Judged]) -> list[tuple[int, Run, str]]:
    """The view's number, the range of segments and the text of each window, the loudest view first, until
    MOST_CHARACTERS are reached."""
    found: list[tuple[int, Run, str]] = []
    left = MOST_CHARACTERS
    for number, one in enumerate(views):
        for run in heads.runs(len(one.segments), (one.first, one.last)):
            start, end = one.segments.range_of(*run)
            text = one.view.text[start : min(end, start + LONGEST)]
            left -= len(text)
            if left < 0:
                return found
            found.append((number, run, text))
    return found


class PromptInjectionModel(_SecondLook):
    """Attacks on the model in what a user writes. For orders in documents `prompt_injection` has a part of its own."""

    name = "prompt_injection_model"
    target = "attack"
    labels = ("attack",)
    reason = "means much the same as known attacks"
    version = "2"
    blind_to = (
        "Attacks in documents, plain requests that only the system prompt forbids, attacks spread over several "
        f"messages, ciphers other than base64, hex and URL encoding. {_LANGUAGES}"
    )

    def _views(self, reading: Reading) -> Sequence[Judged]:
        """With what passages in other languages have to score more."""
        return judging.attacks(reading)


class HarmfulIntentModel(_SecondLook):
    """Requests for help with harm."""

    name = "harmful_intent_model"
    target = "harm"
    labels = ("harmful_request",)
    reason = "means much the same as requests for help with harm"
    blind_to = f"Intent where words and topic are the same (XSTest), and harm asked for politely. {_LANGUAGES}"


class ToxicityModel(_SecondLook):
    """Toxicity of any kind, without a kind."""

    name = "toxicity_model"
    target = "toxic"
    labels = ("toxic",)
    reason = "means much the same as toxic content"
    blind_to = (
        "Irony, quotations that condemn, reclaimed words, and which kind of toxicity it is. It may flag texts for the "
        f"group that they name: see docs/detectors.md. {_LANGUAGES}"
    )
