"""Where a project's recorded calls cost more than they had to: reads them, bounded, and asks the advice of `costs`."""

# ruff: noqa: S608 - every name in these statements is our own; what came from outside is a parameter

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from stanchion_server.costs import savings, selectors
from stanchion_server.costs.advice import caches, history, lengths, prefixes, tariffs, waste, whatif
from stanchion_server.costs.advice.kinds import KINDS
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, Graded, ModelName, PromptName, Tariff
from stanchion_server.costs.caching import embedding, replay, sweep
from stanchion_server.costs.caching.asked import Question, question_of
from stanchion_server.costs.caching.records import Served, Traffic
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel.ids import digest64, span_id_to_hex
from stanchion_server.policies import recorded
from stanchion_server.traces.selectors import reading

MOST_CALLS = 20_000
LOOKED_BACK = timedelta(days=30)
DAY_S, DAYS_OF_A_MONTH = 86_400.0, 30
TIMEOUT_MS = 60_000
_COLUMNS = (
    "trace_id", "span_id", "start_time", "parent_span_id", "duration_ns", "feature", "provider", "model", "service",
    "prompt_name", "prompt_version", "session_id", "user_id <> ''", "is_streamed", "status", "tool_call_count",
    "input_tokens", "output_tokens", "cached_input_tokens", "cost_usd",
)  # fmt: skip
_WHERE = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"


@dataclass(frozen=True, slots=True)
class Told:
    """What the texts of calls add: questions and carried history by the place of their call, and how prompts begin."""

    questions: Mapping[int, Question]
    carried: Mapping[int, history.Carried]
    beginnings: Mapping[prefixes.Group, prefixes.Beginning]


def look(project_id: int, now: datetime) -> savings.Made:
    """The newest MOST_CALLS calls of the last 30 days. Writes nothing."""
    start = now - LOOKED_BACK
    known, rows = _read(project_id, start, now)
    if not rows:
        return savings.Made(start, now, 0, 0, {})
    start = rows[0][2] if known > len(rows) else start
    calls = [_fact(row) for row in rows]
    told = _told(project_id, rows, calls)
    prices = _prices(project_id, calls, now)
    findings = [
        *whatif.find(whatif.used(calls), prices, _graded(project_id, start, now)), *lengths.find(calls, prices),
        *prefixes.find(calls, told.beginnings, prices), *waste.batchable(calls),
        *history.find(calls, told.carried, prices), *waste.failures(calls),
    ]  # fmt: skip
    cached = _cached(calls, told.questions)
    days = max(1.0, (now - min(calls[0].start_time, now)).total_seconds() / DAY_S)
    body = {
        "days": days,
        "spend_usd": str(sum((call.usd or ZERO for call in calls), ZERO)),
        "unpriced_calls": sum(call.usd is None for call in calls),
        "findings": [_plain(finding, days) for finding in _largest_first([*cached.findings, *findings])],
        "cache": cached.body,
    }
    return savings.Made(start, now, len(calls), known, body)


def _read(project_id: int, start: datetime, end: datetime) -> tuple[int, list[reading.Row]]:
    """How many calls there are, and the newest of them in order of time."""
    params = [project_id, start, end, int(Charge.CHARGED), int(SpanKind.LLM)]
    with reading.bounded(TIMEOUT_MS):
        known = int(reading.rows(f"SELECT count(*) FROM llm_calls WHERE {_WHERE}", params)[0][0])
        sql = f"""SELECT {", ".join(_COLUMNS)} FROM llm_calls WHERE {_WHERE}
            ORDER BY start_time DESC, trace_id DESC, span_id DESC LIMIT %s"""
        rows = reading.rows(sql, [*params, MOST_CALLS])
    return known, rows[::-1]


def _fact(row: reading.Row) -> CallFact:
    trace_id, span_id, at, _parent, duration_ns, feature, provider, model, service, name, version, *rest = row
    return CallFact(
        trace_id, span_id, at, duration_ns / 1e9, feature, ModelName(provider, model), service,
        PromptName(name, version), *rest,
    )  # fmt: skip


def _told(project_id: int, rows: Sequence[reading.Row], calls: Sequence[CallFact]) -> Told:
    """Texts are read a few at a time and let go again, but for questions and the first prompts of each group."""
    questions: dict[int, Question] = {}
    carried: dict[int, history.Carried] = {}
    conversations = history.Conversations()
    samples = prefixes.Samples(calls)
    for place, (call, found) in enumerate(zip(calls, _texts(project_id, rows), strict=True)):
        if found.is_cut:
            continue
        asked = question_of(found.content, call.prompt.name, call.prompt.version)
        if asked is not None:
            questions[place] = asked
        told = conversations.carried(call, found.content)
        if told is not None:
            carried[place] = told
        samples.add(call, found.content)
    return Told(questions, carried, samples.beginnings())


def _texts(project_id: int, rows: Sequence[reading.Row]) -> Iterator[recorded.Texts]:
    for _call, texts in recorded.with_texts(project_id, [recorded.Call(*row[:4]) for row in rows]):
        yield texts


def _prices(project_id: int, calls: Sequence[CallFact], now: datetime) -> dict[ModelName, Tariff | None]:
    """Of the models that were used, and of those that may be proposed."""
    book = selectors.book(project_id)
    used = {call.model for call in calls}
    shelf = {ModelName(one.provider, name) for one in used for name in whatif.SHELF.get(one.provider, ())}
    return {model: tariffs.of(model, book, now) for model in used | shelf}


def _graded(project_id: int, start: datetime, end: datetime) -> list[Graded]:
    """Scores that have a threshold; a scorer's versions are not mixed."""
    sql = """SELECT feature, provider, model, scorer || ' ' || scorer_version, count(*),
            count(*) FILTER (WHERE is_flagged)
        FROM scores WHERE project_id = %s AND start_time >= %s AND start_time < %s AND is_flagged IS NOT NULL
        GROUP BY 1, 2, 3, 4"""
    with reading.bounded(TIMEOUT_MS):
        rows = reading.rows(sql, [project_id, start, end])
    return [Graded(feature, ModelName(provider, model), *rest) for feature, provider, model, *rest in rows]


@dataclass(frozen=True, slots=True)
class _Cached:
    findings: list[Finding]
    body: Mapping[str, Any]


def _cached(calls: Sequence[CallFact], questions: Mapping[int, Question]) -> _Cached:
    """Calls that asked for tools are left out: their answer is something to do."""
    places = [place for place in questions if not calls[place].tool_call_count]
    if not places:
        return _Cached([], {})
    embedder = embedding.installed()
    texts = list(dict.fromkeys(questions[place].text for place in places))
    asking = [calls[place] for place in places]
    traffic = _traffic(asking, [questions[place] for place in places], texts)
    found = replay.replay(traffic, embedder.rows(texts), sweep.SETTINGS)
    characters = sum(questions[place].characters for place in places)
    worths = tuple(sweep.worth(outcome, characters) for outcome in found.outcomes)
    spend = sum((call.usd or ZERO for call in calls), ZERO)
    looked = caches.Looked(worths, len(places), len(calls), spend, embedder.name, embedder.weakness)
    body = {
        "embedder": embedder.name, "weakness": embedder.weakness, "questions": len(places),
        "settings": [_setting(worth) for worth in worths], "pairs": _pairs(found.served, asking),
    }  # fmt: skip
    return _Cached(caches.find(looked), body)


def _traffic(calls: Sequence[CallFact], questions: Sequence[Question], texts: Sequence[str]) -> Traffic:
    """A feature keeps its answers to itself."""
    keys: dict[tuple[str, int], int] = {}
    models: dict[ModelName, int] = {}
    numbers = {text: number for number, text in enumerate(texts)}
    return Traffic(
        at_s=np.array([call.start_time.timestamp() for call in calls]),
        duration_s=np.array([call.duration_s for call in calls]),
        key=np.array([
            keys.setdefault((call.feature, asked.key), len(keys)) for call, asked in zip(calls, questions, strict=True)
        ]),
        text=np.array([numbers[asked.text] for asked in questions]),
        model=np.array([models.setdefault(call.model, len(models)) for call in calls]),
        usd=np.array([float(call.usd or 0) for call in calls]),
        is_priced=np.array([call.usd is not None for call in calls]),
        is_answered=np.array([not call.is_failed for call in calls]),
    )  # fmt: skip


def _setting(worth: sweep.Worth) -> dict[str, Any]:
    outcome, setting = worth.outcome, worth.outcome.setting
    return {
        "threshold": setting.threshold, "ttl_s": setting.ttl_s, "capacity": setting.capacity,
        "is_shared": setting.is_shared, "hits": outcome.hits, "hit_ratio": outcome.hit_ratio,
        "equal_hits": outcome.equal_hits, "saved_usd": str(worth.saved_usd), "upkeep_usd": str(worth.upkeep_usd),
        "net_usd": str(worth.net_usd), "net_s": worth.net_s, "entries": outcome.entries, "evicted": outcome.evicted,
        "expired": outcome.expired, "age_p50_s": outcome.age_p50_s, "age_p95_s": outcome.age_p95_s,
    }  # fmt: skip


def _pairs(served: Served, calls: Sequence[CallFact]) -> list[dict[str, Any]]:
    chosen = caches.sampled(served.similarity.tolist(), served.is_equal.tolist())
    return [
        {
            "similarity": float(served.similarity[place]), "asked": _key(calls[int(served.asked[place])]),
            "answered": _key(calls[int(served.answered[place])]),
        }
        for place in chosen
    ]  # fmt: skip


def _key(call: CallFact) -> dict[str, str]:
    return {"trace_id": call.trace_id.hex, "span_id": span_id_to_hex(call.span_id)}


def _largest_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (-one.usd, -(one.seconds or 0), one.kind, one.feature, one.subject))


def _plain(finding: Finding, days: float) -> dict[str, Any]:
    title, how = KINDS[finding.kind]
    month = finding.usd * Decimal(repr(DAYS_OF_A_MONTH / days))
    return {
        "id": f"{digest64(repr((finding.kind, finding.feature, finding.subject)).encode()) & (2**63 - 1):x}",
        "kind": finding.kind, "title": title, "how": how, "feature": finding.feature, "subject": finding.subject,
        "usd": str(finding.usd), "usd_per_month": str(round(month, 6)), "spend_usd": str(finding.spend_usd),
        "seconds": finding.seconds, "calls": finding.calls, "confidence": finding.confidence,
        "assumptions": list(finding.assumptions), "figures": [list(pair) for pair in finding.figures],
        "where": dict(finding.where),
    }  # fmt: skip
