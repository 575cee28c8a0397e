"""Words for groups of people, and a text's twin in which one group stands for another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from stanchion_guard.grounding.lexicon import word_set

DIMENSIONS: dict[str, str] = {
    "gender": """woman women female females girl girls lady ladies mother mothers wife wives man men male males boy boys
    gentleman gentlemen father fathers husband husbands nonbinary transgender trans transwoman transman""",
    "sexuality": """gay gays lesbian lesbians bisexual bisexuals homosexual homosexuals queer heterosexual
    heterosexuals""",
    "origin": """black blacks white whites asian asians african africans arab arabs hispanic hispanics latino latinos
    latina latinas mexican mexicans chinese japanese korean koreans indian indians pakistani pakistanis turkish turks
    polish russian russians romanian romanians nigerian nigerians american americans german germans italian italians
    irish vietnamese filipino filipinos iranian iranians iraqi syrian afghan afghans palestinian palestinians israeli
    israelis roma gypsy gypsies immigrant immigrants migrant migrants refugee refugees foreigner foreigners""",
    "religion": """muslim muslims islam islamic jew jews jewish christian christians christianity catholic catholics
    hindu hindus buddhist buddhists sikh sikhs atheist atheists""",
    "age": "elderly seniors pensioner pensioners boomer boomers millennial millennials teenager teenagers",
    "disability": "disabled handicapped blind deaf autistic schizophrenic bipolar paraplegic wheelchair",
    "standing": "poor homeless unemployed prisoners convicts",
}
_BESIDE_PEOPLE = word_set("black blacks white whites poor blind deaf trans bipolar indian polish")
"""Adjectives of other things too: they count before a word for people, or in the plural."""
_OF_THINGS_TOO = word_set("young old straight rich")
_PEOPLE = word_set(
    """people person man men woman women boy boys girl girls guy guys folk folks community communities family families
    child children kid kids citizen citizens worker workers student students neighbour neighbours neighbor neighbors"""
)
_PAIRS = """he she | him her | his her | himself herself | man woman | men women | boy girl | boys girls | male female |
males females | father mother | fathers mothers | husband wife | husbands wives | son daughter | sons daughters |
brother sister | brothers sisters | uncle aunt | gentleman lady | gentlemen ladies | mr mrs | dad mom |
grandfather grandmother | king queen | waiter waitress | actor actress | christian muslim | christians muslims |
christianity islam | church mosque | jewish catholic | jews catholics | hindu buddhist | hindus buddhists |
american mexican | americans mexicans | german turkish | germans turks | french nigerian | british pakistani |
italian polish | gay straight | lesbian heterosexual | young old | younger older | rich poor | able-bodied disabled"""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")
_OBJECT_AFTER = word_set(
    """to for with at by on in from and or but that when because as about the a an his her if so then while after before
    than into up out off again too is was"""
)
"""Words before which "her" is an object (him) rather than a possessive (his)."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One word for a group, where it stands."""

    dimension: str
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Twin:
    """`swaps`: range in the original, and what stands there instead."""

    text: str
    swaps: tuple[tuple[int, int, str], ...]


@cache
def dimension_of() -> dict[str, str]:
    return {word: name for name, words in DIMENSIONS.items() for word in words.split()}


@cache
def _swaps() -> dict[str, str]:
    found: dict[str, str] = {"black": "white", "white": "black", "blacks": "whites", "whites": "blacks"}
    for pair in _PAIRS.replace("\n", " ").split("|"):
        one, other = pair.split()
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


def mentions(words: list[str], places: list[tuple[int, int]]) -> list[Mention]:
    """Every word for a group among the words of a text."""
    known, found = dimension_of(), []
    for at, (word, (start, end)) in enumerate(zip(words, places, strict=True)):
        lower = word.lower().removesuffix("'s").removesuffix("’s")
        if lower in known and (lower not in _BESIDE_PEOPLE or _is_of_people(words, at, lower)):
            found.append(Mention(known[lower], lower, start, end))
    return found


def _is_of_people(words: list[str], at: int, lower: str) -> bool:
    return lower in ("blacks", "whites") or any(word.lower() in _PEOPLE for word in words[at + 1 : at + 3])


def twin_of(text: str) -> Twin | None:
    """The text with each group word that has a counterpart replaced by it; None where there is none."""
    found = list(_WORD.finditer(text))
    words = [match.group() for match in found]
    swaps = tuple(
        (match.start(), match.end(), _cased(instead, match.group()))
        for at, match in enumerate(found)
        if (instead := _instead(words, at)) is not None
    )
    if not swaps:
        return None
    pieces, after = [], 0
    for start, end, instead in swaps:
        pieces += [text[after:start], instead]
        after = end
    return Twin("".join((*pieces, text[after:])), swaps)


def _instead(words: list[str], at: int) -> str | None:
    lower = words[at].lower()
    if lower == "her":
        following = words[at + 1].lower() if at + 1 < len(words) else ""
        return "him" if not following or following in _OBJECT_AFTER else "his"
    if (lower in _BESIDE_PEOPLE or lower in _OF_THINGS_TOO) and not _is_of_people(words, at, lower):
        return None
    return _swaps().get(lower)


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word
