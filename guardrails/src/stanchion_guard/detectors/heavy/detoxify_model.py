"""Detoxify from a local checkpoint."""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from stanchion_guard.detectors import Tier, Unavailable
from stanchion_guard.detectors.heavy import consent
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

OURS: Mapping[str, str] = {
    "toxicity": "toxic",
    "severe_toxicity": "severe_toxicity",
    "obscene": "obscene",
    "threat": "violence",
    "insult": "insult",
    "identity_attack": "hate",
    "sexual_explicit": "sexual",
}
"""Detoxify's labels and ours. Its unbiased model also scores which groups are named, which is no offence."""
WINDOW, OVERLAP, BATCH = 1_000, 100, 16
"""Characters of one window: some 250 tokens of English, so that the model's 512 are rarely passed."""


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError)


class DetoxifyModel:
    """The highest score of each label over overlapping windows of the text. One prediction at a time per checkpoint."""

    name = "detoxify"
    version = "1"
    tier: Tier = "heavy"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "checkpoint": {"type": "string", "minLength": 1},
            "model": {"enum": ["original", "unbiased", "multilingual"]},
            "config": {"type": "string", "minLength": 1},
            "max_characters": {"type": "integer", "minimum": 1},
        },
        "required": ["checkpoint", "config"],
        "additionalProperties": False,
    }
    labels = tuple(OURS.values())
    threshold = 0.5
    blind_to = "Irony, disguised words and context; original and unbiased read English only. It may flag named groups."

    def __init__(self, checkpoint: str, config: str, model: str = "original", max_characters: int = 50_000) -> None:
        self._model = _load(model, consent.model_path(checkpoint), consent.model_path(config))
        self._most = max_characters

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw
        if not text.strip():
            return Detection(None, skipped="no words")
        if len(text) > self._most:
            raise ValueError(f"longer than {self._most} characters")
        starts = list(range(0, max(1, len(text) - OVERLAP), WINDOW - OVERLAP))
        scores = self._model.scores([text[start : start + WINDOW] for start in starts])
        findings, most = [], 0.0
        for theirs, label in OURS.items():
            row = scores.get(theirs)
            if not row:
                continue
            at = max(range(len(row)), key=row.__getitem__)
            score, start = min(1.0, max(0.0, float(row[at]))), starts[at]
            most = max(most, score)
            if score >= self.threshold:
                end = min(len(text), start + WINDOW)
                findings.append(Finding(self.name, label, score, part, start, end, f"Detoxify says {theirs}"))
        return Detection(most, tuple(findings))


class _Model:
    def __init__(self, kind: str, checkpoint: Path, config: Path) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when transformers is imported: nothing may be fetched
        os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
        try:
            made, torch = import_module("detoxify").Detoxify, import_module("torch")
        except ImportError as error:
            raise Unavailable("detoxify is not installed: pip install 'stanchion-guard[detoxify]'") from error
        try:
            source = _of_local_files(torch, checkpoint, config)
            self._detoxify = made(kind, checkpoint=source, device="cpu", huggingface_config_path=str(config))
        except _UNREADABLE as error:
            said = str(error).partition("\n")[0][:200]
            raise Unavailable(f"Detoxify cannot load the checkpoint with this folder: {said}") from error
        self._lock = threading.Lock()

    def scores(self, windows: list[str]) -> dict[str, list[float]]:
        gathered: dict[str, list[float]] = {}
        for at in range(0, len(windows), BATCH):
            with self._lock:
                answer = self._detoxify.predict(windows[at : at + BATCH])
            for label, values in answer.items():
                # For a list of one text Detoxify answers with bare numbers.
                listed = values if isinstance(values, list) else [values]
                gathered.setdefault(label, []).extend(float(value) for value in listed)
        return gathered


def _of_local_files(torch: Any, checkpoint: Path, config: Path) -> str | BytesIO:
    """What Detoxify can load without a network. Before it looks into the folder it asks for the base model by the name
    in the checkpoint ("bert-base-uncased"), so unless that is a folder too, a copy that names ours is made."""
    loaded = torch.load(str(checkpoint), map_location="cpu", weights_only=False)
    wanted = len(loaded["config"]["dataset"]["args"]["classes"])
    stated = json.loads((config / "config.json").read_text("utf-8"))
    there = stated.get("num_labels", len(stated.get("id2label", "12")))
    if there != wanted:
        raise Unavailable(
            f"the folder's config.json is for {there} labels and the checkpoint has {wanted}:"
            f' put "num_labels": {wanted} there'
        )
    arguments = loaded["config"]["arch"]["args"]
    if Path(arguments["model_type"]).is_dir():
        return str(checkpoint)
    arguments["model_type"] = str(config)
    copy = BytesIO()
    torch.save({"config": loaded["config"], "state_dict": loaded["state_dict"]}, copy)
    copy.seek(0)
    return copy


@lru_cache(maxsize=3)
def _load(kind: str, checkpoint: Path, config: Path) -> _Model:
    return _Model(kind, checkpoint, config)
