"""Numbers as people read them. `None` is "unknown" and never looks like zero; every number carries its unit."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

UNKNOWN = "unknown"
NARROW_SPACE = "\u202f"
WORD_JOINER = "\u2060"


def count(value: float | None) -> str:
    """Whole numbers with thousands separators."""
    return UNKNOWN if value is None else f"{round(value):,}"


def compact(value: float | None) -> str:
    """Large numbers in three digits: 12.3 k, 4.56 M."""
    if value is None:
        return UNKNOWN
    for limit, divisor, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit:
            return f"{_three_digits(value / divisor)}{NARROW_SPACE}{unit}"
    return count(value)


def usd(value: Decimal | None) -> str:
    """Dollars with as many digits as a small amount needs: $0.000126, $0.0021, $12.34, −$1,234.50."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "$0"
    if value < 0:
        return f"−{WORD_JOINER}{usd(-value)}"
    if value >= 1:
        return f"${value.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
    digits = Decimal(1).scaleb(value.adjusted() - 3)
    text = format(value.quantize(max(digits, Decimal("1e-12")), ROUND_HALF_UP), "f").rstrip("0")
    return f"${text}" if len(text.partition(".")[2]) >= 2 else f"${Decimal(text):.2f}"


def signed_usd(value: Decimal) -> str:
    """With its sign, as differences have one; no line breaks after it."""
    return f"{'+' if value > 0 else ''}{usd(value)}"


def usd_exact(value: Decimal | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{'−' + WORD_JOINER if value < 0 else ''}${format(abs(value).normalize(), 'f')}"


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1:
        return f"{milliseconds:.2f} ms" if milliseconds else "0 ms"
    if milliseconds < 999.5:
        return f"{_three_digits(milliseconds)} ms"
    if milliseconds < 99_950:
        return f"{_three_digits(milliseconds / 1000)} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def percent(ratio: float | None) -> str:
    if ratio is None:
        return UNKNOWN
    if 0 < ratio < 0.001:
        return "<0.1 %"
    if 0.999 < ratio < 1:
        return ">99.9 %"
    return f"{ratio * 100:.1f}".removesuffix(".0") + " %"


def size(bytes_: int | None) -> str:
    if bytes_ is None:
        return UNKNOWN
    amount = float(bytes_)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{_three_digits(amount)} {unit}"
        amount /= 1024
    return f"{_three_digits(amount)} GiB"


def ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    passed = now - moment
    if passed < timedelta(seconds=5):
        return "just now"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if passed.total_seconds() >= length:
            return f"{int(passed.total_seconds() // length)} {unit} ago"
    return "just now"


def moment(value: datetime) -> str:
    """To the millisecond, in UTC; the template says so."""
    return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
