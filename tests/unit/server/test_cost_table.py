"""The explorer's chart and links: what is nobody's stands apart, and a link asks for just the row's calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs

from stanchion_server.costs.breakdown import IDLE, USE, Amounts
from stanchion_server.reports.cost_details import UNREAD
from stanchion_server.reports.costs import CostReport, CostRow
from stanchion_server.web.pages import cost_table

TEN = datetime(2026, 11, 25, 10, tzinfo=UTC)
CALLED = Amounts(calls=1, api_usd=Decimal(1))


def report(*rows: CostRow) -> CostReport:
    total = CostRow(None, USE, {}, CALLED, UNREAD)
    return CostReport(TEN, TEN + timedelta(hours=2), rows, total, None, 0, (), 0, 0)


def test_idling_of_several_deployments_is_one_series_of_the_chart() -> None:
    def idle(name: str, at: datetime) -> CostRow:
        return CostRow(at, IDLE, {"deployment": name}, Amounts(gpu_usd=Decimal(2)), UNREAD)

    used = CostRow(TEN, USE, {"deployment": "a"}, CALLED, UNREAD)
    found = report(used, idle("a", TEN), idle("b", TEN), idle("b", TEN + timedelta(hours=1)))
    chart = cost_table.chart(found, ("deployment",), "hour")
    assert [(one["label"], one["values"]) for one in chart["series"]] == [("a", [1.0, 0.0]), ("Idle", [4.0, 2.0])]


def link(group: dict[str, str | None], **asked: str) -> dict[str, list[str]]:
    found = report(CostRow(None, USE, group, CALLED, UNREAD))
    (line,) = cost_table.lines(found, tuple(group), asked)
    return parse_qs(line.link)


def test_a_row_by_attribute_leads_nowhere_where_another_attribute_is_asked_for_already() -> None:
    assert link({"attribute:team": "search"})["attribute"] == ["team=search"]
    assert link({"attribute:team": "search"}, attribute="team=search")["attribute"] == ["team=search"]
    assert link({"attribute:team": "search"}, attribute="tenant=acme") == {}
    assert link({"attribute:team": "a", "attribute:tenant": "b"}) == {}
    assert link({"attribute:a=b": "c"}) == link({"attribute:team": " padded"}) == link({"attribute:team": ""}) == {}
    assert link({"feature": "bot"}, attribute="tenant=acme")["attribute"] == ["tenant=acme"]
