"""Fits the groundedness weights and prints how they do on sets they were not fitted on.

    python guardrails/train/groundedness.py --train begin_wow.jsonl begin_cmu.jsonl --score OTHER.jsonl --out FILE.npz

Trains on the rows of `--train`, on the hand-written blocks of `claims/` and on pairs made mechanically from the
evidence of `--train`, weighed by `SHARES`; both labels weigh alike within each. Rows of `--score` are only scored. The
weights in the package come from BEGIN (google/BEGIN-dataset, CC-BY-4.0), read in November 2026.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import network
import numpy as np
import pairs
from network import Matrix, Network
from pairs import Row

from stanchion_guard.grounding import features, words

SEED = 20261125
FOLDS = 5
SHARES = (1.5, 1.0, 1.0)
"""Weight of the real rows, the written claims and the mechanical pairs."""
MOST_MADE = 8_000
CLAIMS = Path(__file__).parent / "claims"


def load(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def measure(rows: Sequence[Row]) -> Matrix:
    return np.array([_compare(row["context"], row["response"]) for row in rows], dtype=float)


def _compare(context: str, response: str) -> tuple[float, ...]:
    evidence = features.gather(words.sentences(context))
    return features.compare(words.tokens(response), evidence).values


class Data:
    """Measured rows of one source; `groups` name what must stay on one side of a split."""

    def __init__(self, name: str, rows: Sequence[Row], prefix: str = "") -> None:
        self.name = name
        self.values = measure(rows)
        self.labels = np.array([row["label"] for row in rows], dtype=float)
        self.groups = np.array([prefix + str(row["group"]) for row in rows])

    def without(self, groups: frozenset[str]) -> np.ndarray:
        return np.array([group.removeprefix(pairs.MADE) not in groups for group in self.groups])


def train(sources: Sequence[Sequence[Data]], left_out: frozenset[str] = frozenset()) -> Network:
    """`sources` are real rows, written claims and mechanical pairs. Rows of the groups `left_out` are not used."""
    values, labels, weights = [], [], []
    for source, share in zip(sources, SHARES, strict=True):
        kept = [data.without(left_out) for data in source]
        values.append(np.concatenate([data.values[k] for data, k in zip(source, kept, strict=True)]))
        labels.append(np.concatenate([data.labels[k] for data, k in zip(source, kept, strict=True)]))
        weights.append(share * _balanced(labels[-1]))
    return network.fit(np.concatenate(values), np.concatenate(labels), np.concatenate(weights), SEED)


def _balanced(labels: Matrix) -> Matrix:
    shares = {label: 1.0 / max(1.0, 2 * float((labels == label).sum())) for label in (0.0, 1.0)}
    return np.where(labels == 1, shares[1.0], shares[0.0])


def cross_validate(sources: Sequence[Sequence[Data]]) -> dict[str, Matrix]:
    """Each row of each source scored by a network fitted without its group."""
    groups = sorted({group.removeprefix(pairs.MADE) for source in sources for data in source for group in data.groups})
    random.Random(SEED).shuffle(groups)
    scores = {data.name: np.zeros(len(data.labels)) for source in sources for data in source}
    for fold in range(FOLDS):
        held = frozenset(groups[fold::FOLDS])
        fitted = train(sources, held)
        for data in (data for source in sources for data in source):
            inside = ~data.without(held)
            if inside.any():
                scores[data.name][inside] = fitted.score(data.values[inside])
    return scores


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
    print(f"{name:44} {len(labels):5d} {line}", flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--score", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sets = {path.stem: load(path) for path in options.train}
    real = [Data(name, rows, f"{name} ") for name, rows in sets.items()]
    own = Data("written claims", pairs.written(CLAIMS))
    made = {name: _made(name, rows) for name, rows in sets.items()}
    print(f"{'set':44} {'rows':>5} AUC   AP    R@1   R@5")  # noqa: T201
    _report(real, own, made)
    fitted = train([real, [own], list(made.values())])
    for path in options.score:
        scored = Data(path.stem, load(path))
        report(f"{path.stem} (never trained on)", scored.labels, fitted.score(scored.values))
    if options.out:
        _save(options.out, fitted)


def _made(name: str, rows: Sequence[Row]) -> Data:
    drawn = random.Random(SEED)
    found = pairs.mechanical([{**row, "group": f"{name} {row['group']}"} for row in rows], drawn)
    drawn.shuffle(found)
    return Data(f"made from {name}", found[:MOST_MADE])


def _report(real: Sequence[Data], own: Data, made: dict[str, Data]) -> None:
    sources: list[Sequence[Data]] = [real, [own], list(made.values())]
    for name, scores in cross_validate(sources).items():
        labels = next(data.labels for source in sources for data in source if data.name == name)
        report(f"{name} (5 folds by group)", labels, scores)
    for data in real:
        others = [other for other in real if other is not data]
        if others:
            fitted = train([others, [own], [made[other.name] for other in others]])
            report(f"{data.name} (set left out)", data.labels, fitted.score(data.values))


def _save(out: Path, fitted: Network) -> None:
    kept = {name: getattr(fitted, name).astype(np.float32) for name in ("direct", "inner", "bias", "outer")}
    np.savez_compressed(out, names=np.array(features.NAMES), rest=np.float32(fitted.rest), **kept)


if __name__ == "__main__":
    main()
