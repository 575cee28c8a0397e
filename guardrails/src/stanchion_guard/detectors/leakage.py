"""What must not come out: canary words, and the system prompt itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stanchion_guard.detectors import Tier
from stanchion_guard.grounding.words import spans, tokens
from stanchion_guard.records import Detection, Finding, Part, Subject
from stanchion_guard.views import Reading, View

RUN = 6
_SHORTEST = 6


def _bare(text: str) -> tuple[str, list[int]]:
    """Letters and digits alone in lower case, with the place of each."""
    kept = [(character.lower(), i) for i, character in enumerate(text) if character.isalnum()]
    return "".join(c[:1] for c, _ in kept), [i for _, i in kept]


class Canary:
    """Finds the given words as they stand, disguised, spaced out, reversed, and inside encoded payloads."""

    name = "canary"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"words": {"type": "array", "items": {"type": "string", "minLength": _SHORTEST}, "minItems": 1}},
        "required": ["words"],
        "additionalProperties": False,
    }
    labels = ("canary", "canary_disguised")
    threshold = 0.5
    blind_to = "A canary translated, described, split over several answers, or encoded as the reading does not undo."

    def __init__(self, words: Sequence[str]) -> None:
        self._words = {word: _bare(word)[0] for word in words}
        if not words or any(len(bare) < _SHORTEST for bare in self._words.values()):
            raise ValueError(
                f"a canary needs at least {_SHORTEST} letters or digits, so that it does not turn up by chance"
            )

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        plain = [found for word in self._words if (found := _plain(reading.raw, word, part))]
        if plain:
            return Detection(1.0, tuple(plain))
        hidden = [found for bare in self._words.values() if (found := self._hidden(reading, bare, part))]
        return Detection(0.95, tuple(hidden)) if hidden else Detection(0.0)

    def _hidden(self, reading: Reading, bare: str, part: int) -> Finding | None:
        for view in (reading.folded, reading.squeezed, *reading.payloads):
            text, places = _bare(view.text)
            for needle in (bare, bare[::-1]):
                if (at := text.find(needle)) >= 0:
                    start, end = view.original(places[at], places[at + len(needle) - 1] + 1)
                    reason = "a canary word, disguised"
                    return Finding(self.name, "canary_disguised", 0.95, part, start, end, reason, view.name)
        return None


def _plain(text: str, word: str, part: int) -> Finding | None:
    at = text.find(word)
    return Finding("canary", "canary", 1.0, part, at, at + len(word), "a canary word") if at >= 0 else None


class SystemPromptLeak:
    """Score: the share of the system prompt's six-word runs that the output repeats, raised by one long run.

    An output sentence whose content words nearly all stand in one sentence of the prompt is a light paraphrase.
    """

    name = "system_prompt_leak"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    labels = ("copied", "paraphrased")
    threshold = 0.5
    blind_to = "Translations, summaries in other words, ciphers, and leaks of fewer than six words in a row."

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        prompts = [p for p in subject.parts if p.role == "system" and p is not subject.parts[part]]
        if not prompts:
            return Detection(None, skipped="the subject has no part with the role system")
        best = Detection(0.0)
        for view in (reading.folded, *reading.payloads):
            found = self._judge(view, prompts, subject, part)
            if (found.score or 0.0) > (best.score or 0.0):
                best = found
        return best

    def _judge(self, view: View, prompts: Sequence[Part], subject: Subject, part: int) -> Detection:
        asked = _runs(_words(subject.texts("input"), prompts))
        secret = {run for prompt in prompts for run in _runs(_split(prompt.text)[0])} - asked
        words, places = _split(view.text)
        hits = [i for i in range(len(words) - RUN + 1) if tuple(words[i : i + RUN]) in secret]
        if not hits:
            return self._paraphrase(view, prompts, subject, part)
        longest = max(_stretches(hits), key=lambda stretch: stretch[1] - stretch[0])
        share = len({tuple(words[i : i + RUN]) for i in hits}) / max(1, len(secret))
        score = round(min(1.0, max(share * 1.5, (longest[1] - longest[0] + RUN) / 16)), 4)
        findings = []
        for first, last in _stretches(hits):
            start, end = view.original(places[first][0], places[last + RUN - 1][1])
            reason = f"{last - first + RUN} words in a row stand in the system prompt"
            findings.append(Finding(self.name, "copied", score, part, start, end, reason, view.name))
        return Detection(score, tuple(findings))

    def _paraphrase(self, view: View, prompts: Sequence[Part], subject: Subject, part: int) -> Detection:
        secrets = [_content(text) for prompt in prompts for text in _sentences(prompt.text)]
        asked = _content(" ".join(_words(subject.texts("input"), prompts)))
        best, where = 0.0, (0, 0)
        for start, end in spans(view.text):
            said = _content(view.text[start:end])
            if len(said) < 5 or len(said & asked) >= 0.8 * len(said):
                continue
            for secret in secrets:
                overlap = len(said & secret) / max(len(said), len(secret)) if len(secret) >= 5 else 0.0
                if overlap > best:
                    best, where = overlap, (start, end)
        score = round(min(0.9, best), 4)
        if score < 0.6:
            return Detection(score * 0.8)
        start, end = view.original(*where)
        reason = "nearly the words of one sentence of the system prompt"
        return Detection(score, (Finding(self.name, "paraphrased", score, part, start, end, reason, view.name),))


def _words(texts: Iterable[str], prompts: Sequence[Part]) -> list[str]:
    """What the user wrote: input parts that are not the system prompt."""
    system = {prompt.text for prompt in prompts}
    return [word for text in texts if text not in system for word in _split(text)[0]]


def _split(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    words: list[str] = []
    places: list[tuple[int, int]] = []
    start = -1
    for i, character in enumerate([*text, " "]):
        if character.isalnum():
            start = i if start < 0 else start
        elif start >= 0:
            words.append(text[start:i].casefold())
            places.append((start, i))
            start = -1
    return words, places


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def _stretches(hits: list[int]) -> list[tuple[int, int]]:
    """Neighbouring hits joined: first and last index of each stretch."""
    found: list[tuple[int, int]] = []
    for hit in hits:
        if found and hit <= found[-1][1] + RUN:
            found[-1] = (found[-1][0], hit)
        else:
            found.append((hit, hit))
    return found


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in spans(text)]


def _content(text: str) -> set[str]:
    return {token.stem for token in tokens(text) if token.content}
