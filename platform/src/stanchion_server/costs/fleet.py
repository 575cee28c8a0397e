"""What the cards of deployments did in an hour, by five minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from stanchion_server.costs.allocation import WH_STEP
from stanchion_server.costs.models import Deployment
from stanchion_server.gpu.models import GpuWindow
from stanchion_server.gpu.selectors import Card, cards_at

SLOT = timedelta(minutes=5)
SLOTS = 12
_J_PER_WH = Decimal(3600)
FULLY = 0.9
"""A slot counts as measured when its cards have samples for this share of it; what no sample covers is not known."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`utilization` and `energy_wh` have SLOTS entries, None where not every card was measured; energy is what the
    cards that were measured drew."""

    cards: int
    utilization: tuple[float | None, ...]
    energy_wh: tuple[Decimal | None, ...]
    covered_ratio: float
    energy_method: str


def read(project_id: int, hour: datetime, deployments: Sequence[Deployment]) -> Mapping[int, Measured]:
    """By the deployment's number; every one has an entry."""
    cards = cards_at(project_id, hour, hour + timedelta(hours=1))
    owned = owners(cards, deployments)
    rows = GpuWindow.objects.filter(
        project_id=project_id, start__gte=hour, start__lt=hour + timedelta(hours=1), device_id__in=owned
    )
    found: dict[int, list[GpuWindow]] = defaultdict(list)
    for row in rows:
        found[owned[row.device_id]].append(row)
    return {
        one.pk: _measured(sum(owner == one.pk for owner in owned.values()), found[one.pk], hour) for one in deployments
    }


def owners(cards: Sequence[Card], deployments: Sequence[Deployment]) -> dict[int, int]:
    """Card to deployment: named itself before labelled before standing in a named host, the first by name among
    equals; a card has one owner at most. A card of which there are MIG instances is left to these."""
    split = {card.parent for card in cards if card.parent}
    found: dict[int, int] = {}
    for card in cards:
        if card.hw_id in split:
            continue
        ranked = sorted((rank, one.name, one.pk) for one in deployments if (rank := _rank(card, one)) is not None)
        if ranked:
            found[card.number] = ranked[0][2]
    return found


def _rank(card: Card, one: Deployment) -> int | None:
    if card.hw_id in one.gpus:
        return 0
    if card.deployment == one.name:
        return 1
    return 2 if card.host in one.hosts else None


def _measured(cards: int, rows: Sequence[GpuWindow], hour: datetime) -> Measured:
    by_slot: dict[int, list[GpuWindow]] = defaultdict(list)
    for row in rows:
        by_slot[(row.start.astimezone(UTC) - hour) // SLOT].append(row)
    methods = {row.energy_method for row in rows if row.energy_j is not None}
    covered_s = sum(row.covered_s for row in rows)
    return Measured(
        cards=cards,
        utilization=tuple(_utilization(by_slot[place], cards) for place in range(SLOTS)),
        energy_wh=tuple(_energy_wh(by_slot[place]) for place in range(SLOTS)),
        covered_ratio=min(1.0, covered_s / (cards * 3600)) if cards else 0.0,
        energy_method="" if not methods else "counter" if methods == {"counter"} else "estimated",
    )


def _utilization(rows: Sequence[GpuWindow], cards: int) -> float | None:
    told = [
        row.utilization_ratio
        for row in rows
        if row.utilization_ratio is not None and row.covered_s >= FULLY * SLOT.total_seconds()
    ]
    return sum(told) / len(told) if cards and len(told) == cards else None


def _energy_wh(rows: Sequence[GpuWindow]) -> Decimal | None:
    told = [row.energy_j for row in rows if row.energy_j is not None]
    return (Decimal(repr(sum(told))) / _J_PER_WH).quantize(WH_STEP) if told else None
