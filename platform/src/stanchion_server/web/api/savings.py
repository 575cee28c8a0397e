"""Savings: what the advisor last found, and a new look."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import savings, verdicts
from stanchion_server.costs.caching.sweep import THRESHOLDS
from stanchion_server.costs.models import PairVerdict, SavingsReport
from stanchion_server.reports import featured, savings_told
from stanchion_server.reports.featured import FeatureView
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes, tables
from stanchion_server.web.api.parameters import Parameter
from stanchion_server.web.api.policies import checked
from stanchion_server.web.api.tables import AS

COLUMNS = ("usd_per_month", "usd", "spend_usd", "seconds", "calls", "confidence", "kind", "title", "feature", "subject")


@dataclass(frozen=True, slots=True)
class Share:
    feature: str
    usd_per_month: Decimal


@dataclass(frozen=True, slots=True)
class FindingView:
    """`usd` is saved of `spend_usd` by the calls looked at, `usd_per_month` in 30 days, which are `month_ratio` times
    what was looked at; `seconds` is waiting saved there, null where it is not known. `where` are parameters of the page
    with the evidence: `calls`, or `hosting` for own cards, which have closed hours of their own; for caches they lead
    to all calls that were looked at, as the served ones are not listed. `shares` tell whose dollars it is where several
    features use the cards. Asked for one feature, amounts are its share, of `of_usd_per_month` for all."""

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
    month_ratio: float | None = None
    page: str = "calls"
    shares: tuple[Share, ...] = ()
    of_usd_per_month: Decimal | None = None


@dataclass(frozen=True, slots=True)
class WrongHits:
    """What people found of hits with other words. `ratio` is null before a verdict that is sure; `low` and `high` are
    its 95 % interval; `unseen_ratio` of the hits are as alike as no pair that was judged. `right_usd` is `net_usd`
    without what wrong answers saved, `surely_usd` with as many wrong as `high` allows."""

    pairs: int
    wrong: int
    unsure: int
    ratio: float | None
    low: float
    high: float
    unseen_ratio: float
    right_usd: Decimal | None
    surely_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class CacheSetting:
    """`threshold` null serves equal questions only, `ttl_s` null keeps for ever. `net_*` have upkeep taken off.
    `entries`, `evicted` and `expired` are null for one feature: all share the cache. `wrong` is null where nothing with
    other words was served, and for settings that differ from the default in more than the threshold. `is_proposed`:
    of the thresholds where fewer than 5 % of these hits are wrong for sure, the one that surely saves most, and more
    than answers for equal questions."""

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
    entries: int | None
    evicted: int | None
    expired: int | None
    age_p50_s: float | None
    age_p95_s: float | None
    wrong: WrongHits | None
    is_proposed: bool


@dataclass(frozen=True, slots=True)
class CallKey:
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Pair:
    """`asked` would have got the answer of `answered`. `id` stands for the content of both questions and stays the same
    from look to look, as does the verdict: same, wrong, unsure; null before one. `band` is the highest of the replayed
    thresholds that would serve the pair."""

    id: str
    feature: str
    similarity: float
    band: float
    asked: CallKey
    answered: CallKey
    verdict: str | None
    judged_at: datetime | None
    judged_by: str | None


@dataclass(frozen=True, slots=True)
class CacheView:
    """`unjudged_features` got answers with other words and have no pair that was judged, while others have: theirs may
    be all right or all wrong. Empty where one feature is asked for."""

    embedder: str
    weakness: str
    questions: int
    settings: tuple[CacheSetting, ...]
    pairs: tuple[Pair, ...]
    unjudged_features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A prompt of one feature and model by what is sent: `tokens` a call, of which `fixed_tokens` are the beginning
    that four fifths of the `sampled` prompts share, at `fixed_usd` in all calls (null without a price). `twins` are
    prompts of another name that begin alike."""

    feature: str
    provider: str
    model: str
    prompt: str
    prompt_version: str
    calls: int
    sampled: int
    tokens: float
    fixed_tokens: int
    fixed_ratio: float
    fixed_usd: Decimal | None
    twins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadShare:
    """Of more calls than can be looked at: `slices` are hours, or like parts of hours, spread over the time; `ratio` is
    their share of `known_usd`, the cost of all, or of calls where that is null. `unread_features` have no call in
    them, and cost `unread_usd`: nothing is found for these."""

    slices: int
    known_usd: Decimal | None
    ratio: float
    unread_features: int
    unread_usd: Decimal


@dataclass(frozen=True, slots=True)
class FailingLeft:
    """Features with failed calls beyond the 50 whose failures cost or took most, with those calls and their cost."""

    features: int
    calls: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class SavingsView:
    """`state` is "none" before anybody looked. `calls` of `known_calls` (language models, no embeddings) were looked
    at, at `spend_usd` for the API; these are of the feature that is asked for, null where they are not known of it.
    `read` tells how they were chosen, null where all were. Amounts of findings overlap and do not add up. `cache` is
    null where no question is recorded. `features` are those that can be asked for with `feature`: of caches, the 20
    with the most questions.
    `feature_costs` are the 30 dearest with what would halve their cost, null where that was too much to read."""

    state: str
    error: str
    requested_at: datetime | None
    requested_by: str
    finished_at: datetime | None
    start: datetime | None
    end: datetime | None
    days: float | None
    calls: int | None
    known_calls: int | None
    read: ReadShare | None
    unpriced_calls: int | None
    spend_usd: Decimal | None
    features: tuple[str, ...]
    feature_costs: tuple[FeatureView, ...] | None
    findings: tuple[FindingView, ...]
    failing_left: FailingLeft | None
    cache: CacheView | None
    templates: tuple[TemplateView, ...]


FEATURE = Parameter(
    "feature", parameters.text, f"Findings and caches of this feature alone; `{savings_told.NO_FEATURE}`: of none."
)


class Savings(base.Resource):
    known = (FEATURE, AS)
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "read_savings", "What the advisor last found, largest first", shapes.schema_of(SavingsView), known, tag="costs"
    )
    def get(self, request: Request) -> Response | HttpResponse:
        report = savings.of(self.asker.project_id)
        feature = self.values.get("feature")
        feature = "" if feature == savings_told.NO_FEATURE else feature
        told = _told(report, feature)
        if self.values.get("as") == "csv":
            return _csv(told.findings)
        return self.answer(_view(report, told, feature))

    @base.described(
        "look_for_savings", "A new look, which a worker takes up", shapes.schema_of(SavingsView), (), tag="costs",
        status=202, request=None,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        report = savings.request(self.asker.project_id, self.asker.actor)
        return Response(shapes.plain(_view(report, _told(report, None)), self.hidden), status=202)


class NewVerdict(serializers.Serializer[Any]):
    """Would the answer to the earlier question have done for the later one?"""

    verdict = serializers.ChoiceField(choices=list(verdicts.SAYS))


class PairVerdictOf(base.Resource):
    write_scopes = (Scope.WRITE_SCORES,)

    @base.described(
        "judge_pair", "The pair with the verdict, which replaces an earlier one", shapes.schema_of(Pair), (), "pair",
        tag="costs", request=NewVerdict,
    )  # fmt: skip
    def put(self, request: Request, pair: str) -> Response:
        says = checked(NewVerdict, request)["verdict"]
        return self.answer(_pair(*verdicts.give(self.asker.project_id, pair, says, self.asker.actor)))


def _told(report: SavingsReport | None, feature: str | None) -> savings_told.Told:
    if report is None:
        return savings_told.Told([], None, [], [])
    return savings_told.told(report.project_id, report.body, feature)


def _view(report: SavingsReport | None, told: savings_told.Told, feature: str | None = None) -> SavingsView:
    if report is None:
        nothing = (None, None, None, None, 0, 0, None, 0, None, (), (), (), None, None, ())
        return SavingsView("none", "", None, "", *nothing)
    body, looked = report.body, featured.looked(report, feature)
    return SavingsView(
        state=report.state, error=report.error, requested_at=report.requested_at, requested_by=report.requested_by,
        finished_at=report.finished_at, start=report.start, end=report.end, days=body.get("days"),
        calls=looked.calls if looked else None, known_calls=looked.known_calls if looked else None,
        read=_read(body.get("read")), unpriced_calls=looked.unpriced_calls if looked else None,
        spend_usd=looked.spend_usd if looked and "spend_usd" in body else None, features=tuple(told.features),
        feature_costs=featured.feature_costs(body, feature),
        findings=tuple(_finding(one) for one in told.findings), failing_left=_failing(body.get("failing_left")),
        cache=_cache(told.cache), templates=tuple(_template(one) for one in told.templates),
    )  # fmt: skip


def _failing(one: Mapping[str, Any] | None) -> FailingLeft | None:
    return None if one is None else FailingLeft(one["features"], one["calls"], Decimal(one["usd"]))


def _read(one: Mapping[str, Any] | None) -> ReadShare | None:
    if one is None:
        return None
    known = one["known_usd"]
    money = {"known_usd": None if known is None else Decimal(known), "unread_usd": Decimal(one["unread_usd"])}
    return ReadShare(**{**one, **money})


def _finding(one: Mapping[str, Any]) -> FindingView:
    money = {name: Decimal(one[name]) for name in (*_AMOUNTS, "of_usd_per_month") if name in one}
    figures = tuple(tuple(pair) for pair in one["figures"])
    shares = tuple(Share(each["feature"], Decimal(each["usd_per_month"])) for each in one.get("shares", ()))
    ratio = float(one["month_ratio"]) if "month_ratio" in one else None
    told = {"assumptions": tuple(one["assumptions"]), "figures": figures, "shares": shares, "month_ratio": ratio}
    return FindingView(**{**one, **money, **told})


_AMOUNTS = ("usd_per_month", "usd", "spend_usd")


def _template(one: Mapping[str, Any]) -> TemplateView:
    usd = one["fixed_usd"]
    return TemplateView(**{**one, "fixed_usd": None if usd is None else Decimal(usd), "twins": tuple(one["twins"])})


def _cache(cache: savings_told.Cache | None) -> CacheView | None:
    if cache is None:
        return None
    return CacheView(
        cache.embedder, cache.weakness, cache.questions, tuple(_setting(one) for one in cache.settings),
        tuple(_pair(one.row, one.verdict) for one in cache.pairs), tuple(cache.unjudged),
    )  # fmt: skip


def _setting(one: savings_told.Setting) -> CacheSetting:
    row = {**one.row, **{name: Decimal(one.row[name]) for name in ("saved_usd", "upkeep_usd", "net_usd")}}
    for name in ("like_hits", "like_usd"):
        row.pop(name, None)
    return CacheSetting(**row, wrong=_wrong(one), is_proposed=one.is_proposed)


def _wrong(one: savings_told.Setting) -> WrongHits | None:
    if one.wrong is None:
        return None
    return WrongHits(**dataclasses.asdict(one.wrong), right_usd=one.right_usd, surely_usd=one.surely_usd)


def _pair(row: Mapping[str, Any], verdict: PairVerdict | None) -> Pair:
    asked, answered = (CallKey(row[side]["trace_id"], row[side]["span_id"]) for side in ("asked", "answered"))
    said = (verdict.says, verdict.judged_at, verdict.judged_by) if verdict else (None, None, None)
    return Pair(row["id"], row["feature"], row["similarity"], THRESHOLDS[row["band"]], asked, answered, *said)


def _csv(findings: Sequence[Mapping[str, Any]]) -> HttpResponse:
    rows = [
        [*(_cell(name, one[name]) for name in COLUMNS), " ".join(one["assumptions"]), _shares(one)] for one in findings
    ]
    return tables.table([*COLUMNS, "assumptions", "shares"], rows, "savings")


def _cell(name: str, value: Any) -> Any:
    """Amounts to the billionth of a dollar, waiting to the millisecond: the rest is noise of dividing."""
    if name in _AMOUNTS:
        return f"{round(Decimal(value), 9).normalize():f}"
    return round(value, 3) if name == "seconds" and value is not None else value


def _shares(one: Mapping[str, Any]) -> str:
    """Dollars a month by feature."""
    return "; ".join(f"{each['feature']}: {each['usd_per_month']}" for each in one.get("shares", ()))
