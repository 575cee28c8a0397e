"""Distils WordNet into the small table of word relations that the groundedness checks read.

    python guardrails/train/relations.py --wordnet FOLDER --vocabulary vocab.txt --out relations.npz

`FOLDER` holds WordNet's data.*, index.* and cntlist.rev (Debian: wordnet-base; Princeton's licence allows use, change
and distribution for any purpose with its notice, which stands beside the table). `vocabulary` is a list of common
words, one a line and the commonest first (the encoder's in meanings.py): a word is kept if it is listed there or if
WordNet's own tagged texts hold it at least twice.
"""

from __future__ import annotations

import argparse
import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Synset = tuple[str, int]
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
TYPES = {"n": (1,), "v": (2,), "a": (3, 5), "r": (4,)}
RARE_SENSE = 0.08
"""Senses that make up less of a word's tagged uses are left out, save the first of each part of speech."""
MOST_SENSES, MOST_OF_A_KIND = 6, 3


@dataclass(slots=True)
class Entry:
    words: list[str]
    pointers: list[tuple[str, Synset, int]] = field(default_factory=list)
    """Symbol, target, and which of `words` it starts from: 0 = all of them."""


@dataclass(slots=True)
class Word:
    own: list[Synset]
    wide: list[Synset] = field(default_factory=list)
    opposite: list[Synset] = field(default_factory=list)


def synsets(folder: Path) -> dict[Synset, Entry]:
    found = {}
    for kind, name in FILES.items():
        for line in (folder / f"data.{name}").read_text("utf-8").splitlines():
            if not line.startswith(" "):
                parts = line.split(" | ")[0].split()
                found[kind, int(parts[0])] = _entry(parts)
    return found


def _entry(parts: Sequence[str]) -> Entry:
    count = int(parts[3], 16)
    entry = Entry([parts[4 + 2 * i].split("(")[0].lower() for i in range(count)])
    start = 5 + 2 * count
    for i in range(int(parts[start - 1])):
        symbol, offset, kind, ends = parts[start + 4 * i : start + 4 * i + 4]
        entry.pointers.append((symbol, ("a" if kind == "s" else kind, int(offset)), int(ends[:2], 16)))
    return entry


def senses(folder: Path) -> dict[str, list[tuple[int, int, Synset]]]:
    """Lemma -> (times tagged, order in its part of speech, synset)."""
    tagged: dict[tuple[str, int, int], int] = {}
    for line in (folder / "cntlist.rev").read_text("utf-8").splitlines():
        key, number, times = line.split()
        lemma, _, rest = key.partition("%")
        tagged[lemma, int(rest[0]), int(number)] = int(times)
    found = defaultdict(list)
    for kind, name in FILES.items():
        for line in (folder / f"index.{name}").read_text("utf-8").splitlines():
            if line.startswith(" "):
                continue
            parts = line.split()
            for i, offset in enumerate(parts[6 + int(parts[3]) :]):
                times = max(tagged.get((parts[0], number, i + 1), 0) for number in TYPES[kind])
                found[parts[0]].append((times, i, (kind, int(offset))))
    return found


def word(lemma: str, ranked: Sequence[tuple[int, int, Synset]], known: Mapping[Synset, Entry]) -> Word:
    total = sum(times for times, _, _ in ranked) or 1
    kinds: Counter[str] = Counter()
    made = Word([])
    for times, order, synset in sorted(ranked, key=lambda s: (-s[0], s[1], "nvar".index(s[2][0]))):
        if (times >= RARE_SENSE * total or order == 0) and kinds[synset[0]] < MOST_OF_A_KIND:
            kinds[synset[0]] += 1
            made.own.append(synset)
    made.own = made.own[:MOST_SENSES]
    for synset in made.own:
        _related(lemma, known[synset], known, made)
    made.wide = [s for s in dict.fromkeys(made.wide) if s not in made.own]
    made.opposite = list(dict.fromkeys(made.opposite))
    return made


def _related(lemma: str, entry: Entry, known: Mapping[Synset, Entry], made: Word) -> None:
    """Derived words, participles, what an adjective pertains to and resembles; opposites, also by way of the like."""
    here = {i + 1 for i, other in enumerate(entry.words) if other == lemma}
    for symbol, target, source in entry.pointers:
        if symbol in ("+", "\\", "<") and source in here:
            made.wide.append(target)
        elif symbol == "!" and source in here:
            made.opposite.append(target)
        elif symbol == "&":
            made.wide.append(target)
            made.opposite += [s for mark, s, _ in known[target].pointers if mark == "!"]


def parents(entry: Entry) -> list[Synset]:
    return [target for symbol, target, _ in entry.pointers if symbol in ("@", "@i", "#p")]


def sizes(known: Mapping[Synset, Entry]) -> Counter[Synset]:
    """How many synsets stand below each."""
    found: Counter[Synset] = Counter()
    for synset in known:
        seen, front = {synset}, [synset]
        while front:
            front = [s for one in front for s in parents(known[one]) if s not in seen]
            seen.update(front)
        found.update(seen - {synset})
    return found


def ragged(rows: Iterable[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = list(rows)
    return np.array([len(row) for row in rows], np.uint8), np.array([i for row in rows for i in row], np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    known, listed = synsets(options.wordnet), senses(options.wordnet)
    common = {line.strip() for line in options.vocabulary.read_text("utf-8").splitlines()}
    lemmas = sorted(
        lemma
        for lemma, ranked in listed.items()
        if lemma.isalpha() and len(lemma) > 1 and (lemma in common or sum(times for times, _, _ in ranked) >= 2)
    )
    save(options.out, lemmas, [word(lemma, listed[lemma], known) for lemma in lemmas], known)


def save(out: Path, lemmas: Sequence[str], words: Sequence[Word], known: Mapping[Synset, Entry]) -> None:
    used = {s for one in words for s in (*one.own, *one.wide, *one.opposite)}
    front = set(used)
    while front:
        front = {above for s in front for above in parents(known[s])} - used
        used |= front
    number = {synset: i for i, synset in enumerate(sorted(used))}
    if len(number) > 0xFFFF:
        raise ValueError(f"{len(number)} synsets do not fit 16 bits: keep fewer words")
    below = sizes(known)
    tables = {
        "own": [[number[s] for s in one.own] for one in words],
        "wide": [[number[s] for s in one.wide] for one in words],
        "opposite": [[number[s] for s in one.opposite] for one in words],
        "above": [[number[s] for s in parents(known[synset])] for synset in sorted(used)],
    }
    arrays = {
        f"{name}_{part}": a for name, t in tables.items() for part, a in zip(("counts", "ids"), ragged(t), strict=True)
    }
    width = np.array([min(255, round(16 * math.log2(1 + below[s]))) for s in sorted(used)], np.uint8)
    places = [i for (kind, _), i in number.items() if kind == "n"]
    nouns = np.array([min(places), max(places)], np.int64)
    text = np.frombuffer(zlib.compress("\n".join(lemmas).encode(), 9), np.uint8)
    np.savez_compressed(out, lemmas=text, below=width, nouns=nouns, **arrays)


if __name__ == "__main__":
    main()
