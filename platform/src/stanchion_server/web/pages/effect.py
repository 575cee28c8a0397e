"""How well a policy does: what it triggers on and stops, how often that was wrong, what did not run, and how long it
takes; by version, by rule, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, gaps, measures, selectors
from stanchion_server.policies.selectors import DecisionFilter
from stanchion_server.reports import guardrails as reports
from stanchion_server.traces.selectors import grains
from stanchion_server.traces.selectors.overview import step_for
from stanchion_server.web.pages import tiles
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import Deed, deed, gaps_of
from stanchion_server.web.pages.templatetags.show import SPARK_HEIGHT

SPARK_STEP = 3


@dataclass(frozen=True, slots=True)
class Spark:
    """Bars of a small picture: x, and heights of the shares that triggered and did not run, measured from below."""

    width: int
    bars: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """`harmless` of `reviewed` decisions that the rule triggered on were false alarms."""

    effect: measures.RuleEffect
    asked: int
    harmless: int
    reviewed: int
    reasons: tuple[tuple[str, int], ...]
    spark: Spark


@dataclass(frozen=True, slots=True)
class LimitRow:
    limit: measures.Limit
    detector: str


@require_GET
@project_page
def effect(visit: Visit, name: str) -> HttpResponse:
    """`version` narrows everything to one version. A policy that only an application has is shown as well."""
    if not engine.is_name(name):
        raise Http404("No policy has such a name.")
    span, project_id = visit.span, visit.project.pk
    version = _version(visit.request.GET.get("version", ""))
    found = selectors.effects(project_id, DecisionFilter(span.start, span.end, policy=name))
    deeds = [deed(one) for one in found]
    counted = DecisionFilter(span.start, span.end, policy=name, policy_version=version or None, is_shadow=False)
    step = step_for(span.end - span.start)
    rules = measures.rules(project_id, counted, step)
    moments = measures.over_time(project_id, counted, step)
    charts = _charts(moments, span.start, span.end, step)
    return visit.render(
        "pages/policy_effect.html",
        "guardrails",
        policy=selectors.policy(project_id, name),
        name=name,
        tab="effect",
        version=version,
        versions=sorted({one.effect.policy_version for one in deeds if one.effect.mode != "shadow"}),
        deeds=deeds,
        total=_total(deeds, version),
        rated=reports.rated_after_acting(project_id, counted),
        groups=gaps.together([one for one in gaps_of(visit) if one.policy == name]),
        rules=rules,
        sample=measures.MAX_SAMPLE,
        rows=_rows(rules, measures.reviewed_by_rule(project_id, counted), grains.steps(span.start, span.end, step)),
        limits=_limits(rules),
        charts=[(chart, tiles.twin(chart)) for chart in charts],
    )


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over versions in force and canaries, shadows left out."""

    decisions: int = 0
    triggered: int = 0
    stopped: int = 0
    redacted: int = 0
    incomplete: int = 0
    limited: int = 0
    reviewed: int = 0
    harmless: int = 0
    p50_us: float | None = None
    p99_us: float | None = None


def _total(deeds: Sequence[Deed], version: str) -> Total:
    """Percentiles cannot be summed: they are those of the busiest version."""
    counted = [one for one in deeds if one.effect.mode != "shadow" and version in ("", one.effect.policy_version)]
    if not counted:
        return Total()
    return Total(
        decisions=sum(one.effect.decisions for one in counted),
        triggered=sum(one.triggered for one in counted),
        stopped=sum(one.stopped for one in counted),
        redacted=sum(one.redacted for one in counted),
        incomplete=sum(one.effect.incomplete for one in counted),
        limited=sum(one.effect.limited for one in counted),
        reviewed=sum(one.reviewed for one in counted),
        harmless=sum(one.effect.harmless for one in counted),
        p50_us=counted[0].effect.p50_us,
        p99_us=counted[0].effect.p99_us,
    )


def _rows(rules: measures.Rules, reviewed: Mapping[str, tuple[int, int]], times: Sequence[datetime]) -> list[RuleRow]:
    """Rules that did not run first, then the busiest; a rule that nobody counted a check of, as when a switch is
    thrown, is told of by its reasons."""
    known = {one.rule for one in rules.effects}
    silent = [measures.RuleEffect(name, "", 0, 0, 0, _sum(why), 0, None, None) for name, why in rules.reasons.items()
              if name not in known]  # fmt: skip
    rows = [_row(one, rules, reviewed, times) for one in (*rules.effects, *silent)]
    return sorted(rows, key=lambda row: (-row.effect.not_run, -row.effect.triggered, row.effect.rule))


def _limits(rules: measures.Rules) -> list[LimitRow]:
    detectors = {one.rule: one.detector for one in rules.effects}
    return [LimitRow(one, detectors.get(one.rule, "")) for one in rules.limits]


def _row(
    one: measures.RuleEffect, rules: measures.Rules, reviewed: Mapping[str, tuple[int, int]], times: Sequence[datetime]
) -> RuleRow:
    harmless, violations = reviewed.get(one.rule, (0, 0))
    return RuleRow(
        effect=one,
        asked=one.runs + one.not_run,
        harmless=harmless,
        reviewed=harmless + violations,
        reasons=rules.reasons.get(one.rule, ())[:3],
        spark=_spark(rules.over_time.get(one.rule, ()), times),
    )


def _sum(reasons: Sequence[tuple[str, int]]) -> int:
    return sum(count for _reason, count in reasons)


def _spark(moments: Sequence[measures.RuleMoment], times: Sequence[datetime]) -> Spark:
    by_time = {one.bucket: one for one in moments}
    bars = []
    for place, time in enumerate(times):
        if (one := by_time.get(time)) and (asked := one.runs + one.not_run):
            bars.append((place * SPARK_STEP, _height(one.triggered / asked), _height(one.not_run / asked)))
    return Spark(max(1, len(times)) * SPARK_STEP, tuple(bars))


def _height(share: float) -> float:
    """A little is seen, nothing is not."""
    return max(2.0, round(SPARK_HEIGHT * share, 1)) if share else 0.0


def _charts(
    moments: Sequence[measures.Moment], start: datetime, end: datetime, step: timedelta
) -> tuple[dict[str, Any], ...]:
    by_time = {one.bucket: one for one in moments}
    times = grains.steps(start, end, step)
    rows = [by_time.get(time) for time in times]
    shared = {"times": [int(time.timestamp()) for time in times], "step_s": int(step.total_seconds())}

    def line(name: str, scale: float = 1.0) -> list[float | None]:
        return [None if row is None else getattr(row, name) * scale for row in rows]

    def count(name: str) -> list[int]:
        return [0 if row is None else getattr(row, name) for row in rows]

    def share(name: str) -> list[float | None]:
        return [None if row is None else getattr(row, name) / row.decisions for row in rows]

    return (
        {**shared, "id": "chart-decisions", "title": "Decisions", "unit": "count", "series": [
            _series("Decisions", "--s1", count("decisions"), bars=True)]},
        {**shared, "id": "chart-acted", "title": "Triggered and stopped", "unit": "percent", "series": [
            _series("Triggered", "--s1", share("triggered")), _series("Stopped", "--s2", share("stopped"), dash=True)]},
        {**shared, "id": "chart-not-run", "title": "Not everything ran", "unit": "percent", "series": [
            _series("Incomplete", "--s2", share("incomplete"), bars=True)]},
        {**shared, "id": "chart-time", "title": "Time for a decision", "unit": "ms", "series": [
            _series("p50", "--s1", line("p50_us", 0.001)), _series("p99", "--s2", line("p99_us", 0.001), dash=True)]},
    )  # fmt: skip


def _series(
    label: str, colour: str, values: Sequence[Any], *, bars: bool = False, dash: bool = False
) -> dict[str, Any]:
    return {"label": label, "colour": colour, "values": list(values), "bars": bars, "dash": dash}


def _version(text: str) -> str:
    if len(text) > 200 or "\0" in text:
        raise SenderError("bad_version", "A version is a number, or what the policy's text calls itself.")
    return text
