"""Back-tests: a text of a policy over recorded calls, in slices, so that a worker that dies loses one slice at most.

A slice is judged outside any transaction and counted in one statement that also moves the cursor, under the lease:
whatever happens, each call is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from stanchion_guard import summary
from stanchion_guard.engine import Guard
from stanchion_guard.records import Subject
from stanchion_server.ingest import messages
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies import comparing, engine, replay
from stanchion_server.policies.models import Backtest, Policy
from stanchion_server.traces.models import Content
from stanchion_server.traces.selectors import reading
from stanchion_wire.decisions import ACTIONS

SLICE = 1_000
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
MAX_CALLS = 200_000
MAX_WINDOW = timedelta(days=90)
MAX_OPEN = 5
State = Backtest.State
_NOTHING: tuple[Subject, tuple[int, ...]] = (Subject(()), ())


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls, and against what. `number` None tests the draft; `baseline` None compares with what was decided."""

    number: int | None
    baseline: int | None
    window_start: datetime
    window_end: datetime
    features: tuple[str, ...] = ()
    max_calls: int = 10_000


def create(policy: Policy, wanted: Wanted, actor: str) -> Backtest:
    """Raises SenderError for a text that does not compile, a version that is not there, or a window without sense."""
    _check(policy, wanted)
    document = policy.draft if wanted.number is None else _document(policy, wanted.number)
    engine.compile_text(document)
    if wanted.baseline is not None:
        _document(policy, wanted.baseline)
    return Backtest.objects.create(
        project_id=policy.project_id, policy=policy, number=wanted.number, document=document,
        baseline=wanted.baseline, window_start=wanted.window_start, window_end=wanted.window_end,
        features=list(wanted.features), max_calls=wanted.max_calls, created_at=clock.now(), created_by=actor,
        calls_total=min(wanted.max_calls, _count(policy.project_id, wanted)),
    )  # fmt: skip


def cancel(project_id: int, backtest_id: int) -> bool:
    """False when it is over already."""
    rows = Backtest.objects.filter(project_id=project_id, pk=backtest_id, state__in=(State.QUEUED, State.RUNNING))
    return rows.update(state=State.CANCELLED, finished_at=clock.now()) == 1


def step() -> bool:
    """One slice of the back-test that has waited longest; False when there is none to run. A fault of ours ends that
    back-test after three attempts, with the reason on its page, and is raised again."""
    backtest = _claim()
    if backtest is None:
        return False
    try:
        _run_slice(backtest)
    except Exception as error:
        _fail(backtest, type(error).__name__)
        raise
    return True


@transaction.atomic
def _claim() -> Backtest | None:
    now = clock.now()
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, leased_until__lt=now)
    rows = Backtest.objects.select_for_update(skip_locked=True).filter(free)
    backtest = rows.order_by(F("leased_until").asc(nulls_first=True), "created_at").first()
    if backtest is None:
        return None
    if backtest.attempts >= MAX_ATTEMPTS:
        _give_up(backtest)
        return None
    backtest.state, backtest.leased_until, backtest.attempts = State.RUNNING, now + LEASE, backtest.attempts + 1
    backtest.save(update_fields=["state", "leased_until", "attempts"])
    return backtest


def _give_up(backtest: Backtest) -> None:
    """For workers that died without a word, as one does that runs out of memory."""
    backtest.state, backtest.finished_at = State.FAILED, clock.now()
    backtest.error = backtest.error or f"{MAX_ATTEMPTS} workers died after {backtest.calls_done} calls"
    backtest.save(update_fields=["state", "finished_at", "error"])


def _run_slice(backtest: Backtest) -> None:
    rows = _calls(backtest, SLICE)
    tally = comparing.Tally.of(backtest.result)
    guard = engine.guard_of_text(backtest.project_id, backtest.document)
    texts = _contents(backtest.project_id, rows)
    known = _Known.of(backtest, rows)
    outcomes = []
    for row in rows:
        content = texts.get(row[:2])
        subject, judged = replay.subject_of(content) if content else _NOTHING
        if not judged:
            tally.without_content += 1
            continue
        outcomes.append(_outcome(row, subject, judged, guard, known))
    tally.add(outcomes)
    _save(backtest, tally, rows)


def _outcome(
    row: reading.Row, subject: Subject, judged: tuple[int, ...], guard: Guard, known: _Known
) -> comparing.Outcome:
    verdict = guard.judge(subject, judged=judged)
    told = summary.of(verdict, subject)
    return comparing.Outcome(
        trace_id=row[0].hex, span_id=span_id_to_hex(row[1]), before=known.before(row[0], subject, judged),
        after=verdict.action, rules=told["rules"], labels=told["labels"], elapsed_us=verdict.elapsed_us,
        is_complete=verdict.coverage.complete, is_violation=known.reviews.get(row[0]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """What the baseline says: a version's guard, or the decisions of the time by trace; and people's reviews."""

    guard: Guard | None
    decided: Mapping[UUID, list[str]]
    reviews: Mapping[UUID, bool]

    @classmethod
    def of(cls, backtest: Backtest, rows: Sequence[reading.Row]) -> _Known:
        traces = [row[0] for row in rows]
        guard = None
        if backtest.baseline is not None:
            guard = engine.guard_of(backtest.project_id, backtest.policy_id, backtest.baseline)
        decided = {} if guard else _decided(backtest, traces)
        return cls(guard, decided, _reviews(backtest, traces))

    def before(self, trace_id: UUID, subject: Subject, judged: tuple[int, ...]) -> Any:
        if self.guard:
            return self.guard.judge(subject, judged=judged).action
        return comparing.strongest(self.decided.get(trace_id, ()))


def _save(backtest: Backtest, tally: comparing.Tally, rows: Sequence[reading.Row]) -> None:
    done = backtest.calls_done + len(rows)
    is_over = len(rows) < SLICE or done >= backtest.max_calls
    changes: dict[str, Any] = {"result": tally.as_json(), "calls_done": done, "attempts": 0, "error": ""}
    if rows:
        trace_id, span_id, start_time = rows[-1]
        changes["cursor"] = [start_time.isoformat(), trace_id.hex, span_id]
    changes |= {"state": State.DONE, "finished_at": clock.now()} if is_over else {"state": State.QUEUED}
    mine = Backtest.objects.filter(pk=backtest.pk, state=State.RUNNING, calls_done=backtest.calls_done)
    mine.update(**changes)


def _fail(backtest: Backtest, reason: str) -> None:
    is_last = backtest.attempts >= MAX_ATTEMPTS
    changes: dict[str, Any] = {"error": f"{reason} after {backtest.calls_done} calls; see the server's log"}
    changes |= {"state": State.FAILED, "finished_at": clock.now()} if is_last else {"state": State.QUEUED}
    mine = Backtest.objects.filter(pk=backtest.pk, state=State.RUNNING, leased_until=backtest.leased_until)
    mine.update(**changes)


def _calls(backtest: Backtest, limit: int) -> list[reading.Row]:
    """Trace, span and time of the next calls, oldest first."""
    where, params = _where(backtest.project_id, backtest.window_start, backtest.window_end, tuple(backtest.features))
    if backtest.cursor:
        when, trace_id, span_id = backtest.cursor
        where += " AND (start_time, trace_id, span_id) > (%s::timestamptz, %s::uuid, %s)"
        params += [when, trace_id, span_id]
    limit = min(limit, backtest.max_calls - backtest.calls_done)
    sql = f"SELECT trace_id, span_id, start_time FROM llm_calls WHERE {where} ORDER BY 3, 1, 2 LIMIT {limit}"  # noqa: S608 - names of our own
    return reading.rows(sql, params)


def _where(project_id: int, start: datetime, end: datetime, features: tuple[str, ...]) -> tuple[str, list[Any]]:
    where = "project_id = %s AND start_time >= %s AND start_time < %s AND charge = %s AND kind = %s"
    params: list[Any] = [project_id, start, end, int(Charge.CHARGED), int(SpanKind.LLM)]
    if features:
        where += " AND feature = ANY (%s)"
        params.append(list(features))
    return where, params


def _count(project_id: int, wanted: Wanted) -> int:
    where, params = _where(project_id, wanted.window_start, wanted.window_end, wanted.features)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM llm_calls WHERE {where} LIMIT {MAX_CALLS}) t"  # noqa: S608 - names of our own
    with reading.bounded():
        return int(reading.rows(sql, params)[0][0])


def _contents(project_id: int, rows: Sequence[reading.Row]) -> dict[reading.Row, Mapping[str, Any]]:
    if not rows:
        return {}
    day = timedelta(days=1)
    found = Content.objects.filter(
        project_id=project_id, trace_id__in={row[0] for row in rows}, span_id__in={row[1] for row in rows},
        start_time__gte=min(row[2] for row in rows) - day, start_time__lte=max(row[2] for row in rows) + day,
    ).order_by("source", "start_time", "digest")  # fmt: skip
    grouped: dict[reading.Row, list[Content]] = {}
    for content in found:
        grouped.setdefault((content.trace_id, content.span_id), []).append(content)
    return {key: messages.merge(cast(list[messages.Stored], parts)) for key, parts in grouped.items()}


def _decided(backtest: Backtest, traces: list[UUID]) -> dict[UUID, list[str]]:
    sql = """SELECT trace_id, action FROM guard_decisions WHERE project_id = %s AND trace_id = ANY (%s)
        AND policy = %s AND mode <> 'shadow'"""
    decided: dict[UUID, list[str]] = {}
    for trace_id, action in reading.rows(sql, (backtest.project_id, traces, backtest.policy.name)):
        decided.setdefault(trace_id, []).append(ACTIONS[action])
    return decided


def _reviews(backtest: Backtest, traces: list[UUID]) -> dict[UUID, bool]:
    """A trace with any reviewed violation counts as one."""
    sql = """SELECT d.trace_id, bool_or(r.is_violation) FROM guard_decisions d JOIN policies_decisionreview r
        ON r.project_id = d.project_id AND r.check_id = d.check_id
        WHERE d.project_id = %s AND d.trace_id = ANY (%s) GROUP BY 1"""
    return dict(reading.rows(sql, (backtest.project_id, traces)))


def _check(policy: Policy, wanted: Wanted) -> None:
    if not timedelta(0) < wanted.window_end - wanted.window_start <= MAX_WINDOW:
        days = MAX_WINDOW.days
        raise SenderError("bad_window", f"A back-test's window ends after it starts and spans at most {days} days.")
    if not 1 <= wanted.max_calls <= MAX_CALLS:
        raise SenderError("bad_max_calls", f"A back-test replays 1 to {MAX_CALLS:,} calls, not {wanted.max_calls:,}.")
    running = Backtest.objects.filter(project_id=policy.project_id, state__in=(State.QUEUED, State.RUNNING))
    if running.count() >= MAX_OPEN:
        raise SenderError("too_many_backtests", f"{MAX_OPEN} back-tests are waiting already. Cancel one.", 409)


def _document(policy: Policy, number: int) -> str:
    version = policy.versions.filter(number=number).first()
    if version is None:
        raise SenderError("no_such_version", f"Policy “{policy.name}” has no version {number}.", 404)
    return version.document
