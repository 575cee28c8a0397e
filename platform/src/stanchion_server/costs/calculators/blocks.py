"""The block table of one sequence in a paged KV cache, token by token. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Field, Values, whole
from stanchion_server.costs.calculators.memory import blocks, unused_slots
from stanchion_server.costs.calculators.results import Calculator, Result, line, share, table
from stanchion_server.kernel.errors import SenderError

MOST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Step:
    """`table` holds the physical block of each logical one, `taken` those that this step took from the free ones."""

    tokens: int
    table: tuple[int, ...]
    taken: tuple[int, ...]
    unused: int


class Exhausted(Exception):
    """`tokens` need more blocks than there are."""

    def __init__(self, tokens: int, needed: int, there: int) -> None:
        super().__init__(f"{tokens} tokens need {needed} blocks, and {there} are free")


def steps(prompt: int, generated: int, block_tokens: int, free: Sequence[int]) -> Iterator[Step]:
    """After the prompt, and after each generated token. Blocks are taken from `free` in its order; raises Exhausted."""
    held: tuple[int, ...] = ()
    for tokens in range(prompt, prompt + generated + 1):
        needed = blocks(tokens, block_tokens)
        if needed > len(free):
            raise Exhausted(tokens, needed, len(free))
        taken = tuple(free[len(held) : needed])
        held += taken
        yield Step(tokens, held, taken, unused_slots(tokens, block_tokens))


def _blocks(values: Values) -> Result:
    free = [int(one or 0) for row in values.rows("free") for one in row.numbers]
    if len(set(free)) != len(free):
        raise SenderError("bad_value", "free names a block twice: each physical block is free once.")
    size = values.whole("block_tokens")
    try:
        found = list(steps(values.whole("prompt_tokens"), values.whole("generated_tokens"), size, free))
    except Exhausted as error:
        raise SenderError("bad_value", f"free: {error}. Give more blocks, or fewer tokens.") from error
    last = found[-1]
    lines = (
        line("blocks", "Blocks at the end", len(last.table), "", "⌈tokens / tokens per block⌉"),
        line("table", "Block table", " ".join(map(str, last.table)), "", "physical block of each logical one"),
        line("unused", "Unused slots", last.unused, "", "blocks × tokens per block - tokens"),
        line("waste_ratio", "Unused", share(last.unused, len(last.table) * size), "%", "unused / slots"),
    )
    rows = [
        (one.tokens, len(one.table), " ".join(map(str, one.table)), " ".join(map(str, one.taken)) or "none", one.unused)
        for one in found
    ]
    head = (("Tokens", ""), ("Blocks", ""), ("Block table", ""), ("Taken now", ""), ("Unused", ""))
    return Result(lines, (table("Step by step", head, *rows),))


BLOCKS = Calculator(
    "block-table",
    "Paged KV cache, block by block",
    "Capacity",
    "Which blocks does a sequence take, and how much of them is unused?",
    (
        whole("prompt_tokens", "Tokens of the prompt", 7, 1_000, low=1),
        whole("generated_tokens", "Tokens generated", 2, MOST_STEPS),
        whole("block_tokens", "Tokens per block", 4, 1_024, low=1),
        Field(
            "free",
            "Free physical blocks, in the order they are taken",
            "rows",
            "7, 1, 3, 0, 2",
            high=Decimal(10_000_000),
            is_whole=True,
        ),
    ),
    _blocks,
    ("An engine keeps its own order of free blocks; sharing and copying on writing are left out.",),
)
