from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stanchion_guard.detectors import Detector, Unavailable, build
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject


class FakeDetoxify:
    """In the place of the third party's class: scores by one word."""

    def __init__(self, kind: str, **given: Any) -> None:
        assert given["device"] == "cpu"
        assert Path(given["checkpoint"]).exists()

    def predict(self, texts: list[str]) -> dict[str, Any]:
        said = [0.9 if "vile" in text else 0.1 for text in texts]
        scores = {"toxicity": said, "identity_attack": [score / 2 for score in said], "female": [1.0 for _ in texts]}
        return scores if len(texts) > 1 else {label: values[0] for label, values in scores.items()}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("STANCHION_GUARD_MODELS", str(tmp_path))
    (tmp_path / "toxic.ckpt").touch()
    (tmp_path / "config.json").write_text('{"num_labels": 3}')
    return {"checkpoint": str(tmp_path / "toxic.ckpt"), "config": str(tmp_path)}


@pytest.fixture
def detector(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Detector:
    module = ModuleType("detoxify")
    module.Detoxify = FakeDetoxify  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "detoxify", module)
    torch = ModuleType("torch")
    arguments = {"model_type": files["config"]}
    checkpoint = {
        "config": {"dataset": {"args": {"classes": ["toxic", "hate", "female"]}}, "arch": {"args": arguments}}
    }
    torch.load = lambda *_, **__: checkpoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    return build("detoxify", files)


def detected(detector: Detector, text: str) -> Detection:
    return detector.detect(read(text), 0, Subject((Part("input", text),)))


def test_labels_are_ours_and_naming_a_group_is_no_offence(detector: Detector) -> None:
    detection = detected(detector, "a vile thing")
    assert [(one.label, one.score) for one in detection.findings] == [("toxic", 0.9)]
    assert detected(detector, "she is here").score == 0.1


def test_the_end_of_a_long_text_is_read_and_the_window_is_told(detector: Detector) -> None:
    text = "fine words. " * 400 + "vile"
    finding = detected(detector, text).findings[0]
    assert "vile" in text[finding.start : finding.end]
    assert finding.end - finding.start <= 1_000


def test_without_the_package_the_remedy_is_told(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detoxify", None)
    (Path(files["config"]) / "other.ckpt").touch()
    with pytest.raises(Unavailable, match=r"stanchion-guard\[detoxify\]"):
        build("detoxify", files | {"checkpoint": files["config"] + "/other.ckpt"})


def test_a_missing_checkpoint_is_unavailable_and_nothing_is_fetched(files: dict[str, str]) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        build("detoxify", files | {"checkpoint": files["config"] + "/absent.ckpt"})
