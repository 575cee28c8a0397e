"""An answer's numbers as a person reads them. Pure."""

from __future__ import annotations

from decimal import Decimal

from stanchion_server.costs.calculators.results import Number

NOT_KNOWN = "not known"


def shown(value: Number, unit: str = "") -> str:
    """With its unit; the unit % goes with a ratio, and $ stands before the amount."""
    if value is None:
        return NOT_KNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = Decimal(value)
    if unit == "%":
        return f"{_number(number * 100)} %"
    if unit.startswith("$"):
        text = f"{number:,.2f}" if abs(number) >= 1 or not number else _number(number)
        return f"${text}{unit[1:]}"
    return f"{_number(number)} {unit}".rstrip()


def _number(number: Decimal) -> str:
    """Whole numbers whole, large ones with two decimal places, others with four digits that count."""
    if number == number.to_integral_value() or abs(number) >= 10**6:
        return f"{number:,.0f}"
    if abs(number) >= 1000:
        return f"{number:,.2f}"
    digits = max(0, 3 - number.adjusted())
    text = f"{number:.{min(digits, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
