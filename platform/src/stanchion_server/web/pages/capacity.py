"""What fits on which card: of the fleet as it is, and of the types one could get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.costs import observed
from stanchion_server.costs.calculators import capacity
from stanchion_server.costs.calculators.capacity import CARD_TYPES, PRESETS, CardType, Fit, Shape
from stanchion_server.costs.calculators.fields import Values, choice, number, read_all, whole
from stanchion_server.costs.calculators.memory import BYTES_PER_PARAMETER, INFERENCE_FACTOR, need
from stanchion_server.costs.observed import Traffic
from stanchion_server.gpu import selectors
from stanchion_server.gpu.models import GpuWindow
from stanchion_server.gpu.selectors import Card
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages.frame import Visit, project_page

RECENT = timedelta(minutes=15)
OWN = "own numbers"
DTYPES = tuple(BYTES_PER_PARAMETER)
FIELDS = (
    choice("model", "Model", PRESETS[0].name, (*(one.name for one in PRESETS), OWN)),
    choice("dtype", "Type of its numbers", "bf16", DTYPES),
    choice("kv_dtype", "Type of the KV cache", "fp16", DTYPES),
    whole("context_tokens", "Tokens of a full request", 4_096, 100_000_000, low=1),
)
OWN_FIELDS = (
    number("parameters_billion", "Parameters, billion", "7", 100_000, low="0.001"),
    whole("layers", "Layers", 32, 10_000, low=1),
    whole("hidden", "Hidden size", 4_096, 1_000_000, low=1),
    whole("heads", "Attention heads", 32, 10_000, low=1),
    whole("kv_heads", "Key-value heads", 32, 10_000, low=1),
)


@dataclass(frozen=True, slots=True)
class Owned:
    """Cards of one kind in the fleet; `free_bytes` is the most that is free on one of them, None where none told."""

    fit: Fit
    count: int
    free_bytes: int | None

    @property
    def is_possible(self) -> bool:
        return self.fit.cards is not None and self.fit.cards <= self.count


@dataclass(frozen=True, slots=True)
class Rate:
    """A model's last hour, and the headroom calculator's address with it."""

    traffic: Traffic
    query: str

    @property
    def peaks(self) -> tuple[int, int, Decimal]:
        return max(self.traffic.rpm), max(self.traffic.tpm), max(self.traffic.at_a_time)


@require_GET
@project_page
def fits(visit: Visit) -> HttpResponse:
    query = visit.request.GET
    given = {name: query.get(name, "") for name in query if name not in ("from", "to")}
    shape, values, refusal = PRESETS[0], read_all((*FIELDS, *OWN_FIELDS), {}), ""
    try:
        values = read_all((*FIELDS, *OWN_FIELDS), given)
        shape = _shape(values)
    except SenderError as error:
        refusal = error.message
    settings = values.text("dtype"), values.text("kv_dtype"), values.whole("context_tokens")
    project_id, now = visit.project.pk, clock.now()
    cards = selectors.cards(project_id)
    fleet = _owned(cards, selectors.newest(project_id, now - RECENT), shape, settings)
    return visit.render(
        "pages/capacity.html", "capacity", 400 if refusal else 200, shape=shape, refusal=refusal, own=OWN,
        fields=[(field, given.get(field.name, field.default)) for field in FIELDS],
        own_fields=[(field, given.get(field.name, field.default)) for field in OWN_FIELDS],
        is_own=given.get("model") == OWN, fleet=fleet,
        types=[capacity.fit(shape, *settings, one) for one in CARD_TYPES],
        weights_bytes=int(need(shape.parameters_billion * 10**9, settings[0]).weights), factor=INFERENCE_FACTOR,
        token_bytes=int(capacity.kv_bytes(shape, settings[1])),
        request_bytes=int(capacity.kv_bytes(shape, settings[1]) * settings[2]),
        is_beyond=settings[2] > shape.context_tokens and not refusal,
        rates=[_rate(one) for one in observed.last_hour(project_id, now)],
        engines=selectors.engines(project_id, now - RECENT, now), unsized=len(cards),
    )  # fmt: skip


def _rate(traffic: Traffic) -> Rate:
    lists = {"peaks_rpm": traffic.rpm, "peaks_tpm": traffic.tpm, "peaks_concurrency": traffic.at_a_time}
    query = urlencode({name: ",".join(f"{one:f}" if isinstance(one, Decimal) else str(one) for one in values)
                       for name, values in lists.items()})  # fmt: skip
    return Rate(traffic, query)


def _shape(values: Values) -> Shape:
    preset = next((one for one in PRESETS if one.name == values.text("model")), None)
    if preset is not None:
        return preset
    heads, kv_heads = values.whole("heads"), values.whole("kv_heads")
    if kv_heads > heads:
        raise SenderError("bad_value", f"kv_heads={kv_heads} must be at most heads={heads}.")
    return replace(
        PRESETS[0], name=OWN, parameters_billion=values.number("parameters_billion"), layers=values.whole("layers"),
        hidden=values.whole("hidden"), heads=heads, kv_heads=kv_heads, context_tokens=100_000_000, published="",
    )  # fmt: skip


def _owned(
    cards: Sequence[Card], newest: Mapping[int, GpuWindow], shape: Shape, settings: tuple[str, str, int]
) -> list[Owned]:
    groups: dict[tuple[str, int], list[Card]] = {}
    for card in cards:
        if card.memory_bytes:
            groups.setdefault((card.model or card.name, card.memory_bytes), []).append(card)
    return [
        Owned(
            capacity.fit(shape, *settings, CardType(name, Decimal(size))), len(found),
            max((free for card in found if (free := _free(newest.get(card.number))) is not None), default=None),
        )
        for (name, size), found in sorted(groups.items())
    ]  # fmt: skip


def _free(window: GpuWindow | None) -> int | None:
    if window is None or window.memory_bytes is None or not window.memory_limit_bytes:
        return None
    return int(window.memory_limit_bytes - window.memory_bytes)
