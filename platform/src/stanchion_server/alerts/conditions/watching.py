"""What a rule looks at, whatever its condition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stanchion_server.alerts.records import Ask, Labels, Window


@dataclass(frozen=True, slots=True)
class Watch:
    """`min_samples` is the least number of samples that a window must hold to be judged."""

    source: str
    measure: str
    window: timedelta
    by: tuple[str, ...] = ()
    where: Labels = ()
    params: Labels = ()
    min_samples: int = 0
    unit: str = ""

    def ask(self, end: datetime, length: timedelta | None = None) -> Ask:
        start = end - (self.window if length is None else length)
        return Ask(self.source, self.measure, Window(start, end), self.by, self.where, self.params)

    def ask_by(self, end: datetime, length: timedelta, extra: str) -> Ask:
        """Split by one more dimension, which comes last."""
        return replace(self.ask(end, length), by=(*self.by, extra))


def shown(value: float | None, unit: str) -> str:
    """A number as people read it in a message."""
    if value is None:
        return "unknown"
    if unit == "ratio":
        return f"{value * 100:.3g} %"
    if unit == "usd":
        return f"${value:,.4f}" if abs(value) < 1 else f"${value:,.2f}"
    if unit == "ms":
        return f"{value / 1000:.3g} s" if abs(value) >= 1000 else f"{value:.3g} ms"
    number = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return f"{number} {unit}".strip()
