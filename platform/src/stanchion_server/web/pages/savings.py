"""Savings: what the advisor found, largest first, with what it rests on and the calls behind it."""

from __future__ import annotations

from collections.abc import Mapping
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
from stanchion_server.reports import featured, savings_told
from stanchion_server.reports.savings_told import Setting
from stanchion_server.web.pages import formats, halved, savings_pairs
from stanchion_server.web.pages.frame import Visit, project_page

MOST_SHOWN = 100
MOST_OPEN = 8
"""Findings that stand open; the smaller ones are folded below them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding, and where the calls or hours behind it are listed. `of_usd` is the whole of which the dollars a month
    are one feature's share."""

    finding: Mapping[str, Any]
    usd_per_month: Decimal
    of_usd: Decimal | None
    waiting: str
    calls_href: str
    calls_label: str


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
    chosen = visit.request.GET.get("feature", "")
    feature = None if not chosen else "" if chosen == savings_told.NO_FEATURE else chosen
    told = savings_told.told(visit.project.pk, body, feature)
    cache = told.cache
    shown = [_shown(visit, report, one) for one in told.findings[:MOST_SHOWN]]
    return {
        **halved.told(report, feature),
        "is_open": report is not None and report.state in ("queued", "running"),
        "days": body.get("days"),
        "looked": featured.looked(report, feature) if report else None,
        "read": _read(body.get("read")),
        "failing_left": body.get("failing_left") if feature is None else None,
        "features": [name or savings_told.NO_FEATURE for name in told.features],
        "chosen": chosen,
        "found": shown[:MOST_OPEN],
        "folded": shown[MOST_OPEN:],
        "more": max(0, len(told.findings) - MOST_SHOWN),
        "cache": cache,
        "templates": [_template(one) for one in told.templates],
        "settings": [_setting(one) for one in cache.settings] if cache else [],
        "judging": savings_pairs.judging(visit, cache) if cache else None,
    }


def _read(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if one is None:
        return None
    known = one["known_usd"]
    return {**one, "known_usd": None if known is None else Decimal(known), "unread_usd": Decimal(one["unread_usd"])}


def _shown(visit: Visit, report: SavingsReport | None, finding: Mapping[str, Any]) -> Shown:
    assert report is not None and report.start is not None and report.end is not None
    page = finding.get("page", "calls")
    span = {} if page == "hosting" else {"from": _minute(report.start), "to": _minute(report.end)}
    href = f"{reverse(page, args=[visit.project.slug])}?{urlencode({**finding['where'], **span})}"
    month = Decimal(finding["usd_per_month"])
    whole = Decimal(finding.get("of_usd_per_month", month))
    of_usd = None if formats.usd(whole) == formats.usd(month) else whole
    return Shown(finding, month, of_usd, _waiting(finding["seconds"]), href, _behind(finding))


def _behind(finding: Mapping[str, Any]) -> str:
    if finding.get("page") == "hosting":
        return "Hours behind it"
    return "Calls behind it" if finding["where"] else "All calls looked at"


def _waiting(seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{formats.duration(abs(seconds) * 1000)} {'less' if seconds > 0 else 'more'} waiting in the calls looked at"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _template(one: Mapping[str, Any]) -> dict[str, Any]:
    usd = one["fixed_usd"]
    name = " ".join(part for part in (one["prompt"], one["prompt_version"]) if part)
    return {**one, "name": name or "no named prompt", "usd": None if usd is None else Decimal(usd)}


def _setting(one: Setting) -> dict[str, Any]:
    """A row of the sweep, in words."""
    row = one.row
    return {
        **row, "ttl": _kept(row["ttl_s"]), "usd": _signed(Decimal(row["net_usd"])), "is_proposed": one.is_proposed,
        "waiting": f"{'-' if row['net_s'] < 0 else ''}{formats.duration(abs(row['net_s']) * 1000)}",
        "served": "equal questions" if row["threshold"] is None else f"cosine {row['threshold']:.2f}",
        "wrong": one.wrong if one.is_judged else None,
        "right": "" if one.right_usd is None else _signed(one.right_usd),
    }  # fmt: skip


def _signed(usd: Decimal) -> str:
    return f"{'-' if usd < 0 else ''}{formats.usd(abs(usd))}"


def _kept(ttl_s: float | None) -> str:
    if ttl_s is None:
        return "for ever"
    days, hours = divmod(round(ttl_s / 3600), 24)
    return f"{days} d" if days else f"{hours} h"
