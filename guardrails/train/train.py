r"""Trains the shipped classifiers and writes their weights and data card.

    python guardrails/train/train.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl \
        --meanings meanings.npz --out WEIGHTS.npz --card CARD.json --date 2026-11-24

Needs the `train` extra. Deterministic for the same data and library versions. Share-alike rows are never trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import corpora
import fit
import numpy as np
from corpora import Doc
from sklearn.linear_model import LogisticRegression

from stanchion_guard.classifiers import features
from stanchion_guard.metrics import average_precision, roc_auc

FOLDS = 3
MEANINGS_SCALE = 1.5
CHARACTERS = 1 << features.CHARACTER_BITS
WORDS = features.WORD_ROWS


def _category(name: str) -> Callable[[Path, Sequence[Path]], list[Doc]]:
    return lambda data, extras: corpora.toxic_category(data, extras, name)


TARGETS: dict[str, Callable[[Path, Sequence[Path]], list[Doc]]] = {
    "attack": corpora.attacks,
    "indirect": corpora.indirect,
    "harm": corpora.harmful,
    "toxic": corpora.toxic,
    "hate": _category("hate"),
    "violence": _category("violence"),
    "sexual": _category("sexual"),
    "self_harm": _category("self_harm"),
}


@dataclass
class Bench:
    """Windows of every text, made once for all targets."""

    how: fit.Fit = fit.PLAIN
    made: dict[str, fit.Windows | None] = field(default_factory=dict)

    def windows(self, text: str) -> fit.Windows | None:
        if text not in self.made:
            self.made[text] = fit.windows(text, 120)
        return self.made[text]

    def usable(self, docs: Sequence[Doc]) -> list[Doc]:
        return [doc for doc in docs if doc.trainable and self.windows(doc.text) is not None]

    def train(self, docs: Sequence[Doc]) -> np.ndarray:
        found = [one for doc in docs if (one := self.windows(doc.text)) is not None]
        return fit.train(found, np.array([doc.label for doc in docs]), [doc.source for doc in docs], self.how)

    def logits(self, docs: Sequence[Doc], weights: np.ndarray) -> np.ndarray:
        return np.array([fit.logit(one, weights) for doc in docs if (one := self.windows(doc.text)) is not None])

    def segments(self, docs: Sequence[Doc]) -> np.ndarray:
        return np.array([one.segments for doc in docs if (one := self.windows(doc.text)) is not None])


def bench_with(meanings: Path | None) -> Bench:
    """A bench whose classifiers know the words' meanings (meanings.py), if a file of them is given."""
    return Bench() if meanings is None else Bench(fit.Fit(meanings=fit.Meanings.read(meanings, MEANINGS_SCALE)))


def fold_of(doc: Doc, folds: int = FOLDS) -> int:
    """A group always falls into the same fold."""
    return int.from_bytes(hashlib.blake2b(doc.group.encode(), digest_size=4).digest()) % folds


def out_of_fold(bench: Bench, docs: Sequence[Doc]) -> np.ndarray:
    """Each document's logit from a model that saw no document of its group."""
    folds = np.array([fold_of(doc) for doc in docs])
    logits = np.zeros(len(docs))
    for number in range(FOLDS):
        weights = bench.train([doc for doc, fold in zip(docs, folds, strict=True) if fold != number])
        held = [doc for doc, fold in zip(docs, folds, strict=True) if fold == number]
        logits[folds == number] = bench.logits(held, weights)
    return logits


def even_threshold(docs: Sequence[Doc], scores: np.ndarray, false_positive_ratio: float) -> float:
    """The threshold above which this share of harmless texts lies when every source of them weighs the same."""
    counts = Counter(doc.source for doc in docs if doc.label == 0)
    rare = {source for source, count in counts.items() if count < 30}
    share = np.array([0.0 if doc.label or doc.source in rare else 1 / counts[doc.source] for doc in docs])
    order = np.argsort(-scores)
    above = np.cumsum(share[order]) / share.sum()
    return float(scores[order][np.searchsorted(above, false_positive_ratio)])


def calibrate(docs: Sequence[Doc], logits: np.ndarray, segments: np.ndarray) -> tuple[float, float, float]:
    """slope, centre and length slope of linear.Calibration."""
    labels = np.array([doc.label for doc in docs])
    length = np.log(np.maximum(segments, 1))
    model = LogisticRegression(class_weight="balanced").fit(np.column_stack((logits, length)), labels)
    slope = max(float(model.coef_[0][0]), 0.2)
    length_slope = min(max(-float(model.coef_[0][1]) / slope, 0.0), 1.0)
    return slope, even_threshold(docs, logits - length_slope * length, 0.01), length_slope


def figures(docs: Sequence[Doc], scores: np.ndarray) -> dict[str, object]:
    """Cross-validated figures: pooled, and at 0.5 by source (share flagged)."""
    labels = np.array([bool(doc.label) for doc in docs])
    flagged: dict[str, list[bool]] = defaultdict(list)
    for doc, score in zip(docs, scores, strict=True):
        flagged[f"{doc.source} label {doc.label}"].append(bool(score >= 0.5))
    return {
        "roc_auc": roc_auc(labels, scores),
        "average_precision": average_precision(labels, scores),
        "flagged_at_0.5": {
            name: [len(found), round(float(np.mean(found)), 4)] for name, found in sorted(flagged.items())
        },
    }


def card(docs: Sequence[Doc]) -> dict[str, object]:
    """Sources of one target: rows by label, licences."""
    rows: dict[str, dict[str, object]] = {}
    for doc in docs:
        entry = rows.setdefault(doc.source, {"licence": doc.licence, "label_0": 0, "label_1": 0})
        entry[f"label_{doc.label}"] = int(str(entry[f"label_{doc.label}"])) + 1
    return dict(sorted(rows.items()))


def quantised(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Small integers and the scale of each column. The largest hundredth of a thousandth is clipped."""
    scale = np.maximum(np.quantile(np.abs(columns), 0.9999, axis=0) / 127, 1e-9).astype(np.float32)
    return np.clip(np.rint(columns / scale), -127, 127).astype(np.int8), scale


def pack(columns: Sequence[np.ndarray], calibrations: Sequence[tuple[float, float, float]]) -> dict[str, np.ndarray]:
    """The arrays of a weights file."""
    table = np.stack(columns, axis=1)
    characters, character_scale = quantised(table[:CHARACTERS])
    words, word_scale = quantised(table[CHARACTERS : CHARACTERS + WORDS])
    rest = table[CHARACTERS + WORDS :]
    pairs = np.zeros((len(columns), fit.CLASSES, fit.CLASSES), dtype=np.float32)
    upper = np.triu_indices(fit.CLASSES, 1)
    pairs[:, upper[0], upper[1]] = rest[fit.CLASSES : fit.CLASSES + len(upper[0])].T
    arrays = {
        "targets": np.array(list(TARGETS)),
        "characters": characters,
        "words": words,
        "scales": np.stack((character_scale, word_scale)),
        "classes": rest[: fit.CLASSES].astype(np.float16),
        "pairs": pairs.astype(np.float16),
        "biases": rest[-len(fit.WINDOWS) :].astype(np.float32),
        "calibrations": np.array(calibrations, dtype=np.float32),
    }
    digest = hashlib.blake2b(b"".join(array.tobytes() for array in arrays.values()), digest_size=6).hexdigest()
    return arrays | {"version": np.array(digest)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--meanings", type=Path, help="what meanings.py made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--date", required=True, help="stands in the data card")
    arguments = parser.parse_args()
    bench = bench_with(arguments.meanings)
    columns, calibrations, told = [], [], {}
    for target, gather in TARGETS.items():
        docs = bench.usable(gather(arguments.data, arguments.extra))
        logits, segments = out_of_fold(bench, docs), bench.segments(docs)
        slope, centre, length_slope = calibrate(docs, logits, segments)
        exponents = slope * (logits - centre - length_slope * np.log(np.maximum(segments, 1)))
        scores = 1 / (1 + np.exp(-np.clip(exponents, -30, 30)))
        told[target] = {"cross_validated": figures(docs, scores), "sources": card(docs)}
        columns.append(bench.train(docs))
        calibrations.append((slope, centre, length_slope))
        sys.stderr.write(f"{target}: {len(docs)} texts, AUC {told[target]['cross_validated']['roc_auc']:.4f}\n")
    np.savez_compressed(arguments.out, **pack(columns, calibrations))
    arguments.card.write_text(json.dumps({"date": arguments.date, "targets": told}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
