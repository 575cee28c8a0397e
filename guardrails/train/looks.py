"""Training of the second look: windows of documents become sentence embeddings, a small network learns windows, the
loudest window speaks.

As in fit.py only the loudest windows of a positive document stay positive once there is a first fit. Deterministic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fit
import numpy as np
from train import Bench

from stanchion_guard.classifiers import features
from stanchion_guard.detectors.heavy import encoder, heads

HIDDEN, NETS, BATCH, STEP = 32, 3, 256, 2e-3
"""Units of one network, networks from different starts, windows of a step, Adam's step."""
SCALE = 8.0
"""Embeddings are unit rows of 512; this makes a single number of one about 0.4."""
MARGIN = 1.0
"""After a third and two thirds of the passes the windows of positive documents that lie this far below the loudest are
set aside."""
_CHUNK = 2_000
Floats = np.ndarray


@dataclass(frozen=True)
class Shape:
    """Passes over the windows, weight decay, and how much the network weighs beside the light score."""

    epochs: int = 9
    decay: float = 1e-3
    weight: float = 1.0


USUAL = Shape()
SHAPES = {"toxic": Shape(18, 3e-3, 3.0)}
"""By target, where it is not the usual one: words tell hate from talk about hate hardly at all, so the network learns
longer and weighs more. Chosen by our own templates and one package's texts, left out in turn."""


class Embeddings:
    """Embeddings by text, in half precision, kept in a file so that nothing is embedded twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[bytes, Floats] = {}
        if path.is_file():
            with np.load(path) as stored:
                keys, rows = stored["keys"], stored["rows"]
            self._rows = dict(zip([key.tobytes() for key in keys], rows, strict=True))

    def of(self, texts: Sequence[str]) -> Floats:
        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows}
        waiting = list(new)
        for start in range(0, len(waiting), _CHUNK):
            some = waiting[start : start + _CHUNK]
            rows = encoder.load().embed([new[key] for key in some]).astype(np.float16)
            self._rows.update(zip(some, rows, strict=True))
        if waiting:
            every = list(self._rows)
            stored = np.frombuffer(b"".join(every), dtype=np.uint8).reshape(-1, 16)
            np.savez(self._path, keys=stored, rows=np.stack([self._rows[key] for key in every]))
        return np.stack([self._rows[key] for key in keys]).astype(np.float32)


@dataclass(frozen=True)
class Windows:
    """Every window of every document of a bench: the document's number, and the embedding; and how networks are fitted
    on them."""

    docs: np.ndarray
    rows: Floats
    shape: Shape = USUAL

    @classmethod
    def of(cls, bench: Bench, embeddings: Embeddings, shape: Shape = USUAL) -> Windows:
        found = [(number, text) for number, doc in enumerate(bench.docs) for text in texts_of(doc.text)]
        return cls(np.array([number for number, _ in found]), embeddings.of([text for _, text in found]), shape)


def texts_of(text: str) -> list[str]:
    grams = features.grams(text)
    return [text[slice(*grams.range_of(*run))] for run in heads.runs(len(grams))]


@dataclass
class Network:
    """One layer of units beside a linear part; for raw embeddings once `SCALE` is folded in."""

    direct: Floats
    inner: Floats
    bias: Floats
    outer: Floats
    rest: Floats
    moments: list[tuple[Floats, Floats]] = field(default_factory=list)

    @classmethod
    def start(cls, seed: int) -> Network:
        rng, single = np.random.default_rng(seed), np.float32
        inner = rng.normal(0, encoder.SIZE**-0.5, (encoder.SIZE, HIDDEN)).astype(single)
        outer = rng.normal(0, 0.1, HIDDEN).astype(single)
        made = cls(np.zeros(encoder.SIZE, single), inner, np.zeros(HIDDEN, single), outer, np.zeros(1, single))
        made.moments = [(np.zeros_like(part), np.zeros_like(part)) for part in made.parts()]
        return made

    def parts(self) -> list[Floats]:
        return [self.direct, self.inner, self.bias, self.outer, self.rest]

    def logits(self, x: Floats) -> Floats:
        found: Floats = x @ self.direct + np.maximum(x @ self.inner + self.bias, 0) @ self.outer + self.rest[0]
        return found

    def step(self, x: Floats, labels: Floats, shares: Floats, size: float, decay: float, time: int) -> None:
        """One step of Adam with weight decay."""
        for part, slope, (first, second) in zip(
            self.parts(), self._slopes(x, labels, shares), self.moments, strict=True
        ):
            first += 0.1 * (slope - first)
            second += 0.001 * (slope * slope - second)
            move = first / (1 - 0.9**time) / (np.sqrt(second / (1 - 0.999**time)) + 1e-8)
            part -= size * (move + (decay * part if part is not self.rest else 0))

    def _slopes(self, x: Floats, labels: Floats, shares: Floats) -> list[Floats]:
        hidden = np.maximum(x @ self.inner + self.bias, 0)
        chance = 1 / (1 + np.exp(-np.clip(x @ self.direct + hidden @ self.outer + self.rest, -40, 40)))
        error = shares * (chance - labels) / len(labels)
        back = error[:, None] * self.outer * (hidden > 0)
        return [x.T @ error, x.T @ back, back.sum(0), hidden.T @ error, np.array([error.sum()])]


def train(windows: Windows, labels: Floats, shares: Floats) -> Network:
    """The mean of NETS networks as one. Only documents with a share above zero are seen."""
    found = [_one(windows, labels, shares, seed) for seed in range(NETS)]
    return Network(
        np.mean([one.direct for one in found], axis=0) * SCALE,
        np.concatenate([one.inner for one in found], axis=1) * SCALE,
        np.concatenate([one.bias for one in found]),
        np.concatenate([one.outer for one in found]) / NETS,
        np.mean([one.rest for one in found], axis=0),
    )


def _one(windows: Windows, labels: Floats, shares: Floats, seed: int) -> Network:
    network, rng, time, shape = Network.start(seed), np.random.default_rng(seed), 0, windows.shape
    x = windows.rows * np.float32(SCALE)
    use = seen = np.flatnonzero(shares[windows.docs] > 0)
    for epoch in range(shape.epochs):
        if epoch in (shape.epochs // 3, 2 * shape.epochs // 3):
            use = seen[_telling(windows.docs[seen], network.logits(x[seen]), labels)]
        docs = windows.docs[use]
        weights = shares[docs] / np.sqrt(np.bincount(docs, minlength=len(labels))[docs])
        weights = (weights / weights.mean()).astype(np.float32)
        wanted = labels[docs].astype(np.float32)
        for rows in _batches(rng.permutation(len(use))):
            time += 1
            size = STEP * (1 - epoch / shape.epochs)
            network.step(x[use[rows]], wanted[rows], weights[rows], size, shape.decay, time)
    return network


def _batches(order: np.ndarray) -> Iterator[np.ndarray]:
    yield from np.array_split(order, max(1, len(order) // BATCH))


def _telling(docs: np.ndarray, logits: Floats, labels: Floats) -> np.ndarray:
    """Of windows: all of harmless documents, of the others those near the loudest."""
    best = np.full(len(labels), -np.inf)
    np.maximum.at(best, docs, logits)
    found: np.ndarray = (labels[docs] == 0) | (logits >= best[docs] - MARGIN)
    return found


def loudest(windows: Windows, network: Network, count: int) -> Floats:
    """Of `count` documents: the logit of the loudest window."""
    found = np.full(count, -np.inf)
    np.maximum.at(found, windows.docs, network.logits(windows.rows))
    return found


def fitted(bench: Bench, windows: Windows, chosen: np.ndarray) -> Network:
    """A network of the chosen documents, those that may not be trained on left out; sources weigh as for the light
    classifiers."""
    seen = np.flatnonzero(chosen & bench.where(lambda doc: doc.trainable))
    shares = np.zeros(len(bench.docs))
    shares[seen] = fit.source_shares(bench.labels[seen], [bench.docs[i].source for i in seen], 0.5)
    return train(windows, bench.labels, shares)
