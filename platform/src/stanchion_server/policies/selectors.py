"""What guards decided, and how well: lists, counts, comparisons of versions. The project comes first everywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies.models import DecisionReview, Policy, PolicyEvent, PolicyVersion
from stanchion_server.traces.selectors import reading
from stanchion_wire.decisions import ACTIONS

MAX_PAGE = 500
MAX_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions; `start` is inclusive, `end` exclusive, None asks nothing. `is_incomplete` wants those where
    some check did not run, `is_shadow` those without effect, `is_limited` those in which a detector judged what it was
    not measured to work on; `limited_rule` and `limited_reason` are those of one such check."""

    start: datetime
    end: datetime
    policy: str | None = None
    policy_version: str | None = None
    mode: str | None = None
    action: str | None = None
    label: str | None = None
    rule: str | None = None
    feature: str | None = None
    session_id: str | None = None
    source: str | None = None
    check_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    is_incomplete: bool | None = None
    is_shadow: bool | None = None
    is_limited: bool | None = None
    limited_rule: str | None = None
    limited_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    is_violation: bool
    note: str
    reviewed_at: datetime
    reviewed_by: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision; `findings` and `checks` are as recorded, without texts."""

    check_id: str
    trace_id: str
    span_id: str
    time: datetime
    policy: str
    policy_version: str
    mode: str
    source: str
    stage: str
    action: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]
    characters: int
    guarded_characters: int
    is_complete: bool
    elapsed_us: int
    feature: str
    user_id: str
    session_id: str
    environment: str
    release: str
    findings: tuple[dict[str, Any], ...]
    checks: tuple[dict[str, Any], ...]
    not_run: tuple[tuple[str, str], ...]
    limits: tuple[tuple[str, str], ...]
    review: Review | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What one version of a policy did in a window. `incomplete` decisions had a check that did not run, `limited` ones
    a check whose detector was not measured to work on such a text. `harmless` and `violations` are the reviewed ones
    among those that acted, so harmless / (harmless + violations) is the share of false alarms as far as people have
    said."""

    policy: str
    policy_version: str
    mode: str
    decisions: int
    by_action: dict[str, int]
    incomplete: int
    limited: int
    p50_us: float
    p95_us: float
    p99_us: float
    harmless: int
    violations: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How often the shadow would have done something else, by (what was done, what it would have done). `checks` were
    judged by both; `not_compared` beside them are those of which the shadow said nothing."""

    live_version: str
    shadow_version: str
    checks: int
    not_compared: int
    pairs: tuple[tuple[str, str, int], ...]
    examples: tuple[Differing, ...]


@dataclass(frozen=True, slots=True)
class Differing:
    """A check on which the two differ; `rules` triggered in either of them, `labels` were found by either."""

    check_id: str
    trace_id: str
    time: datetime
    action: str
    shadow_action: str
    rules: tuple[str, ...]
    labels: tuple[str, ...]


_COLUMNS = (
    "d.check_id, d.trace_id, d.span_id, d.start_time, d.policy, d.policy_version, d.mode, d.source, d.stage, d.action,"
    " d.rules, d.labels, d.characters, d.guarded_characters, d.is_complete, d.elapsed_us, d.feature, d.user_id,"
    " d.session_id, d.environment, d.release, d.findings::text, d.checks::text, d.not_run::text, d.limits::text,"
    " r.is_violation, r.note, r.reviewed_at, r.reviewed_by"
)
_REVIEWS = "LEFT JOIN policies_decisionreview r ON r.project_id = d.project_id AND r.check_id = d.check_id"
_VIEW_FIELDS = tuple(name for name in DecisionView.__slots__ if name != "review")
_EQUALS = (
    "policy", "policy_version", "mode", "feature", "session_id", "source", "check_id",
)  # fmt: skip


def decisions(
    project_id: int, wanted: DecisionFilter, cursor: str | None = None, limit: int = 50
) -> reading.Page[DecisionView]:
    """The newest first."""
    limit = min(max(limit, 1), MAX_PAGE)
    where, params = conditions(project_id, wanted)
    if cursor:
        when, trace_id, span_id = reading.decode_cursor(cursor)
        where += " AND (d.start_time, d.span_id, d.trace_id) < (%s, %s, %s)"
        params += [when, span_id, trace_id]
    sql = f"""SELECT {_COLUMNS} FROM guard_decisions d {_REVIEWS} WHERE {where}
        ORDER BY d.start_time DESC, d.span_id DESC, d.trace_id DESC LIMIT {limit + 1}"""  # noqa: S608 - names of our own
    with reading.bounded():
        found = reading.rows(sql, params)
    views = tuple(_view(row) for row in found[:limit])
    last = found[limit - 1] if len(found) > limit else None
    return reading.Page(views, reading.encode_cursor(last[3], last[1].hex, last[2]) if last else None)


def effects(project_id: int, wanted: DecisionFilter) -> tuple[Effect, ...]:
    """One row per policy, version and mode, the busiest first."""
    where, params = conditions(project_id, wanted)
    actions = ", ".join(f"count(*) FILTER (WHERE d.action = {index})" for index in range(len(ACTIONS)))
    sql = f"""SELECT d.policy, d.policy_version, d.mode, count(*), count(*) FILTER (WHERE NOT d.is_complete),
            count(d.limits),
            percentile_disc(0.5) WITHIN GROUP (ORDER BY d.elapsed_us),
            percentile_disc(0.95) WITHIN GROUP (ORDER BY d.elapsed_us),
            percentile_disc(0.99) WITHIN GROUP (ORDER BY d.elapsed_us),
            count(*) FILTER (WHERE d.action > 0 AND NOT r.is_violation),
            count(*) FILTER (WHERE d.action > 0 AND r.is_violation),
            min(d.start_time), max(d.start_time), {actions}
        FROM guard_decisions d {_REVIEWS} WHERE {where} GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 200"""  # noqa: S608 - names of our own
    with reading.bounded():
        found = reading.rows(sql, params)
    return tuple(_effect(row) for row in found)


def disagreement(
    project_id: int, policy: str, shadow_version: str, start: datetime, end: datetime
) -> Disagreement | None:
    """The shadow's decisions beside those that counted, check by check; None when it judged nothing in the window."""
    sql = """SELECT d.policy_version, d.action, s.action AS action_1, d.check_id, d.trace_id, d.start_time,
            d.rules, s.rules AS rules_1, d.labels, s.labels AS labels_1,
            s.checks IS NULL AND s.not_run IS NOT NULL AS is_unjudged
        FROM guard_decisions s JOIN guard_decisions d ON d.project_id = s.project_id AND d.check_id = s.check_id
            AND d.policy = s.policy AND d.mode <> 'shadow'
        WHERE s.project_id = %(project)s AND s.policy = %(policy)s AND s.policy_version = %(shadow)s
            AND s.mode = 'shadow' AND s.start_time >= %(start)s AND s.start_time < %(end)s
            AND d.start_time >= %(start)s - interval '1 minute' AND d.start_time < %(end)s + interval '1 minute'"""
    params = {"project": project_id, "policy": policy, "shadow": shadow_version, "start": start, "end": end}
    counted = f"""SELECT policy_version, action, action_1, count(*) FILTER (WHERE NOT is_unjudged),
            count(*) FILTER (WHERE is_unjudged)
        FROM ({sql}) t GROUP BY 1, 2, 3"""  # noqa: S608 - texts of our own
    differing = f"""SELECT check_id, trace_id, start_time, action, action_1, rules, rules_1, labels, labels_1
        FROM ({sql}) t WHERE action <> action_1 AND NOT is_unjudged
        ORDER BY start_time DESC LIMIT {MAX_EXAMPLES}"""  # noqa: S608 - texts of our own
    with reading.bounded():
        rows, examples = reading.named_rows(counted, params), reading.named_rows(differing, params)
    if not rows:
        return None
    pairs = tuple((ACTIONS[live], ACTIONS[shadow], count) for _version, live, shadow, count, _un in rows if count)
    named = tuple(_differing(row) for row in examples)
    versions = "/".join(sorted({row[0] for row in rows}))
    checks, not_compared = (sum(row[index] for row in rows) for index in (3, 4))
    return Disagreement(versions, shadow_version, checks, not_compared, pairs, named)


def policies(project_id: int) -> tuple[Policy, ...]:
    return tuple(Policy.objects.filter(project_id=project_id, archived_at=None).order_by("name"))


def policy(project_id: int, name: str) -> Policy | None:
    return Policy.objects.filter(project_id=project_id, name=name, archived_at=None).first()


def enforced(project_id: int) -> Policy | None:
    """The policy that judges every check of the project."""
    return Policy.objects.filter(project_id=project_id, is_enforced=True, archived_at=None).first()


def versions(project_id: int, policy_id: int) -> tuple[PolicyVersion, ...]:
    """The newest first."""
    rows = PolicyVersion.objects.filter(project_id=project_id, policy_id=policy_id)
    return tuple(rows.order_by("-number")[:MAX_PAGE])


def version(project_id: int, policy_id: int, number: int) -> PolicyVersion | None:
    return PolicyVersion.objects.filter(project_id=project_id, policy_id=policy_id, number=number).first()


def events(project_id: int, policy_id: int) -> tuple[PolicyEvent, ...]:
    """The newest first."""
    rows = PolicyEvent.objects.filter(project_id=project_id, policy_id=policy_id)
    return tuple(rows.order_by("-at", "-pk")[:MAX_PAGE])


def shadowed(project_id: int, policy: str, start: datetime, end: datetime) -> tuple[str, ...]:
    """Versions that judged beside the one in force in the window."""
    sql = """SELECT DISTINCT policy_version FROM guard_decisions WHERE project_id = %s AND policy = %s
        AND mode = 'shadow' AND start_time >= %s AND start_time < %s LIMIT 100"""
    with reading.bounded():
        return tuple(sorted(row[0] for row in reading.rows(sql, (project_id, policy, start, end))))


def review_of(project_id: int, check_id: str) -> DecisionReview | None:
    return DecisionReview.objects.filter(project_id=project_id, check_id=check_id).first()


def _differing(row: Sequence[Any]) -> Differing:
    check_id, trace_id, time, action, shadow_action, rules, shadow_rules, labels, shadow_labels = row
    return Differing(
        check_id, trace_id.hex, time, ACTIONS[action], ACTIONS[shadow_action],
        tuple(sorted(set(rules) | set(shadow_rules))), tuple(sorted(set(labels) | set(shadow_labels))),
    )  # fmt: skip


def conditions(project_id: int, wanted: DecisionFilter) -> tuple[str, list[Any]]:
    """The filter in SQL, for decisions under the alias `d`."""
    parts = ["d.project_id = %s", "d.start_time >= %s", "d.start_time < %s"]
    params: list[Any] = [project_id, wanted.start, wanted.end]
    for name in _EQUALS:
        if (value := getattr(wanted, name)) is not None:
            parts.append(f"d.{name} = %s")
            params.append(value)
    if wanted.action is not None:
        parts.append("d.action = %s")
        params.append(ACTIONS.index(wanted.action))
    for name, value in (("labels", wanted.label), ("rules", wanted.rule)):
        if value is not None:
            parts.append(f"%s = ANY (d.{name})")
            params.append(value)
    if wanted.trace_id is not None:
        parts.append("d.trace_id = %s")
        params.append(reading.trace_id_or_none(wanted.trace_id))
    if wanted.span_id is not None:
        parts.append("d.span_id = %s")
        params.append(reading.span_id_or_none(wanted.span_id))
    if wanted.is_incomplete is not None:
        parts.append("d.is_complete IS NOT TRUE" if wanted.is_incomplete else "d.is_complete")
    if wanted.is_shadow is not None:
        parts.append("d.mode = 'shadow'" if wanted.is_shadow else "d.mode <> 'shadow'")
    if wanted.is_limited is not None:
        parts.append("d.limits IS NOT NULL" if wanted.is_limited else "d.limits IS NULL")
    if limit := [value for value in (wanted.limited_rule, wanted.limited_reason) if value is not None]:
        parts.append("d.limits @> %s::jsonb")
        params.append(json.dumps([limit]))
    return " AND ".join(parts), params


def _view(row: Sequence[Any]) -> DecisionView:
    plain = list(row[:25])
    plain[1], plain[2], plain[9] = row[1].hex, span_id_to_hex(row[2]), ACTIONS[row[9]]
    for index in (10, 11):
        plain[index] = tuple(row[index])
    for index in (21, 22):
        plain[index] = tuple(json.loads(row[index] or "[]"))
    for index in (23, 24):
        plain[index] = tuple((rule, reason) for rule, reason in json.loads(row[index] or "[]"))
    review = Review(*row[25:29]) if row[25] is not None else None
    named = dict(zip(_VIEW_FIELDS, plain, strict=True))
    return DecisionView(**named, review=review)


def _effect(row: Sequence[Any]) -> Effect:
    by_action = {ACTIONS[index]: count for index, count in enumerate(row[13:]) if count}
    policy_name, number, mode, count, *measured = row[:13]
    return Effect(policy_name, number, mode, count, by_action, *measured)
