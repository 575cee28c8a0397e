"""Budgets: how each stands, one step by step, and the form that makes or changes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from stanchion_server.costs import budgets as services
from stanchion_server.costs import selectors_budgets, stops
from stanchion_server.costs.budgeted import Scope
from stanchion_server.costs.models import Budget
from stanchion_server.costs.selectors_budgets import BudgetReading, Standing
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import budget_charts, formats
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.tiles import Tile

if TYPE_CHECKING:  # the class takes its parameter in the type stubs only
    _Form = forms.ModelForm[Budget]
else:
    _Form = forms.ModelForm

LABELS = {
    "limit_usd": "Amount, $", "scope": "For", "scope_value": "Which one", "scope_key": "Name of the attribute",
    "notify_percents": "Tell at, percent", "is_hard_stop": "Stop guard checks when spent",
}  # fmt: skip
HINTS = {
    "scope_value": "the feature, service, environment or the attribute’s value; empty: calls without one",
    "scope_key": "only for an attribute: team",
    "scope": "self-hosted models count for the project and for features only",
    "owner": "who answers for the money",
    "notify_percents": "80, 100",
}
STEP_METHODS = {
    "profile": "the level of the last week with each weekday’s usual share",
    "level": "the level of the last days, all alike: weekdays differ once two weeks are known",
    "linear": "the rate so far goes on: fewer than three complete days are known",
}
HOUR_METHODS = {
    "profile": "the level of the last 24 hours with each hour’s usual share",
    "level": "the level of the last hours, all alike: hours of the day differ once two days are known",
    "linear": "the rate so far goes on: fewer than three complete hours are known",
}


class BudgetForm(_Form):
    """`sure` must be ticked for a stop that was not there before."""

    sure = forms.BooleanField(required=False)

    class Meta:
        model = Budget
        fields = services.FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in services.FIELDS:
            field = self.fields[name]
            field.label = LABELS.get(name, field.label)
            field.help_text = HINTS.get(name, "")
            if isinstance(field.widget, forms.NumberInput):
                field.widget.attrs.update({"step": "any", "min": "0"})

    def _post_clean(self) -> None:
        """The service checks the whole, for the API alike."""

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in ("is_hard_stop", "sure")]


@dataclass(frozen=True, slots=True)
class Row:
    """A budget and what its stop does now."""

    budget: Budget
    reading: BudgetReading
    stop: stops.State

    @property
    def is_unpriced(self) -> bool:
        """Calls were made, and of none is known what it cost."""
        return bool(self.reading.unpriced_calls) and not self.reading.spent_usd

    @property
    def whom(self) -> str:
        """Whose money it is, as it stands in a sentence."""
        scope, value = self.budget.scope, self.budget.scope_value
        if scope == Scope.PROJECT:
            return "the whole project"
        if scope == Scope.ATTRIBUTE:
            return f"{self.budget.scope_key} = {value}"
        return f"{scope} {value}" if value else f"calls without {scope}"


@require_http_methods(["GET", "POST"])
@project_page
def budgets(visit: Visit) -> HttpResponse:
    """The list, and a new budget by POST."""
    form, refusal, status = BudgetForm(initial=_initial(visit)), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = BudgetForm(visit.request.POST)
        try:
            row = services.add(visit.project, _wanted(form, None), visit.who)
        except SenderError as error:
            refusal, status = _told(error), error.http_status
        else:
            messages.success(visit.request, f"The budget “{row.name}” is in force.")
            return redirect("budget", visit.project.slug, row.pk)
    now = clock.now()
    rows = [_row(one, now) for one in selectors_budgets.standings(visit.project.pk, now)]
    return visit.render("pages/budgets.html", "budgets", status, rows=rows, form=form, refusal=refusal)


def _initial(visit: Visit) -> dict[str, Any]:
    return {"notify_percents": "80, 100", "period": "month", "owner": visit.who}


@require_http_methods(["GET", "POST"])
@project_page
def budget(visit: Visit, number: int) -> HttpResponse:
    """One budget, and its change by POST."""
    now = clock.now()
    found = selectors_budgets.standing(visit.project.pk, number, now)
    form, refusal, status = BudgetForm(instance=found.budget), "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        form = BudgetForm(visit.request.POST, instance=found.budget)
        try:
            services.change(visit.project.pk, number, _wanted(form, found.budget), visit.who)
        except SenderError as error:
            refusal, status = _told(error), error.http_status
        else:
            messages.success(visit.request, "The budget is changed.")
            return redirect("budget", visit.project.slug, number)
    row, chart = _row(found, now), budget_charts.chart(found)
    return visit.render(
        "pages/budget.html", "budgets", status, one=row, form=form, refusal=refusal, tiles=_tiles(row), chart=chart,
        twin=budget_charts.twin(chart), method=_method(found.reading), policy=f"budget:{found.budget.name}",
    )  # fmt: skip


@require_POST
@project_page
def delete_budget(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    services.archive(visit.project.pk, number, visit.who)
    messages.success(visit.request, "The budget is deleted.")
    return redirect("budgets", visit.project.slug)


def _row(one: Standing, now: datetime) -> Row:
    return Row(one.budget, one.reading, stops.state_of(one.budget, now))


def _wanted(form: BudgetForm, before: Budget | None) -> dict[str, Any]:
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_budget", f"{form.fields[field].label}: {reasons[0]}")
    values = dict(form.cleaned_data)
    if not values.pop("sure") and _stops_more(values, before):
        raise SenderError(
            "not_sure", "Stop guard checks when spent: tick the box that says you are sure, or leave the stop off."
        )
    return values


def _stops_more(values: dict[str, Any], before: Budget | None) -> bool:
    """A stop that was not there, or stopped something else."""
    if not values["is_hard_stop"]:
        return False
    names = ("is_hard_stop", "scope", "scope_value")
    return before is None or any(values[name] != getattr(before, name) for name in names)


def _told(error: SenderError) -> str:
    """The sentence under the field's label instead of its name."""
    name, colon, rest = error.message.partition(": ")
    if not colon or name not in services.FIELDS:
        return error.message
    return f"{LABELS.get(name, name.capitalize())}: {rest}"


def _tiles(row: Row) -> list[Tile]:
    one = row.reading
    spent = "unknown" if row.is_unpriced else formats.usd(one.spent_usd)
    return [
        Tile("Spent", spent, f"{formats.percent(one.spent_ratio)} of {formats.usd(one.limit_usd)}"),
        Tile("Burn rate", _times(one.burn_ratio), "1 lasts exactly to the end"),
        Tile("Burn rate, recent", _times(one.recent_burn_ratio),
             "last hour" if one.period == "day" else "last 24 hours"),
        Tile("Forecast of the end", "unknown" if row.is_unpriced else formats.usd(one.forecast_usd), _band(one)),
        _crossed(one),
        Tile("Without a price", formats.count(one.unpriced_calls), "calls, in no sum"),
    ]  # fmt: skip


def _crossed(one: BudgetReading) -> Tile:
    label = "Crossed" if one.spent_ratio >= 1 else "Will be crossed"
    if one.overruns_at is None:
        return Tile(label, "–" if one.forecast_usd is None else "not expected", f"period ends {one.period_end:%d %b}")
    return Tile(label, f"{one.overruns_at:%d %b}", f"{one.overruns_at:%H:%M} UTC")


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def _band(one: BudgetReading) -> str:
    if one.forecast_low_usd is None:
        return "too early to tell" if one.forecast_usd is None else "no band yet"
    return f"{formats.usd(one.forecast_low_usd)} to {formats.usd(one.forecast_high_usd)} in 8 of 10 cases"


def _method(one: BudgetReading) -> str:
    return (HOUR_METHODS if one.period == "day" else STEP_METHODS).get(one.forecast_method, "")
