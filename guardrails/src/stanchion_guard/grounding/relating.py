"""Who does what to whom, and which words go together: what a claim may turn round without using a single new word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_guard.grounding.alignment import LIKE, OPPOSITE, Known, Match
from stanchion_guard.grounding.lexicon import JOINED, PRONOUNS, word_set
from stanchion_guard.grounding.relations import IRREGULAR, is_verb, meaning
from stanchion_guard.grounding.words import Token

REACH = 14
"""Words between a verb and what it relates, at most."""
_DETERMINERS = word_set("a an the his her its their my your our this that these those no some any each every")
_PREPOSITIONS = word_set(
    "of in on at by with from for to into onto under over between among through against about during near like unlike"
)
_BE = word_set("is are was were be been being am gets got get")
_BEFORE_A_VERB = word_set(
    "to will would can could may might must shall should do did does not never he she it they we i you who"
)
_BETWEEN = word_set("before after above below beneath behind into onto")
"""Words without content that relate what stands before them to what stands after."""
_CONVERSE = word_set("more less fewer")
_LESS = word_set("less fewer")
_CONTESTS = word_set("defeat win lose lost beat")
_MUTUAL = word_set(
    "marry married marries wed meet met meets border borders bordered equal equals resemble resembles match matches"
    " date dated join joined joins include included includes feature featured features contain contains"
)
"""Their two sides may change places, or a list follows."""
_SCALES = (
    word_set("none no nobody neither never nothing"),
    word_set("few rarely seldom hardly"),
    word_set("some sometimes several occasionally"),
    word_set("many often frequently"),
    word_set("most usually mostly mainly generally"),
    word_set("all every each always everyone everybody entirely"),
)
"""From none to all: what is said of more holds of fewer, but for none."""
_STEP = {word: at for at, words in enumerate(_SCALES) for word in words}
_ALL = len(_SCALES) - 1
_ONLY = word_set("only solely exclusively")


@dataclass(frozen=True, slots=True)
class Relating:
    """Places in the claim, and counts.

    `turned`: verbs and the like whose two sides have changed places; `kept`: how many have not. `stitched`: the words
    that the sources have of somebody or something else. `raised`: "all" where the sources say "some", "only" before one
    of several; `agreed`: how many such words are borne out.
    """

    turned: tuple[int, ...] = ()
    kept: int = 0
    stitched: tuple[int, ...] = ()
    raised: tuple[int, ...] = ()
    agreed: int = 0


def relating(claim: Sequence[Token], near: Known, matches: Sequence[Match]) -> Relating:
    met = {match.place: match for match in matches if match.other >= 0 and match.kind <= OPPOSITE}
    turned, kept = _relations(claim, near, met)
    raised, agreed = _quantified(claim, near)
    return Relating(tuple(turned), kept, _stitched(claim, near), tuple(raised), agreed)


def _relations(claim: Sequence[Token], near: Known, met: dict[int, Match]) -> tuple[list[int], int]:
    turned, kept = [], 0
    sides = _sides(claim, near, met)
    for place, there, opposite in _relators(claim, near, met):
        order = _order(place, there, sides)
        if not order:
            continue
        agent, other = _agent(claim, place), _agent(near.tokens, there)
        passive = _is_passive(claim, place, agent) != _is_passive(near.tokens, there, other)
        if passive and not _is_met(agent, other, sides):
            continue  # nothing is known of who does it
        if (order < 0) != (passive != opposite):
            turned.append(place)
        else:
            kept += 1
    return turned, kept


def _is_passive(tokens: Sequence[Token], at: int, agent: int) -> bool:
    return agent >= 0 or any(token.word in _BE for token in tokens[max(0, at - 2) : at])


def _is_met(agent: int, other: int, sides: Sequence[tuple[int, int]]) -> bool:
    """Whether the one who does it, by the name or noun that ends up to two words further, stands in both texts."""
    return any(0 <= agent <= said <= agent + 2 or 0 <= other <= at <= other + 2 for said, at in sides)


def _relators(claim: Sequence[Token], near: Known, met: dict[int, Match]) -> list[tuple[int, int, bool]]:
    """Place in the claim, place in the source, and whether one says the converse of the other."""
    found = []
    for place, token in enumerate(claim):
        match = met.get(place)
        if match is not None and _relates(claim, place, near.tokens, match.other):
            opposite = (match.kind == OPPOSITE) or (match.kind == LIKE and match.flipped)
            found.append((place, match.other, opposite != _turns_more(claim, place, near.tokens, match.other)))
        elif token.word in _BETWEEN and place:
            same = near.places.get(token.stem, ())
            if len(same) == 1:
                found.append((place, same[0], False))
            elif match is not None and match.kind == OPPOSITE:
                found.append((place, match.other, not match.flipped))
    return found


def _relates(claim: Sequence[Token], place: int, source: Sequence[Token], there: int) -> bool:
    stems = {claim[place].stem, source[there].stem}
    if len(stems) > 1 and not _CONTESTS.isdisjoint(stems):
        return False  # "defeated" is said of both sides, and a prize is lost to nobody
    return claim[place].content and _acts(claim, place) and _acts(source, there)


def _turns_more(claim: Sequence[Token], place: int, source: Sequence[Token], there: int) -> bool:
    """ "Costs more" against "costs less", "less dense" against "denser"."""
    said, known = claim[max(0, place - 1) : place + 4], source[max(0, there - 1) : there + 4]
    if any(
        _CONVERSE.isdisjoint(token.word for token in part) and all(t.word != "than" for t in part)
        for part in (said, known)
    ):
        return False
    return any(token.word in _LESS for token in said) != any(token.word in _LESS for token in known)


def _acts(tokens: Sequence[Token], at: int) -> bool:
    """Whether it is a verb or a comparison, as far as its form and neighbours tell."""
    token = tokens[at]
    if token.number is not None or (token.capital and at) or not at or token.word in _MUTUAL:
        return False
    before, after = tokens[at - 1], [other.word for other in tokens[at + 1 : at + 4]]
    if not before.capital and (before.word in _DETERMINERS or before.word in _PREPOSITIONS - {"to"}):
        return False
    if "than" in after[:2]:
        return after[0] == "than" or after[0] in _CONVERSE
    inflected = token.word.endswith(("ed", "s")) or token.word in IRREGULAR or before.word in _BEFORE_A_VERB
    return is_verb(token.word) and (inflected or before.capital) and after[:1] != ["of"] and _BE.isdisjoint(after[:1])


def _agent(tokens: Sequence[Token], at: int) -> int:
    """Place of him in "was lent to them by him" and "directed by him", -1 where the verb is no passive of that kind."""
    after = tokens[at + 1 : at + 9]
    by = next((i for i, token in enumerate(after) if token.word == "by"), None)
    if by is None or tokens[at].ends or any(token.ends or token.word in JOINED for token in after[:by]):
        return -1
    if by and not any(token.word in _BE for token in tokens[max(0, at - 3) : at]):
        return -1
    agent = at + by + 2
    while agent < len(tokens) and tokens[agent].word in _DETERMINERS:
        agent += 1
    if agent >= len(tokens) or tokens[agent].number is not None or tokens[agent].word.endswith("ing"):
        return -1
    return agent


def _sides(claim: Sequence[Token], near: Known, met: dict[int, Match]) -> list[tuple[int, int]]:
    """Place in the claim and in the source of each word that stands once in both."""
    found = []
    counts: dict[str, int] = {}
    for token in claim:
        counts[token.stem] = counts.get(token.stem, 0) + 1
    for place, token in enumerate(claim):
        same = near.places.get(token.stem, ())
        single_letter = token.capital and len(token.word) == 1 and place > 0
        if single_letter:
            same = [at for at in same if near.tokens[at].capital]
        if (token.content or single_letter) and len(same) == 1 and (counts[token.stem] == 1 or single_letter):
            found.append((place, same[0]))
        elif place in met and met[place].kind == LIKE and len(near.places[near.tokens[met[place].other].stem]) == 1:
            found.append((place, met[place].other))
    return found


def _order(place: int, there: int, sides: Sequence[tuple[int, int]]) -> int:
    """1: both sides stand as in the source, -1: they have changed places, 0: neither is plain."""
    left = [at < there for said, at in sides if said < place and place - said <= REACH and at != there]
    right = [at > there for said, at in sides if said > place and said - place <= REACH and at != there]
    if not left or not right:
        return 0
    if all(left) and all(right):
        return 1
    return -1 if not any(left) and not all(right) else 0


def _stitched(claim: Sequence[Token], near: Known) -> tuple[int, ...]:
    """The end of a claim that the source has in another clause, of somebody or something else."""
    if not near.parts or not near.parts[-1]:
        return ()
    said = {token.stem for token in claim}
    known = _placed(claim, near)
    pieces = {near.parts[there] for _, there in known}
    if len(pieces) != 2:
        return ()
    later = max(pieces)
    own_subject = _opening(near, later, said)
    shared = 0 if own_subject else _shared_until(near, later)
    known = [(place, there) for place, there in known if there >= shared]
    last = near.parts[known[-1][1]] if known else -1
    head = [(place, there) for place, there in known if near.parts[there] != last]
    tail = [(place, there) for place, there in known if near.parts[there] == last]
    if not head or head[-1][0] > tail[0][0] or not _unsaid_before(near, tail[0][1], said):
        return ()
    other = near.parts[head[0][1]]
    ends = {tail[0][1], tail[-1][1]}
    rivals = (_rivals(near, at, end, said, loosely=own_subject) for at in near.part(other) for end in ends)
    strange = last == later and own_subject and _goes_on(near, other, head[-1][1])
    return tuple(place for place, _ in tail) if strange or any(rivals) else ()


def _placed(claim: Sequence[Token], near: Known) -> list[tuple[int, int]]:
    """Place in the claim and in the source of each word that one clause alone of the source has."""
    found: list[tuple[int, int]] = []
    for place, token in enumerate(claim):
        there = _where(token, near)
        if there < 0:
            continue
        if found and found[-1][0] == place - 1 and _counts_nothing(near, found[-1][1], there):
            continue
        found.append((place, there))
    return found


def _counts_nothing(near: Known, number: int, word: int) -> bool:
    """ "Berlin has 3 million people and Rome 2 million": the people are counted by the last number, too."""
    if near.tokens[number].number is None or near.parts[number] == near.parts[word]:
        return False
    return near.tokens[word - 1].number is not None and (
        number + 1 == len(near.tokens) or near.parts[number + 1] != near.parts[number]
    )


def _unsaid_before(near: Known, at: int, said: set[str]) -> bool:
    """Whether the clause begins with something that the claim does not say."""
    return any(
        near.tokens[place].stem not in said and _counts(near.tokens[place])
        for place in near.part(near.parts[at])
        if place < at
    )


def _where(token: Token, near: Known) -> int:
    """The place of the source where a word stands, -1 where it has none or several clauses have it."""
    if not _counts(token):
        return -1
    places = near.places.get(token.stem, [])
    return places[0] if places and len({near.parts[at] for at in places}) == 1 else -1


def _counts(token: Token) -> bool:
    return token.content or token.number is not None


def _shared_until(near: Known, later: int) -> int:
    """Where the words of the first clause end that a later one without a subject shares: "the treaty" was signed and
    ratified; with the verb, where the later one begins with a number: the recipe "needs" three eggs and two cups."""
    tokens = near.tokens
    at = _subject_end(tokens)
    first = near.part(later)
    starts = [tokens[place] for place in first[:2] if tokens[place].word not in JOINED]
    follows = at < len(tokens) and _counts(tokens[at]) and tokens[at].number is None
    return at + 1 if follows and starts and starts[0].number is not None else at


def _subject_end(tokens: Sequence[Token]) -> int:
    at = 0
    while at < min(3, len(tokens)) and not _counts(tokens[at]):
        at += 1
        if tokens[at - 1].word in PRONOUNS - {"this", "that", "these", "its", "their", "his"}:
            return at
    start = at
    while at < len(tokens) and _counts(tokens[at]) and (tokens[at].capital or at == 0 or tokens[at].number is not None):
        at += 1
        if tokens[at - 1].ends:
            break
    return max(at, start + 1)


def _opening(near: Known, part: int, said: set[str]) -> bool:
    """Whether a clause begins with a name of its own, which the claim does not have."""
    for at in near.part(part)[:5]:
        token = near.tokens[at]
        if token.word in _PREPOSITIONS:
            return False
        if token.capital and token.stem not in said:
            return True
    return False


def _goes_on(near: Known, part: int, last: int) -> bool:
    """Whether a clause says something more after this place of it, names apart."""
    return any(near.tokens[at].content and not near.tokens[at].capital for at in near.part(part) if at > last)


def _rivals(near: Known, at: int, end: int, said: set[str], *, loosely: bool) -> bool:
    """Whether a word that the claim does not have stands in its clause as the claim's last word stands in another."""
    rival, word = near.tokens[at], near.tokens[end]
    if rival.stem in said or not _counts(rival):
        return False
    if word.number is not None or rival.number is not None:
        return word.number is not None and rival.number is not None and _is_year(word) == _is_year(rival)
    if _exclude_each_other(rival, word):
        return True
    if not at or not end:
        return False
    before, there = near.tokens[at - 1], near.tokens[end - 1]
    if before.word == there.word and before.word in _DETERMINERS and not loosely:
        return min(at, end) > 1 and near.tokens[at - 2].word == near.tokens[end - 2].word
    return before.word == there.word or (before.number is not None and there.number is not None)


def _exclude_each_other(one: Token, other: Token) -> bool:
    first, second = meaning(one.word), meaning(other.word)
    return not first.opposite.isdisjoint(second.own) or not first.parents.isdisjoint(second.parents)


def _is_year(token: Token) -> bool:
    return token.word.isdigit() and len(token.word) == 4 and 1500 <= int(token.word) < 2200


def _quantified(claim: Sequence[Token], near: Known) -> tuple[list[int], int]:
    raised, agreed = [], 0
    known = [
        (_STEP[token.word], _ranged(near.tokens, at)) for at, token in enumerate(near.tokens) if token.word in _STEP
    ]
    for place, token in enumerate(claim):
        if place and claim[place - 1].word == "not":
            continue
        if token.word in _ONLY and _one_of_several(claim[place + 1 :], near):
            raised.append(place)
        step = _STEP.get(token.word)
        if step is None or not known or (claim[place + 1 : place + 2] and claim[place + 1].word == "than"):
            continue
        wanted = _ranged(claim, place)
        beside = [other for other, words in known if words and len(wanted & words) >= min(2, len(wanted), len(words))]
        if any(other == step or 0 < step <= other for other in beside):
            agreed += 1
        elif beside and all(step in (0, _ALL) or other == 0 or step - other > 1 for other in beside):
            raised.append(place)
    return raised, agreed


def _one_of_several(after: Sequence[Token], near: Known) -> bool:
    """Whether what is said to be the only one stands in a list of the source."""
    if any(token.word in _ONLY for token in near.tokens):
        return False
    word = next((token for token in after if token.content), None)
    places = near.places.get(word.stem, []) if word is not None else []
    return any({"and", "or"} & {other.word for other in near.tokens[max(0, at - 1) : at + 2]} for at in places)


def _ranged(tokens: Sequence[Token], at: int) -> set[str]:
    return {token.stem for token in tokens[at + 1 : at + 5] if token.content}


def shares(found: Relating) -> tuple[float, ...]:
    """What the network is told of it, each 0 or 1."""
    kept = found.kept > 0 and not found.turned
    signs = (bool(found.turned), kept, bool(found.stitched), bool(found.raised), found.agreed > 0)
    return tuple(map(float, signs))
