"""What did it cost, for whom: API, GPUs and electricity in one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.costs.breakdown import IDLE
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.reports import costs as reports
from stanchion_server.reports.costs import CostQuery, CostReport, CostRow
from stanchion_server.traces import selectors
from stanchion_server.traces.selectors import grains
from stanchion_server.web.pages import callfilters, cost_table, formats, tiles
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.gpus import energy
from stanchion_server.web.pages.hosting import mass
from stanchion_server.web.pages.tiles import Tile

HOURLY_UP_TO, DAILY_UP_TO = timedelta(days=3), timedelta(days=120)
ROWS = 50
IN_CHART = 6
ATTRIBUTE = "attribute"
LABELS = {
    "feature": "Feature", "model": "Model", "provider": "Provider", "deployment": "Deployment",
    "environment": "Environment", "release": "Release", "service": "Service", "user": "User", "session": "Session",
    "prompt_name": "Prompt", "prompt_version": "Prompt version", "kind": "Kind", ATTRIBUTE: "Span attribute",
}  # fmt: skip
FACETS = ("feature", "model", "provider", "environment")
_TO_API = {"prompt": "prompt_name", "min_cost": "min_cost_usd", "max_cost": "max_cost_usd", "min_ms": "min_duration_ms",
           "max_ms": "max_duration_ms", "q": "text"}  # fmt: skip


@require_GET
@project_page
def costs(visit: Visit) -> HttpResponse:
    query, wanted = _asked(visit)
    asked = {chip.name: chip.value for chip in wanted.chips}
    step = visit.request.GET.get("step", "") or _step_for(query)
    found, steps = reports.with_steps(visit.project.pk, query, step, IN_CHART)
    chart = cost_table.chart(steps, query.group_by, step) if found.rows and isinstance(steps, CostReport) else None
    no_chart = steps.message if isinstance(steps, SenderError) else ""
    today = grains.floor_to(clock.now(), grains.DAY)
    return visit.render(
        "pages/costs.html", "costs", found=found, lines=cost_table.lines(found, query.group_by, asked),
        heads=[head for head, _read in cost_table.COLUMNS], total=cost_table.total(found), chips=wanted.chips,
        tiles=_tiles(found, query), charts=[(chart, tiles.twin(chart))] if chart else [], no_chart=no_chart,
        labels=LABELS, by=_by(query.group_by, 0), by2=_by(query.group_by, 1), steps=tuple(reports.STEPS),
        none=callfilters.NONE, facets=_facets(visit), table_link=_table_link(visit, query, asked), today=today,
        yesterday=today - grains.DAY,
        month=today.replace(day=1), share=_nameless_ratio(found), not_by=", ".join(found.not_self_hosted_by),
    )  # fmt: skip


def _asked(visit: Visit) -> tuple[CostQuery, callfilters.Wanted]:
    params = visit.request.GET
    wanted = callfilters.read(params.dict() | {"records": ""})
    if wanted.rated or wanted.filter.trace_id:
        name = "rating" if wanted.rated else "trace"
        raise SenderError("bad_filter", f"Costs cannot be filtered by {name}: remove “{name}” from the address.")
    group_by = tuple(_dimension(params.get(name, given), params.get("key", "")) for name, given in _CHOICES)
    chosen = tuple(dict.fromkeys(name for name in group_by if name))
    reads_texts = wanted.filter.text is not None or wanted.filter.attributes
    if (reads_texts or any(name.startswith(f"{ATTRIBUTE}:") for name in chosen)) and not visit.may_read:
        raise SenderError("no_content", "Your role sees numbers, not texts: leave out text and attributes.", 403)
    return CostQuery(visit.span.start, visit.span.end, chosen, "", wanted.filter, ROWS), wanted


_CHOICES = (("by", "feature"), ("by2", ""))


def _dimension(name: str, key: str) -> str:
    if name != ATTRIBUTE:
        return name if name != "none" else ""
    if not key.strip():
        raise SenderError("no_attribute", "Write which span attribute to group by, such as team or tenant.")
    return f"{ATTRIBUTE}:{key.strip()}"


def _by(group_by: Sequence[str], place: int) -> str:
    name = group_by[place] if len(group_by) > place else "none"
    return ATTRIBUTE if name.startswith(f"{ATTRIBUTE}:") else name


def _step_for(query: CostQuery) -> str:
    length = query.end - query.start
    return "hour" if length <= HOURLY_UP_TO else "day" if length <= DAILY_UP_TO else "week"


def _facets(visit: Visit) -> list[tuple[str, str, Any]]:
    found = selectors.facets(visit.project.pk, visit.span.start, visit.span.end)
    return [(name, LABELS[name], found.get(name, ())) for name in FACETS]


def _table_link(visit: Visit, query: CostQuery, asked: dict[str, str]) -> str:
    """The same question to the API, for a spreadsheet."""
    wanted = {_TO_API.get(name, name): "" if value == callfilters.NONE else value for name, value in asked.items()}
    wanted |= {name: wanted[name].removeprefix("$") for name in ("min_cost_usd", "max_cost_usd") if name in wanted}
    if "priced" in wanted:
        wanted["priced"] = "true" if wanted["priced"] == "yes" else "false"
    span = {"start": f"{query.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{query.end:%Y-%m-%dT%H:%M:%SZ}"}
    asks = {"project": visit.project.slug, **span, "group_by": ",".join(query.group_by), "limit": "1000", "as": "csv"}
    return urlencode({**asks, **wanted})


def _nameless_ratio(found: CostReport) -> float | None:
    whole = found.total.amounts.usd
    return float((found.nameless_usd or Decimal(0)) / whole) if whole else None


def _tiles(found: CostReport, query: CostQuery) -> list[Tile]:
    total, whole = found.total, found.total.amounts
    idle = [row.amounts.usd for row in found.rows if row.kind == IDLE and row.amounts.usd is not None]
    parts = [("API", whole.api_usd), ("GPU", whole.gpu_usd), ("electricity", whole.energy_usd)]
    told = ", ".join(f"{formats.usd(amount)} {name}" for name, amount in parts if amount)
    share = _nameless_ratio(found)
    nameless = "idle or unattributed" if not query.group_by else f"of no {query.group_by[0].split(':')[-1]}"
    return [
        Tile("Total", _usd(whole.usd), told, title=formats.usd_exact(whole.usd)),
        Tile("Of it idle", formats.usd(sum(idle, Decimal(0))) if idle else "–", _idle_note(found, query)),
        Tile("Per call", _ratio(total, total.usd_per_call), f"{formats.count(whole.calls)} calls"),
        Tile("Per conversation", _ratio(total, total.usd_per_session), _of(total.details.sessions, "conversations")),
        Tile("Per resolved", _ratio(total, total.usd_per_resolved), _outcomes(found)),
        Tile("Energy", _energy(whole.energy_wh), _carbon(whole.co2e_g)),
        Tile("Belongs to nobody", cost_table.NOT_KNOWN if share is None else formats.percent(share), nameless),
    ]  # fmt: skip


def _ratio(row: CostRow, amount: Decimal | None) -> str:
    return cost_table.NOT_TOLD if row.untold else _usd(amount)


def _usd(amount: Decimal | None) -> str:
    return cost_table.usd(amount).text


def _of(count: int | None, what: str) -> str:
    return "" if count is None else f"{formats.count(count)} {what}"


def _outcomes(found: CostReport) -> str:
    told = found.total.details
    if told.sessions is None:
        return "not read: the range is too long"
    if not told.rated_sessions:
        return "no conversation was rated"
    return f"{told.resolved_sessions} of {told.rated_sessions} rated conversations"


def _idle_note(found: CostReport, query: CostQuery) -> str:
    wanted = query.filters
    if found.not_self_hosted_by or any(one is not None for one in (wanted.feature, wanted.model, wanted.user_id)):
        return "idle time is nobody’s: not with these filters"
    return "cards without work"


def _energy(watt_hours: Decimal | None) -> str:
    return cost_table.NOT_KNOWN if watt_hours is None else energy(watt_hours)


def _carbon(grams: Decimal | None) -> str:
    return "of own cards, CO2e not known" if grams is None else f"of own cards; {mass(grams)} CO2e"
