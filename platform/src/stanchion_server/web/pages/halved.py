"""What would halve a feature's cost, as the page Savings tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from stanchion_server.costs.models import SavingsReport
from stanchion_server.reports import featured
from stanchion_server.reports.featured import FeatureView, HalvingView
from stanchion_server.web.pages import callfilters, formats


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its answer in a sentence, and the steps behind it."""

    title: str
    note: str
    sentence: str
    plan: HalvingView


@dataclass(frozen=True, slots=True)
class Line:
    """A feature in the table of all; `query` leads to its own page."""

    view: FeatureView
    query: str
    own: str
    with_idle: str


def query(feature: str) -> str:
    return urlencode({"feature": feature or callfilters.NONE})


def told(report: SavingsReport | None, feature: str | None) -> dict[str, Any]:
    """For the template. `halved` is the feature that is asked for, None where the report has no cost of it."""
    body = report.body if report else {}
    found = featured.feature_costs(body, feature)
    halved = found[0] if feature is not None and found else None
    return {
        "feature": feature, "halved": halved, "is_cost_known": found is not None,
        "answers": _answers(halved) if halved else [],
        "lines": [_line(one) for one in found or ()] if feature is None else [],
        "explorer_query": "" if feature is None else _explorer(report, feature),
    }  # fmt: skip


def _line(view: FeatureView) -> Line:
    return Line(view, query(view.feature), _short(view.halving), _short(view.halving_with_idle))


def _short(plan: HalvingView | None) -> str:
    if plan is None:
        return "–"
    if not plan.steps:
        return "nothing known does"
    return f"{_less(plan)}, {_counted(plan)}{'' if plan.is_half else ': not halved'}"


def _answers(view: FeatureView) -> list[Answer]:
    found = []
    if view.halving is not None:
        found.append(Answer("What its calls cost", _own_note(view), _sentence(view, view.halving), view.halving))
    if view.halving_with_idle is not None:
        found.append(Answer(
            "With its part of idle time",
            (f"{formats.usd(view.idle_usd)} of it is what own cards cost without work, as much as the feature has of"
             " their work."),
            _sentence(view, view.halving_with_idle), view.halving_with_idle,
        ))  # fmt: skip
    return found


def _own_note(view: FeatureView) -> str:
    hosted = view.gpu_usd + view.energy_usd
    if not hosted:
        return ""
    return (
        f"{formats.usd(hosted)} of it is work of own cards, which changes to calls do not make cheaper: cards are paid"
        " by the hour, and what calls leave free becomes idle time."
    )


def _sentence(view: FeatureView, plan: HalvingView) -> str:
    changes = "changes that can be combined" if view.not_combined else "known changes"
    span = f"{formats.usd(plan.usd)} a month to {formats.usd(plan.left_usd)} ({_less(plan)})"
    if not plan.steps:
        return f"None of the {changes} takes as much as 0.5 % off its {formats.usd(plan.usd)} a month."
    if not plan.is_half:
        return f"No set of {changes} halves it: the best one takes {span}."
    return f"{_counted(plan).capitalize()} {'takes' if len(plan.steps) == 1 else 'together take'} {span}."


def _counted(plan: HalvingView) -> str:
    return "one change" if len(plan.steps) == 1 else f"{len(plan.steps)} changes"


def _less(plan: HalvingView) -> str:
    """Rounded towards what is not promised: what halves reads as 50 % at least, what does not as less."""
    percent = Decimal(str(plan.saved_ratio)) * 100
    shown = int(percent) if percent >= 1 else round(percent, 2)
    return f"−{shown} %"


def _explorer(report: SavingsReport | None, feature: str) -> str:
    """Without a time before the first report is made, which may be asked for already."""
    span = {}
    if report is not None and report.start is not None and report.end is not None:
        span = {"from": _second(report.start), "to": _second(report.end)}
    return urlencode({"feature": feature or callfilters.NONE, **span})


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
