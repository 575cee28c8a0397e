"""What a provider billed against what was computed, by day and model. Pure.

The difference of every line is cut into parts that add up to it exactly, so that the parts of all lines add up to the
difference of the two totals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from stanchion_server.costs.invoice_file import Billed

_ZERO = Decimal(0)
PARTS = ("price_usd", "volume_usd", "unseen_usd", "unbilled_usd", "unexplained_usd")


@dataclass(frozen=True, slots=True)
class Computed:
    """Charged calls of a model on a day; `model` is empty for calls that named none. `usd` leaves out `unpriced_calls`,
    and is None where all of them are; those of them that told no tokens are the `untokened_calls`, failed ones mostly.
    """

    day: date
    model: str
    calls: int
    unpriced_calls: int
    usd: Decimal | None
    input_tokens: int
    output_tokens: int
    untokened_calls: int = 0

    @property
    def lacks_a_price(self) -> bool:
        """A call without tokens needs none: what it used is missing from the volume."""
        return self.unpriced_calls > self.untokened_calls


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A line is within it when its difference is at most `usd`, or at most `ratio` of what was billed."""

    ratio: Decimal = Decimal("0.01")
    usd: Decimal = Decimal("0.01")

    def holds(self, billed_usd: Decimal, difference_usd: Decimal) -> bool:
        return abs(difference_usd) <= max(self.usd, self.ratio * abs(billed_usd))


@dataclass(frozen=True, slots=True)
class Line:
    """`difference_usd` is billed less computed, and the sum of the five parts after it.

    `price_usd`: the billed tokens at another price than ours. `volume_usd`: other tokens billed than recorded, at
    our price; calls that told none count with none.
    `unseen_usd`: billed, and no such call was recorded. `unbilled_usd` (negative): recorded and not billed.
    `unexplained_usd`: billed and recorded, without tokens on the bill or without a price of ours to tell the two apart.
    `seen_models`: what its calls named, several where names mean one model, "" for calls without a name.
    """

    day: date
    model: str
    billed_usd: Decimal | None
    computed_usd: Decimal | None
    difference_usd: Decimal
    price_usd: Decimal
    volume_usd: Decimal
    unseen_usd: Decimal
    unbilled_usd: Decimal
    unexplained_usd: Decimal
    is_within: bool
    billed_input_tokens: int | None
    billed_output_tokens: int | None
    seen_input_tokens: int | None
    seen_output_tokens: int | None
    calls: int
    unpriced_calls: int
    seen_models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the lines; they add up to `difference_usd` as a line's parts do."""

    billed_usd: Decimal
    computed_usd: Decimal
    difference_usd: Decimal
    price_usd: Decimal
    volume_usd: Decimal
    unseen_usd: Decimal
    unbilled_usd: Decimal
    unexplained_usd: Decimal
    is_within: bool
    lines_outside: int
    unpriced_calls: int


def canonical(model: str) -> str:
    """The name without what bills and requests write differently: routes, regions, vendors, versions and dates.

    `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-sonnet-4-5` and `Claude Sonnet 4.5`, as Anthropic's console
    writes it, are one model.
    """
    name = model.strip().lower().rpartition("/")[2]
    if name.startswith("claude "):
        name = re.sub(r"[ .]+", "-", name)
    name = re.sub(r"^(us|eu|apac|global)\.", "", name)
    name = re.sub(r"^(anthropic|amazon|meta|mistral|cohere|openai|google)\.", "", name)
    name = re.sub(r"-v[0-9]+(:[0-9]+)?$", "", name)
    name = re.sub(r"[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})$", "", name)
    return name or model.strip().lower()


def compare(
    billed: Iterable[Billed],
    computed: Iterable[Computed],
    our_price: Mapping[tuple[date, str], Decimal | None],
    tolerance: Tolerance,
) -> tuple[Line, ...]:
    """A line per day and canonical model, in order. `our_price` is what the billed tokens of a bill's (day, model) cost
    by the price book, None or missing where that is not known. Calls without a bill that cost nothing for sure, such as
    self-hosted ones and failed ones without tokens, are left out: nobody bills them."""
    bills: dict[tuple[date, str], list[Billed]] = {}
    calls: dict[tuple[date, str], list[Computed]] = {}
    for bill in billed:
        bills.setdefault((bill.day, canonical(bill.model)), []).append(bill)
    for one in computed:
        calls.setdefault((one.day, canonical(one.model)), []).append(one)
    owed = {key for key, ours in calls.items() if any(one.usd or one.lacks_a_price for one in ours)}
    return tuple(
        _line(key, bills.get(key, ()), calls.get(key, ()), our_price, tolerance) for key in sorted(bills.keys() | owed)
    )


def _line(
    key: tuple[date, str], bills: Sequence[Billed], calls: Sequence[Computed],
    our_price: Mapping[tuple[date, str], Decimal | None], tolerance: Tolerance,
) -> Line:  # fmt: skip
    billed = sum((one.usd for one in bills), _ZERO)
    known = [one.usd for one in calls if one.usd is not None]
    computed = sum(known, _ZERO)
    ours = [our_price.get((one.day, one.model)) for one in bills]
    parts = _parts(billed, computed, bills, calls, ours)
    difference = billed - computed
    return Line(
        key[0], _name(bills, calls), billed if bills else None, computed if known else None, difference, **parts,
        is_within=tolerance.holds(billed, difference),
        billed_input_tokens=_told(one.input_tokens for one in bills),
        billed_output_tokens=_told(one.output_tokens for one in bills),
        seen_input_tokens=sum(one.input_tokens for one in calls) if calls else None,
        seen_output_tokens=sum(one.output_tokens for one in calls) if calls else None,
        calls=sum(one.calls for one in calls), unpriced_calls=sum(one.unpriced_calls for one in calls),
        seen_models=tuple(sorted({one.model for one in calls})),
    )  # fmt: skip


def _parts(
    billed: Decimal, computed: Decimal, bills: Sequence[Billed], calls: Sequence[Computed],
    ours: Sequence[Decimal | None],
) -> dict[str, Decimal]:  # fmt: skip
    """All five, of which at most two are not zero."""
    found = dict.fromkeys(PARTS, _ZERO)
    expected = [one for one in ours if one is not None]
    if not calls:
        found["unseen_usd"] = billed
    elif not bills:
        found["unbilled_usd"] = -computed
    elif len(expected) < len(ours) or any(one.lacks_a_price for one in calls):
        found["unexplained_usd"] = billed - computed
    else:
        at_our_price = sum(expected, _ZERO)
        found["price_usd"] = billed - at_our_price
        found["volume_usd"] = at_our_price - computed
    return found


def _name(bills: Sequence[Billed], calls: Sequence[Computed]) -> str:
    """As most of our calls have it."""
    ranked = sorted(calls, key=lambda one: (-one.calls, one.model))
    return (ranked[0].model or "no model") if ranked else bills[0].model


def _told(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def sums(lines: Sequence[Line], tolerance: Tolerance) -> Sums:
    billed = sum((line.billed_usd or _ZERO for line in lines), _ZERO)
    difference = sum((line.difference_usd for line in lines), _ZERO)
    parts = {name: sum((getattr(line, name) for line in lines), _ZERO) for name in PARTS}
    return Sums(
        billed, sum((line.computed_usd or _ZERO for line in lines), _ZERO), difference, **parts,
        is_within=tolerance.holds(billed, difference),
        lines_outside=sum(not line.is_within for line in lines),
        unpriced_calls=sum(line.unpriced_calls for line in lines),
    )  # fmt: skip
