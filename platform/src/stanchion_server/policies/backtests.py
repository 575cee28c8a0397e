"""Back-tests: a text of a policy over recorded calls, in slices, so that a worker that dies loses one slice at most.

A slice ends after a thousand calls or a few seconds, whichever comes first: a slow policy must not outlive its lease.
It is judged outside any transaction and counted in one statement that also moves the cursor: whatever happens, each
call is counted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from stanchion_guard import summary
from stanchion_guard.engine import Guard
from stanchion_guard.records import ACTIONS, Action
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies import comparing, engine, recorded, replay
from stanchion_server.policies.models import Backtest, Policy

SLICE = 1_000
SLICE_S = 4.0
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 3
MAX_CALLS = 200_000
MAX_WINDOW = timedelta(days=90)
MAX_OPEN = 5
State = Backtest.State


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
        calls_total=min(wanted.max_calls, recorded.count(_window(policy.project_id, wanted), MAX_CALLS)),
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
    for backtest in rows.order_by(F("leased_until").asc(nulls_first=True), "created_at")[:MAX_OPEN]:
        if backtest.attempts >= MAX_ATTEMPTS:
            _give_up(backtest)
            continue
        backtest.state, backtest.leased_until, backtest.attempts = State.RUNNING, now + LEASE, backtest.attempts + 1
        backtest.save(update_fields=["state", "leased_until", "attempts"])
        return backtest
    return None


def _give_up(backtest: Backtest) -> None:
    """For workers that died without a word, as one does that runs out of memory."""
    backtest.state, backtest.finished_at = State.FAILED, clock.now()
    backtest.error = backtest.error or f"{MAX_ATTEMPTS} workers died after {backtest.calls_done} calls"
    backtest.save(update_fields=["state", "finished_at", "error"])


def _run_slice(backtest: Backtest) -> None:
    limit = min(SLICE, backtest.max_calls - backtest.calls_done)
    calls = recorded.calls(_window(backtest.project_id, backtest), backtest.cursor, limit)
    tally, guard = comparing.Tally.of(backtest.result), engine.guard_of_text(backtest.project_id, backtest.document)
    known, done, ends_s = _Known.of(backtest, calls), 0, clock.monotonic_s() + SLICE_S
    for call, texts in recorded.with_texts(backtest.project_id, calls):
        tally.take(_outcome(call, texts, guard, known))
        done += 1
        if clock.monotonic_s() > ends_s:
            break
    is_last = done == len(calls) and len(calls) < SLICE
    _save(backtest, tally, calls[:done], is_last=is_last)


def _outcome(call: recorded.Call, texts: recorded.Texts, guard: Guard, known: _Known) -> comparing.Outcome | None:
    """None when there is nothing to judge."""
    told = replay.replayed(texts.content)
    if not told.judged:
        return None
    verdict = engine.run(guard, told.subject, engine.Manner(told.judged))
    before, before_us = known.before(call, told)
    return comparing.Outcome(
        trace_id=call.trace_id.hex, span_id=span_id_to_hex(call.span_id), before=before, before_us=before_us,
        after=verdict.action, rules=summary.rules(verdict), labels=summary.labels(verdict),
        elapsed_us=verdict.elapsed_us, is_complete=verdict.coverage.all_ran and told.is_whole and not texts.is_cut,
        is_violation=known.reviews.of(call),
        is_rated_good=known.ratings.get((call.trace_id, call.span_id)), limits=verdict.coverage.limits,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """What the baseline says: a version's guard, or the decisions of the time; and what people say."""

    guard: Guard | None
    decided: recorded.ByTrace[int]
    reviews: recorded.ByTrace[bool]
    ratings: Mapping[tuple[UUID, int], bool]

    @classmethod
    def of(cls, backtest: Backtest, calls: Sequence[recorded.Call]) -> _Known:
        project_id, guard = backtest.project_id, None
        if backtest.baseline is not None:
            guard = engine.guard_of(project_id, backtest.policy_id, backtest.baseline)
        decided = recorded.decided(project_id, backtest.policy.name, () if guard else calls)
        return cls(guard, decided, recorded.reviewed(project_id, calls), recorded.rated(project_id, calls))

    def before(self, call: recorded.Call, told: replay.Replayed) -> tuple[Action | None, int | None]:
        """What the baseline did, and the time it took now; None for what is not known."""
        if self.guard:
            verdict = engine.run(self.guard, told.subject, engine.Manner(told.judged))
            return verdict.action, verdict.elapsed_us
        action = self.decided.of(call)
        return None if action is None else ACTIONS[action], None


def _save(backtest: Backtest, tally: comparing.Tally, calls: Sequence[recorded.Call], *, is_last: bool) -> None:
    done = backtest.calls_done + len(calls)
    is_over = is_last or done >= backtest.max_calls
    changes: dict[str, Any] = {"result": tally.as_json(), "calls_done": done, "attempts": 0, "error": ""}
    if calls:
        changes["cursor"] = recorded.place_of(calls[-1])
    # Calls of the window that came after the count at the start were replayed, too.
    over = {"state": State.DONE, "finished_at": clock.now(), "calls_total": done}
    changes |= over if is_over else {"state": State.QUEUED}
    mine = Backtest.objects.filter(pk=backtest.pk, state=State.RUNNING, calls_done=backtest.calls_done)
    mine.update(**changes)


def _fail(backtest: Backtest, reason: str) -> None:
    is_last = backtest.attempts >= MAX_ATTEMPTS
    changes: dict[str, Any] = {"error": f"{reason} after {backtest.calls_done} calls; see the server's log"}
    changes |= {"state": State.FAILED, "finished_at": clock.now()} if is_last else {"state": State.QUEUED}
    mine = Backtest.objects.filter(pk=backtest.pk, state=State.RUNNING, leased_until=backtest.leased_until)
    mine.update(**changes)


def _window(project_id: int, asked: Backtest | Wanted) -> recorded.Window:
    return recorded.Window(project_id, asked.window_start, asked.window_end, tuple(asked.features))


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
