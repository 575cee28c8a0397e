from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kit.tiny_models import tiny_model
from stanchion_guard.detectors import Unavailable, build
from stanchion_guard.detectors.heavy import sentence_model
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject


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
