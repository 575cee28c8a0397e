"""NVML's numbers and texts as ours: blanks and nonsense are None. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# "Not available" in unsigned 64 bits, and the blank values near the top of signed ones.
BLANK = 1 << 62


def decoded(text: Any) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def known(value: Any) -> int | None:
    return None if value is None or abs(value) >= BLANK else int(value)


def first(pair: Any) -> Any:
    return None if pair is None else pair[0]


def percent(value: Any) -> float | None:
    return None if value is None or not 0 <= value <= 100 else value / 100


def scaled(value: int | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def state(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= 15 else None


_VALUES: tuple[Callable[[Any], Any], ...] = (
    lambda value: value.dVal,
    lambda value: value.uiVal,
    lambda value: value.ulVal,
    lambda value: value.ullVal,
    lambda value: value.sllVal,
)


def value_of(entry: Any) -> Any:
    """The member of the union that the driver says it filled."""
    return _VALUES[entry.valueType](entry.value) if 0 <= entry.valueType < len(_VALUES) else None
