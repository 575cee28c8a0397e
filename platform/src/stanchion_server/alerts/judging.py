"""One project at one tick: which rules are due, what their readings say, and what becomes of it. One transaction.

A tick that dies leaves nothing behind, and the next one makes the same evaluations. Two at once cannot: the project's
lock lets one in, and a rule has one evaluation per moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction

from stanchion_server.alerts import evaluating, incidents, memory, moments, outbox, timing
from stanchion_server.alerts.compiled import Compiled, compiled
from stanchion_server.alerts.conditions import Baseline
from stanchion_server.alerts.conditions.baseline import hit
from stanchion_server.alerts.models import Evaluation, Incident, Rule, Standing
from stanchion_server.alerts.records import Ask, Group, Judged, Labels, Window
from stanchion_server.alerts.sources import answers
from stanchion_server.alerts.sources.asking import Answer, Failed, Reader

LOCK = 0x5354_4E0A
PAST_INCIDENTS = timedelta(weeks=7)


@dataclass(frozen=True, slots=True)
class Tick:
    """What a tick did for a project; None where another process was at it."""

    evaluations: int = 0
    failed: int = 0
    skipped: int = 0
    late: int = 0


@dataclass(slots=True)
class Turn:
    """One rule and what it remembers, on its way through the moments that are due."""

    rule: Rule
    compiled: Compiled
    standing: Standing
    due: timing.Due
    groups: Mapping[str, Group]
    made: list[tuple[datetime, str]] = field(default_factory=list)
    error: str = ""
    left_out: int = 0


def tick(project_id: int, readers: Mapping[str, Reader], now: datetime) -> Tick | None:
    """Judges what is due and writes what is owed."""
    with transaction.atomic():
        if not _locked(project_id):
            return None
        turns = _turns(project_id, now)
        for slot in sorted({slot for turn in turns for slot in turn.due.slots}):
            _judge(project_id, slot, [turn for turn in turns if slot in turn.due.slots], readers, now)
        _save(project_id, turns, now)
        incidents.reconcile(project_id, turns, now)
        outbox.settle(project_id, now)
    return Tick(
        evaluations=sum(len(turn.made) for turn in turns), failed=sum(bool(turn.error) for turn in turns),
        skipped=sum(turn.due.skipped for turn in turns), late=sum(turn.due.late for turn in turns),
    )  # fmt: skip


def _locked(project_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, project_id % 2**31])
        return bool(cursor.fetchone()[0])


def _turns(project_id: int, now: datetime) -> list[Turn]:
    """Rules with something due, their memory locked."""
    rules = Rule.objects.filter(project_id=project_id, archived_at=None, is_paused=False)
    missing = rules.filter(standing=None).values_list("pk", flat=True)
    Standing.objects.bulk_create([Standing(project_id=project_id, rule_id=pk) for pk in missing], ignore_conflicts=True)
    standings = Standing.objects.select_for_update(of=("self",)).select_related("rule")
    found = []
    for standing in standings.filter(rule__in=rules).order_by("rule_id"):
        due = timing.due(standing.judged_for, now, timedelta(seconds=standing.rule.every_s))
        if due.slots or due.skipped:
            rule = standing.rule
            found.append(Turn(rule, compiled(rule), standing, due, memory.from_json(standing.groups)))
    return found


def _judge(
    project_id: int, slot: datetime, turns: Sequence[Turn], readers: Mapping[str, Reader], now: datetime
) -> None:
    """All rules of one moment: their questions are asked together."""
    asks = {turn.rule.pk: _asks(turn.compiled, slot) for turn in turns}
    told = answers(readers, project_id, (ask for one in asks.values() for ask in one.values()), now)
    past = _past_incidents(turns, slot)
    for turn in turns:
        judged = _judged(turn.compiled, asks[turn.rule.pk], told, past.get(turn.rule.pk, ()))
        if isinstance(judged, Failed):
            turn.error = judged.reason
            turn.made.append((slot, "error"))
            continue
        after = evaluating.evaluate(turn.groups, judged, slot, turn.compiled.patience)
        turn.groups, turn.left_out, turn.error = after.groups, after.left_out, ""
        turn.made.append((slot, "late" if now - slot > turn.compiled.patience.every else "made"))


def _asks(rule: Compiled, slot: datetime) -> Mapping[str, Ask]:
    return {} if rule.definition is None else moments.asks_of(rule.definition, slot)


def _judged(
    rule: Compiled, asks: Mapping[str, Ask], told: Mapping[Ask, Answer], past: Sequence[tuple[Labels, Window]]
) -> Mapping[Labels, Judged] | Failed:
    if rule.definition is None:
        return Failed(rule.error)
    return moments.judged_by(rule.definition, asks, told, hit(asks, past))


def _past_incidents(turns: Sequence[Turn], slot: datetime) -> dict[int, list[tuple[Labels, Window]]]:
    """Of rules that compare with earlier weeks: when each group was in an incident."""
    wanted = [
        turn.rule.pk
        for turn in turns
        if turn.compiled.definition is not None and isinstance(turn.compiled.definition.condition, Baseline)
    ]
    found: dict[int, list[tuple[Labels, Window]]] = {}
    if not wanted:
        return found
    rows = Incident.objects.filter(rule__in=wanted, started_at__gte=slot - PAST_INCIDENTS, started_at__lt=slot)
    for row in rows.only("rule_id", "started_at", "resolved_at", "members")[:5_000]:
        window = Window(row.started_at, row.resolved_at or slot)
        for member in row.members:
            labels = tuple((str(name), str(value)) for name, value in member.get("labels", []))
            found.setdefault(row.rule_id, []).append((labels, window))
    return found


def _save(project_id: int, turns: Sequence[Turn], now: datetime) -> None:
    """Only what another process has not made before: its evaluations stand."""
    rows = [
        Evaluation(project_id=project_id, rule=turn.rule, scheduled_for=slot, made_at=now, outcome=outcome)
        for turn in turns
        for slot, outcome in turn.made
    ]
    Evaluation.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2_000)
    changed = []
    for turn in turns:
        standing = turn.standing
        if turn.due.slots:
            standing.judged_for = turn.due.slots[-1]
        standing.groups = memory.to_json(turn.groups)
        standing.state = _state(turn)
        standing.error, standing.note = turn.error[:400], _note(turn)
        standing.late += turn.due.late
        standing.skipped += turn.due.skipped
        changed.append(standing)
    Standing.objects.bulk_update(
        changed, ["judged_for", "groups", "state", "error", "note", "late", "skipped"], batch_size=500
    )


def _state(turn: Turn) -> str:
    """The worst of its groups; `error` when it could not be judged."""
    if turn.error:
        return "error"
    states = {group.state for group in turn.groups.values()}
    return next((state for state in ("firing", "no_data", "pending") if state in states), "ok")


def _note(turn: Turn) -> str:
    if not turn.left_out:
        return ""
    most = turn.compiled.patience.max_groups
    return f"{turn.left_out} more groups are not looked at: the rule takes {most} (max_groups)"
