"""Sentence models of one layer, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WORDS = ("[PAD]", "[UNK]", "boat", "sail", "sea", "soup", "salt", ".")
SIZE, WIDE = 8, 16


def tiny_model(folder: Path) -> Path:
    """A BERT of one layer with random weights, in the files that sentence-transformers writes."""
    config: dict[str, object] = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config |= {"layer_norm_eps": 1e-12, "max_position_embeddings": 16}
    tokenizer: dict[str, object] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(WORDS)}, "unk_token": "[UNK]"},
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), SIZE),
        "embeddings.position_embeddings.weight": (16, SIZE),
        "embeddings.token_type_embeddings.weight": (2, SIZE),
    }
    at = "encoder.layer.0."
    norms = ("embeddings.LayerNorm", at + "attention.output.LayerNorm", at + "output.LayerNorm")
    shapes |= {f"{name}.{kind}": (SIZE,) for name in norms for kind in ("weight", "bias")}
    linear: dict[str, tuple[int, ...]] = {
        at + f"attention.self.{name}": (SIZE, SIZE) for name in ("query", "key", "value")
    }
    linear |= {at + "attention.output.dense": (SIZE, SIZE), at + "intermediate.dense": (WIDE, SIZE)}
    linear |= {at + "output.dense": (SIZE, WIDE)}
    for name, shape in linear.items():
        shapes |= {name + ".weight": shape, name + ".bias": shape[:1]}
    rng, header, body = np.random.default_rng(5), {}, b""
    for name, shape in shapes.items():
        data = rng.normal(size=shape).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(header).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + body)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder
