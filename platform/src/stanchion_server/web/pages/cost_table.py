"""The cost explorer's table and chart: how rows of money read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from stanchion_server.costs.breakdown import IDLE, OTHERS, UNATTRIBUTED, USE
from stanchion_server.reports.costs import DEPLOYMENT, STEPS, CostReport, CostRow
from stanchion_server.traces.selectors import grains
from stanchion_server.traces.selectors.measures import ATTRIBUTE_PREFIX
from stanchion_server.web.pages import callfilters, formats
from stanchion_server.web.pages.gpus import energy
from stanchion_server.web.pages.hosting import mass

NOT_KNOWN = "not known"
NOT_TOLD = "not told"
NONE_APPLIES = "–"
COLOURS = ("--s1", "--s2", "--s3", "--s4", "--s5", "--s7")
OF_CALLS = {"prompt_name": "prompt"}
"""Dimensions that the calls list calls otherwise."""
_KINDS = {
    IDLE: ("Idle", "cards without work"),
    UNATTRIBUTED: ("Unattributed", "cards at work, but no call that told its tokens"),
    OTHERS: ("All others", "smaller groups together"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """`names` is a text and its remark per dimension; `link` leads to the row's calls, `advice` to what would make its
    feature cheaper, both empty where there is nothing to lead to."""

    names: tuple[tuple[str, str], ...]
    link: str
    advice: str
    share: float | None
    is_estimated: bool
    cells: tuple[Cell, ...]


def lines(found: CostReport, group_by: Sequence[str], asked: Mapping[str, str]) -> list[Line]:
    """`asked` are the filters in force as they stand in the address."""
    return [_line(row, found, group_by, asked) for row in found.rows]


def total(found: CostReport) -> tuple[Cell, ...]:
    return tuple(read(found.total) for _head, read in COLUMNS)


def _line(row: CostRow, found: CostReport, group_by: Sequence[str], asked: Mapping[str, str]) -> Line:
    usd, whole = row.amounts.usd, found.total.amounts.usd
    share = float(usd / whole) if usd is not None and whole else None
    cells = tuple(read(row) for _head, read in COLUMNS)
    told = tuple(names(row, group_by))
    return Line(told, _link(row, found, asked), _advice(row, group_by), share, bool(row.is_estimated), cells)


def _advice(row: CostRow, group_by: Sequence[str]) -> str:
    """A query for the page Savings, for rows that are a feature's."""
    feature = row.group.get("feature")
    if list(group_by) != ["feature"] or row.kind != USE or feature is None:
        return ""
    return urlencode({"feature": feature or callfilters.NONE})


def names(row: CostRow, group_by: Sequence[str]) -> list[tuple[str, str]]:
    if row.kind == OTHERS or not row.group:
        return [_KINDS.get(row.kind, ("All calls", ""))]
    found = [_name(dimension, row.group[dimension]) for dimension in group_by]
    if row.kind not in _KINDS:
        return found
    known = [(value, "") for value in row.group.values() if value]
    return [_KINDS[row.kind], *known]


def _name(dimension: str, value: str | None) -> tuple[str, str]:
    plain = dimension.removeprefix(ATTRIBUTE_PREFIX).replace("_", " ")
    if value is None:
        return "Self-hosted", f"hours are not told apart by {plain}"
    if dimension == DEPLOYMENT and not value:
        return "No deployment", "bought by the token"
    return (value, "") if value else (f"no {plain}", "")


def _link(row: CostRow, found: CostReport, asked: Mapping[str, str]) -> str:
    """A query for the calls list; empty where a value cannot be asked for there."""
    wanted = dict(asked)
    for dimension, value in row.group.items():
        if value is None or dimension == DEPLOYMENT:
            return ""
        if not dimension.startswith(ATTRIBUTE_PREFIX):
            wanted[OF_CALLS.get(dimension, dimension)] = value or callfilters.NONE
            continue
        attribute = _attribute(dimension.removeprefix(ATTRIBUTE_PREFIX), value)
        if not attribute or wanted.setdefault("attribute", attribute) != attribute:
            return ""
    if row.kind != USE or not row.amounts.calls:
        return ""
    return urlencode({"from": f"{found.start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{found.end:%Y-%m-%dT%H:%M:%SZ}", **wanted})


def _attribute(key: str, value: str) -> str:
    """As the calls list filters by one attribute: by no second, none that is missing, no key with an “=”."""
    return f"{key}={value}" if value and value == value.strip() and "=" not in key else ""


def usd(amount: Decimal | None, *, applies: bool = True) -> Cell:
    if amount is None:
        return Cell(NOT_KNOWN if applies else NONE_APPLIES)
    return Cell(formats.usd(amount), formats.usd_exact(amount))


def _calls(row: CostRow) -> Cell:
    amounts = row.amounts
    if not amounts.calls:
        return Cell(NONE_APPLIES)
    if amounts.unpriced_calls is None:
        return Cell(formats.count(amounts.calls), "how many of them have no price is not known by deployment")
    told = f" ({formats.count(amounts.unpriced_calls)} without a price)" if amounts.unpriced_calls else ""
    return Cell(formats.count(amounts.calls) + told)


def _tokens(row: CostRow) -> Cell:
    amounts = row.amounts
    if not amounts.calls:
        return Cell(NONE_APPLIES)
    if not amounts.tells_tokens:
        return Cell(NOT_KNOWN)
    parts = (
        ("{} in", amounts.input_tokens),
        ("of it {} cached", amounts.cached_input_tokens),
        ("and {} written to a cache", amounts.cache_write_tokens),
        ("{} out", amounts.output_tokens),
        ("of it {} reasoning", amounts.reasoning_tokens),
    )
    cached = f" ({formats.compact(amounts.cached_input_tokens)} cached)" if amounts.cached_input_tokens else ""
    text = f"{formats.compact(amounts.input_tokens)}{cached} / {formats.compact(amounts.output_tokens)}"
    return Cell(text, ", ".join(said.format(formats.count(count)) for said, count in parts if count is not None))


def _api(row: CostRow) -> Cell:
    return usd(row.amounts.api_usd, applies=bool(row.amounts.unpriced_calls))


def _resolved(row: CostRow) -> Cell:
    if row.details.resolved_sessions is None:
        return Cell(NOT_KNOWN if row.amounts.calls else NONE_APPLIES)
    told = f"{row.details.resolved_sessions} of {row.details.rated_sessions} rated"
    if row.untold:
        return Cell(f"{NOT_TOLD} ({told})", row.untold)
    return Cell(f"{formats.usd(row.usd_per_resolved)} ({told})" if row.usd_per_resolved is not None else told)


def _prices(row: CostRow) -> Cell:
    if row.details.prices is None:
        return Cell(NOT_KNOWN if row.amounts.calls else NONE_APPLIES)
    return Cell(", ".join(row.details.prices) or NONE_APPLIES)


def _per(read: Callable[[CostRow], Decimal | None]) -> Callable[[CostRow], Cell]:
    def told(row: CostRow) -> Cell:
        return Cell(NOT_TOLD, row.untold) if row.untold else usd(read(row), applies=bool(row.amounts.calls))

    return told


def _whole(row: CostRow) -> Cell:
    cell = usd(row.amounts.usd)
    return Cell(f"{cell.text} without own hours", row.untold) if row.untold else cell


COLUMNS: tuple[tuple[str, Callable[[CostRow], Cell]], ...] = (
    ("Calls", _calls),
    ("Tokens in / out", _tokens),
    ("API", _api),
    ("GPU", lambda row: usd(row.amounts.gpu_usd, applies=False)),
    ("Electricity", lambda row: usd(row.amounts.energy_usd, applies=False)),
    ("Total", _whole),
    ("Per call", _per(lambda row: row.usd_per_call)),
    ("Per 1,000 tokens", _per(lambda row: row.usd_per_1k_tokens)),
    ("Per conversation", _per(lambda row: row.usd_per_session)),
    ("Per resolved", _resolved),
    ("Energy", lambda row: Cell(NOT_KNOWN if row.amounts.energy_wh is None else energy(row.amounts.energy_wh))),
    ("CO2e", lambda row: Cell(NOT_KNOWN if row.amounts.co2e_g is None else mass(row.amounts.co2e_g))),
    ("Price table", _prices),
)


def chart(found: CostReport, group_by: Sequence[str], step: str) -> dict[str, Any]:
    """Dollars per step, stacked by group, the dearest at the bottom; what stood idle is one series, as is what belongs
    to no known call."""
    length = STEPS[step]
    times = grains.steps(found.start, found.end, length)
    places = {time: place for place, time in enumerate(times)}
    stacks: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for row in found.rows:
        told = tuple(text for text, _remark in names(row, group_by))
        name = (row.kind, told[:1] if row.kind in _KINDS else told)
        values = stacks.setdefault(name, [0.0] * len(times))
        if row.bucket in places:
            values[places[row.bucket]] += float(row.amounts.usd or 0)
    ranked = sorted(stacks, key=lambda name: (name[0] != USE, -sum(stacks[name]), name))
    return {
        "id": "chart-costs", "title": f"Cost per {step}", "unit": "usd", "stacked": True,
        "times": [int(time.timestamp()) for time in times], "step_s": int(length.total_seconds()),
        "series": [_series(name[1], name[0], stacks[name], place) for place, name in enumerate(ranked)],
    }  # fmt: skip


def _series(name: tuple[str, ...], kind: str, values: list[float], place: int) -> dict[str, Any]:
    grey = {IDLE: "--line-strong", UNATTRIBUTED: "--s6", OTHERS: "--muted"}
    colour = grey.get(kind, COLOURS[place % len(COLOURS)])
    return {"label": " · ".join(name), "colour": colour, "values": values, "bars": True, "dash": False}
