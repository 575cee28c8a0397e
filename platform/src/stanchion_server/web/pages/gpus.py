"""The fleet and one card: what works, what idles, what is hot, and who has fallen silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from stanchion_server.costs import selectors_allocation
from stanchion_server.costs.allocation import IDLE
from stanchion_server.gpu import selectors, services
from stanchion_server.gpu.models import GpuWindow
from stanchion_server.gpu.selectors import Bucket, Card
from stanchion_server.kernel import clock
from stanchion_server.web.pages import fleet_charts, formats, tiles
from stanchion_server.web.pages.bands import SPARK_HEIGHT, SPARK_WIDTH
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.tiles import Tile

RECENT = timedelta(minutes=15)
MOST_CARDS = 200
CLOSING = timedelta(minutes=6)
"""How long after their beginning five minutes are summed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A card in the list; `now` is its newest five minutes when they are recent."""

    card: Card
    label: str
    now: GpuWindow | None
    spark: str
    throttled_s: float
    reasons: str
    unmeasured_ratio: float | None
    is_silent: bool

    @property
    def memory_ratio(self) -> float | None:
        if self.now is None or not self.now.memory_bytes or not self.now.memory_limit_bytes:
            return None
        return self.now.memory_bytes / self.now.memory_limit_bytes


@require_GET
@project_page
def fleet(visit: Visit) -> HttpResponse:
    now, project_id, span = clock.now(), visit.project.pk, visit.span
    cards = selectors.cards(project_id)
    step = fleet_charts.step_for(span.start, span.end, len(cards))
    grid = fleet_charts.times(span.start, span.end, step)
    found = selectors.buckets(project_id, span.start, span.end, step)
    agents = selectors.agents(project_id, now)
    rows = _rows(visit, cards[:MOST_CARDS], found, grid)
    return visit.render(
        "pages/gpus.html", "gpus", rows=rows, agents=agents, stale=[one for one in agents if one.is_stale],
        shared_hosts=selectors.shared_hosts(cards), tiles=_tiles(visit, rows, found), left_out=len(cards) - len(rows),
        charts=_with_twins(fleet_charts.charts(cards, found, grid, step)),
        engines=selectors.engines(project_id, span.start, span.end),
        chart_width=SPARK_WIDTH, chart_height=SPARK_HEIGHT,
    )  # fmt: skip


@require_GET
@project_page
def card(visit: Visit, number: int) -> HttpResponse:
    span, project_id = visit.span, visit.project.pk
    found = selectors.card(project_id, number)
    if found is None:
        raise Http404("No such GPU in this project.")
    step = fleet_charts.step_for(span.start, span.end, 1)
    grid = fleet_charts.times(span.start, span.end, step)
    buckets = selectors.buckets(project_id, span.start, span.end, step, number)
    (row,) = _rows(visit, [found], buckets, grid)
    newest = selectors.newest_of(project_id, number, span.start, span.end)
    agents = [one for one in selectors.agents(project_id, clock.now()) if one.host == found.host]
    return visit.render(
        "pages/gpu.html", "gpus", row=row, card=found, newest=newest, agents=agents,
        stale=[one for one in agents if one.is_stale],
        reasons=_words(selectors.throttling(project_id, span.start, span.end).get(number, {})),
        errors=selectors.errors(project_id, span.start, span.end).get(number, {}),
        energy_wh=_energy_wh(buckets), charts=_with_twins(fleet_charts.charts([found], buckets, grid, step)),
    )  # fmt: skip


@require_POST
@project_page
def retire_agent(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    host = services.retire(visit.project.pk, number)
    messages.success(visit.request, f"The agent on “{host}” is no longer waited for, unless it speaks again.")
    return redirect("gpus", visit.project.slug)


def _rows(visit: Visit, cards: Sequence[Card], found: Sequence[Bucket], grid: Sequence[datetime]) -> list[Row]:
    """What is not closed yet is not called unmeasured."""
    closed = min(visit.span.end, clock.now() - CLOSING)
    newest = selectors.newest(visit.project.pk, clock.now() - RECENT)
    throttled = selectors.throttling(visit.project.pk, visit.span.start, visit.span.end)
    return [
        Row(
            one, fleet_charts.label_of(one), newest.get(one.number), fleet_charts.spark(found, one.number, grid),
            sum(throttled.get(one.number, {}).values()),
            ", ".join(_words(throttled.get(one.number, {}))),
            fleet_charts.gap_ratio(found, one, visit.span.start, closed),
            (clock.now() - one.last_seen_at).total_seconds() > selectors.STALE_AFTER_S,
        )
        for one in cards
    ]  # fmt: skip


def _words(told: Mapping[str, float]) -> dict[str, float]:
    return {name.replace("_", " "): amount for name, amount in told.items()}


def _tiles(visit: Visit, rows: Sequence[Row], found: Sequence[Bucket]) -> list[Tile]:
    silent = sum(row.is_silent for row in rows)
    seen = [row.now for row in rows if row.now is not None and not row.is_silent]
    power = [window.power_w for window in seen if window.power_w is not None]
    busy = [one.utilization_ratio for one in found if one.utilization_ratio is not None]
    cost = selectors_allocation.grouped(visit.project.pk, visit.span.start, visit.span.end)
    total = sum((row.usd for row in cost), Decimal(0))
    idle = sum((row.usd for row in cost if row.kind == IDLE), Decimal(0))
    share = float(idle / total) if total else None
    return [
        Tile("Cards", f"{len(rows) - silent} of {len(rows)}", "heard in the last minute"),
        Tile("Utilisation", formats.percent(sum(busy) / len(busy)) if busy else "–", "mean over the range"),
        Tile("Power now", f"{sum(power):,.0f} W" if power else "–", _of_cards(len(power), silent)),
        Tile("Energy", energy(_energy_wh(found)), "over the range"),
        Tile("Self-hosted cost", formats.usd(total) if cost else "–", "closed hours" if cost else "no closed hour yet"),
        Tile("Idle cost", formats.usd(idle) if cost else "–", f"{formats.percent(share)} of it" if share else ""),
    ]


def _of_cards(counted: int, silent: int) -> str:
    told = [f"of {counted} {'card' if counted == 1 else 'cards'}"] if counted else []
    return ", ".join([*told, *([f"{silent} silent left out"] if silent else [])])


def _energy_wh(found: Sequence[Bucket]) -> float | None:
    told = [one.energy_j for one in found if one.energy_j is not None]
    return sum(told) / 3600 if told else None


def energy(watt_hours: float | Decimal | None) -> str:
    if watt_hours is None:
        return "–"
    amount = float(watt_hours)
    return f"{amount / 1000:,.2f} kWh" if amount >= 1000 else f"{amount:.3g} Wh"


def _with_twins(charts: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(chart, tiles.twin(chart)) for chart in charts]
