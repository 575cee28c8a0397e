r"""As heldout.py, for the second look and for the cascade: three columns from one training of the light classifier.

    python guardrails/train/heldout_heads.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl --words words.npz \
        --cache embeddings.npz --out heldout_heads.json

`light` is the light score, `model` both together, `cascade` both together where the light score is among the loudest
fifth of the harmless texts that no model saw and pass elsewhere. Thresholds are each column's own, from those texts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import corpora
import looks
import numpy as np
from corpora import Doc
from heldout import (
    _FROM_PACKAGES,
    FAMILIES,
    MANY,
    STANDARD,
    TOXIC,
    UNSEEN,
    _at,
    _figures,
    _held,
    _shares,
    _standard,
    allowances,
)
from train import Bench, how_of

ROUTED = 0.2
"""Share of harmless texts that the cascade's model looks at."""
_PASSED = -1e3
Told = dict[str, object]


@dataclass(frozen=True)
class Scored:
    """Logits of every document of a bench by column; `routed`: whether the cascade's model looked."""

    columns: Mapping[str, np.ndarray]
    routed: np.ndarray


def scored(
    bench: Bench, windows: looks.Windows, seen: np.ndarray, clean: np.ndarray, allowed: np.ndarray | float = 0.0
) -> Scored:
    """Of models that saw `seen`; `clean` are harmless documents that they did not see. `allowed` is what each window of
    the light part has to score more for its language; without it, the model is told as well."""
    trained = bench.train(seen)
    words, light = bench.logits(trained), bench.logits(trained, allowed)
    network = windows.shape.weight * _by(looks.fitted(bench, windows, seen), windows, seen)
    spread = words[seen].std()
    model, plain = light / spread + network, words / spread + network
    routed = light > np.quantile(light[clean], 1 - ROUTED)
    cascade = np.where(routed, model, light + _PASSED)
    return Scored({"light": light, "model": model, "cascade": cascade, "model by words": plain}, routed)


def _by(network: looks.Network, windows: looks.Windows, seen: np.ndarray) -> np.ndarray:
    logits = looks.loudest(windows, network, len(seen))
    found: np.ndarray = logits / logits[seen].std()
    return found


def attack_families(bench: Bench, windows: looks.Windows) -> Iterator[tuple[str, Told]]:
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
        seen = kept & bench.where(lambda doc, free=free: doc.label == 0 or id(doc) in free)
        found = scored(bench, windows, seen, negatives, allowed)
        told: Told = {name: _figures(logits[negatives], logits[tests]) for name, logits in found.columns.items()}
        for name, logits in found.columns.items():
            caught = logits[tests] > np.quantile(logits[negatives], 0.99)
            told[f"{name} by kind"] = _shares(_at(bench, tests), caught, _kind)
        yield family, told | {"routed": float(found.routed[tests].mean())}


def _kind(doc: Doc) -> str:
    parts = doc.category.split(":")
    return parts[-1] if doc.source.endswith("multilingual") else parts[0]


def harmless_sources(bench: Bench, windows: looks.Windows) -> Iterator[tuple[str, Told]]:
    negatives, kept = _standard(bench)
    allowed = allowances(bench)
    for family in STANDARD:
        of_family = bench.where(lambda doc, family=family: doc.family == family)
        tests, clean = of_family & (bench.labels == 0), negatives & ~of_family
        found = scored(bench, windows, kept & ~of_family, clean, allowed)
        told: Told = {
            name: float((logits[tests] > np.quantile(logits[clean], 0.99)).mean())
            for name, logits in found.columns.items()
        }
        yield family, told | {"rows": int(tests.sum()), "routed": float(found.routed[tests].mean())}


def unseen_in_many_languages(bench: Bench, windows: looks.Windows) -> Iterator[tuple[str, Told]]:
    """As `harmless_sources`, for those of UNSEEN by which the allowances were chosen."""
    negatives, kept = _standard(bench)
    allowed = allowances(bench)
    for name in MANY:
        tests = bench.where(lambda doc, name=name: doc.label == 0 and doc.source.startswith(UNSEEN[name]))
        found = scored(bench, windows, kept & ~tests, negatives, allowed)
        told: Told = {
            column: float((logits[tests] > np.quantile(logits[negatives], 0.99)).mean())
            for column, logits in found.columns.items()
        }
        yield name, told | {"rows": int(tests.sum()), "routed": float(found.routed[tests].mean())}


def toxic_sets(bench: Bench, windows: looks.Windows, data: Path) -> Iterator[tuple[str, Told]]:
    """The threshold for HateCheck's groups is the one that flags a twentieth of the other sets' harmless texts."""
    groups = {corpora.plain(str(row["text"])): str(row["target"]) for row in _hatecheck(data)}
    held = bench.where(_held)
    for source in TOXIC:
        tests = bench.where(lambda doc, source=source: doc.source == source)
        clean = held & ~tests & (bench.labels == 0) & bench.where(lambda doc: doc.source in TOXIC)
        found = scored(bench, windows, ~tests & ~held, clean)
        told: Told = {}
        for name, logits in found.columns.items():
            harmful = tests & (bench.labels == 1)
            calm = tests & (bench.labels == 0)
            told[name] = _figures(logits[calm], logits[harmful])
            if source == "hatecheck":
                cut = np.quantile(logits[clean], 0.95)
                told[f"{name} recall at the others' 5 %"] = float((logits[harmful] > cut).mean())
                by_group = _shares(_at(bench, calm), logits[calm] > cut, lambda doc: groups.get(doc.text, ""))
                told[f"{name} false positives by group"] = by_group
        yield source, told | {"routed": float(found.routed[tests].mean())}


def _hatecheck(data: Path) -> Iterator[dict[str, object]]:
    return corpora.rows(data / "toxicity/hatecheck.jsonl")


def xstest(bench: Bench, windows: looks.Windows) -> Iterator[tuple[str, Told]]:
    tests = bench.where(lambda doc: doc.source == "xstest")
    harmless = bench.where(lambda doc: doc.label == 0 and _held(doc) and doc.family in STANDARD) & ~tests
    found = scored(bench, windows, ~tests & ~harmless, harmless)
    calm, harmful = tests & (bench.labels == 0), tests & (bench.labels == 1)
    told: Told = {name: _figures(logits[calm], logits[harmful]) for name, logits in found.columns.items()}
    yield "xstest", told | {"routed": float(found.routed[tests].mean())}


Measure = Callable[..., Iterator[tuple[str, Told]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--words", type=Path, required=True, help="what wordlists.py wrote")
    parser.add_argument("--cache", type=Path, required=True, help="embeddings; made where it is missing")
    parser.add_argument("--only", nargs="*", default=["attack", "toxic", "harm"])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    embeddings, how = looks.Embeddings(options.cache), how_of(options.words)
    parts: dict[str, tuple[Callable[..., list[Doc]], tuple[Measure, ...]]] = {
        "attack": (corpora.attacks, (attack_families, harmless_sources, unseen_in_many_languages)),
        "toxic": (corpora.toxic, (lambda bench, windows: toxic_sets(bench, windows, options.data),)),
        "harm": (corpora.harmful, (xstest,)),
    }
    told: dict[str, Told] = {}
    for target in options.only:
        collect, measures = parts[target]
        bench = Bench.of(collect(options.data, options.extra), how[target])
        windows = looks.Windows.of(bench, embeddings, looks.SHAPES.get(target, looks.USUAL))
        for measure in measures:
            for case, result in measure(bench, windows):
                told.setdefault(target, {})[case] = result
                sys.stderr.write(f"{target} {case}: {json.dumps(result)[:600]}\n")
                options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
