"""How guards do, in numbers: over time, by rule, as far as people have reviewed. The project comes first everywhere."""

# ruff: noqa: S608 - every name in these statements is our own

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stanchion_server.policies import halting
from stanchion_server.policies.selectors import DecisionFilter, conditions
from stanchion_server.traces.selectors import reading
from stanchion_wire.decisions import ACTIONS

MAX_SAMPLE = 20_000
"""Decisions whose single checks are read, the newest; unpacking more takes longer than a person waits."""
MAX_RULES = 200
MAX_ROWS = 50_000
MAX_REASON_CHARACTERS = 200
STOPPING = ("block", "fallback", "reask")
MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
"""Steps are counted from here, as those of calls are."""

_STOPPED = f"({', '.join(str(ACTIONS.index(name)) for name in STOPPING)})"
_STEP = "date_bin(%s, d.start_time, %s)"


@dataclass(frozen=True, slots=True)
class Moment:
    """What a policy did from `bucket` on, for one step. `incomplete` decisions had a check that did not run."""

    bucket: datetime
    decisions: int
    triggered: int
    stopped: int
    incomplete: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """What one rule did. A run is one check of the rule on one part of what was judged; `not_run` are those that were
    late, failed or had no detector, `skipped` those that were not called for. Times are of runs; None without any."""

    rule: str
    detector: str
    runs: int
    triggered: int
    stopped: int
    not_run: int
    skipped: int
    p50_us: float | None
    p99_us: float | None


@dataclass(frozen=True, slots=True)
class RuleMoment:
    bucket: datetime
    runs: int
    triggered: int
    not_run: int


@dataclass(frozen=True, slots=True)
class Limit:
    """In how many decisions a rule judged what its detector was not measured to work on, and what that was."""

    rule: str
    reason: str
    decisions: int


@dataclass(frozen=True, slots=True)
class Rules:
    """`decisions` are those whose checks were read: the newest MAX_SAMPLE at most, `since` the oldest of them;
    `limited` of them hold some of `limits`, which are the commonest first."""

    decisions: int
    since: datetime | None
    effects: tuple[RuleEffect, ...]
    over_time: dict[str, tuple[RuleMoment, ...]]
    reasons: dict[str, tuple[tuple[str, int], ...]]
    limited: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """Decisions of one policy and feature in a step that begins at `bucket`."""

    policy: str
    feature: str
    bucket: datetime
    decisions: int


@dataclass(frozen=True, slots=True)
class NotRun:
    """On how many decisions of a policy a rule did not run for `reason`, in a step that begins at `bucket`."""

    policy: str
    rule: str
    reason: str
    bucket: datetime
    decisions: int


def over_time(project_id: int, wanted: DecisionFilter, step: timedelta) -> tuple[Moment, ...]:
    """The oldest first; steps without a decision are left out."""
    where, params = conditions(project_id, wanted)
    sql = f"""SELECT {_STEP}, count(*), count(*) FILTER (WHERE d.action > 0),
            count(*) FILTER (WHERE d.action IN {_STOPPED}), count(*) FILTER (WHERE NOT d.is_complete),
            percentile_disc(0.5) WITHIN GROUP (ORDER BY d.elapsed_us),
            percentile_disc(0.99) WITHIN GROUP (ORDER BY d.elapsed_us)
        FROM guard_decisions d WHERE {where} GROUP BY 1 ORDER BY 1 LIMIT {MAX_ROWS}"""
    with reading.bounded():
        return tuple(Moment(*row) for row in reading.rows(sql, [step, MONDAY, *params]))


def rules(project_id: int, wanted: DecisionFilter, step: timedelta) -> Rules:
    """Rules by name, with what each did over time and why it did not run."""
    where, params = conditions(project_id, wanted)
    sample = f"""WITH d AS (SELECT d.start_time, d.checks, d.not_run, d.limits FROM guard_decisions d
        WHERE {where}
        ORDER BY d.start_time DESC LIMIT {MAX_SAMPLE})"""
    with reading.bounded():
        counted = reading.rows(f"{sample} SELECT count(*), min(start_time), count(limits) FROM d", params)[0]
        effects = reading.rows(sample + _EFFECTS, params)
        moments = reading.rows(sample + _MOMENTS, [*params, step, MONDAY])
        reasons = reading.rows(sample + _REASONS, params)
        limits = reading.rows(sample + _LIMITS, params)
    return Rules(
        counted[0], counted[1], tuple(RuleEffect(*row) for row in effects), _by_rule(moments), _told(reasons),
        counted[2], tuple(Limit(*row) for row in limits),
    )  # fmt: skip


def reviewed_by_rule(project_id: int, wanted: DecisionFilter) -> dict[str, tuple[int, int]]:
    """For each rule: how many reviewed decisions that it triggered on were harmless, and how many were violations."""
    where, params = conditions(project_id, wanted)
    sql = f"""SELECT rule, count(*) FILTER (WHERE NOT is_violation), count(*) FILTER (WHERE is_violation)
        FROM (SELECT DISTINCT d.check_id, r.is_violation, unnest(d.rules) AS rule FROM policies_decisionreview r
            JOIN guard_decisions d ON d.project_id = r.project_id AND d.check_id = r.check_id WHERE {where}) t
        GROUP BY 1 LIMIT {MAX_RULES}"""
    with reading.bounded():
        return {rule: (harmless, violations) for rule, harmless, violations in reading.rows(sql, params)}


def counts(project_id: int, start: datetime, end: datetime, step: timedelta) -> tuple[Count, ...]:
    """Decisions that counted (no shadows), by policy, feature and step. Stops of spent budgets are no policy's: they
    end when there is money again."""
    sql = f"""SELECT d.policy, d.feature, {_STEP}, count(*) FROM guard_decisions d
        WHERE d.project_id = %s AND d.start_time >= %s AND d.start_time < %s AND d.mode <> 'shadow'
            AND d.policy NOT LIKE '{halting.PREFIX}%%'
        GROUP BY 1, 2, 3 LIMIT {MAX_ROWS}"""
    with reading.bounded():
        return tuple(Count(*row) for row in reading.rows(sql, [step, MONDAY, project_id, start, end]))


def not_run(project_id: int, start: datetime, end: datetime, step: timedelta) -> tuple[NotRun, ...]:
    """Why rules did not run where decisions counted, by policy, rule and step. What no check ever reads (images, tool
    definitions) stands in each decision; nothing stopped there."""
    sql = f"""SELECT d.policy, n.rule, n.reason, {_STEP}, count(*) FROM guard_decisions d
        CROSS JOIN LATERAL (SELECT DISTINCT e->>0 AS rule, left(e->>1, {MAX_REASON_CHARACTERS}) AS reason
            FROM {_elements("d.not_run")} e WHERE jsonb_typeof(e) = 'array') n
        WHERE d.project_id = %s AND d.start_time >= %s AND d.start_time < %s AND d.mode <> 'shadow'
            AND NOT d.is_complete AND n.rule IS NOT NULL AND n.reason IS NOT NULL
            AND NOT (n.rule = 'client' AND n.reason LIKE '%%: no check reads it')
        GROUP BY 1, 2, 3, 4 LIMIT {MAX_ROWS}"""
    with reading.bounded():
        return tuple(NotRun(*row) for row in reading.rows(sql, [step, MONDAY, project_id, start, end]))


def _elements(column: str) -> str:
    return f"jsonb_array_elements(CASE WHEN jsonb_typeof({column}) = 'array' THEN {column} ELSE '[]' END)"


# What a client recorded is text or number as it pleased; what is no number takes part in no time.
_ELAPSED = "CASE WHEN jsonb_typeof(c->'elapsed_us') = 'number' THEN (c->>'elapsed_us')::numeric END"
_RAN = "c->>'outcome' = 'ran'"
_TRIGGERED = "c->>'triggered' = 'true'"
_NOT_RUN = "c->>'outcome' IN ('late', 'failed', 'unavailable')"
_CHECKS = f"FROM d, {_elements('d.checks')} c WHERE jsonb_typeof(c) = 'object' AND c->>'rule' IS NOT NULL"
_QUOTED = ", ".join(f"'{name}'" for name in STOPPING)
_EFFECTS = f"""
    SELECT c->>'rule', coalesce(max(c->>'detector'), ''), count(*) FILTER (WHERE {_RAN}),
        count(*) FILTER (WHERE {_TRIGGERED}), count(*) FILTER (WHERE {_TRIGGERED} AND c->>'action' IN ({_QUOTED})),
        count(*) FILTER (WHERE {_NOT_RUN}), count(*) FILTER (WHERE c->>'outcome' = 'skipped'),
        (percentile_disc(0.5) WITHIN GROUP (ORDER BY {_ELAPSED}) FILTER (WHERE {_RAN}))::float8,
        (percentile_disc(0.99) WITHIN GROUP (ORDER BY {_ELAPSED}) FILTER (WHERE {_RAN}))::float8
    {_CHECKS} GROUP BY 1 ORDER BY 1 LIMIT {MAX_RULES}"""
_MOMENTS = f"""
    SELECT c->>'rule', {_STEP}, count(*) FILTER (WHERE {_RAN}), count(*) FILTER (WHERE {_TRIGGERED}),
        count(*) FILTER (WHERE {_NOT_RUN})
    {_CHECKS} GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {MAX_ROWS}"""
_REASONS = f"""
    SELECT e->>0, left(e->>1, {MAX_REASON_CHARACTERS}), count(*) FROM d, {_elements("d.not_run")} e
    WHERE jsonb_typeof(e) = 'array' AND e->>0 IS NOT NULL AND e->>1 IS NOT NULL
    GROUP BY 1, 2 ORDER BY 3 DESC LIMIT {MAX_RULES}"""
_LIMITS = f"""
    SELECT l.rule, l.reason, count(*) FROM d CROSS JOIN LATERAL (SELECT DISTINCT e->>0 AS rule, e->>1 AS reason
        FROM {_elements("d.limits")} e) l
    WHERE d.limits IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {MAX_RULES}"""


def _by_rule(rows: Sequence[reading.Row]) -> dict[str, tuple[RuleMoment, ...]]:
    found: dict[str, list[RuleMoment]] = {}
    for rule, *moment in rows:
        found.setdefault(rule, []).append(RuleMoment(*moment))
    return {rule: tuple(moments) for rule, moments in found.items()}


def _told(rows: Sequence[Any]) -> dict[str, tuple[tuple[str, int], ...]]:
    found: dict[str, list[tuple[str, int]]] = {}
    for rule, reason, count in rows:
        found.setdefault(rule, []).append((reason, count))
    return {rule: tuple(reasons) for rule, reasons in found.items()}
