"""Who used how much of one hour of a self-hosted deployment. Pure.

An hour's money and energy are cut twice. First into used and idle, by the share of time in which the cards had work;
then the used part among those whose calls ran there, by their weighted tokens. Every part is a whole number of the
smallest unit, and the parts add up to the whole: what rounding down leaves over goes to the largest remainders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

USD_STEP = Decimal("0.000000000001")
WH_STEP = Decimal("0.000000001")
MOST_USERS = 500
_ZERO = Decimal(0)

USE, OTHERS, IDLE, UNATTRIBUTED = "use", "others", "idle", "unattributed"
"""What a line is for. OTHERS: users of a feature and model beyond the MOST_USERS largest. UNATTRIBUTED: the cards had
work, but no call of the hour told any tokens."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one token costs the hardware, relative to the others; only the ratios count.

    The defaults, 1 : 0.1 : 4 for prompt, cached prompt and answer, are the ratios of public per-token prices (OpenAI's
    and Anthropic's lists of 2026-11: answers 4 to 5 times the prompt, cached prompts a tenth). Measure your own engine
    and replace them.
    """

    prefill: Decimal = Decimal(1)
    cached: Decimal = Decimal("0.1")
    decode: Decimal = Decimal(4)


@dataclass(frozen=True, slots=True)
class Usage:
    """Charged calls of one feature, model and user in the hour. `cached_tokens` are part of `input_tokens`."""

    feature: str
    model: str
    user_id: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Slot:
    """Some minutes of the hour, all equally long. `utilization_ratio` is the mean over the deployment's cards, None
    where a card was not measured; `energy_wh` likewise."""

    utilization_ratio: float | None
    energy_wh: Decimal | None
    has_traffic: bool

    @property
    def busy(self) -> Fraction:
        """The share of time with work. Unmeasured, a slot with a call in it counts as busy and one without as idle."""
        if self.utilization_ratio is None:
            return Fraction(int(self.has_traffic))
        return Fraction(round(min(1.0, max(0.0, self.utilization_ratio)) * 1_000_000), 1_000_000)


@dataclass(frozen=True, slots=True)
class Line:
    kind: str
    feature: str
    model: str
    user_id: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    energy_usd: Decimal
    energy_wh: Decimal | None


@dataclass(frozen=True, slots=True)
class Split:
    """`energy_wh` is what was measured or integrated, None when nothing was. `is_estimated`: in some slot, traffic
    stood in for utilisation."""

    lines: tuple[Line, ...]
    busy_ratio: float
    energy_wh: Decimal | None
    is_estimated: bool


def allocate(
    cost_usd: Decimal, usd_per_wh: Decimal, slots: Sequence[Slot], usages: Sequence[Usage], weights: Weights
) -> Split:
    """`cost_usd` is the hour's hosting; electricity is added at `usd_per_wh`, 0 where hosting contains it. The order
    of slots and usages does not matter."""
    if not slots:
        raise ValueError("an hour has slots")
    known = [slot for slot in slots if slot.energy_wh is not None]
    energy_wh = sum((slot.energy_wh or _ZERO for slot in known), _ZERO).quantize(WH_STEP) if known else None
    busy = sum((slot.busy for slot in slots), Fraction(0)) / len(slots)
    rows = bounded(usages, weights)
    tokens = [weighted(row, weights) for row in rows]
    in_time, in_energy = _shares(busy, tokens), _shares(_busy_energy(known, busy), tokens)
    electricity = ((energy_wh or _ZERO) * usd_per_wh).quantize(USD_STEP)
    usd = split(cost_usd.quantize(USD_STEP), in_time, USD_STEP)
    power = split(electricity, in_energy, USD_STEP)
    wh: Sequence[Decimal | None] = [None] * len(usd) if energy_wh is None else split(energy_wh, in_energy, WH_STEP)
    named = [_named(row) for row in rows] + [(UNATTRIBUTED, "", "", "", 0, 0, 0), (IDLE, "", "", "", 0, 0, 0)]
    lines = tuple(Line(*who, a, b, c) for who, a, b, c in zip(named, usd, power, wh, strict=True))
    kept = tuple(line for line in lines if line.calls or line.cost_usd or line.energy_usd or line.energy_wh)
    return Split(kept, float(busy), energy_wh, any(slot.utilization_ratio is None for slot in slots))


def split(total: Decimal, shares: Sequence[Fraction], step: Decimal) -> list[Decimal]:
    """Cuts a whole number of steps into parts that add up to it exactly. Shares add up to 1; a share of 0 gets 0.
    Equal remainders are served in order."""
    units = int(total / step)
    exact = [share * units for share in shares]
    parts = [int(part) for part in exact]
    left = units - sum(parts)
    by_remainder = sorted(range(len(shares)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[:left]:
        parts[place] += 1
    return [part * step for part in parts]


def weighted(usage: Usage, weights: Weights) -> Fraction:
    cached = min(max(usage.cached_tokens, 0), max(usage.input_tokens, 0))
    fresh = max(usage.input_tokens, 0) - cached
    amount = fresh * weights.prefill + cached * weights.cached + max(usage.output_tokens, 0) * weights.decode
    return Fraction(amount)


def bounded(usages: Sequence[Usage], weights: Weights) -> list[Usage]:
    """In order of name. Beyond the MOST_USERS largest, users of one feature and model are one usage with `user_id`
    None's stand-in "\\0", which no user can have."""
    ranked = sorted(usages, key=lambda usage: (-weighted(usage, weights), _name(usage)))
    rest = sorted(ranked[MOST_USERS:], key=lambda usage: (usage.feature, usage.model))
    merged = [_merged(list(group)) for _key, group in groupby(rest, key=lambda usage: (usage.feature, usage.model))]
    return sorted([*ranked[:MOST_USERS], *merged], key=_name)


def _merged(usages: Sequence[Usage]) -> Usage:
    first = usages[0]
    return Usage(
        first.feature, first.model, _REST, sum(one.calls for one in usages), sum(one.input_tokens for one in usages),
        sum(one.cached_tokens for one in usages), sum(one.output_tokens for one in usages),
    )  # fmt: skip


_REST = "\0"


def _name(usage: Usage) -> tuple[str, str, str]:
    return usage.feature, usage.model, usage.user_id


def _named(row: Usage) -> tuple[str, str, str, str, int, int, int]:
    is_rest = row.user_id == _REST
    user = "" if is_rest else row.user_id
    return (
        OTHERS if is_rest else USE, row.feature, row.model, user, row.calls, row.input_tokens, row.output_tokens,
    )  # fmt: skip


def _busy_energy(known: Sequence[Slot], otherwise: Fraction) -> Fraction:
    """The share of the energy that was drawn while there was work. Inside one slot, working and idling are taken to
    draw alike: idle's part comes out somewhat too large."""
    total = sum((Fraction(slot.energy_wh or _ZERO) for slot in known), Fraction(0))
    if not total:
        return otherwise
    return sum((Fraction(slot.energy_wh or _ZERO) * slot.busy for slot in known), Fraction(0)) / total


def _shares(busy: Fraction, tokens: Sequence[Fraction]) -> list[Fraction]:
    """One share per usage, then that of unattributed use, then that of idling."""
    total = sum(tokens, Fraction(0))
    if not total:
        return [Fraction(0)] * len(tokens) + [busy, 1 - busy]
    return [busy * part / total for part in tokens] + [Fraction(0), 1 - busy]
