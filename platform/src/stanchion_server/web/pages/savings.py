"""Savings: what the advisor found, largest first, with what it rests on and the calls behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from stanchion_server.costs import savings as reports
from stanchion_server.costs.models import SavingsReport
from stanchion_server.web.pages import formats
from stanchion_server.web.pages.frame import Visit, project_page

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding, and where the calls behind it are listed."""

    finding: dict[str, Any]
    usd_per_month: Decimal
    waiting: str
    calls_href: str


@require_GET
@project_page
def savings(visit: Visit) -> HttpResponse:
    """The page, or while a report is waited for its changing part; once that is there, the page loads itself anew."""
    report = reports.of(visit.project.pk)
    told = _told(visit, report)
    is_part = bool(visit.request.headers.get("HX-Request"))
    answer = visit.render("pages/_savings.html" if is_part else "pages/savings.html", "savings", report=report, **told)
    if is_part and not told["is_open"]:
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
@project_page
def look_for_savings(visit: Visit) -> HttpResponse:
    visit.require_admin()
    reports.request(visit.project.pk, visit.who)
    messages.success(visit.request, "A worker looks at the recorded calls.")
    return redirect("savings", visit.project.slug)


def _told(visit: Visit, report: SavingsReport | None) -> dict[str, Any]:
    body = report.body if report else {}
    cache = body.get("cache") or {}
    found = body.get("findings") or []
    return {
        "is_open": report is not None and report.state in ("queued", "running"),
        "days": body.get("days"),
        "spend_usd": Decimal(body.get("spend_usd", "0")),
        "unpriced_calls": body.get("unpriced_calls", 0),
        "found": [_shown(visit, report, one) for one in found[:MOST_SHOWN]],
        "more": max(0, len(found) - MOST_SHOWN),
        "cache": cache,
        "settings": [_setting(one) for one in cache.get("settings") or []],
    }


def _shown(visit: Visit, report: SavingsReport | None, finding: dict[str, Any]) -> Shown:
    assert report is not None and report.start is not None and report.end is not None
    asked = {**finding["where"], "from": _minute(report.start), "to": _minute(report.end)}
    address = reverse("calls", args=[visit.project.slug])
    month = Decimal(finding["usd_per_month"])
    return Shown(finding, month, _waiting(finding["seconds"]), f"{address}?{urlencode(asked)}")


def _waiting(seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{formats.duration(abs(seconds) * 1000)} {'less' if seconds > 0 else 'more'} waiting in the time looked at"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _setting(one: dict[str, Any]) -> dict[str, Any]:
    """A row of the sweep, in words."""
    net_usd = Decimal(one["net_usd"])
    return {
        **one, "ttl": _kept(one["ttl_s"]), "usd": f"{'-' if net_usd < 0 else ''}{formats.usd(abs(net_usd))}",
        "waiting": f"{'-' if one['net_s'] < 0 else ''}{formats.duration(abs(one['net_s']) * 1000)}",
        "served": "equal questions" if one["threshold"] is None else f"cosine {one['threshold']:.2f}",
    }  # fmt: skip


def _kept(ttl_s: float | None) -> str:
    if ttl_s is None:
        return "for ever"
    days, hours = divmod(round(ttl_s / 3600), 24)
    return f"{days} d" if days else f"{hours} h"
