"""A claim weighed against its sources: its words by the model, its rounded figures by the sources' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stanchion_guard.grounding.features import Comparison, Evidence, compare
from stanchion_guard.grounding.ledger import Ledger
from stanchion_guard.grounding.model import unsupported
from stanchion_guard.grounding.words import Token, tokens

WRONG_FIGURE = 0.8
"""At least so doubtful is a figure that the sources have with the other sign, or for one of two rows. Chosen, not
fitted."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """`doubt` 0..1, 1 = not supported. `turned` and `partial` as in `Settled`."""

    found: Comparison
    doubt: float
    turned: tuple[str, ...]
    partial: tuple[str, ...]


def weigh(written: str, claim: Sequence[Token], evidence: Evidence, ledger: Ledger) -> Weighed:
    """`claim` are the tokens of `written`. A figure that holds does not excuse another one beside it that does not."""
    settled = ledger.settle(written)
    found = compare(claim, evidence)
    doubt = unsupported(found)
    if settled.text != written:
        found = compare(tokens(settled.text), evidence)
        after = unsupported(found)
        doubt = max(doubt, after) if found.contrast.numbers else after
    if settled.turned or settled.partial:
        doubt = max(doubt, WRONG_FIGURE)
    return Weighed(found, doubt, settled.turned, settled.partial)
