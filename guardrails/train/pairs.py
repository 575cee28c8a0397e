"""Claims and evidence for training: the hand-written blocks of `claims/`, and pairs made mechanically from sentences.

A block of `claims/*.txt` holds two pieces of evidence, A and B, that contradict each other, and claims that follow from
one of them (a: from A, b: from B): each claim is paired with both. They were written for this project (same licence),
so that words alone do not tell a supported claim from a refuted one.
"""

# ruff: noqa: E501 - lists of phrases

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from stanchion_guard.grounding import lexicon, relations, words
from stanchion_guard.grounding.lexicon import word_set

Row = dict[str, Any]
VERBS = word_set("""is was are were has had became began released founded directed located played won""")
NAMES = [
    "Marlow",
    "Hedda",
    "Quillon",
    "Brenta",
    "Osric",
    "Tamsin",
    "Velden",
    "Karsten",
    "Ilmari",
    "Dunmore",
    "Ferrand",
    "Loxley",
]
MADE = "made from "
_OPENINGS = """yes,|well,|yes it is.|i know that|did you know that|that's right,|actually,|i read that|i think|sure,|oh,|it's interesting that|
i do know|no, but|great question!|according to the document,|the text says that|i heard|i'm not sure, but|i do n't think so .|
i don't think so, but|not a lot, but i do know that|i am sorry to hear that .|that's cool!|of course!|no,|yeah,|i guess so .|maybe, but""".replace(
    "\n", ""
).split("|")
"""Framing that says nothing of the subject: it stands before supported and unsupported claims alike."""
_ADDITIONS = """i love it|it is my favorite|i have never been there|i have been to one of those before|they are great people|do you like it too|
my brother has one|it's a lot of fun|i used to play it a lot|i wish i could go someday|it must be hard to do|many people enjoy it every year|
i would love to try it|it tastes delicious|it was a huge success|you should see it|i'm a big fan of them|they made a lot of money|
it is very expensive|my parents took me once|i don't know much about it|i watch it every day|it's the best in the world""".replace(
    "\n", ""
).split("|")
"""What talkative answers add on their own account."""


def written(folder: Path) -> list[Row]:
    rows = []
    for path in sorted(folder.glob("*.txt")):
        for number, block in enumerate(path.read_text("utf-8").strip().split("\n\n")):
            lines = [line.split(": ", 1) for line in block.splitlines()]
            evidence = {key: text for key, text in lines if key in "AB"}
            for key, text in lines:
                if key in "ab":
                    for side, context in evidence.items():
                        label = int(side.lower() != key)
                        rows.append(
                            {"context": context, "response": text, "label": label, "group": f"{path.stem} {number}"}
                        )
    return rows


def mechanical(rows: Iterable[Row], rng: random.Random) -> list[Row]:
    """Pairs from the evidence of `rows` alone: their answers and labels are not read. Group: that of the row."""
    group_of: dict[str, str] = {}
    for row in rows:
        for a, b in words.spans(row["context"]):
            if 8 <= len(row["context"][a:b].split()) <= 60:
                group_of.setdefault(row["context"][a:b], str(row["group"]))
    sentences = sorted(group_of)
    pool = sorted({w for text in sentences for w in text.split() if w.isalpha() and len(w) > 4})
    made: list[Row] = []
    for sentence in sentences:
        claim = _cut(sentence.split(), rng)
        found = _variants(sentence, claim, pool, rng) if len(claim) >= 4 else []
        found += _talk(sentence, rng.choice(sentences), rng)
        made += [
            {"context": context, "response": response, "label": label, "group": MADE + group_of[sentence]}
            for context, response, label in found
        ]
    return made


def _talk(sentence: str, other: str, rng: random.Random) -> list[tuple[str, str, int]]:
    """Longer answers in the manner of talk: the sentence framed, and the sentence with something added or exchanged."""
    found = []
    for label in (0, 0, 1, 1):
        body = sentence.split()
        body = _dropped(body, rng) if rng.random() < 0.3 else body[: rng.randint(6, 40)]
        said = " ".join(body).rstrip(" .,")
        stretch = other.split()
        start = rng.randrange(max(1, len(stretch) - 6))
        extra = rng.choice([rng.choice(_ADDITIONS), " ".join(stretch[start : start + rng.randint(3, 12)])])
        if label:
            said = rng.choice(
                [f"{said} . {extra}", f"{extra} . {said}", f"{said} , {extra}", f"{said} and {extra}", extra]
            )
        if rng.random() < 0.5:
            said = f"{rng.choice(_OPENINGS)} {said}"
        said = f"{said} {rng.choice(['.', '!', ''])}".strip()
        found.append((sentence, said.lower() if rng.random() < 0.4 else said, label))
    return found


def _cut(sentence: list[str], rng: random.Random) -> list[str]:
    """A claim of 4 to 12 words: the sentence's beginning, or its beginning up to the verb and a later stretch."""
    length = rng.randint(4, 12)
    verb = next((i for i, word in enumerate(sentence[:10]) if word.lower() in VERBS), None)
    if verb is None or rng.random() < 0.4:
        start = rng.choice([0, 0, rng.randrange(max(1, len(sentence) - length))])
        return sentence[start : start + length]
    later = rng.randrange(verb + 1, max(verb + 2, len(sentence) - 2))
    return [*sentence[max(0, verb - 4) : verb + 1], *sentence[later : later + rng.randint(1, 5)]]


Change = Callable[[list[str], list[str], random.Random], list[str] | None]


def _variants(sentence: str, claim: list[str], pool: list[str], rng: random.Random) -> list[tuple[str, str, int]]:
    """The claim as it is, and changed in as many ways as it allows; a missing subject occurs on both sides."""
    found = [(sentence, claim, 0), (sentence, _dropped(claim, rng), 0)]
    for change in _WRONG:
        changed = change(claim, pool, rng)
        if changed is None:
            continue
        found.append((sentence, changed, 1))
        other = _carried(sentence, claim, changed)
        if other and rng.random() < 0.5:
            found += [(other, changed, 0), (other, claim, 1)]
    found += [(sentence, changed, 0) for change in _RIGHT if (changed := change(claim, pool, rng)) is not None]
    for change in (_sibling, _antonym):
        twice = change(claim, pool, rng)
        negated = _negated(twice, pool, rng) if twice else None
        if negated:
            found.append((sentence, negated, 0))
    share = 0.5 if sentence.split()[0].lower() in lexicon.PRONOUNS else 0.25
    return [
        (context, " ".join(_subject(text, rng) if rng.random() < share else text), label)
        for context, text, label in found
    ]


def _carried(sentence: str, claim: list[str], changed: list[str]) -> str | None:
    """The sentence with the one word changed that the claim had changed."""
    differing = [(a, b) for a, b in zip(claim, changed, strict=False) if a != b]
    if len(claim) != len(changed) or len(differing) != 1 or sentence.split().count(differing[0][0]) != 1:
        return None
    return " ".join(differing[0][1] if word == differing[0][0] else word for word in sentence.split())


def _dropped(claim: list[str], rng: random.Random) -> list[str]:
    return [word for word in claim if rng.random() > 0.15] or claim


def _subject(claim: list[str], rng: random.Random) -> list[str]:
    """What evidence that says "he" or "the band" leaves open: the claim names somebody the evidence does not."""
    return [*rng.sample(NAMES, rng.randint(1, 2)), rng.choice(["is", "was"]) if claim[0].islower() else ",", *claim]


def _figures(claim: list[str]) -> list[tuple[int, int]]:
    return [(i, int(word.strip(".,"))) for i, word in enumerate(claim) if word.strip(".,").isdigit() and len(word) < 9]


def _number(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    places = _figures(claim)
    if not places:
        return None
    place, value = rng.choice(places)
    return _put(claim, place, str(value + rng.choice([-30, -10, -3, -1, 1, 2, 10, 100]) if value > 31 else value + 3))


def _bounded(claim: list[str], rng: random.Random, *, holds: bool) -> list[str] | None:
    """A figure replaced by a bound or a decade that holds for it, or does not."""
    places = [(i, value) for i, value in _figures(claim) if value > 3]
    if not places:
        return None
    place, value = rng.choice(places)
    step = rng.randint(1, 9) if value > 1000 else max(1, value // rng.randint(3, 8))
    over, under = ("after", "before") if 1000 < value < 2100 else ("more than", "fewer than")
    side = rng.choice([1, -1])
    text = f"{over if (side > 0) == holds else under} {value - side * step}"
    if 1000 < value < 2100 and rng.random() < 0.4:
        text = f"the {value // 10 * 10 + (0 if holds else rng.choice([-20, -10, 10]))}s"
    before = (
        claim[: place - 1]
        if place and claim[place - 1].lower() == "in" and not text.startswith("the")
        else claim[:place]
    )
    return [*before, *text.split(), *claim[place + 1 :]]


def _bound_wrong(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    return _bounded(claim, rng, holds=False)


def _bound_right(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    return _bounded(claim, rng, holds=True)


def _sibling(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    groups = lexicon.class_words()
    places = [(i, g) for i, word in enumerate(claim) for g in groups if word.lower() in g]
    if not places:
        return None
    place, group = rng.choice(places)
    return _put(claim, place, rng.choice([word for word in group if word != claim[place].lower()]))


def _antonym(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    pairs = [(i, b) for i, word in enumerate(claim) for a, b in lexicon.antonym_words() if word.lower() == a]
    if not pairs:
        return None
    place, other = rng.choice(pairs)
    return _put(claim, place, other)


@cache
def _by_synset() -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Synset -> its common words, and narrow class -> its words, of nouns by their first sense."""
    table = relations.table()
    alike, members = defaultdict(list), defaultdict(list)
    for lemma, at in table.place.items():
        for synset in table.row("own", at)[:1]:
            alike[synset].append(lemma)
            for above in table.row("above", synset):
                if table.narrow(above):
                    members[above].append(lemma)
    return alike, members


def _related(claim: list[str], rng: random.Random, *, alike: bool) -> list[str] | None:
    table, (same, members) = relations.table(), _by_synset()
    options: list[tuple[int, list[str]]] = []
    for i, word in enumerate(claim):
        at = table.place.get(word.lower())
        if at is None or word.lower() in lexicon.STOP or not (own := table.row("own", at)[:1]):
            continue
        groups = [same[own[0]]] if alike else [members[a] for a in table.row("above", own[0]) if a in members]
        others = sorted({w for g in groups for w in g if alike or w not in same[own[0]]} - {word.lower()})
        if others:
            options.append((i, others))
    if not options:
        return None
    place, others = rng.choice(options)
    other = rng.choice(others)
    return _put(claim, place, other.capitalize() if claim[place][:1].isupper() else other)


def _synonym(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    return _related(claim, rng, alike=True)


def _rival(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    return _related(claim, rng, alike=False)


def _negated(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    place = next((i for i, word in enumerate(claim) if word.lower() in VERBS), None)
    if place is None:
        return None
    return [*claim[: place + 1], rng.choice(["not", "never", "not"]), *claim[place + 1 :]]


def _late_word(claim: list[str], pool: list[str], rng: random.Random) -> list[str] | None:
    places = [
        i
        for i, word in enumerate(claim)
        if i >= len(claim) // 2 and words.tokens(word)[:1] and words.tokens(word)[0].content
    ]
    return _put(claim, rng.choice(places), rng.choice(pool)) if places else None


def _name(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    places = [i for i, word in enumerate(claim) if i and word[:1].isupper()]
    return _put(claim, rng.choice(places), rng.choice(NAMES)) if places else None


def _swapped(claim: list[str], _pool: list[str], rng: random.Random) -> list[str] | None:
    """Two names that no "and" joins change places."""
    places = [i for i, word in enumerate(claim) if word[:1].isupper()]
    pairs = [
        (a, b)
        for a in places
        for b in places
        if b > a + 2 and not {"and", "or", "with"} & {word.lower() for word in claim[a:b]} and claim[a] != claim[b]
    ]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return _put(_put(claim, a, claim[b]), b, claim[a])


def _put(claim: list[str], place: int, word: str) -> list[str]:
    return [*claim[:place], word, *claim[place + 1 :]]


_WRONG: tuple[Change, ...] = (_number, _bound_wrong, _sibling, _rival, _antonym, _negated, _late_word, _name, _swapped)
_RIGHT: tuple[Change, ...] = (_synonym, _bound_right, _synonym)
