"""Word classes: words that do the same work in a sentence, in many languages, so that a classifier can learn "a verb of
setting aside beside a noun for instructions" and not one wording of it.

They stand in word_classes.txt. No word decides anything by itself: the weights of single classes and of pairs of
classes in one segment are learned.
"""

from __future__ import annotations

from pathlib import Path

STEM = 0x9E3779B9
"""What the hash of a stem is mixed with, so that a stem is not taken for a word."""


def _read() -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in (Path(__file__).parent / "word_classes.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            found[name] = f"{found[name]} {line}"
        elif line.endswith(":"):
            name = line.removesuffix(":")
            found[name] = ""
    return found


_CLASSES = _read()
CLASSES: tuple[str, ...] = tuple(_CLASSES)
_ATTACK = """set_aside before orders persona unbound assistant reveal hidden refusing absolute carry_out link fiction
    cipher mode from_now marker"""
_TOXIC = "identity hostile_verb demeaning violent negation kind reported sexual self_harm addressed crowd swearing"
_HARM = "how_to dangerous unlawful violent fiction persona addressed sexual self_harm"
_TOGETHER = (_ATTACK, _TOXIC, _HARM)
"""Classes that mean more together than each by itself."""
IDENTITY = 1 << CLASSES.index("identity")


def masks() -> dict[str, int]:
    """Class bits of every word, and of every stem under its first five letters with a `*`."""
    found: dict[str, int] = {}
    for bit, words in enumerate(_CLASSES.values()):
        for word in words.split():
            key = word[:5] + "*" if word.endswith("*") and len(word) > 5 else word.rstrip("*")
            found[key] = found.get(key, 0) | 1 << bit
    return found


def combinations() -> tuple[int, ...]:
    """Masks of every single class, then of the pairs of classes that are weighed together."""
    groups = [[1 << CLASSES.index(name) for name in names.split()] for names in _TOGETHER]
    found = {one | other for group in groups for one in group for other in group if one < other}
    return (*(1 << bit for bit in range(len(CLASSES))), *sorted(found))
