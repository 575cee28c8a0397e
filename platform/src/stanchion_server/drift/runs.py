"""Runs: planned once, claimed by one worker at a time, written whole.

Losing a message, a worker or the broker loses nothing: what is to do is in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, Q

from stanchion_server.drift import columns, judging, reports, sampling, sides, users, windows
from stanchion_server.drift.models import DriftMonitor, DriftReport, DriftResult, DriftRun, Reference
from stanchion_server.drift.records import CallKey, Column, Finding, Sample, Side, Window
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.kernel.ids import digest64, span_id_to_hex
from stanchion_server.tenants.models import Project

LEASE = timedelta(minutes=10)
MAX_ATTEMPTS = 3
KEEP_RUNS = timedelta(days=180)
State = DriftRun.State


@dataclass(frozen=True, slots=True)
class Compared:
    """What a run came to. `reference` is None for a frozen one, whose time the monitor tells."""

    reference: Window
    current: Window
    counted: tuple[int, int]
    sample: Sample
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def plan(now: datetime) -> int:
    """One run for the last due moment of each monitor; how many were not there yet. Planned twice it is one run. A new
    monitor waits ten minutes: a project that has just begun to send may be sending what it had kept."""
    known = DriftMonitor.objects.filter(archived_at=None, is_paused=False, created_at__lte=now - windows.SETTLING)
    due = {one.pk: (one, windows.slot(now, one.every_hours)) for one in known.only("project_id", "every_hours")}
    slots = {at for _one, at in due.values()}
    planned = set(DriftRun.objects.filter(scheduled_for__in=slots).values_list("monitor_id", "scheduled_for"))
    rows = [
        DriftRun(project_id=one.project_id, monitor=one, scheduled_for=at)
        for one, at in due.values()
        if (one.pk, at) not in planned
    ]
    DriftRun.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
    return len(rows)


def expire(now: datetime) -> None:
    """Runs go after half a year; the words of prompts and answers go from them as soon as contents do."""
    DriftRun.objects.filter(scheduled_for__lt=now - KEEP_RUNS).delete()
    told = DriftResult.objects.exclude(words={})
    for days in set(Project.objects.values_list("content_retention_days", flat=True)):
        old = told.filter(project__content_retention_days=days, run__scheduled_for__lt=now - timedelta(days=days))
        old.update(words={})


def step() -> bool:
    """The run that has waited longest; False when there is none. A fault of ours puts the run aside after three
    attempts, with the reason on its page, and is raised again."""
    run = _claim()
    if run is None:
        return False
    try:
        _save(run, compare(run.monitor, run.scheduled_for))
    except SenderError as error:
        _fail(run, error.message)
    except Exception as error:
        _fail(run, f"{type(error).__name__}; see the server's log")
        raise
    return True


@transaction.atomic
def _claim() -> DriftRun | None:
    now = clock.now()
    free = Q(state=State.QUEUED) | Q(state=State.RUNNING, leased_until__lt=now)
    rows = DriftRun.objects.select_for_update(skip_locked=True, of=("self",)).filter(free).select_related("monitor")
    run = rows.order_by(F("leased_until").asc(nulls_first=True), "scheduled_for", "pk").first()
    if run is None:
        return None
    if run.attempts >= MAX_ATTEMPTS:
        run.state, run.error = State.QUARANTINED, run.error or f"{MAX_ATTEMPTS} workers died at it"
        run.save(update_fields=["state", "error"])
        return None
    run.state, run.leased_until, run.attempts = State.RUNNING, now + LEASE, run.attempts + 1
    run.save(update_fields=["state", "leased_until", "attempts"])
    return run


def _fail(run: DriftRun, reason: str) -> None:
    is_last = run.attempts >= MAX_ATTEMPTS
    mine = DriftRun.objects.filter(pk=run.pk, state=State.RUNNING, leased_until=run.leased_until)
    mine.update(state=State.QUARANTINED if is_last else State.QUEUED, error=reason[:1_000])


def compare(monitor: DriftMonitor, at: datetime) -> Compared:
    """Reads both windows and judges them; writes nothing."""
    now = windows.current(at, monitor.current_hours)
    before = _reference_window(monitor, now)
    current = sampling.read(monitor.project_id, now, monitor.feature)
    reference, current, known = _reference(monitor, before, current)
    random = np.random.Generator(np.random.PCG64(digest64(f"{monitor.pk} {at.isoformat()}".encode()) & (2**63 - 1)))
    sample = sides.joined(reference, current)
    others = _users(monitor, before, now)
    prepared = columns.prepare(sample, others, monitor.columns, random)
    rules = judging.Rules(monitor.alpha, monitor.pk)
    findings = judging.judge(prepared.columns, prepared.sample, rules, _plain(prepared.words, known))
    counted = (reference.counted, current.counted)
    return Compared(before, now, counted, prepared.sample, findings, _notes(monitor, before, now))


def _reference_window(monitor: DriftMonitor, now: Window) -> Window:
    if monitor.reference == Reference.TRAILING:
        return windows.trailing(now, monitor.reference_hours)
    assert monitor.reference_start is not None and monitor.reference_end is not None
    return Window(monitor.reference_start, monitor.reference_end)


def _reference(monitor: DriftMonitor, before: Window, current: Side) -> tuple[Side, Side, Mapping[str, str] | None]:
    """The reference, the current window in the same words, and the words behind hashes where it is a frozen one."""
    if monitor.frozen is None:
        return sampling.read(monitor.project_id, before, monitor.feature), current, None
    hashed, known = sides.with_hashed_words(current)
    return sides.unpack(bytes(monitor.frozen)), hashed, known


def _plain(words: Mapping[str, Mapping[str, Any]], known: Mapping[str, str] | None) -> Mapping[str, Mapping[str, Any]]:
    """Words that only a frozen reference had stay unknown and are left out."""
    if known is None:
        return words
    return {
        column: {label: [known[word] for word in listed if word in known] for label, listed in told.items()}
        for column, told in words.items()
    }


def _users(monitor: DriftMonitor, before: Window, now: Window) -> tuple[Column, ...]:
    slices = (before.end - before.start) // (now.end - now.start)
    if monitor.reference != Reference.TRAILING or slices < users.FEWEST_SLICES:
        return ()
    rows = sampling.users(monitor.project_id, before, now, monitor.feature)
    return users.columns(rows, slices)


def _notes(monitor: DriftMonitor, before: Window, now: Window) -> tuple[str, ...]:
    notes = []
    if monitor.reference != Reference.TRAILING or (before.end - before.start) // (now.end - now.start) < 2:
        notes.append("Users are compared only with a trailing reference of at least twice the current window.")
    if not (windows.holds_whole_days(before) and windows.holds_whole_days(now)):
        notes.append("Hours of the day are compared only where both windows are whole days.")
    if windows.overlap(before, now):
        notes.append("The windows overlap: calls in both are counted in both, which hides drift.")
    return tuple(notes)


def _save(run: DriftRun, compared: Compared) -> None:
    """Nothing is written when the lease went to another worker meanwhile."""
    with transaction.atomic():
        mine = DriftRun.objects.select_for_update().filter(
            pk=run.pk, state=State.RUNNING, leased_until=run.leased_until
        )  # fmt: skip
        if not mine.exists():
            return
        DriftResult.objects.filter(run=run).delete()
        DriftResult.objects.bulk_create(
            _result(run, place, finding) for place, finding in enumerate(compared.findings)
        )  # fmt: skip
        mine.update(**_outcome(compared))
        DriftReport.objects.filter(run=run).delete()
        reports.request(run, compared.sample)


def _outcome(compared: Compared) -> dict[str, Any]:
    now = int(compared.sample.is_current.sum())
    return {
        "state": State.DONE,
        "error": "",
        "verdict": judging.verdict_of(compared.findings),
        "reference_start": compared.reference.start,
        "reference_end": compared.reference.end,
        "current_start": compared.current.start,
        "current_end": compared.current.end,
        "calls_reference": compared.counted[0],
        "calls_current": compared.counted[1],
        "sampled_reference": len(compared.sample.keys) - now,
        "sampled_current": now,
        "drifted": sum(finding.verdict == "drift" for finding in compared.findings),
        "notes": list(compared.notes),
        "finished_at": clock.now(),
    }


def _result(run: DriftRun, place: int, finding: Finding) -> DriftResult:
    plain = ("column", "kind", "unit", "statistic", "value", "threshold", "p", "p_adjusted", "n_reference", "n_current",
             "verdict", "reason")  # fmt: skip
    return DriftResult(
        project_id=run.project_id, run=run, position=place,
        **{name: getattr(finding, name) for name in plain},
        second_figures=dict(finding.second_figures), bars=asdict(finding.bars),
        new_values=[value[:200] for value in finding.new_values],
        words={label: list(words) for label, words in finding.words.items()},
        segments=[asdict(segment) for segment in finding.segments],
        examples=[_key(key) for key in finding.examples],
    )  # fmt: skip


def _key(key: CallKey) -> dict[str, str]:
    when = key.start_time.isoformat()
    return {"trace_id": key.trace_id.hex, "span_id": span_id_to_hex(key.span_id), "start_time": when}
