"""Savings: what the advisor last found, and a new look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import savings
from stanchion_server.costs.models import SavingsReport
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, shapes, tables
from stanchion_server.web.api.tables import AS

COLUMNS = ("usd_per_month", "usd", "spend_usd", "seconds", "calls", "confidence", "kind", "title", "feature", "subject")


@dataclass(frozen=True, slots=True)
class FindingView:
    """`usd` is saved of `spend_usd` in the time looked at, `usd_per_month` in 30 days like it; `seconds` is waiting
    saved there, null where it is not known. `where` are parameters of the calls page; empty for caches, whose served
    calls are not listed: the link then leads to all calls of the time looked at."""

    id: str
    kind: str
    title: str
    how: str
    feature: str
    subject: str
    usd_per_month: Decimal
    usd: Decimal
    spend_usd: Decimal
    seconds: float | None
    calls: int
    confidence: str
    assumptions: tuple[str, ...]
    figures: tuple[tuple[str, ...], ...]
    where: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CacheSetting:
    """`threshold` null serves equal questions only, `ttl_s` null keeps for ever. `net_*` have upkeep taken off."""

    threshold: float | None
    ttl_s: float | None
    capacity: int | None
    is_shared: bool
    hits: int
    hit_ratio: float | None
    equal_hits: int
    saved_usd: Decimal
    upkeep_usd: Decimal
    net_usd: Decimal
    net_s: float
    entries: int
    evicted: int
    expired: int
    age_p50_s: float | None
    age_p95_s: float | None


@dataclass(frozen=True, slots=True)
class CallKey:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Pair:
    """`asked` would have got the answer of `answered`."""

    similarity: float
    asked: CallKey
    answered: CallKey


@dataclass(frozen=True, slots=True)
class CacheView:
    embedder: str
    weakness: str
    questions: int
    settings: tuple[CacheSetting, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class SavingsView:
    """`state` is "none" before anybody looked. `calls` of `known_calls` were looked at, the newest; amounts of findings
    overlap and do not add up. `cache` is null where no question is recorded."""

    state: str
    error: str
    requested_at: datetime | None
    requested_by: str
    finished_at: datetime | None
    start: datetime | None
    end: datetime | None
    days: float | None
    calls: int
    known_calls: int
    unpriced_calls: int
    spend_usd: Decimal | None
    findings: tuple[FindingView, ...]
    cache: CacheView | None


class Savings(base.Resource):
    known = (AS,)
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "read_savings", "What the advisor last found, largest first", shapes.schema_of(SavingsView), known, tag="costs"
    )
    def get(self, request: Request) -> Response | HttpResponse:
        report = savings.of(self.asker.project_id)
        if self.values.get("as") == "csv":
            return _csv(report.body.get("findings", []) if report else [])
        return self.answer(_view(report))

    @base.described(
        "look_for_savings", "A new look, which a worker takes up", shapes.schema_of(SavingsView), (), tag="costs",
        status=202, request=None,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        report = savings.request(self.asker.project_id, self.asker.actor)
        return Response(shapes.plain(_view(report), self.hidden), status=202)


def _view(report: SavingsReport | None) -> SavingsView:
    if report is None:
        return SavingsView("none", "", None, "", None, None, None, None, 0, 0, 0, None, (), None)
    body = report.body
    spend = body.get("spend_usd")
    return SavingsView(
        state=report.state, error=report.error, requested_at=report.requested_at, requested_by=report.requested_by,
        finished_at=report.finished_at, start=report.start, end=report.end, days=body.get("days"), calls=report.calls,
        known_calls=report.known_calls, unpriced_calls=body.get("unpriced_calls", 0),
        spend_usd=None if spend is None else Decimal(spend),
        findings=tuple(_finding(one) for one in body.get("findings", [])), cache=_cache(body.get("cache") or {}),
    )  # fmt: skip


def _finding(one: Mapping[str, Any]) -> FindingView:
    money = {name: Decimal(one[name]) for name in ("usd_per_month", "usd", "spend_usd")}
    figures = tuple(tuple(pair) for pair in one["figures"])
    return FindingView(**{**one, **money, "assumptions": tuple(one["assumptions"]), "figures": figures})


def _cache(body: Mapping[str, Any]) -> CacheView | None:
    if not body:
        return None
    pairs = tuple(Pair(one["similarity"], CallKey(**one["asked"]), CallKey(**one["answered"])) for one in body["pairs"])
    return CacheView(
        body["embedder"], body["weakness"], body["questions"], tuple(_setting(one) for one in body["settings"]), pairs
    )


def _setting(one: Mapping[str, Any]) -> CacheSetting:
    return CacheSetting(**{**one, **{name: Decimal(one[name]) for name in ("saved_usd", "upkeep_usd", "net_usd")}})


def _csv(findings: list[dict[str, Any]]) -> HttpResponse:
    rows = [[*(one[name] for name in COLUMNS), " ".join(one["assumptions"])] for one in findings]
    return tables.table([*COLUMNS, "assumptions"], rows, "savings")
