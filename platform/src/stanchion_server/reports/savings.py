"""Where a project's recorded calls cost more than they had to: reads them, bounded, and asks the advice of `costs`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stanchion_server.costs import savings, selectors, selectors_hosted
from stanchion_server.costs.advice import (
    asking_back,
    condensing,
    forms,
    history,
    hosted,
    lengths,
    prefixes,
    several,
    tariffs,
    templates,
    waste,
    whatif,
)
from stanchion_server.costs.advice.kinds import KINDS
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, Graded, ModelName, Tariff
from stanchion_server.costs.caching.asked import Question, question_of
from stanchion_server.feedback import selectors as feedback
from stanchion_server.policies import recorded
from stanchion_server.reports import halving, savings_approved, savings_caches, savings_read, savings_scaled
from stanchion_server.reports.savings_scaled import Months
from stanchion_server.traces.selectors import reading

DAY_S, DAYS_OF_A_MONTH = 86_400.0, 30
MOST_SHARES = 100
MOST_FEATURES = 1_000
TIMEOUT_MS = 60_000
SESSIONS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Told:
    """What the texts of calls add, by the place of their call: questions, carried history, turns of conversations and
    forms of answers; and how prompts begin."""

    questions: Mapping[int, Question]
    carried: Mapping[int, history.Carried]
    turns: Mapping[int, asking_back.Turn]
    forms: Mapping[int, forms.Form]
    beginnings: Mapping[prefixes.Group, prefixes.Beginning]


def look(project_id: int, now: datetime) -> savings.Made:
    """The calls of the last 30 days, or hours of them where there are too many. Writes nothing."""
    found = savings_read.read(project_id, now)
    cards = selectors_hosted.read(project_id, now)
    if not found.calls and not cards:
        return savings.Made(found.start, now, 0, 0, {})
    return savings.Made(found.start, now, len(found.calls), found.known, _body(project_id, found, cards, now))


def _body(
    project_id: int, found: savings_read.Calls, cards: Sequence[hosted.Hosted], now: datetime
) -> dict[str, Any]:  # fmt: skip
    calls, rows, start = found.calls, found.rows, found.start
    told = _told(project_id, rows, calls)
    prices = _prices(project_id, calls, now)
    asked = savings_caches.asked_of(calls, told.questions)
    cached = savings_caches.replayed(calls, asked)
    failing = waste.failing(calls)
    findings = [
        *savings_approved.find(project_id, rows, asked),
        *_found(calls, told, prices, _graded(project_id, start, now)), *hosted.find(cards), *failing.findings,
        *asking_back.find(calls, told.turns, _resolved(project_id, calls, told.turns)),
    ]  # fmt: skip
    months = savings_scaled.Months(_days(found.first, now), found.sample)
    first = selectors_hosted.first_hour(project_id, start, now) or now
    hosted_ratios = hosted.month_ratios(selectors_hosted.uses(project_id, start, now, now), min(first, now), now)
    older = {place: history.older_tokens(calls[place], one) for place, one in told.carried.items()}
    cache = _cache(cached, months)
    looked = halving.Looked(project_id, calls, prices, older, cached, cache, cards, months, hosted_ratios)
    return {
        "days": months.days,
        "spend_usd": str(sum((call.usd or ZERO for call in calls), ZERO)),
        "unpriced_calls": sum(call.usd is None for call in calls),
        "by_feature": _by_feature(calls),
        "read": months.read(),
        "failing_left": _failing_left(failing),
        "findings": [_plain(finding, months) for finding in _largest_first([*cached.findings, *findings], months)],
        "feature_costs": halving.by_feature(looked, findings, start, now),
        "cache": cache,
        "templates": [_template(one) for one in templates.told(calls, told.beginnings, prices)],
    }


def _by_feature(calls: Sequence[CallFact]) -> list[dict[str, Any]]:
    """What was looked at of each: the MOST_FEATURES with the most calls."""
    of_each: dict[str, list[CallFact]] = defaultdict(list)
    for call in calls:
        of_each[call.feature].append(call)
    ranked = sorted(of_each, key=lambda name: (-len(of_each[name]), name))
    return [{"feature": name, **_looked(of_each[name])} for name in ranked[:MOST_FEATURES]]


def _looked(calls: Sequence[CallFact]) -> dict[str, Any]:
    return {
        "calls": len(calls), "unpriced_calls": sum(one.usd is None for one in calls),
        "spend_usd": str(sum((one.usd or ZERO for one in calls), ZERO)),
    }  # fmt: skip


def _failing_left(failing: waste.Failing) -> dict[str, Any] | None:
    """None where every feature with failed calls is among the findings."""
    if not failing.left_features:
        return None
    return {
        "features": failing.left_features, "calls": failing.left_calls, "usd": str(failing.left_usd),
    }  # fmt: skip


def _days(start: datetime, now: datetime) -> float:
    """At least one."""
    return max(1.0, (now - min(start, now)).total_seconds() / DAY_S)


def _found(
    calls: Sequence[CallFact], told: Told, prices: Mapping[ModelName, Tariff | None], graded: Sequence[Graded]
) -> list[Finding]:
    return [
        *whatif.find(whatif.used(calls), prices, graded), *lengths.find(calls, prices),
        *prefixes.find(calls, told.beginnings, prices), *several.find(calls, told.beginnings, prices),
        *waste.batchable(calls), *history.find(calls, told.carried, prices),
        *forms.find(calls, told.forms, prices),
        *condensing.find(calls, told.beginnings, told.carried, prices, graded),
    ]  # fmt: skip


def _told(project_id: int, rows: Sequence[reading.Row], calls: Sequence[CallFact]) -> Told:
    """Texts are read a few at a time and let go again, but for questions and the first prompts of each group."""
    questions: dict[int, Question] = {}
    carried: dict[int, history.Carried] = {}
    turns: dict[int, asking_back.Turn] = {}
    shapes: dict[int, forms.Form] = {}
    conversations = history.Conversations()
    samples = prefixes.Samples(calls)
    for place, (call, found) in enumerate(zip(calls, _texts(project_id, rows), strict=True)):
        if found.is_cut:
            continue
        asked = question_of(found.content, call.prompt.name, call.prompt.version)
        if asked is not None:
            questions[place] = asked
            if (turn := asking_back.turn_of(call, asked.characters, found.content)) is not None:
                turns[place] = turn
        if (told := conversations.carried(call, found.content)) is not None:
            carried[place] = told
        if (form := forms.form_of(found.content)) is not None:
            shapes[place] = form
        samples.add(call, found.content)
    return Told(questions, carried, turns, shapes, samples.beginnings())


def _texts(project_id: int, rows: Sequence[reading.Row]) -> Iterator[recorded.Texts]:
    for _call, texts in recorded.with_texts(project_id, [recorded.Call(*row[:4]) for row in rows]):
        yield texts


def _resolved(project_id: int, calls: Sequence[CallFact], turns: Mapping[int, asking_back.Turn]) -> dict[str, bool]:
    """Of the sessions that people rated as a whole: whether all that read either way were good."""
    sessions = list(dict.fromkeys(calls[place].session_id for place in turns))
    tallies: dict[str, feedback.Tally] = {}
    for first in range(0, len(sessions), SESSIONS_AT_ONCE):
        tallies.update(feedback.of_sessions(project_id, sessions[first : first + SESSIONS_AT_ONCE]))
    return {session: not tally.negative for session, tally in tallies.items() if tally.positive or tally.negative}


_FREE = Tariff(ZERO, ZERO, ZERO, ZERO)


def _prices(project_id: int, calls: Sequence[CallFact], now: datetime) -> dict[ModelName, Tariff | None]:
    """Of the models that were used, and of those that may be proposed. Tokens of a model whose calls all cost nothing
    are free, whatever others ask for it: the project hosts it."""
    book = selectors.book(project_id)
    used = {call.model for call in calls}
    shelf = {ModelName(one.provider, name) for one in used for name in whatif.SHELF.get(one.provider, ())}
    free = {call.model for call in calls if call.usd == 0} - {call.model for call in calls if call.usd}
    bought = {model: tariffs.of(model, book, now) for model in (used | shelf) - free}
    return {**bought, **dict.fromkeys(free, _FREE)}


def _graded(project_id: int, start: datetime, end: datetime) -> list[Graded]:
    """Scores that have a threshold; a scorer's versions are not mixed."""
    sql = """SELECT feature, provider, model, scorer || ' ' || scorer_version, count(*),
            count(*) FILTER (WHERE is_flagged)
        FROM scores WHERE project_id = %s AND start_time >= %s AND start_time < %s AND is_flagged IS NOT NULL
        GROUP BY 1, 2, 3, 4"""
    with reading.bounded(TIMEOUT_MS):
        rows = reading.rows(sql, [project_id, start, end])
    return [Graded(feature, ModelName(provider, model), *rest) for feature, provider, model, *rest in rows]


def _cache(cached: savings_caches.Cached, months: Months) -> dict[str, Any]:
    parts = [
        {**part.body, "findings": [_plain(finding, months) for finding in part.findings]} for part in cached.of_features
    ]
    return {**cached.body, "features": parts} if cached.body else {}


def _largest_first(findings: Sequence[Finding], months: Months) -> list[Finding]:
    """By dollars a month."""
    return sorted(
        findings,
        key=lambda one: (-one.usd * months.of(one), -(one.seconds or 0), one.kind, one.feature, one.subject),
    )


def _plain(finding: Finding, looked: Months) -> dict[str, Any]:
    title, how = KINDS[finding.kind]
    months = looked.of(finding)
    return {
        "id": finding.id, "kind": finding.kind, "title": title, "how": how, "feature": finding.feature,
        "subject": finding.subject, "usd": str(finding.usd), "usd_per_month": str(round(finding.usd * months, 6)),
        "spend_usd": str(finding.spend_usd), "seconds": finding.seconds, "calls": finding.calls,
        "confidence": finding.confidence, "month_ratio": str(months),
        "assumptions": [*finding.assumptions, *looked.basis(finding)],
        "figures": [list(pair) for pair in finding.figures], "where": dict(finding.where), "page": finding.page,
        "shares": [
            {"feature": feature, "usd_per_month": str(round(usd * months, 6))}
            for feature, usd in sorted(finding.shares.items(), key=lambda one: (-one[1], one[0]))[:MOST_SHARES]
        ],
    }  # fmt: skip


def _template(one: templates.Template) -> dict[str, Any]:
    return {
        "feature": one.feature, "provider": one.model.provider, "model": one.model.name, "prompt": one.prompt.name,
        "prompt_version": one.prompt.version, "calls": one.calls, "sampled": one.sampled, "tokens": one.tokens,
        "fixed_tokens": one.fixed_tokens, "fixed_ratio": one.fixed_ratio,
        "fixed_usd": None if one.fixed_usd is None else str(one.fixed_usd), "twins": list(one.twins),
    }  # fmt: skip
