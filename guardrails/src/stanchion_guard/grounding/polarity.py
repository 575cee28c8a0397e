"""Which words of a sentence are denied: the scope of a negator runs to the end of its clause."""

from __future__ import annotations

from collections.abc import Sequence

from stanchion_guard.grounding.lexicon import CLAUSE_DENIERS, DENIERS, EXCEPT, NEGATORS, TURNS
from stanchion_guard.grounding.words import Token

LONGEST_SCOPE = 12
"""Words. A negation seldom reaches further, and a text without commas should not be denied as a whole."""
_TURNED = frozenset(["turn", "turns", "turned", "turning"])
"""With "down" they refuse what follows."""
_DENYING = NEGATORS | DENIERS | EXCEPT


def denied(tokens: Sequence[Token]) -> list[bool]:
    """For each token whether an odd number of negators reaches it. A negator itself is never denied."""
    found = [False] * len(tokens)
    for at, token in enumerate(tokens):
        if _denies(token, tokens[at + 1].word if at + 1 < len(tokens) else ""):
            for place in _scope(tokens, at):
                found[place] = not found[place]
        elif token.word in CLAUSE_DENIERS:
            for place in (*_before(tokens, at), *_scope(tokens, at)):
                found[place] = not found[place]
    return found


def _denies(token: Token, following: str) -> bool:
    if following == "down" and token.word in _TURNED:
        return True
    if token.word not in _DENYING and not token.word.endswith("n't"):
        return False
    return token.word != "not" or following not in ("only", "just", "merely")


def _scope(tokens: Sequence[Token], at: int) -> range:
    end = at + 1
    while end < len(tokens) and end - at <= LONGEST_SCOPE:
        if tokens[end - 1].ends or tokens[end].word in TURNS or (tokens[end].word == "and" and end - at > 2):
            break
        end += 1
    return range(at + 1, end)


def _before(tokens: Sequence[Token], at: int) -> range:
    start = at
    while start and at - start < LONGEST_SCOPE and not tokens[start - 1].ends and tokens[start - 1].word not in TURNS:
        start -= 1
    return range(start, at)
