"""Small checks of what a model said: a claimed number, the order of options, and who is missing in a team. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from stanchion_server.costs.calculators.fields import Field, Values, choice, number
from stanchion_server.costs.calculators.results import Calculator, Number, Result, line, share, table
from stanchion_server.kernel.errors import SenderError

UNITS: Mapping[str, tuple[str, Decimal | Fraction, Decimal | Fraction]] = {
    "none": ("none", Decimal(1), Decimal(0)),
    "km": ("length", Decimal(1_000), Decimal(0)), "m": ("length", Decimal(1), Decimal(0)),
    "mi": ("length", Decimal("1609.344"), Decimal(0)), "ft": ("length", Decimal("0.3048"), Decimal(0)),
    "in": ("length", Decimal("0.0254"), Decimal(0)),
    "kg": ("mass", Decimal(1), Decimal(0)), "t": ("mass", Decimal(1_000), Decimal(0)),
    "lb": ("mass", Decimal("0.45359237"), Decimal(0)),
    "C": ("temperature", Decimal(1), Decimal(0)), "K": ("temperature", Decimal(1), Decimal("-273.15")),
    "F": ("temperature", Fraction(5, 9), Fraction(-160, 9)),
}  # fmt: skip
"""Kind, factor and offset to the kind's base: metre, kilogram, degree Celsius. Feet, miles and pounds are the
international ones of 1959."""
MOST_POWER = 1_000
MOST_DIGITS = 30


def converted(value: Decimal, given: str, wanted: str) -> Decimal | None:
    """Rounded once, at the end. None where the units measure different things."""
    kind, factor, offset = UNITS[given]
    other, by, shift = UNITS[wanted]
    if kind != other or given == wanted:
        return value if kind == other else None
    exact = (Fraction(value) * Fraction(factor) + Fraction(offset) - Fraction(shift)) / Fraction(by)
    return Decimal(exact.numerator) / exact.denominator


def odd_sum(numbers: Sequence[int]) -> int:
    return sum(one for one in numbers if one % 2)


def holds(computed: Decimal, relation: str, claimed: Decimal, tolerance_ratio: Decimal) -> bool:
    """Whether the claim is right; `tolerance_ratio` is of the computed value, and only for "equals"."""
    if relation == "is less than":
        return computed < claimed
    if relation == "is more than":
        return computed > claimed
    return abs(computed - claimed) <= tolerance_ratio * abs(computed)


OPERATIONS = ("sum", "sum of the odd ones", "first to the power of the second", "the first alone")


def _number(values: Values) -> Result:
    given = [one or Decimal(0) for row in values.rows("numbers") for one in row.numbers]
    computed = converted(_computed(given, values.text("operation")), values.text("unit"), values.text("claimed_unit"))
    if computed is None:
        message = f"claimed_unit={values.text('claimed_unit')!r} does not measure what unit does: take one of its kind."
        raise SenderError("bad_value", message)
    claimed, relation = values.number("claimed"), values.text("relation")
    is_right = holds(computed, relation, claimed, values.number("tolerance_ratio"))
    lines = (
        line("is_right", "The claim is right", is_right, "", "computed against claimed"),
        line("computed", "Computed", computed, "", values.text("operation")),
        line("difference", "Claimed less computed", claimed - computed, "", "claimed - computed"),
        line("difference_ratio", "Of the computed", share(claimed - computed, computed), "%", "difference / computed"),
    )
    return Result(lines)


def _computed(given: Sequence[Decimal], operation: str) -> Decimal:
    if operation == "sum":
        return sum(given, Decimal(0))
    if operation == "sum of the odd ones":
        if any(one != one.to_integral_value() for one in given):
            raise SenderError("bad_value", "numbers: only whole numbers are odd or even.")
        return Decimal(odd_sum([int(one) for one in given]))
    if operation == "the first alone":
        return given[0]
    if len(given) < 2 or given[0] <= 0 or abs(given[1]) > MOST_POWER or given[0].adjusted() > 9:
        raise SenderError("bad_value", f"numbers: a power needs base/exponent, base above 0, exponent to {MOST_POWER}.")
    with localcontext() as context:
        context.prec = 28
        found = given[0] ** given[1]
    if found.adjusted() > MOST_DIGITS:
        raise SenderError("bad_value", f"numbers: {given[0]:f} to the power of {given[1]:f} has too many digits.")
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """One asking: the options in the order they were shown, and the one that was picked."""

    options: tuple[str, ...]
    picked: str

    @property
    def place(self) -> int:
        return self.options.index(self.picked)


@dataclass(frozen=True, slots=True)
class Order:
    """`pairs` are askings of the same options in two orders; `flips` of them had another answer."""

    pairs: int
    flips: int
    picked_first: int
    picked_last: int

    @property
    def flip_ratio(self) -> Decimal | None:
        return share(self.flips, self.pairs)


def order_of(askings: Sequence[Asked]) -> Order:
    """Each asking is paired with every later one of the same options in another order."""
    flips = pairs = 0
    for at, first in enumerate(askings):
        for second in askings[at + 1 :]:
            if first.options != second.options and sorted(first.options) == sorted(second.options):
                pairs += 1
                flips += first.picked != second.picked
    return Order(
        pairs, flips, sum(one.place == 0 for one in askings),
        sum(one.place == len(one.options) - 1 for one in askings),
    )  # fmt: skip


MOST_ASKINGS = 200


def _order(values: Values) -> Result:
    askings = [_asked(text) for text in values.text("askings").splitlines() if text.strip()]
    if not askings or len(askings) > MOST_ASKINGS:
        raise SenderError("bad_value", f"askings: write 1 to {MOST_ASKINGS} lines like “True, False -> False”.")
    found = order_of(askings)
    return Result(
        (
            line("flip_ratio", "Answer changes with the order", found.flip_ratio, "%", "flips / pairs"),
            line("pairs", "Pairs in two orders", found.pairs, "", "same options, another order"),
            line("last_ratio", "The last was picked", share(found.picked_last, len(askings)), "%", "last / askings"),
            line(
                "first_ratio", "The first was picked", share(found.picked_first, len(askings)), "%", "first / askings"
            ),
        )
    )


def _asked(text: str) -> Asked:
    shown, arrow, picked = text.rpartition("->")
    options = tuple(one.strip() for one in shown.split(",") if one.strip())
    if not arrow or len(options) < 2 or len(set(options)) != len(options) or picked.strip() not in options:
        raise SenderError("bad_value", f"askings: {text[:80]!r} is not like “True, False -> False”.")
    return Asked(options, picked.strip())


ROLES = (
    "project lead", "LLM engineer", "deployment engineer", "prompt engineer", "interaction designer", "product manager",
    "domain specialist", "data governance", "LLMOps", "research scientist", "evaluation data scientist",
)  # fmt: skip
OMITTED_ROLES = ("ethics and safety", "cost")
"""The usual omissions: named in the text of *Large Language Model-Based Solutions* (Wiley, 2024), and missing in its
table of roles, which is `ROLES`."""


def missing_roles(team: Sequence[str]) -> tuple[str, ...]:
    """Of both lists, in their order."""
    there = {one.strip().lower() for one in team}
    return tuple(role for role in (*ROLES, *OMITTED_ROLES) if role.lower() not in there)


def _team(values: Values) -> Result:
    team = [one.strip() for one in values.text("roles").replace("\n", ",").split(",") if one.strip()]
    missing = missing_roles(team)
    known = {role.lower() for role in (*ROLES, *OMITTED_ROLES)}
    other = [one for one in team if one.lower() not in known]
    has = {one.lower() for one in team}
    rows: list[tuple[Number, ...]] = [(role, role.lower() in has) for role in (*ROLES, *OMITTED_ROLES)]
    return Result(
        (
            line("missing", "Roles that nobody has", ", ".join(missing) or "none", "", "of the list below"),
            line("missing_count", "That many", len(missing), "", "roles of the list that are not given"),
            line("other", "Others that were given", ", ".join(other)[:500] or "none", "", "not of the list"),
        ),
        (table("Roles", (("Role", ""), ("There", "")), *rows),),
    )


FIGURE_CHECK = Calculator(
    "figure-check",
    "A claimed number",
    "Quality",
    "Is a number right that a model gave: a sum, a power, a conversion?",
    (
        Field(
            "numbers",
            "Numbers, by /",
            "rows",
            "460700/10000/1500/10000/6000",
            Decimal(-(10**15)),
            Decimal(10**15),
            cells=0,
            most_rows=1,
        ),
        choice("operation", "Computed as", "sum", OPERATIONS),
        choice("unit", "Unit of the numbers", "none", tuple(UNITS)),
        choice("relation", "The claim: it", "equals", ("equals", "is less than", "is more than")),
        number("claimed", "Claimed", "458000", 10**15, low=-(10**15)),
        choice("claimed_unit", "Unit of the claimed number", "none", tuple(UNITS)),
        number("tolerance_ratio", "Tolerance for equals, share", "0.005", 1),
    ),
    _number,
    ("What was claimed of what is for you to read out of the answer.",),
)
OPTION_ORDER = Calculator(
    "option-order",
    "Order of options",
    "Quality",
    "Does the answer change when the options change places?",
    (
        Field(
            "askings",
            "Askings",
            "text",
            "True, False -> False\nFalse, True -> True",
            hint="a line each: options as shown -> the one picked",
        ),
    ),
    _order,
    ("Ask at temperature 0, or several times per order: chance alone flips answers, too.",),
)
TEAM_ROLES = Calculator(
    "team-roles",
    "Roles of a team",
    "Quality",
    "Which roles does nobody have?",
    (
        Field(
            "roles", "Roles that somebody has", "text", ", ".join(ROLES), hint="by comma; one person may have several"
        ),
    ),
    _team,
    ("Eleven roles as “Large Language Model-Based Solutions” (Wiley, 2024) lists them, and two that teams forget.",),
)
