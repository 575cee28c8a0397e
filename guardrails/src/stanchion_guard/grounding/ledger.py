"""The figures of the sources, and which figures of a claim are roundings of them or follow from two of them.

A rounding has a scale word, a currency or a percent sign, and a last digit that is coarser than the source's. A growth
in percent follows from two neighbours of a row under a line of years, or from "from A to B".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice, pairwise, takewhile

from stanchion_guard.grounding.figures import Figure, declared_scale, figures
from stanchion_guard.grounding.lexicon import word_set
from stanchion_guard.grounding.words import stem, tokens

ROUNDED = 0.5
"""Steps of the last digit that a figure may be off: half of one when it is rounded, up to one when it is cut off."""
MOST_LIKE = 50
"""Figures of the sources that are looked at for one of the claim."""
MOST_LABEL_WORDS = 12
_LOSS = word_set("loss losses lost deficit negative outflow outflows shortfall minus")
_PROFIT = word_set("income profit profits earnings gain gains surplus positive inflow inflows earned")
_SPENT = word_set("charge charges expense expenses cost costs tax taxes impairment paid spent spending")
"""A report writes what was spent with brackets or without: it has no sign of its own."""
_UP = word_set(
    "increase increased increases grew grow growth rose rise risen up gained climbed higher improved jumped added"
)
_DOWN = word_set(
    "decrease decreased decreases fell fall fallen down declined decline dropped drop lower shrank lost reduced cut"
)
_WORD = re.compile(r"[A-Za-z]{2,30}|[,;.()]")
_PAIR = re.compile(r"\b([A-Za-z]{2,30}) and ([A-Za-z]{2,30})\b")
_ASIDE = re.compile(r"\([A-Za-z]{1,30}\)")
_IN_YEAR = re.compile(
    r"\s+(?:in|for|during|of)\s+(?:(?:the|fiscal|financial|full|year)\s+){0,3}(?P<year>[12]\d{3})\b(?![-–/]?\d)"
)
_BACK = word_set("from compared versus against previous prior earlier than before last")
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Known:
    """A figure of the sources: `value` without sign, its declared unit counted in; `sign` 0 where it is not known.
    `year` is that of its column, None where no line of years stands above; `own` the name of its row."""

    figure: Figure
    value: float
    step: float
    sign: int
    is_declared: bool
    row: int
    year: float | None
    own: frozenset[str]


@dataclass(frozen=True, slots=True)
class Growth:
    """`percent` from an older figure to a newer one, with its sign."""

    percent: float
    newer: Figure
    label: frozenset[str]


TURNED = Figure(0, 0, "", 0.0, 0.0, 0, negative=False, percent=False, currency="", scaled=False)
"""Stands for a figure that the sources have with the other sign or direction only."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A claim with each rounded figure replaced by the one it rounds. `turned`: figures that the sources have with the
    other sign or direction only; `partial`: for one of two rows that the claim names together."""

    text: str
    turned: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()


class _Claim:
    """What is looked up of one claim for each of its figures, found out once: a hostile claim has thousands of them."""

    def __init__(self, text: str) -> None:
        self.text = text
        every = figures(text)
        self.told = [one for one in every if not one.is_year]
        self._years = {one.value for one in every if one.is_year}

    @cached_property
    def said(self) -> frozenset[str]:
        return frozenset(one.stem for one in tokens(self.text) if one.content)

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(stem(word.lower()) for word in _WORD.findall(self.text))

    @cached_property
    def only_year(self) -> float | None:
        """The only year of a claim about one amount that does not look back."""
        if len(self._years) != 1 or sum(not one.percent for one in self.told) != 1:
            return None
        looks_back = not _BACK.isdisjoint(map(str.lower, _WORD.findall(self.text)))
        return None if looks_back else next(iter(self._years))

    def year_of(self, told: Figure) -> float | None:
        """2022 of "$2 billion in 2022"."""
        found = _IN_YEAR.match(self.text, told.end)
        if found is not None:
            return float(found["year"])
        return None if told.percent else self.only_year


@dataclass(frozen=True, slots=True)
class _Row:
    own: frozenset[str]
    label: frozenset[str]
    figures: tuple[Figure, ...]
    years: tuple[float, ...]
    text: str
    scale: float


class Ledger:
    """Read when a claim first asks. `steps` is ROUNDED or what a policy allows instead."""

    def __init__(self, texts: Sequence[str], steps: float = ROUNDED) -> None:
        self._texts, self._steps = texts, steps

    def settle(self, claim: str) -> Settled:
        asked = _Claim(claim)
        if not asked.told:
            return Settled(claim)
        text, turned, at = [], [], 0
        names_row = cache(lambda: self._names_row(asked.said))
        for one in asked.told:
            found = self._source_of(one, asked, names_row)
            if found is TURNED:
                turned.append(one.written)
            elif found is not None:
                text += [claim[at : one.start], found.written.strip("()-−")]
                at = one.end
        return Settled("".join((*text, claim[at:])), tuple(turned), self._partial(claim, asked.told))

    @cached_property
    def _rows(self) -> list[_Row]:
        return [row for text in self._texts for row in _rows(text)]

    @cached_property
    def _known(self) -> list[Known]:
        """By value."""
        found = [one for at, row in enumerate(self._rows) for one in _of_row(row, at)]
        return sorted(found, key=lambda one: one.value)

    @cached_property
    def _values(self) -> list[float]:
        return [one.value for one in self._known]

    @cached_property
    def _growths(self) -> list[Growth]:
        """By size."""
        return sorted((one for row in self._rows for one in _growths(row)), key=lambda one: abs(one.percent))

    @cached_property
    def _sizes(self) -> list[float]:
        return [abs(one.percent) for one in self._growths]

    @cached_property
    def _naming(self) -> dict[str, frozenset[int]]:
        """Stem -> the rows whose own label has it."""
        found: dict[str, set[int]] = {}
        for at, row in enumerate(self._rows):
            for one in row.own:
                found.setdefault(one, set()).add(at)
        return {one: frozenset(rows) for one, rows in found.items()}

    def _source_of(self, told: Figure, asked: _Claim, names_row: Callable[[], bool]) -> Figure | None:
        """None where the sources have nothing like it, or have it for another year or in another row only."""
        grown = self._growth(told, asked) if told.percent else None
        if grown is not None:
            return grown
        if told.digits < 2 or not (told.scaled or told.money or told.percent):
            return None
        sign, year, turned = _sign(told, asked.text), asked.year_of(told), False
        for one in self._near(told):
            if not _is_alike(told, one) or (year and one.year and year != one.year):
                continue
            if one.own and one.own.isdisjoint(asked.said) and names_row():
                continue  # the claim names another row in full, and this one by no word
            if one.sign * sign >= 0:
                return one.figure if one.figure.written != told.written else None
            turned = True
        return TURNED if turned else None

    def _names_row(self, said: frozenset[str]) -> bool:
        """Whether all words of some row's name are said."""
        rows = (row for one in said for row in islice(self._naming.get(one, ()), MOST_LIKE))
        return any(self._rows[row].own <= said for row in rows)

    def _near(self, told: Figure) -> Iterator[Known]:
        reach = self._steps * told.step * (1 + _SLACK) + _SLACK * told.value
        start = bisect_left(self._values, told.value - reach)
        for one in islice(self._known, start, start + MOST_LIKE):
            if one.value > told.value + reach:
                return
            if one.step <= told.step * (1 + _SLACK):
                yield one

    def _growth(self, told: Figure, asked: _Claim) -> Figure | None:
        """The newer of two figures that are so far apart."""
        way = -1 if told.negative else _nearest(told, asked.text, _DOWN, _UP)
        if not way:
            return None
        turned = False
        reach = self._steps * told.step + _SLACK
        start = bisect_left(self._sizes, told.value - reach)
        for one in islice(self._growths, start, start + MOST_LIKE):
            if abs(one.percent) > told.value + reach:
                break
            if not one.label.isdisjoint(asked.stems):
                if one.percent * way > 0:
                    return one.newer
                turned = True
        return TURNED if turned else None

    def _partial(self, claim: str, told: Sequence[Figure]) -> tuple[str, ...]:
        found: list[str] = []
        said = [word.lower() for word in _WORD.findall(claim)]
        for pair in islice(_PAIR.finditer(claim), MOST_LIKE):
            first, second = (self._naming.get(stem(word.lower()), frozenset()) for word in pair.groups())
            if not first or not second or first & second or any(said.count(word.lower()) > 1 for word in pair.groups()):
                continue  # a word that comes again has a figure of its own
            rows = [(one, frozenset(known.row for known in self._near(one))) for one in told]
            only_first = [one for one, has in rows if has & first and not has & second]
            only_second = [one for one, has in rows if has & second and not has & first]
            if not (only_first and only_second):
                found += [one.written for one in (*only_first, *only_second)]
        return tuple(dict.fromkeys(found))


def _rows(text: str) -> Iterator[_Row]:
    """Of the lines that have figures. A short line without any heads those below it, a line of years dates them."""
    scale, section, years = declared_scale(text), frozenset[str](), tuple[float, ...]()
    for line in text.splitlines():
        found = figures(line)
        amounts = tuple(one for one in found if not one.is_year)
        if not amounts:
            if len(found) > 1:
                years = tuple(one.value for one in found)
            elif line.strip():
                section = _label(line)
            continue
        own = _label(line[: amounts[0].start])
        yield _Row(own, own | section, amounts, years, line, scale)


def _label(text: str) -> frozenset[str]:
    """Stems of a row's or a section's name; none for what is too long to be one."""
    found = tokens(text)
    return frozenset(one.stem for one in found if one.content) if len(found) <= MOST_LABEL_WORDS else frozenset()


def _is_alike(told: Figure, known: Known) -> bool:
    """Both shares or neither; money in the same currency, as far as it is told."""
    figure = known.figure
    if figure.currency and told.currency and figure.currency != told.currency:
        return False
    return figure.percent == told.percent and (not told.money or figure.money or known.is_declared)


def _of_row(row: _Row, at: int) -> Iterator[Known]:
    plain = [one for one in row.figures if not one.percent]
    years = dict(zip((one.start for one in plain), row.years, strict=True)) if len(plain) == len(row.years) else {}
    for one in row.figures:
        is_plain = not (one.scaled or one.percent)
        sign = _sign(one, row.text)
        if row.scale != 1.0 and is_plain:
            sign = _sign_in_table(one, row)
            value, step = one.value * row.scale, one.step * row.scale
            yield Known(one, value, step, sign, is_declared=True, row=at, year=years.get(one.start), own=row.own)
        elif one.negative and one.written[:1] == "(" and one.written[1:-1].isdigit():
            sign = 0  # "(924)" in prose is an aside as often as a loss
        yield Known(
            one, one.value, one.step, sign, is_declared=False, row=at, year=years.get(one.start), own=row.own
        )  # fmt: skip


def _sign_in_table(one: Figure, row: _Row) -> int:
    """A row of losses writes them without brackets; "income (loss)" is one of both, with brackets."""
    if one.negative:
        return -1
    name = _ASIDE.sub("", row.text[: row.figures[0].start])
    return 0 if any(word.lower() in _LOSS for word in _WORD.findall(name)) else 1


def _growths(row: _Row) -> Iterator[Growth]:
    plain = [one for one in row.figures if not one.percent]
    for before, after in pairwise(plain):
        older, newer = _in_time(before, after, row, len(plain))
        if older is None or newer is None or not older.value:
            continue
        values = [-one.value if one.negative else one.value for one in (older, newer)]
        yield Growth((values[1] - values[0]) / abs(values[0]) * 100, newer, row.label)


def _in_time(before: Figure, after: Figure, row: _Row, count: int) -> tuple[Figure | None, Figure | None]:
    """The older and the newer of two neighbours, or None twice where nothing says which is which."""
    if len(row.years) == count and len(set(row.years)) == count:
        if list(row.years) == sorted(row.years):
            return before, after
        if list(row.years) == sorted(row.years, reverse=True):
            return after, before
    said = row.text[max(0, before.start - 6) : before.start].split()
    if row.text[before.end : after.start].split() == ["to"] and said[-1:] == ["from"]:
        return before, after
    return None, None


def _sign(told: Figure, text: str) -> int:
    """-1 for a loss, 1 for a profit, 0 where the words do not say."""
    return -1 if told.negative else _nearest(told, text, _LOSS, _PROFIT, _SPENT)


def _nearest(
    told: Figure, text: str, minus: frozenset[str], plus: frozenset[str], neither: frozenset[str] = frozenset()
) -> int:
    """By the word that stands nearest: one of the two after the figure, else the last before it."""
    after = [word.lower() for word in takewhile(str.isalpha, _WORD.findall(text[told.end : told.end + 40])[:2])]
    before = [word.lower() for word in reversed(_WORD.findall(text[max(0, told.start - 300) : told.start]))]
    for word in (*after, *before):
        if word in neither:
            return 0
        if word in minus or word in plus:
            return -1 if word in minus else 1
    return 0
