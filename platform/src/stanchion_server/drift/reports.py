"""Evidently's page of a run, made in a process of its own: bounded in time and memory, without our settings.

Evidently and what it needs are an extra of some 700 MB. Where it is absent the run says so, and its own statistics
stand by themselves.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from django.db import transaction
from django.db.models import F, Q

from stanchion_server.drift import columns
from stanchion_server.drift.models import DriftReport, DriftRun
from stanchion_server.drift.records import Sample
from stanchion_server.kernel import clock

PACKAGE = "evidently"
INSTALL = "pip install 'stanchion[drift]'"
TIME_LIMIT_S = 240
MEMORY_LIMIT_BYTES = 2 << 30
MAX_HTML_BYTES = 24 << 20
KEEP_REPORTS = 10
MAX_ATTEMPTS = 2
LEASE = timedelta(seconds=TIME_LIMIT_S + 60)
PYTHON = sys.executable
SCRIPT = Path(__file__).with_name("evidently_page.py")
State = DriftReport.State


def missing() -> str:
    """What to say where Evidently is not installed; empty where it is."""
    try:
        importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return f"not available: {INSTALL}"
    return ""


def request(run: DriftRun, sample: Sample) -> None:
    """In the transaction of the run's results."""
    reason = missing()
    rows = None if reason else zstandard.compress(json.dumps(rows_of(sample)).encode(), 3)
    state = State.UNAVAILABLE if reason else State.WAITING
    DriftReport.objects.create(project_id=run.project_id, run=run, state=state, reason=reason, rows=rows)


def rows_of(sample: Sample) -> dict[str, Any]:
    """The scalar columns of both windows. Users and texts stay here."""
    numbers = {name: sample.numbers[name] for name in columns.NUMBERS if name in sample.numbers}
    numbers |= {f"{columns.SCORE}{name}": values for name, values in sample.scores.items()}
    labels = {name: _harmless(sample.labels[name]) for name in columns.CATEGORIES if name in sample.labels}
    split = {
        window: {
            name: [values[int(row)] for row in np.flatnonzero(flags)] for name, values in {**numbers, **labels}.items()
        }
        for window, flags in (("reference", ~sample.is_current), ("current", sample.is_current))
    }
    return {"numbers": list(numbers), "categories": list(labels), **split}


def _harmless(values: Sequence[str | None]) -> list[str | None]:
    """Strangers' words without the character that opens a tag: Evidently writes them into a script of its page."""
    return [None if value is None else value.replace("<", "\u2039")[:200] for value in values]


def step() -> bool:
    """The report that has waited longest; False when none waits."""
    report = _claim()
    if report is None:
        return False
    try:
        html = make(zstandard.decompress(bytes(report.rows or b""), max_output_size=256 << 20))
    except NotMade as error:
        _close(report, state=State.FAILED, reason=str(error)[:1_000])
        return True
    _close(
        report, state=State.READY, reason="", rows=None, html=zstandard.compress(html, 9), html_bytes=len(html),
        made_at=clock.now(),
    )  # fmt: skip
    _forget_old(report)
    return True


class NotMade(Exception):
    """The message says why, for the run's page."""


def make(rows: bytes) -> bytes:
    """The page. Raises NotMade when the process fails, takes too long, or its page is too large."""
    with tempfile.TemporaryDirectory(prefix="stanchion-drift-") as folder:
        target = Path(folder) / "report.html"
        command = [PYTHON, "-I", str(SCRIPT), str(target), str(MEMORY_LIMIT_BYTES)]
        try:
            done = subprocess.run(  # noqa: S603 - our own script
                command, input=rows, capture_output=True, timeout=TIME_LIMIT_S, check=False, cwd=folder,
                env=_environment(folder),
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise NotMade(f"Evidently took longer than {TIME_LIMIT_S} s") from error
        if done.returncode or not target.exists():
            raise NotMade(f"Evidently ended with {done.returncode}: {done.stderr.decode('utf-8', 'replace')[-600:]}")
        if target.stat().st_size > MAX_HTML_BYTES:
            raise NotMade(f"the page is larger than {MAX_HTML_BYTES >> 20} MiB")
        return target.read_bytes()


def _environment(folder: str) -> dict[str, str]:
    """Nothing of ours: no secret, no database, no telemetry, one thread."""
    quiet = {"DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    return {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "MPLCONFIGDIR": folder, **quiet}


@transaction.atomic
def _claim() -> DriftReport | None:
    now = clock.now()
    free = Q(state=State.WAITING) & (Q(leased_until=None) | Q(leased_until__lt=now))
    rows = DriftReport.objects.select_for_update(skip_locked=True).filter(free)
    report = rows.order_by(F("leased_until").asc(nulls_first=True), "pk").first()
    if report is None:
        return None
    if report.attempts >= MAX_ATTEMPTS:
        report.state, report.reason = State.FAILED, report.reason or f"{MAX_ATTEMPTS} workers died at it"
        report.save(update_fields=["state", "reason"])
        return None
    report.leased_until, report.attempts = now + LEASE, report.attempts + 1
    report.save(update_fields=["leased_until", "attempts"])
    return report


def _close(report: DriftReport, **values: Any) -> None:
    DriftReport.objects.filter(pk=report.pk, state=State.WAITING, leased_until=report.leased_until).update(**values)


def _forget_old(report: DriftReport) -> None:
    """The newest pages of a monitor stay."""
    monitor = DriftRun.objects.values_list("monitor_id", flat=True).get(pk=report.run_id)
    mine = DriftReport.objects.filter(run__monitor_id=monitor, state=State.READY).order_by("-made_at")
    DriftReport.objects.filter(pk__in=list(mine.values_list("pk", flat=True)[KEEP_REPORTS:])).delete()
