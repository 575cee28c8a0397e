r"""Trains the shipped classifiers and writes their weights and data card.

    python guardrails/train/train.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl \
        --words words.npz --out WEIGHTS.npz --card CARD.json --date 2026-11-26

With --only, the targets that are not named stay as they are in the files of --kept.
Needs the `train` extra. Deterministic for the same data and library versions. Share-alike rows are never trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import corpora
import fit
import numpy as np
from corpora import Doc
from sklearn.linear_model import LogisticRegression

from stanchion_guard.classifiers import features
from stanchion_guard.metrics import average_precision, roc_auc

THIRDS = 3
"""One document group in so many is kept from a first model, which is calibrated and scored on it; the shipped model
sees all of them."""


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
TOXIC = ("toxic", "hate", "violence", "sexual", "self_harm")


Hows = tuple[fit.Fit, ...]


def how_of(words: Path) -> dict[str, Hows]:
    """How each target is fitted; of several fits the mean counts, since what one makes of an accident of its texts
    another does not. Toxicity of every kind leans on the word lists, rudeness in one fit on little else."""
    listed = replace(fit.PLAIN, known=fit.Known.read(words), class_scale=1.2)
    on_words = replace(listed, strength=0.1, known_scale=100.0, kind_scales=(1.0, 0.7, 0.3, 0.3, 0.1))
    plain = (replace(fit.PLAIN, strength=10.0), fit.PLAIN, replace(fit.PLAIN, strength=1.0, seed=8))
    once: Hows = (fit.PLAIN,)
    kinds = dict.fromkeys(TOXIC, (listed, replace(on_words, known=None)))
    return {"attack": plain, "indirect": once, "harm": once, **kinds, "toxic": (listed, on_words), "hate": (listed,)}


@dataclass(frozen=True)
class Bench:
    """Documents with their features, read once for every training on some of them."""

    docs: Sequence[Doc]
    texts: fit.Texts
    windows: fit.Windows
    labels: np.ndarray
    hows: Hows

    @classmethod
    def of(cls, docs: Sequence[Doc], hows: Hows = (fit.PLAIN,)) -> Bench:
        """Without texts that have no letters."""
        kept = [doc for doc in docs if len(features.grams(doc.text))]
        texts = fit.read_texts([doc.text for doc in kept])
        return cls(kept, texts, fit.windows_of(texts), np.array([doc.label for doc in kept]), hows)

    def where(self, chosen: Callable[[Doc], bool]) -> np.ndarray:
        return np.array([chosen(doc) for doc in self.docs])

    def train(self, chosen: np.ndarray) -> fit.Model:
        """A model of the chosen documents, those that may not be trained on left out."""
        seen = np.flatnonzero(chosen & self.where(lambda doc: doc.trainable))
        shares = np.zeros(len(self.docs))
        sources = [self.docs[i].source for i in seen]
        models = []
        for how in self.hows:
            shares[seen] = fit.source_shares(self.labels[seen], sources, how.source_power)
            models.append(fit.train(self.texts, self.windows, self.labels, shares, how))
        return fit.mean(models, [float(self.logits(model)[seen].std()) for model in models])

    def logits(self, model: fit.Model, allowances: np.ndarray | float = 0.0) -> np.ndarray:
        """Of every document; each window's is less by its allowance."""
        return fit.loudest(self.texts, self.windows, model, allowances)


def fold_of(doc: Doc, folds: int) -> int:
    """A group always falls into the same fold."""
    return int.from_bytes(hashlib.blake2b(doc.group.encode(), digest_size=4).digest()) % folds


def even_threshold(docs: Sequence[Doc], scores: np.ndarray, false_positive_ratio: float) -> float:
    """The threshold above which this share of harmless texts lies when every family of sources weighs the same."""
    counts = Counter(doc.family for doc in docs if doc.label == 0)
    rare = {family for family, count in counts.items() if count < 30}
    share = np.array([0.0 if doc.label or doc.family in rare else 1 / counts[doc.family] for doc in docs])
    order = np.argsort(-scores)
    above = np.cumsum(share[order]) / share.sum()
    return float(scores[order][np.searchsorted(above, false_positive_ratio)])


def calibrate(docs: Sequence[Doc], logits: np.ndarray, segments: np.ndarray) -> tuple[float, float, float]:
    """slope, centre and length slope of linear.Weights."""
    labels = np.array([doc.label for doc in docs])
    length = np.log(np.maximum(segments, 1))
    model = LogisticRegression(class_weight="balanced").fit(np.column_stack((logits, length)), labels)
    slope = max(float(model.coef_[0][0]), 0.2)
    length_slope = min(max(-float(model.coef_[0][1]) / slope, 0.0), 1.0)
    return slope, even_threshold(docs, logits - length_slope * length, 0.01), length_slope


def figures(docs: Sequence[Doc], scores: np.ndarray) -> dict[str, object]:
    """Figures of the held third: pooled, and at 0.5 by source (share flagged)."""
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


def quantised(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers of at most 127 and each target's scale; the largest hundred-thousandth is clipped. Small, so that the
    table does not drive everything else out of the processor's caches."""
    scales = np.maximum(np.quantile(np.abs(table), 0.99999, axis=0) / 127, 1e-9).astype(np.float32)
    return np.clip(np.rint(table / scales), -127, 127).astype(np.int8), scales


Arrays = dict[str, np.ndarray]
PARTS = ("table", "scales", "classes", "biases", "calibrations")


def column(model: fit.Model, calibration: tuple[float, float, float]) -> Arrays:
    """What a weights file holds of one target."""
    table, scales = quantised(model.table[:, None])
    return {
        "table": table[:, 0],
        "scales": scales[0],
        "classes": model.classes.astype(np.float16),
        "biases": model.biases.astype(np.float32),
        "calibrations": np.array(calibration, dtype=np.float32),
    }


def kept(path: Path, target: str) -> Arrays:
    """The same of a target of an older file."""
    with np.load(path) as stored:
        at = [str(name) for name in stored["targets"]].index(target)
        found = {name: stored[name][..., at] for name in PARTS[:-1]}
        return found | {"calibrations": stored["calibrations"][at]}


def pack(columns: Sequence[Arrays]) -> Arrays:
    """The arrays of a weights file, one column for each target in order."""
    stacked = {name: np.stack([one[name] for one in columns], axis=-1) for name in PARTS[:-1]}
    arrays = {
        "targets": np.array(list(TARGETS)),
        **{name: stacked[name] for name in ("table", "scales")},
        "masks": fit.MASKS,
        **{name: stacked[name] for name in ("classes", "biases")},
        "calibrations": np.stack([one["calibrations"] for one in columns]).astype(np.float32),
    }
    digest = hashlib.blake2b(b"".join(array.tobytes() for array in arrays.values()), digest_size=6).hexdigest()
    return arrays | {"version": np.array(digest)}


def trained(bench: Bench) -> tuple[Arrays, dict[str, object]]:
    """One target: its column, and its part of the data card."""
    held = bench.where(lambda doc: fold_of(doc, THIRDS) == 0)
    some = [bench.docs[i] for i in np.flatnonzero(held)]
    logits, segments = bench.logits(bench.train(~held))[held], bench.texts.segment_counts()[held]
    slope, centre, length_slope = calibrate(some, logits, segments)
    exponents = slope * (logits - centre - length_slope * np.log(segments))
    told = figures(some, 1 / (1 + np.exp(-np.clip(exponents, -30, 30))))
    model = bench.train(np.ones(len(bench.docs), dtype=bool))
    return column(model, (slope, centre, length_slope)), {"held_third": told, "sources": card(bench.docs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--words", type=Path, required=True, help="what wordlists.py wrote")
    parser.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--kept", type=Path, nargs=2, metavar=("WEIGHTS", "CARD"), help="the other targets' files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--date", required=True, help="stands in the data card")
    arguments = parser.parse_args()
    how, columns, told = how_of(arguments.words), [], {}
    old = json.loads(arguments.kept[1].read_text(encoding="utf-8"))["targets"] if arguments.kept else {}
    for target, gather in TARGETS.items():
        if target not in arguments.only:
            columns.append(kept(arguments.kept[0], target))
            told[target] = old[target]
            continue
        docs = [doc for doc in gather(arguments.data, arguments.extra) if doc.trainable]
        found, told[target] = trained(Bench.of(docs, how[target]))
        columns.append(found)
        sys.stderr.write(f"{target}: {len(docs)} texts, AUC {told[target]['held_third']['roc_auc']:.4f}\n")
    np.savez_compressed(arguments.out, **pack(columns))
    arguments.card.write_text(json.dumps({"date": arguments.date, "targets": told}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
