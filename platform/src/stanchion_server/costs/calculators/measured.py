"""Things that were measured, side by side: averages, wins, tails, and which vector index to take. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from stanchion_server.costs.calculators.fields import Field, Row, Values, choice, number, whole
from stanchion_server.costs.calculators.results import Calculator, Printed, Result, line, share, table
from stanchion_server.kernel.errors import SenderError

FEW_SEARCHES, MANY_VECTORS = 10_000, 100_000_000
"""Faiss wiki, "Guidelines to choose an index" says: below the one an exact index is enough, above the other
vectors are clustered on several levels."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`win_ratio` is won pairs over all pairs of the contestant; a tie is half a win."""

    name: str
    average: Decimal
    wins: Decimal
    win_ratio: Decimal | None


def standings(rows: Sequence[tuple[str, Sequence[Decimal]]], *, is_high_good: bool) -> tuple[Standing, ...]:
    """In the order of `rows`, which all have the same columns."""
    found = []
    for name, own in rows:
        others = [scores for other, scores in rows if other != name]
        wins = sum(
            (_win(mine, theirs, is_high_good) for scores in others for mine, theirs in zip(own, scores, strict=True)),
            Decimal(0),
        )
        pairs = len(others) * len(own)
        found.append(Standing(name, sum(own, Decimal(0)) / len(own), wins, share(wins, pairs)))
    return tuple(found)


def _win(mine: Decimal, theirs: Decimal, is_high_good: bool) -> Decimal:
    if mine == theirs:
        return Decimal("0.5")
    return Decimal(int((mine > theirs) == is_high_good))


def best_of_column(
    rows: Sequence[tuple[str, Sequence[Decimal]]], column: int, *, is_high_good: bool
) -> tuple[str, ...]:
    """The best name, or all that share it."""
    pick = max if is_high_good else min
    top = pick(scores[column] for _, scores in rows)
    return tuple(name for name, scores in rows if scores[column] == top)


def _compare(values: Values) -> Result:
    rows = _complete(values.rows("scores"))
    is_high_good = values.text("better") == "higher"
    found = standings(rows, is_high_good=is_high_good)
    top = max(one.wins for one in found)
    first = ", ".join(one.name for one in found if one.wins == top)
    columns = len(rows[0][1])
    tops = [", ".join(best_of_column(rows, place, is_high_good=is_high_good)) for place in range(columns)]
    overall = tops[0] if len(set(tops)) == 1 else "none"
    lines = (
        line("first", "Most pairs won", first, "", "won pairs / ((rows - 1) × columns); a tie is half"),
        line("best_everywhere", "Best in every column", overall, "", "the same name in all columns"),
    )
    head = (("Name", ""), ("Average", ""), ("Pairs won", ""), ("Share", "%"))
    by_name = table("Standings", head, *((one.name, one.average, one.wins, one.win_ratio) for one in found))
    by_column = table(
        "Best by column", (("Column", ""), ("Best", "")), *((place + 1, top) for place, top in enumerate(tops))
    )
    return Result(lines, (by_name, by_column))


def _complete(rows: Sequence[Row]) -> list[tuple[str, list[Decimal]]]:
    found = [(row.name, [one for one in row.numbers if one is not None]) for row in rows]
    if len({len(scores) for _, scores in found}) != 1 or len({name for name, _ in found}) != len(found):
        raise SenderError("bad_value", "scores: every row needs another name and the same count of numbers.")
    return found


def highest_within(percentiles: Sequence[tuple[Decimal, Decimal]], limit_s: Decimal) -> Decimal | None:
    """The highest listed percentile that meets the limit; None where none does."""
    return max((rank for rank, seconds in percentiles if seconds <= limit_s), default=None)


def _tail(values: Values) -> Result:
    points = sorted((row.numbers[0] or Decimal(0), row.numbers[1] or Decimal(0)) for row in values.rows("percentiles"))
    if any(later[1] < earlier[1] for earlier, later in pairwise(points)):
        raise SenderError("bad_value", "percentiles: seconds cannot fall as the percentile rises. Check the rows.")
    if points[-1][0] > 100:
        raise SenderError("bad_value", f"percentiles: {points[-1][0]:f} is no percentile: write ranks from 0 to 100.")
    limit = values.number("limit_s")
    median = dict(points).get(Decimal(50))
    steps = [(later[1] / earlier[1], earlier[0], later[0]) for earlier, later in pairwise(points) if earlier[1]]
    jump = max(steps, default=None)
    lines = (
        line(
            "met_percentile",
            "Highest percentile in time",
            highest_within(points, limit),
            "",
            "the largest with seconds ≤ limit",
        ),
        line(
            "jump",
            "The tail begins between",
            None if jump is None else f"{jump[1]:f} and {jump[2]:f}",
            "",
            "the largest ratio of neighbours",
        ),
        line("jump_ratio", "There it grows", None if jump is None else jump[0], "times", "seconds / seconds before"),
    )
    rows = [(rank, seconds, share(seconds, median) if median else None, seconds <= limit) for rank, seconds in points]
    head = (("Percentile", ""), ("Took", "s"), ("Against the median", "times"), ("In time", ""))
    return Result(lines, (table("Percentiles", head, *rows),))


def choose_index(searches: int, vectors: int, *, is_exact: bool, is_ram_scarce: bool, on_gpu: bool) -> tuple[str, ...]:
    """Kinds of index, the first choice first."""
    if is_exact or searches < FEW_SEARCHES:
        return ("flat",)
    if vectors > MANY_VECTORS:
        return ("multilevel clustering",)
    if is_ram_scarce:
        return ("IVF + PQ with OPQ",)
    return ("IVF", "OPQ", "flat") if on_gpu else ("HNSW",)


def _index(values: Values) -> Result:
    found = choose_index(
        values.whole("searches"),
        values.whole("vectors"),
        is_exact=values.text("exact") == "yes",
        is_ram_scarce=values.text("memory") == "scarce",
        on_gpu=values.text("gpu") == "yes",
    )
    millions = Decimal(values.whole("vectors")) / 1_000_000
    raw = Decimal(values.whole("vectors")) * values.whole("dimensions") * 4
    lines = (
        line(
            "index",
            "Index",
            ", else ".join(found),
            "",
            "exact or few searches: flat; over 100 million: multilevel; scarce memory: IVF + PQ; else HNSW; GPU: IVF",
        ),
        line("vectors_gib", "Vectors alone take", raw / 2**30, "GiB", "vectors × dimensions × 4 bytes / 2^30"),
        line(
            "usd_per_million",
            "A million vectors costs per month",
            share(values.number("usd_per_month"), millions) if millions else None,
            "$",
            "$ per month / million vectors",
        ),
    )
    return Result(lines)


COMPARISON = Calculator(
    "comparison",
    "Measured side by side",
    "Quality",
    "Which of several models or stores is the best over all columns?",
    (
        Field(
            "scores",
            "Scores: name:number/number/…",
            "rows",
            "OpenSearch:2.13/35.0/11/16, pgvector:1.60/7.7/83/210, Pinecone:3.80/5.1/81/113",
            Decimal(-1_000_000_000),
            Decimal(1_000_000_000),
            cells=0,
            is_named=True,
        ),
        choice("better", "Better is", "lower", ("higher", "lower")),
    ),
    _compare,
    ("Every column weighs the same; differences within noise count as wins.",),
    (Printed("P99 of ingestion, pgvector against OpenSearch", "higher", "7.7 against 35 ms: lower", False),),
)
TAIL = Calculator(
    "latency-tail",
    "Latency tail",
    "Capacity",
    "Which share of answers is in time, and where does the tail begin?",
    (
        Field(
            "percentiles",
            "Percentiles: rank/seconds",
            "rows",
            "50/7.69, 66/7.85, 75/8.35, 80/8.62, 90/9.46, 95/29.85, 98/35.61, 99/36.69, 100/42.29",
            Decimal(0),
            Decimal(1_000_000),
            cells=2,
        ),
        number("limit_s", "Limit, seconds", "36", 1_000_000),
    ),
    _tail,
)
INDEX = Calculator(
    "vector-index",
    "Vector index",
    "Capacity",
    "Which kind of index, and what does a million vectors cost?",
    (
        whole("vectors", "Vectors", 6_000_000, 1_000_000_000_000),
        whole("dimensions", "Dimensions", 1_024, 100_000, low=1),
        whole("searches", "Searches until it is built anew", 1_000_000, 1_000_000_000_000),
        choice("exact", "Exact results", "no", ("no", "yes")),
        choice("memory", "Memory", "ample", ("ample", "scarce")),
        choice("gpu", "On a GPU", "no", ("no", "yes")),
        number("usd_per_month", "$ per month", "84", 1_000_000_000),
    ),
    _index,
    ("By the guidelines of Faiss; what your data does, only a test shows.",),
)
