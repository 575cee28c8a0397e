"""Self-hosted deployments: what they cost, for whom, how idle they are, and the versions in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from stanchion_server.costs import deployments, hours, selectors_allocation, sizing
from stanchion_server.costs.allocation import IDLE, UNATTRIBUTED
from stanchion_server.costs.models import Deployment
from stanchion_server.costs.selectors_allocation import AllocatedRow, VersionRow
from stanchion_server.costs.sizing import Size
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import formats, tiles
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.gpus import energy
from stanchion_server.web.pages.tiles import Tile

if TYPE_CHECKING:  # the class takes its parameter in the type stubs only
    _Form = forms.ModelForm[Deployment]
else:
    _Form = forms.ModelForm

HOURLY_UP_TO = timedelta(days=3)
GROUPS = (
    ("Which calls", ("match_provider", "match_model", "match_service", "match_server", "match_attribute",
                     "match_value")),
    ("Which cards", ("hosts", "gpus", "device_class")),
    ("Price", ("basis", "usd_per_hour", "count", "storage_gib", "storage_usd_per_gib_month", "data_gib_per_month",
               "data_usd_per_gib")),
    ("Energy", ("usd_per_kwh", "pue", "grid_g_per_kwh", "rec_ratio")),
    ("Weight of a token", ("prefill_weight", "cached_weight", "decode_weight")),
    ("Engine", ("engine", "engine_version", "batching", "parallel_degree", "note")),
)  # fmt: skip
LABELS = {
    "effective_from": "In force from (UTC, full hour)", "is_retired": "It ends here", "match_provider": "Provider",
    "match_model": "Model", "match_service": "Service", "match_server": "Server (host or host:port)",
    "match_attribute": "Span attribute", "match_value": "Its value", "hosts": "Hosts, comma-separated",
    "gpus": "GPU UUIDs, comma-separated", "basis": "Paid", "usd_per_hour": "$ per hour", "count": "How many",
    "storage_gib": "Storage, GiB", "storage_usd_per_gib_month": "$ per GiB and month",
    "data_gib_per_month": "Data, GiB per month", "data_usd_per_gib": "$ per GiB of data",
    "usd_per_kwh": "Electricity, $ per kWh", "pue": "PUE", "grid_g_per_kwh": "Grid, g CO2e per kWh",
    "rec_ratio": "Share with certificates, 0 to 1", "prefill_weight": "Prompt", "cached_weight": "Cached prompt",
    "decode_weight": "Answer", "parallel_degree": "Tensor-parallel degree",
}  # fmt: skip
HINTS = {
    "match_provider": "all that is given must fit; these calls cost no tokens",
    "usd_per_kwh": "empty: in the price already", "grid_g_per_kwh": "empty: not known", "pue": "1 or more",
    "effective_from": "2026-01-31 14:00", "count": "instances, or GPUs",
}  # fmt: skip


class DeploymentForm(_Form):
    class Meta:
        model = Deployment
        fields = deployments.FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in LABELS.items():
            self.fields[name].label = label
        for name in deployments.FIELDS:
            field = self.fields[name]
            field.help_text = HINTS.get(name, "")
            field.required = name in ("name", "effective_from", "usd_per_hour")
            if isinstance(field.widget, forms.NumberInput):
                field.widget.attrs.update({"step": "any", "min": "0"})

    def values(self) -> dict[str, Any]:
        """What was filled in; what was left empty takes the model's default."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}

    def _post_clean(self) -> None:
        """The service checks the whole, for the API alike."""

    @property
    def groups(self) -> list[tuple[str, list[Any]]]:
        return [(title, [self[name] for name in names]) for title, names in GROUPS]


@dataclass(frozen=True, slots=True)
class Compared:
    """A version with what it did in the range, and how many instances would do."""

    deployment: Deployment
    did: VersionRow | None
    size: Size | None


@require_http_methods(["GET", "POST"])
@project_page
def hosting(visit: Visit) -> HttpResponse:
    """The page, and a new version by POST."""
    form = DeploymentForm(visit.request.POST or None, initial=_initial())
    refusal, status = "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        try:
            row = deployments.add(visit.project, _wanted(form), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            messages.success(visit.request, f"“{row.name}” is in force from {row.effective_from:%Y-%m-%d %H:%M} UTC.")
            return redirect("hosting", visit.project.slug)
    start, end = hours.floor(visit.span.start), visit.span.end
    rows = selectors_allocation.by_feature(visit.project.pk, start, end)
    return visit.render(
        "pages/hosting.html", "hosting", status, form=form, refusal=refusal, rows=rows, tiles=_tiles(rows),
        total=sum((row.usd for row in rows), Decimal(0)), versions=_versions(visit, start, end),
        charts=_charts(visit, start, end) if rows else [],
        progress=selectors_allocation.progress(visit.project.pk, start, end, clock.now()),
    )  # fmt: skip


def _initial() -> dict[str, Any]:
    return {"effective_from": f"{hours.floor(clock.now()):%Y-%m-%d %H:%M}"}


def _wanted(form: DeploymentForm) -> dict[str, Any]:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_deployment", f"{form.fields[field].label}: {reasons[0]}")
    return form.values()


def _versions(visit: Visit, start: datetime, end: datetime) -> list[Compared]:
    did = {row.deployment_id: row for row in selectors_allocation.by_version(visit.project.pk, start, end)}
    return [_compared(row, did.get(row.pk)) for row in deployments.versions(visit.project.pk)]


def _compared(row: Deployment, did: VersionRow | None) -> Compared:
    return Compared(row, did, sizing.size(did.busy, row.count, row.usd_per_hour) if did else None)


def _tiles(rows: Sequence[AllocatedRow]) -> list[Tile]:
    usd = sum((row.usd for row in rows), Decimal(0))
    idle = sum((row.usd for row in rows if row.kind == IDLE), Decimal(0))
    power = sum((row.energy_usd for row in rows), Decimal(0))
    tokens = sum(row.input_tokens + row.output_tokens for row in rows)
    watt_hours = [row.energy_wh for row in rows if row.energy_wh is not None]
    grams = [row.co2e_g for row in rows if row.co2e_g is not None]
    return [
        Tile("Self-hosted cost", formats.usd(usd), f"{formats.usd(power)} of it electricity" if power else ""),
        Tile("Idle", formats.usd(idle), f"{formats.percent(float(idle / usd))} of the cost" if usd else ""),
        Tile("Tokens", formats.compact(tokens), _rate(usd, idle, tokens)),
        Tile("Energy", energy(sum(watt_hours, Decimal(0)) if watt_hours else None), "of the cards, without PUE"),
        Tile("CO2e", mass(sum(grams, Decimal(0)) if grams else None), "with PUE, certificates taken off"),
    ]


def _rate(usd: Decimal, idle: Decimal, tokens: int) -> str:
    """Dollars a million tokens: of all that is paid, and of the time at work, which is what fuller cards come near."""
    if not tokens:
        return ""
    whole, at_work = (formats.usd(part / tokens * 1_000_000) for part in (usd, usd - idle))
    return f"{whole} per million, {at_work} without idle"


def mass(grams: Decimal | None) -> str:
    if grams is None:
        return formats.UNKNOWN
    return f"{grams / 1000:,.2f} kg" if grams >= 1000 else f"{grams:.3g} g"


def _charts(visit: Visit, start: datetime, end: datetime) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    step = "hour" if end - start <= HOURLY_UP_TO else "day"
    rows = selectors_allocation.grouped(visit.project.pk, start, end, (), step)
    moments = sorted({row.bucket.astimezone(UTC) for row in rows if row.bucket})
    usd = {(row.bucket, row.kind): float(row.usd) for row in rows}
    watt_hours: dict[Any, float] = {}
    for row in rows:
        if row.energy_wh is not None:
            watt_hours[row.bucket] = watt_hours.get(row.bucket, 0.0) + float(row.energy_wh)
    shared = {"times": [int(one.timestamp()) for one in moments], "step_s": 3_600 if step == "hour" else 86_400}
    used = [usd.get((one, "use"), 0.0) + usd.get((one, UNATTRIBUTED), 0.0) for one in moments]
    idle = [usd.get((one, IDLE), 0.0) for one in moments]
    both = [used[place] + idle[place] for place in range(len(moments))]
    found = [
        {**shared, "id": "hosting-usd", "title": f"Cost per {step}", "unit": "usd", "series": [
            {"label": "Used and idle", "colour": "--line-strong", "values": both, "bars": True, "dash": False},
            {"label": "Used", "colour": "--s1", "values": used, "bars": True, "dash": False}]},
        {**shared, "id": "hosting-wh", "title": f"Energy per {step}", "unit": "watthour", "series": [
            {"label": "Energy", "colour": "--s3", "values": [watt_hours.get(one) for one in moments], "bars": True,
             "dash": False}]},
    ]  # fmt: skip
    return [(chart, tiles.twin(chart)) for chart in found]
