"""Fits the groundedness weights and prints how they do on sets they were not fitted on.

    python guardrails/train/groundedness.py --train begin_wow.jsonl begin_cmu.jsonl --score OTHER.jsonl --out FILE.npz

Trains on the rows of `--train` and on pairs made mechanically from their evidence: claims cut from a sentence
(supported) and the same claims with a number, name, word or negation changed (not supported). Rows of `--score` are
only scored. The weights in the package come from BEGIN (google/BEGIN-dataset, CC-BY-4.0), read in November 2026.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.grounding import features, lexicon, words
from stanchion_guard.grounding.lexicon import word_set

Row = dict[str, Any]
Matrix = NDArray[np.float64]
SEED = 20261123
MECHANICAL_WEIGHT = 0.15
RIDGE = 1.0
FOLDS = 5
VERBS = word_set("""is was are were has had became began released founded directed located played won""")
NAMES = [
    "Marlow",
    "Hedda",
    "Quillon",
    "Brenta",
    "Osric",
    "Tamsin",
    "Velden",
    "Karsten",
    "Ilmari",
    "Dunmore",
    "Ferrand",
    "Loxley",
]


def load(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def measure(rows: Sequence[Row]) -> Matrix:
    return np.array([_compare(row["context"], row["response"]) for row in rows], dtype=float)


def _compare(context: str, response: str) -> tuple[float, ...]:
    evidence = features.gather(words.sentences(context))
    return features.compare(words.tokens(response), evidence).values


def mechanical(rows: Iterable[Row], rng: random.Random) -> list[Row]:
    """Pairs from the evidence of `rows` alone: their answers and labels are not read."""
    sentences = sorted({text for row in rows for text in _sentences(row["context"])})
    pool = sorted({w for text in sentences for w in text.split() if w.isalpha() and len(w) > 4})
    made: list[Row] = []
    for sentence in sentences:
        claim = _cut(sentence.split(), rng)
        if len(claim) < 4:
            continue
        for response, label in _variants(claim, pool, rng):
            made.append({"context": sentence, "response": " ".join(response), "label": label, "group": sentence[:40]})
    return made


def _sentences(context: str) -> list[str]:
    return [context[a:b] for a, b in words.spans(context) if 8 <= len(context[a:b].split()) <= 60]


def _cut(sentence: list[str], rng: random.Random) -> list[str]:
    """A claim of 4 to 12 words: the sentence's beginning, or its beginning up to the verb and a later stretch."""
    length = rng.randint(4, 12)
    verb = next((i for i, word in enumerate(sentence[:10]) if word.lower() in VERBS), None)
    if verb is None or rng.random() < 0.4:
        start = rng.choice([0, 0, rng.randrange(max(1, len(sentence) - length))])
        return sentence[start : start + length]
    later = rng.randrange(verb + 1, max(verb + 2, len(sentence) - 2))
    return [*sentence[max(0, verb - 4) : verb + 1], *sentence[later : later + rng.randint(1, 5)]]


def _variants(claim: list[str], pool: list[str], rng: random.Random) -> list[tuple[list[str], int]]:
    """The claim as it is, and changed in as many ways as it allows; a missing subject occurs on both sides."""
    found = [(claim, 0), (_dropped(claim, rng), 0)]
    wrong = [
        change(claim, pool, rng) for change in (_number, _sibling, _antonym, _negated, _late_word, _late_word, _name)
    ]
    found += [(changed, 1) for changed in wrong if changed is not None]
    denied = _sibling(claim, pool, rng)
    if denied is not None and (negated := _negated(denied, pool, rng)) is not None:
        found.append((negated, 0))
    return [(_subject(text, rng) if rng.random() < 0.3 else text, label) for text, label in found]


def _dropped(claim: list[str], rng: random.Random) -> list[str]:
    return [word for word in claim if rng.random() > 0.15] or claim


def _subject(claim: list[str], rng: random.Random) -> list[str]:
    """What evidence that says "he" or "the band" leaves open: the claim names somebody the evidence does not."""
    return [*rng.sample(NAMES, rng.randint(1, 2)), rng.choice(["is", "was"]) if claim[0].islower() else ",", *claim]


def _number(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    places = [i for i, word in enumerate(claim) if word.strip(".,").isdigit()]
    if not places:
        return None
    place = rng.choice(places)
    value = int(claim[place].strip(".,"))
    return _put(claim, place, str(value + rng.choice([-30, -10, -3, -1, 1, 2, 10, 100]) if value > 31 else value + 3))


def _sibling(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    groups = lexicon.class_words()
    places = [(i, g) for i, word in enumerate(claim) for g in groups if word.lower() in g]
    if not places:
        return None
    place, group = rng.choice(places)
    others = [word for word in group if word != claim[place].lower()]
    return _put(claim, place, rng.choice(others))


def _antonym(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    pairs = [(i, b) for i, word in enumerate(claim) for a, b in lexicon.antonym_words() if word.lower() == a]
    if not pairs:
        return None
    place, other = rng.choice(pairs)
    return _put(claim, place, other)


def _negated(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    place = next((i for i, word in enumerate(claim) if word.lower() in VERBS), None)
    if place is None:
        return None
    return [*claim[: place + 1], rng.choice(["not", "never", "not"]), *claim[place + 1 :]]


def _late_word(claim: list[str], pool: list[str], rng: random.Random) -> list[str] | None:
    places = [
        i
        for i, word in enumerate(claim)
        if i >= len(claim) // 2 and words.tokens(word)[:1] and words.tokens(word)[0].content
    ]
    return _put(claim, rng.choice(places), rng.choice(pool)) if places else None


def _name(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    places = [i for i, word in enumerate(claim) if i and word[:1].isupper()]
    return _put(claim, rng.choice(places), rng.choice(NAMES)) if places else None


def _put(claim: list[str], place: int, word: str) -> list[str]:
    return [*claim[:place], word, *claim[place + 1 :]]


def fit(values: Matrix, labels: Matrix, weights: Matrix) -> Matrix:
    """Ridge logistic regression by Newton steps on standardised values; weights for raw values, intercept last."""
    mean, spread = values.mean(0), values.std(0) + 1e-6
    design = np.c_[(values - mean) / spread, np.ones(len(values))]
    found = np.zeros(design.shape[1])
    ridge = RIDGE * np.r_[np.ones(design.shape[1] - 1), 1e-6]
    for _ in range(30):
        chance = 1 / (1 + np.exp(-design @ found))
        slope = design.T @ (weights * (chance - labels)) + ridge * found
        curve = (design * (weights * chance * (1 - chance))[:, None]).T @ design + np.diag(ridge)
        found = found - np.linalg.solve(curve, slope)
    raw = found[:-1] / spread
    return np.asarray(np.r_[raw, found[-1] - raw @ mean])


def train(rows: Sequence[Row], rng: random.Random) -> Matrix:
    made = mechanical(rows, rng)
    values = np.r_[measure(rows), measure(made)]
    labels = np.array([row["label"] for row in [*rows, *made]], dtype=float)
    return fit(values, labels, _balanced(labels, len(rows)))


def _balanced(labels: Matrix, real: int) -> Matrix:
    """Real and mechanical rows weigh alike in all, and so do both labels within each."""
    weights = np.zeros(len(labels))
    for part, share in ((slice(0, real), 1.0), (slice(real, None), MECHANICAL_WEIGHT)):
        inside = labels[part]
        for label in (0.0, 1.0):
            weights[part] += np.where(inside == label, share * real / max(1.0, 2 * float((inside == label).sum())), 0.0)
    return weights


def score(weights: Matrix, values: Matrix) -> Matrix:
    return np.asarray(1 / (1 + np.exp(-(values @ weights[:-1] + weights[-1]))))


def auc(labels: Matrix, scores: Matrix) -> float:
    positive, negative = scores[labels == 1], scores[labels == 0]
    order = np.sort(negative)
    wins = np.searchsorted(order, positive, "left") + np.searchsorted(order, positive, "right")
    return float(wins.sum() / (2 * len(positive) * len(negative)))


def average_precision(labels: Matrix, scores: Matrix) -> float:
    ranked = labels[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked == 1].mean())


def recall_at(labels: Matrix, scores: Matrix, false_rate: float) -> float:
    negative = np.sort(scores[labels == 0])[::-1]
    bar = negative[min(len(negative) - 1, int(false_rate * len(negative)))]
    return float((scores[labels == 1] > bar).mean())


def report(name: str, labels: Matrix, scores: Matrix) -> None:
    figures = (auc(labels, scores), average_precision(labels, scores), recall_at(labels, scores, 0.01))
    line = " ".join(f"{value:.3f}" for value in (*figures, recall_at(labels, scores, 0.05)))
    print(f"{name:44} {len(labels):5d} {line}")  # noqa: T201


def _labels(rows: Sequence[Row]) -> Matrix:
    return np.array([row["label"] for row in rows], dtype=float)


def cross_validate(rows: Sequence[Row]) -> Matrix:
    """Each row scored by weights fitted without its group."""
    groups = sorted({row["group"] for row in rows})
    random.Random(SEED).shuffle(groups)
    fold_of = {group: i % FOLDS for i, group in enumerate(groups)}
    folds = np.array([fold_of[row["group"]] for row in rows])
    values, scores = measure(rows), np.zeros(len(rows))
    for fold in range(FOLDS):
        weights = train([row for row, f in zip(rows, folds, strict=True) if f != fold], random.Random(SEED))
        scores[folds == fold] = score(weights, values[folds == fold])
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--score", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sets = {path.stem: load(path) for path in options.train}
    everything = [row for rows in sets.values() for row in rows]
    print(f"{'set':44} {'rows':>5} AUC   AP    R@1   R@5")  # noqa: T201
    _report_training(sets, everything)
    weights = train(everything, random.Random(SEED))
    for path in options.score:
        rows = load(path)
        report(f"{path.stem} (never trained on)", _labels(rows), score(weights, measure(rows)))
    for name, value in zip((*features.NAMES, "intercept"), weights, strict=True):
        print(f"  {name:20} {value:+.2f}")  # noqa: T201
    if options.out:
        np.savez(options.out, names=np.array(features.NAMES), weights=weights)


def _report_training(sets: dict[str, list[Row]], everything: list[Row]) -> None:
    scores = cross_validate(everything)
    start = 0
    for name, rows in sets.items():
        report(f"{name} (5 folds by group)", _labels(rows), scores[start : start + len(rows)])
        start += len(rows)
        others = [row for other, kept in sets.items() if other != name for row in kept]
        if others:
            weights = train(others, random.Random(SEED))
            report(f"{name} (set left out)", _labels(rows), score(weights, measure(rows)))


if __name__ == "__main__":
    main()
