from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stanchion_guard.detectors import Unavailable, build
from stanchion_guard.detectors.heavy import sentence_model
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject

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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("tokenizers", reason="the extra stanchion-guard[embeddings] is not installed")
    monkeypatch.setenv("STANCHION_GUARD_MODELS", str(tmp_path))
    return tiny_model(tmp_path / "tiny")


def detected(folder: Path, text: str) -> Detection:
    made = build("embedding_topic", {"name": "boats", "examples": ["boat sail sea"], "model": str(folder)})
    return made.detect(read(text), 0, Subject((Part("input", text),)))


def test_an_example_itself_scores_one_and_is_found(folder: Path) -> None:
    detection = detected(folder, "boat sail sea")
    assert detection.score == pytest.approx(1.0, abs=1e-4)
    assert [(one.label, one.start, one.end) for one in detection.findings] == [("topic", 0, 13)]


def test_a_sentence_in_a_long_text_is_found_where_it_stands(folder: Path) -> None:
    text = "soup salt soup salt. " * 30 + "boat sail sea" + ". soup salt." * 3
    finding = detected(folder, text).findings[0]
    assert "boat sail sea" in text[finding.start : finding.end]
    assert finding.end - finding.start < 40


def test_a_text_without_words_is_skipped_with_a_reason(folder: Path) -> None:
    assert detected(folder, "  \n").skipped == "no words"


def test_texts_embed_the_same_alone_and_beside_longer_ones(folder: Path) -> None:
    model = sentence_model.load(folder)
    beside = model.embed(["boat", "soup salt sea sail boat"])[0]
    assert np.allclose(model.embed(["boat"])[0], beside, atol=1e-5)


def test_a_model_outside_the_operators_folders_is_not_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANCHION_GUARD_MODELS", "/nowhere")
    with pytest.raises(Unavailable, match="STANCHION_GUARD_MODELS"):
        detected(folder, "boat")


def test_a_folder_without_a_model_says_what_it_lacks(folder: Path) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    with pytest.raises(Unavailable, match=r"model\.safetensors"):
        detected(empty, "boat")
