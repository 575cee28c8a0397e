"""Amounts of US dollars as the database keeps them: twelve decimal places, never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

USD_STEP = Decimal("0.000000000001")
USD_LIMIT = Decimal(10) ** 11
"""One call cannot cost this much; an amount beyond it comes from a wrong token count."""


def usd(amount: Decimal) -> Decimal:
    return amount.quantize(USD_STEP, rounding=ROUND_HALF_EVEN)


def is_plausible_usd(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount) < USD_LIMIT
