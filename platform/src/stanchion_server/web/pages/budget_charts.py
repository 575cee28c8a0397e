"""A budget's period as a chart: what was spent, what is expected, and the amount that both are held against."""

from __future__ import annotations

from typing import Any

from stanchion_server.costs.selectors_budgets import Standing
from stanchion_server.costs.spent import Point
from stanchion_server.web.pages import formats, tiles


def chart(found: Standing) -> dict[str, Any]:
    """Running totals at the end of each step, from the period's first step to its last."""
    spent, expected = _by_step(found, is_expected=False), _by_step(found, is_expected=True)
    step = found.period.step
    times = [found.period.start + place * step for place in range((found.period.end - found.period.start) // step)]
    moments = [int(one.timestamp()) for one in times]
    limit: list[float | None] = [float(found.budget.limit_usd)] * len(moments)
    series = (
        ("Spent", "--s1", [spent.get(one) for one in moments], True),
        ("Expected", "--s4", [expected.get(one) for one in moments], False),
        ("Budget", "--s2", limit, False),
    )
    return {
        "id": "budget-chart", "unit": "usd", "times": moments, "step_s": int(step.total_seconds()),
        "title": "Total at the end of each " + ("hour" if found.period.name == "day" else "day"),
        "series": [
            {"label": label, "colour": colour, "values": values, "bars": bars, "dash": not bars}
            for label, colour, values, bars in series
        ],
    }  # fmt: skip


def _by_step(found: Standing, *, is_expected: bool) -> dict[int, float]:
    return {_second(one): float(one.total_usd) for one in found.statement.points if one.is_expected is is_expected}


def _second(point: Point) -> int:
    return int(point.at.timestamp())


def twin(chart: dict[str, Any]) -> dict[str, Any]:
    """As a table, where a step that is still to come has spent nothing rather than an unknown sum."""
    table = tiles.twin(chart)
    lines = [(at, ["–" if text == formats.UNKNOWN else text for text in texts]) for at, texts in table["lines"]]
    return {**table, "lines": lines}
