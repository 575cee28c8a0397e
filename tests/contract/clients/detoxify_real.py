"""Detoxify itself, with a tiny checkpoint in its own format, as the guard's detector; no way out of the process."""

import json
import os
import socket
import sys
from pathlib import Path

guard, platform, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
sys.path[:0] = [guard, platform]
os.environ["STANCHION_GUARD_MODELS"] = str(folder)
opened: list[object] = []


def closed(*args: object, **_kwargs: object) -> None:
    opened.append(args)
    raise OSError("no network in this test")


socket.socket.connect = closed  # type: ignore[method-assign,assignment]
socket.getaddrinfo = closed  # type: ignore[assignment]

import torch  # noqa: E402
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer  # noqa: E402

from stanchion_guard.detectors import Unavailable, build  # noqa: E402
from stanchion_guard.reading import read  # noqa: E402
from stanchion_guard.records import Detection, Part, Subject  # noqa: E402

CLASSES = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "you", "are", "vile", "kind", "a", "person", "."]
THEIRS = ["toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack"]


def made_checkpoint(name: str, model_type: str) -> tuple[Path, BertForSequenceClassification]:
    """A checkpoint as Detoxify's training writes it: its configuration, and the weights of a small BERT."""
    torch.manual_seed(7)
    model = BertForSequenceClassification(shape()).eval()
    model.classifier.weight.data *= 40.0  # so that texts come out different
    arguments = {"model_type": model_type, "model_name": "BertForSequenceClassification"}
    arguments |= {"tokenizer_name": "BertTokenizer", "num_classes": len(CLASSES)}
    config = {"dataset": {"args": {"classes": CLASSES}}, "arch": {"args": arguments}}
    torch.save({"config": config, "state_dict": model.state_dict()}, folder / name)
    return folder / name, model


def shape(**more: object) -> BertConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return BertConfig(vocab_size=len(WORDS), num_labels=len(CLASSES), max_position_embeddings=512, **sizes, **more)


def made_folder(name: str) -> Path:
    """Configuration and tokenizer, as the Hugging Face folder of a base model holds them."""
    at = folder / name
    at.mkdir()
    (at / "vocab.txt").write_text("\n".join(WORDS))
    (at / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 512}))
    shape().save_pretrained(at)
    return at


def expected(model: BertForSequenceClassification, config: Path, text: str) -> dict[str, float]:
    """What the model says, without Detoxify in between."""
    tokens = BertTokenizer.from_pretrained(str(config), local_files_only=True)(text, return_tensors="pt")
    with torch.no_grad():
        said = torch.sigmoid(model(**tokens)[0])[0].tolist()
    return dict(zip(THEIRS, said, strict=True))


def detected(parameters: dict[str, str], text: str) -> Detection:
    return build("detoxify", parameters).detect(read(text), 0, Subject((Part("output", text),)))


config = made_folder("bert-base-uncased")
for name, model_type in (("by_folder.ckpt", str(config)), ("by_name.ckpt", "bert-base-uncased")):
    checkpoint, model = made_checkpoint(name, model_type)
    stated = {"checkpoint": str(checkpoint), "config": str(config)}
    for text in ("You are a vile person.", "You are kind."):
        wanted, detection = expected(model, config, text), detected(stated, text)
        assert detection.score is not None
        assert abs(detection.score - max(wanted.values())) < 1e-5, (name, text, detection.score, wanted)
        told = {one.reason.removeprefix("Detoxify says "): one.score for one in detection.findings}
        assert told.keys() == {label for label, score in wanted.items() if score >= 0.5}, (told, wanted)
        assert all(abs(score - wanted[label]) < 1e-5 for label, score in told.items())
    long = "You are kind. " * 200
    assert detected(stated, long).score is not None  # several windows in one prediction

(folder / "two").mkdir()
(folder / "two" / "config.json").write_text(json.dumps({"model_type": "bert"}))
for config_folder, checkpoint_file, why in (
    ("two", "by_name.ckpt", 'put "num_labels": 6 there'),
    ("bert-base-uncased", "broken.ckpt", "Detoxify cannot load the checkpoint"),
):
    (folder / "broken.ckpt").write_bytes(b"no checkpoint")
    try:
        build("detoxify", {"checkpoint": str(folder / checkpoint_file), "config": str(folder / config_folder)})
    except Unavailable as problem:
        assert why in str(problem), problem
    else:
        raise AssertionError("a checkpoint that cannot be loaded was taken")

assert opened == []

# The same in the scorer of the server.
from datetime import UTC, datetime  # noqa: E402
from uuid import UUID  # noqa: E402

from stanchion_server.quality.records import CallKey, Example  # noqa: E402
from stanchion_server.quality.scorers import registry  # noqa: E402

assert "no files are stated" in registry.unavailable({})["detoxify_response"]
stated = {"checkpoint": str(folder / "by_name.ckpt"), "config": str(config)}
scorer = next(one for one in registry.scorers({"detoxify_response": stated}) if one.id == "detoxify_response")
assert scorer.version == "1.detoxify-1.by_name.ckpt", scorer.version
key = CallKey(1, UUID(int=1), 1, datetime(2026, 11, 25, tzinfo=UTC))
texts = ["You are a vile person.", "", "You are kind."]
results = scorer.score([Example(key, "Hello.", text) for text in texts])
for text, result in zip(texts, results, strict=True):
    if not text:
        assert result is None
        continue
    assert result is not None
    wanted = expected(model, config, text)
    assert abs(result.score - max(wanted.values())) < 1e-4
    assert result.is_flagged == (max(wanted.values()) >= 0.5)
    assert len(result.evidence) == sum(score >= 0.5 for score in wanted.values())
assert opened == []
