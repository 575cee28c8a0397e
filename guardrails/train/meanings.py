"""A small vector for each word, distilled from a sentence encoder, so that words no training text had count as well.

    python guardrails/train/meanings.py --model ALL_MINILM_L6_V2 --words extra.jsonl own.jsonl --out meanings.npz

Every word is read by itself (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, from a local folder), its output is
averaged, reduced to a few principal directions and made lighter the commoner the word is. The vectors serve training
only: a linear classifier over them is one number for each word, and that is all the shipped weights hold.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.classifiers import features

Matrix = NDArray[np.float32]
LAYERS, HEADS, BATCH = 6, 12, 512
DIRECTIONS = 128
LONGEST_WORD = 6
"""Wordpieces. A word of more is left out."""
_TYPES = {"F32": np.float32, "I64": np.int64}


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Every array of a safetensors file."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    entries = json.loads(raw[8 : 8 + length])
    entries.pop("__metadata__", None)
    return {name: _tensor(memoryview(raw)[8 + length :], entry) for name, entry in entries.items()}


def _tensor(data: memoryview, entry: Mapping[str, Any]) -> NDArray[Any]:
    start, end = entry["data_offsets"]
    return np.frombuffer(data[start:end], _TYPES[entry["dtype"]]).reshape(entry["shape"])


def _normal(x: Matrix, of: Mapping[str, Matrix], name: str) -> Matrix:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
    return x * of[f"{name}.weight"] + of[f"{name}.bias"]


def _line(x: Matrix, of: Mapping[str, Matrix], name: str) -> Matrix:
    return x @ of[f"{name}.weight"].T + of[f"{name}.bias"]


def _gelu(x: Matrix) -> Matrix:
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def _attend(x: Matrix, of: Mapping[str, Matrix], name: str) -> Matrix:
    rows, length, width = x.shape
    query, key, value = (
        _line(x, of, f"{name}.self.{part}").reshape(rows, length, HEADS, -1).transpose(0, 2, 1, 3)
        for part in ("query", "key", "value")
    )
    weights = query @ key.transpose(0, 1, 3, 2) / np.sqrt(width / HEADS)
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(rows, length, width)
    return _normal(x + _line(mixed, of, f"{name}.output.dense"), of, f"{name}.output.LayerNorm")


def encode(ids: NDArray[np.int64], of: Mapping[str, Matrix]) -> Matrix:
    """Mean output of each row of token numbers, all rows of one length."""
    x = of["embeddings.word_embeddings.weight"][ids] + of["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = _normal(x + of["embeddings.token_type_embeddings.weight"][0], of, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        x = _attend(x, of, f"{name}.attention")
        inner = _gelu(_line(x, of, f"{name}.intermediate.dense"))
        x = _normal(x + _line(inner, of, f"{name}.output.dense"), of, f"{name}.output.LayerNorm")
    return x.mean(1)


def pieces(word: str, numbers: Mapping[str, int]) -> list[int] | None:
    """Token numbers by the longest match, None where no match exists."""
    found, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in numbers), None)
        if end is None:
            return None
        found.append(numbers[mark + word[start:end]])
        start = end
    return found


def _texts(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield str(row.get("text") or row.get("prompt") or row.get("context") or "")


def vocabulary(numbers: Mapping[str, int], paths: Sequence[Path]) -> list[str]:
    """Whole words of the encoder's vocabulary in its order, which is that of frequency, then frequent other words."""
    known = [word for word in numbers if re.fullmatch(r"[^\W\d_]+", word)]
    counts = Counter(word for text in _texts(paths) for word in re.findall(r"[^\W\d_]+", text.lower()))
    return known + [word for word, count in counts.most_common() if count >= 3 and word not in numbers]


def reduced(vectors: Matrix) -> Matrix:
    """Principal directions, words weighed down by rank (Zipf's law), rows of length one before that."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = vectors - vectors.mean(0)
    _values, directions = np.linalg.eigh(centred.T @ centred)
    found = centred @ directions[:, ::-1][:, :DIRECTIONS]
    found /= np.linalg.norm(found, axis=1, keepdims=True).mean()
    share = 0.05 / np.arange(1.0, len(found) + 1)
    result: Matrix = (found * (1e-4 / (1e-4 + share))[:, None]).astype(np.float32)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--words", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    of = tensors(options.model / "model.safetensors")
    lines = (options.model / "vocab.txt").read_text(encoding="utf-8").splitlines()
    numbers = {word: number for number, word in enumerate(lines)}
    words = vocabulary(numbers, options.words)
    by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for place, word in enumerate(words):
        found = pieces(word, numbers)
        if found and len(found) <= LONGEST_WORD:
            by_length[len(found)].append((place, [numbers["[CLS]"], *found, numbers["[SEP]"]]))
    vectors, kept = [], []
    for rows in by_length.values():
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            vectors.append(encode(np.array([ids for _, ids in batch]), of))
            kept += [place for place, _ in batch]
    order = np.argsort(kept)
    hashes = np.array([features.hash_of(words[kept[i]]) for i in order], dtype=np.uint32)
    np.savez(options.out, hashes=hashes, vectors=reduced(np.concatenate(vectors)[order]))


if __name__ == "__main__":
    main()
