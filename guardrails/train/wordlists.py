"""What openly licensed word lists say of each word, as numbers that a training can lean on.

    python guardrails/train/wordlists.py --wheels DIR --out words.npz

DIR holds the unpacked packages vaderSentiment (MIT: how pleasant people find a word, with feelings' signs left out),
cuss (npm, MIT: how surely a word is meant as profanity, in six languages) and naughty-words (npm, CC-BY-4.0: words that
one would not show in public, in 28 languages). They serve training only: what is learned on their columns is added to
the words' own weights.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from stanchion_guard.classifiers import features

COLUMNS = ("unpleasant", "pleasant", "sure profanity", "likely profanity", "possible profanity", "not for the public")


def unpleasant(path: Path) -> dict[str, float]:
    """-1 (unpleasant) to 1, by word."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, value, *_ = line.split("\t")
        if word.isalpha():
            found[word.lower()] = float(value) / 4
    return found


def rated(folder: Path) -> dict[str, int]:
    """0 (unlikely) to 2 (certain), the highest of all languages."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        for word, rating in re.findall(r"^\s+'?([^\s':]+)'?: ([012]),?$", text, re.MULTILINE):
            found[word] = max(found.get(word, 0), int(rating))
    return found


def listed(folder: Path) -> set[str]:
    """Single words of every language's list."""
    found: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        if not path.name.startswith(("package", "bower")):
            found |= {word for word in json.loads(path.read_text(encoding="utf-8")) if word.isalpha()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(COLUMNS))
    for word, value in unpleasant(options.wheels / "vaderSentiment/vaderSentiment/vader_lexicon.txt").items():
        table[word][0 if value < 0 else 1] = abs(value)
    for word, rating in rated(options.wheels / "npm_cuss/package").items():
        table[word][4 - rating] = 1.0
    for word in listed(options.wheels / "npm_naughty-words/package"):
        table[word.casefold()][5] = 1.0
    words = sorted(table)
    hashes = np.array([features.hash_of(word) for word in words], dtype=np.uint32)
    np.savez(options.out, hashes=hashes, vectors=np.array([table[word] for word in words], dtype=np.float32))


if __name__ == "__main__":
    main()
