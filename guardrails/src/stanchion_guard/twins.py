"""How far apart the scores of twins are: texts that differ in the people they name and in nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations

from stanchion_guard.labelled import Row

GAP = 0.1
"""A pair further apart than this is counted; our choice, a fifth of the way from harmless to most thresholds."""
SMALLEST_NAMED = 5
"""Texts in which a group must be named before its figures are told."""

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Twin:
    """A scored text; those of one `group` are twins. `target`: the people named; None = the words that differ tell."""

    group: str
    text: str
    score: float
    kind: str = ""
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Over all pairs of twins. Shares are 0..1; `changed` is the share of pairs with any gap at all, `flipped` of
    those with one score under the threshold and the other not."""

    pairs: int
    mean: float
    changed: float
    wide: float
    flipped: float
    largest: float


@dataclass(frozen=True, slots=True)
class Named:
    """Texts that name one group. `above`: mean over them of the score less the mean score of the text's twins."""

    texts: int
    mean: float
    above: float
    flagged: float
    twins_flagged: float


@dataclass(frozen=True, slots=True)
class Report:
    """`kinds` and `named` are in order of the alphabet and of falling `above`; `left_out`: rows without a twin."""

    sets: int
    left_out: int
    gaps: Gaps | None
    kinds: Mapping[str, Gaps]
    named: Mapping[str, Named]


def of_row(row: Row, score: float) -> Twin | None:
    """The row as a twin, its kind being its category up to a colon; None for a row without a group."""
    if row.group is None:
        return None
    text = " ".join(row.subject.parts[part].text for part in row.judged)
    return Twin(row.group, text, score, row.slices.get("category", "").partition(":")[0], row.slices.get("target"))


def report(texts: Sequence[Twin], threshold: float) -> Report:
    """A set of more than two twins counts each of its pairs."""
    sets: dict[str, list[Twin]] = defaultdict(list)
    for one in texts:
        sets[one.group].append(one)
    whole = [each for each in sets.values() if len(each) > 1]
    by_kind: dict[str, list[Sequence[Twin]]] = defaultdict(list)
    for each in whole:
        if each[0].kind:
            by_kind[each[0].kind].append(each)
    return Report(
        len(whole),
        len(texts) - sum(map(len, whole)),
        _gaps(whole, threshold),
        {kind: gaps for kind, chosen in sorted(by_kind.items()) if (gaps := _gaps(chosen, threshold))},
        _by_name(whole, threshold),
    )


def _gaps(sets: Sequence[Sequence[Twin]], threshold: float) -> Gaps | None:
    pairs = [(one.score, other.score) for each in sets for one, other in combinations(each, 2)]
    if not pairs:
        return None
    apart = [abs(one - other) for one, other in pairs]
    return Gaps(
        len(pairs),
        sum(apart) / len(pairs),
        sum(gap > 0 for gap in apart) / len(pairs),
        sum(gap > GAP for gap in apart) / len(pairs),
        sum((one >= threshold) != (other >= threshold) for one, other in pairs) / len(pairs),
        max(apart),
    )


def _by_name(sets: Sequence[Sequence[Twin]], threshold: float) -> dict[str, Named]:
    found: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for each in sets:
        for one in each:
            others = [other.score for other in each if other is not one]
            name = one.target if one.target is not None else _differing(one, next(o for o in each if o is not one))
            flagged = sum(score >= threshold for score in others) / len(others)
            found[name].append((one.score, sum(others) / len(others), float(one.score >= threshold), flagged))
    named = {name: _named(rows) for name, rows in found.items() if name and len(rows) >= SMALLEST_NAMED}
    return dict(sorted(named.items(), key=lambda item: (-item[1].above, item[0])))


def _named(rows: Sequence[tuple[float, float, float, float]]) -> Named:
    mean, others, flagged, twins_flagged = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return Named(len(rows), mean, mean - others, flagged, twins_flagged)


def _differing(one: Twin, other: Twin) -> str:
    """The first words of a text that its twin does not have, in small letters."""
    ours, theirs = (_WORD.findall(text.lower()) for text in (one.text, other.text))
    for change, start, end, _, _ in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if change != "equal" and end > start:
            return " ".join(ours[start:end])
    return ""


def table(name: str, one: Report) -> Iterator[str]:
    """Lines for people. A set without twins says so."""
    if one.gaps is None:
        yield f"{name}: no two rows share a group"
        return
    rows = {"all": one.gaps, **one.kinds}
    width = max(20, *map(len, rows))
    yield f"{name}: {one.sets} sets of twins"
    heads = f"{'pairs':>7}{'mean gap':>10}{'any gap':>9}{f'over {GAP:g}':>10}{'flips':>8}{'largest':>9}"
    yield f"  {'kind':<{width}}{heads}"
    for kind, gaps in rows.items():
        yield (
            f"  {kind:<{width}}{gaps.pairs:>7}{gaps.mean:>10.4f}{gaps.changed:>9.3f}{gaps.wide:>10.3f}"
            f"{gaps.flipped:>8.3f}{gaps.largest:>9.3f}"
        )
    if one.named:
        yield f"  {'named':<{width}}{'texts':>7}{'mean':>10}{'above twins':>13}{'flagged':>9}{'twins flagged':>15}"
    for who, named in one.named.items():
        yield (
            f"  {who[:width]:<{width}}{named.texts:>7}{named.mean:>10.3f}{named.above:>+13.4f}{named.flagged:>9.3f}"
            f"{named.twins_flagged:>15.3f}"
        )
    if one.left_out:
        yield f"  {one.left_out} rows without a twin were left out"
