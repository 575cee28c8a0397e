"""The time range of a page, as it stands in the address: `from=now-24h&to=now`, or two absolute UTC times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stanchion_server.kernel.errors import SenderError

PRESETS = (("15m", "15 min"), ("1h", "1 h"), ("6h", "6 h"), ("24h", "24 h"), ("7d", "7 d"), ("30d", "30 d"))
DEFAULT = "now-24h"
LONGEST = timedelta(days=760)
_RELATIVE = re.compile(r"now(?:-(\d{1,4})([mhd]))?")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Timespan:
    """`start` inclusive, `end` exclusive, both aware UTC; the raw texts keep links relative."""

    start: datetime
    end: datetime
    raw_from: str
    raw_to: str

    @property
    def preset(self) -> str:
        return self.raw_from.removeprefix("now-") if self.raw_to == "now" else ""

    @property
    def query(self) -> str:
        return f"from={self.raw_from}&to={self.raw_to}"

    @property
    def frozen(self) -> str:
        """The same range as absolute times, for a link that shows the same tomorrow."""
        return f"from={self.start:%Y-%m-%dT%H:%M:%SZ}&to={self.end:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def label(self) -> str:
        for value, name in PRESETS:
            if value == self.preset:
                return f"last {name}"
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC"


def read(raw_from: str, raw_to: str, now: datetime, default: str = DEFAULT) -> Timespan:
    """Raises SenderError for anything unreadable, empty, reversed or longer than the rollups reach."""
    raw_from, raw_to = raw_from.strip() or default, raw_to.strip() or "now"
    start, end = _moment(raw_from, now), _moment(raw_to, now)
    if start >= end:
        raise SenderError(
            "bad_time_range", f"The time range starts at “{raw_from}” and ends at “{raw_to}”: the end must be later."
        )
    if end - start > LONGEST:
        raise SenderError(
            "bad_time_range", f"The time range covers {(end - start).days} days; at most {LONGEST.days} can be shown."
        )
    return Timespan(start, end, raw_from, raw_to)


def _moment(text: str, now: datetime) -> datetime:
    if relative := _RELATIVE.fullmatch(text):
        amount, unit = relative[1], relative[2]
        return now - timedelta(**{_UNITS[unit]: int(amount)}) if amount else now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SenderError(
            "bad_time_range",
            f"“{text[:60]}” is not a time. Write now, now-6h, now-7d (m, h or d), or UTC like 2026-01-31T14:00.",
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
