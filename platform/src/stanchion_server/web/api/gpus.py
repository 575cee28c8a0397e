"""GPUs, self-hosted deployments, and what their hours cost whom in dollars, watt-hours and grams."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import deployments, esg, selectors_allocation
from stanchion_server.costs.models import Deployment
from stanchion_server.costs.selectors_allocation import DIMENSIONS, STEPS, AllocatedRow
from stanchion_server.costs.self_hosted import Basis, Batching, DeviceClass
from stanchion_server.gpu import selectors
from stanchion_server.gpu.selectors import AgentReading, Card
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, parameters, shapes, tables
from stanchion_server.web.api.parameters import RANGE, Parameter

DAY = timedelta(days=1)
YEAR = timedelta(days=366)
RECENT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card with its newest five minutes; their numbers are null when those are older than a quarter of an hour."""

    card: Card
    window_start: datetime | None
    utilization_ratio: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    power_w: float | None
    temperature_c: float | None
    throttled_s: dict[str, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """`shared_hosts` are names under which several machines seem to send: cards of one name were seen there together.
    What is told by host (agents and their silence, engines) is then of all of them."""

    items: tuple[Gpu, ...]
    agents: tuple[AgentReading, ...]
    shared_hosts: tuple[str, ...]


class Gpus(base.Resource):
    known = (Parameter("stale_after_s", parameters.seconds, "Silence after which an agent is stale, s.", "number"),)

    @base.described("list_gpus", "Cards and the agents that report them", shapes.schema_of(Fleet), known, tag="gpus")
    def get(self, request: Request) -> Response:
        now, project_id = clock.now(), self.asker.project_id
        after_s = self.values.get("stale_after_s", selectors.STALE_AFTER_S)
        windows = selectors.newest(project_id, now - RECENT)
        cards = selectors.cards(project_id)
        items = tuple(_gpu(card, windows.get(card.number)) for card in cards)
        agents = selectors.agents(project_id, now, after_s)
        return self.answer(Fleet(items, agents, selectors.shared_hosts(cards)))


def _gpu(card: Card, window: Any) -> Gpu:
    names = ("utilization_ratio", "memory_bytes", "memory_limit_bytes", "power_w", "temperature_c")
    told = {name: getattr(window, name) if window else None for name in names}
    return Gpu(card, window.start if window else None, **told, throttled_s=window.throttled_s if window else {})


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a deployment."""

    id: int
    name: str
    effective_from: datetime
    is_retired: bool
    match_provider: str
    match_model: str
    match_service: str
    match_server: str
    match_attribute: str
    match_value: str
    hosts: list[str]
    gpus: list[str]
    basis: str
    usd_per_hour: Decimal
    count: int
    storage_gib: Decimal
    storage_usd_per_gib_month: Decimal
    data_gib_per_month: Decimal
    data_usd_per_gib: Decimal
    usd_per_kwh: Decimal | None
    pue: Decimal
    grid_g_per_kwh: Decimal | None
    rec_ratio: Decimal
    prefill_weight: Decimal
    cached_weight: Decimal
    decode_weight: Decimal
    engine: str
    engine_version: str
    batching: str
    parallel_degree: int
    device_class: str
    note: str


def _number(digits: int, places: int, *, is_nullable: bool = False) -> serializers.DecimalField:
    return serializers.DecimalField(digits, places, min_value=Decimal(0), required=False, allow_null=is_nullable)


def _text(longest: int) -> serializers.CharField:
    return serializers.CharField(max_length=longest, required=False, allow_blank=True)


class NewDeployment(serializers.Serializer[Any]):
    """A version in force from a full hour (UTC) on. Say which calls belong to it, and which cards."""

    name = serializers.CharField(max_length=100)
    effective_from = serializers.DateTimeField()
    is_retired = serializers.BooleanField(required=False)
    match_provider = _text(60)
    match_model = _text(200)
    match_service = _text(200)
    match_server = _text(200)
    match_attribute = _text(200)
    match_value = _text(200)
    hosts = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=500)
    gpus = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=500)
    basis = serializers.ChoiceField(Basis.choices, required=False)
    usd_per_hour = serializers.DecimalField(14, 6, min_value=Decimal(0))
    count = serializers.IntegerField(min_value=0, max_value=100_000, required=False)
    storage_gib = _number(12, 3)
    storage_usd_per_gib_month = _number(14, 6)
    data_gib_per_month = _number(12, 3)
    data_usd_per_gib = _number(14, 6)
    usd_per_kwh = _number(10, 6, is_nullable=True)
    pue = _number(5, 3)
    grid_g_per_kwh = _number(9, 3, is_nullable=True)
    rec_ratio = _number(5, 4)
    prefill_weight = _number(9, 4)
    cached_weight = _number(9, 4)
    decode_weight = _number(9, 4)
    engine = _text(60)
    engine_version = _text(60)
    batching = serializers.ChoiceField(Batching.choices, required=False, allow_blank=True)
    parallel_degree = serializers.IntegerField(min_value=1, max_value=1024, required=False)
    device_class = serializers.ChoiceField(DeviceClass.choices, required=False)
    note = _text(200)


class Deployments(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "list_deployments", "Self-hosted deployments, all versions", shapes.list_schema(Version), (), tag="gpus"
    )
    def get(self, request: Request) -> Response:
        return self.answer({"items": [_version(row) for row in deployments.versions(self.asker.project_id)]})

    @base.described(
        "add_deployment", "A deployment, or its next version", shapes.schema_of(Version), (), tag="gpus",
        status=201, request=NewDeployment,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        values = _checked(request.data)
        project = Project.objects.get(pk=self.asker.project_id)
        row = deployments.add(project, values, self.asker.actor)
        return Response(shapes.plain(_version(row)), status=201)


def _checked(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SenderError("bad_body", "The body must be a JSON object.")
    form = NewDeployment(data=data)
    unknown = sorted(set(data) - set(form.fields))
    if unknown:
        raise SenderError("unknown_field", f"{unknown[0][:80]!r} is not a field. Known: {', '.join(form.fields)}.")
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        reason = next(iter(reasons.values()))[0] if isinstance(reasons, dict) else reasons[0]
        raise SenderError("bad_field", f"{field}: {reason}")
    values: dict[str, Any] = form.validated_data
    return values


def _version(row: Deployment) -> Version:
    return Version(**{field.name: getattr(row, field.name) for field in dataclasses.fields(Version)})


@dataclass(frozen=True, slots=True)
class Allocated:
    """One line of an allocation: dollars, with what they were paid for."""

    bucket: datetime | None
    kind: str
    group: dict[str, str]
    calls: int
    input_tokens: int
    output_tokens: int
    gpu_usd: Decimal
    energy_usd: Decimal
    usd: Decimal
    usd_per_mtok: Decimal | None
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class Energy:
    """One line of energy. CO2e has PUE and grid factor in it, `co2e_g` has certificates taken off."""

    bucket: datetime | None
    kind: str
    group: dict[str, str]
    calls: int
    input_tokens: int
    output_tokens: int
    energy_wh: Decimal | None
    wh_per_call: Decimal | None
    wh_per_1k_tokens: Decimal | None
    gross_co2e_g: Decimal | None
    co2e_g: Decimal | None
    co2e_g_per_call: Decimal | None
    energy_usd: Decimal
    is_estimated: bool


GROUPED = (
    *RANGE,
    Parameter("group_by", parameters.names, f"At most two, comma-separated, of {', '.join(DIMENSIONS)}."),
    Parameter(
        "step", parameters.one_of({step: step for step in STEPS}), "hour, day or week; none: one sum.", options=STEPS
    ),
    tables.AS,
)


class Allocations(base.Resource):
    """Closed hours that begin in the range; the lines add up to what was paid for them."""

    known = GROUPED

    @base.described("read_allocations", "Self-hosted cost by user", shapes.list_schema(Allocated), known, tag="gpus")
    def get(self, request: Request) -> Response | HttpResponse:
        return _answer(self, Allocated, "allocations")


class EnergyUse(base.Resource):
    """As allocations, in watt-hours and grams."""

    known = GROUPED

    @base.described("read_energy", "Energy and CO2e by user", shapes.list_schema(Energy), known, tag="gpus")
    def get(self, request: Request) -> Response | HttpResponse:
        return _answer(self, Energy, "energy")


class EnergyReport(base.Resource):
    """By month, for a sustainability report: serving, idling, and training outside of deployments."""

    known = (*RANGE, tables.AS)

    @base.described(
        "read_energy_report", "Energy and CO2e by month", shapes.list_schema(esg.MonthRow), known, tag="gpus"
    )
    def get(self, request: Request) -> Response | HttpResponse:
        values = dict(self.values)
        start, end = parameters.summed_range(values, YEAR)
        rows = esg.by_month(self.asker.project_id, start, end)
        if values.get("as") == "csv":
            columns = [field.name for field in dataclasses.fields(esg.MonthRow)]
            return tables.table(columns, [[shapes.plain(row)[one] for one in columns] for row in rows], "energy-report")
        return self.answer({"items": rows})


def _answer(resource: base.Resource, shape: type[Allocated] | type[Energy], name: str) -> Response | HttpResponse:
    values = dict(resource.values)
    start, end = parameters.summed_range(values, DAY)
    wanted = values.get("group_by", ("feature",))
    rows = selectors_allocation.grouped(resource.asker.project_id, start, end, wanted, values.get("step", ""))
    lines = [_line(row, shape) for row in rows]
    if values.get("as") == "csv":
        return _csv(lines, shape, wanted, name)
    return resource.answer({"items": lines})


def _line(row: AllocatedRow, shape: type[Allocated] | type[Energy]) -> Allocated | Energy:
    return shape(**{field.name: getattr(row, field.name) for field in dataclasses.fields(shape)})


def _csv(
    lines: list[Allocated | Energy], shape: type[Allocated] | type[Energy], wanted: tuple[str, ...], name: str
) -> HttpResponse:
    """Groups are columns."""
    columns = [field.name for field in dataclasses.fields(shape) if field.name != "group"]
    plain = [shapes.plain(line) for line in lines]
    cells = [[row["group"][one] for one in wanted] + [row[one] for one in columns] for row in plain]
    return tables.table([*wanted, *columns], cells, name)
