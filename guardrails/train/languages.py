r"""Picks the English words by which a passage is told from other languages, and says how much more those have to score.

    python guardrails/train/languages.py --data EVALUATION_DATA --extra extra.jsonl own.jsonl --voice voice.jsonl \
        --words words.npz [--english english.txt] [--out languages.json]

With --english the words are written first; they belong beside the weights and are then read from there.
What other languages need is measured on harmless texts of sources left out of the training, and on commands to
assistants, of which no attack classifier has seen any. No set of docs/detectors.md's first tables takes part: not the
translated look-alikes of cyber attacks, not the translated attacks.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import corpora
import fit
import numpy as np
from corpora import Doc
from foreign import english_words, told_of
from heldout import MANY, STANDARD, UNSEEN, _held, counts_of
from train import Bench, how_of

from stanchion_guard.classifiers import tongues

TRANSLATED = ("cyberseceval_frr_multilingual", "cyberseceval_prompt_injection_multilingual")
OWN_IN_MANY = ("own_languages", "own_programs_translated", "own_translated", "own_mixed_language", "own_word_lists")
_IN_MANY = (
    "chatterbot",
    "django_",
    "wagtail",
    "flask_security",
    "home_assistant",
    "typescript",
    "declaration",
    "spacy",
)
_ENGLISH = re.compile(r"en(glish)?([-_].*)?|xx", re.IGNORECASE)


def in_many(doc: Doc) -> bool:
    """Whether a training text is, as far as known, in another language than English."""
    if doc.source.startswith("voice_") or doc.source.startswith(_IN_MANY):
        return not _ENGLISH.fullmatch(doc.category)
    return False


def in_english(doc: Doc) -> bool:
    return not doc.source.startswith((*_IN_MANY, "voice_", *OWN_IN_MANY, *TRANSLATED))


def measure(bench: Bench, among: Callable[[Doc], bool]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of each source left out: its name, the group and the excess over the 1 % threshold of the loudest foreign passage
    of every text that has one. The threshold is that of a held quarter of the harmless English texts `among` others."""
    counts = counts_of(bench)
    foreign = tongues.foreign(counts)
    groups = counts[:, tongues.FOREIGN + 1 :].argmax(axis=1)
    voices = bench.where(lambda doc: doc.source.startswith("voice_"))
    negatives = bench.where(lambda doc: doc.label == 0 and _held(doc) and in_english(doc) and among(doc))
    kept = bench.where(lambda doc: not (doc.label == 0 and _held(doc)))
    for name in MANY:
        tests = bench.where(lambda doc, name=name: doc.label == 0 and doc.source.startswith(UNSEEN[name]))
        values = fit.logits(bench.texts, bench.windows, bench.train(kept & ~tests & ~voices))
        cut = np.quantile(_loudest(bench, values)[negatives], 0.99)
        for source, chosen in ((name, tests), *((("commands", voices),) if name == MANY[0] else ())):
            inside = np.flatnonzero(foreign & chosen[bench.windows.docs])
            order = inside[np.lexsort((-values[inside], bench.windows.docs[inside]))]
            _, first = np.unique(bench.windows.docs[order], return_index=True)
            yield source, groups[order[first]], values[order[first]] - cut


def _loudest(bench: Bench, values: np.ndarray) -> np.ndarray:
    found = np.full(len(bench.docs), -np.inf)
    np.maximum.at(found, bench.windows.docs, values)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--extra", type=Path, nargs="*", default=[])
    parser.add_argument("--voice", type=Path, required=True, help="what assistants.py wrote")
    parser.add_argument("--words", type=Path, required=True, help="what wordlists.py wrote")
    parser.add_argument("--english", type=Path)
    parser.add_argument("--target", choices=("attack", "indirect"), default="attack")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    collect = corpora.attacks if options.target == "attack" else corpora.indirect
    docs = [*collect(options.data, options.extra), *corpora.extra(options.voice, "benign")]  # noqa: S610 - no query
    if options.english:
        words = english_words(
            ((doc.text, doc.family) for doc in docs if in_english(doc)), (doc.text for doc in docs if in_many(doc))
        )
        lines = [" ".join(words[start : start + 16]) for start in range(0, len(words), 16)]
        options.english.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.out:
        bench = Bench.of(docs, how_of(options.words)[options.target])
        standard = (lambda doc: doc.family in STANDARD) if options.target == "attack" else (lambda doc: True)
        told = told_of(measure(bench, standard))
        sys.stderr.write(json.dumps(told, indent=1) + "\n")
        options.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
