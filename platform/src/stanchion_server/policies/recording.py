"""Decisions wait here for a moment after the caller has its verdict, and are then written together.

A verdict must not wait for the database, nor fail with it. What is waiting is bounded in number and size; what comes
beyond that while the database stays away is dropped and counted, and so is a decision that the database will never
take. The counts stand in the ledger as soon as it can be written, and in the log at once.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections import Counter, deque
from dataclasses import dataclass
from itertools import groupby, islice
from multiprocessing.util import Finalize

import psycopg
from django.db import DataError, IntegrityError, connection

from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.kernel.errors import Unavailable
from stanchion_server.policies.decisions import Recorded
from stanchion_server.quality import jobs
from stanchion_server.traces import store

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 << 20
BATCH = 1_000
LINGER_S = 0.2
RETRY_S = 1.0
LOG_EVERY = 1_000
DROPPED, UNWRITABLE = "decision_dropped", "decision_unwritable"
_DETAILS = {
    DROPPED: "The database was away for too long to keep every guard decision.",
    UNWRITABLE: "The database refused guard decisions; the server's log names the error.",
}
_FAULTS_OF_A_ROW = (
    DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError, struct.error, ValueError, TypeError,
    OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waiting:
    project_id: int
    api_key_id: int
    client: str
    recorded: Recorded

    @property
    def sender(self) -> tuple[int, int, str]:
        return self.project_id, self.api_key_id, self.client

    @property
    def size_bytes(self) -> int:
        """The findings and checks, which are what may be long."""
        return len(self.recorded.span.attributes_json)


class Recorder:
    """One queue and one writing thread per process; the thread starts with the first decision."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._lost: Counter[tuple[int, int, str]] = Counter()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.RLock()
        self._pid = 0

    def add(self, items: list[Waiting]) -> None:
        """Never blocks on the database and never raises for it."""
        self._start()
        with self._lock:
            for item in items:
                if len(self._waiting) < MAX_WAITING and self._waiting_bytes < MAX_WAITING_BYTES:
                    self._waiting.append(item)
                    self._waiting_bytes += item.size_bytes
                else:
                    self._lose(item, DROPPED)
        self._wake.set()

    def flush(self) -> bool:
        """Writes what is waiting and what was lost, in the calling thread; False when the database would not take all
        of it."""
        with self._writing:
            while self._waiting or self._lost:
                if not (self._write_some() and self._write_lost()):
                    return False
        return True

    def _start(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        threading.Thread(target=self._run, name="guard-decisions", daemon=True).start()
        # A web worker is a forked child of multiprocessing, which runs its own finalizers at the end, but no `atexit`.
        Finalize(None, self._finish, exitpriority=100)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            pause.wait(LINGER_S)
            self._wake.clear()
            if not self._flush_and_go_on():
                pause.wait(RETRY_S)
                self._wake.set()

    def _flush_and_go_on(self) -> bool:
        # The thread is the process's only writer: after an error nobody foresaw, the decisions wait and it tries again.
        try:
            written = self.flush()
            connection.close_if_unusable_or_obsolete()
        except Exception as error:
            log.error("guard decisions wait: writing them failed with %s", type(error).__name__)
            connection.close()
            return False
        return written

    def _finish(self) -> None:
        """At the process's end: what cannot be written now is lost, and the log says how much."""
        if not self._flush_and_go_on():
            log.error("%d guard decisions are lost with this process", len(self._waiting) + sum(self._lost.values()))

    def _write_some(self) -> bool:
        """What was written by an attempt that failed further on is written again, and found to be there."""
        with self._lock:
            taken = list(islice(self._waiting, BATCH))
        for _sender, group in groupby(sorted(taken, key=_sender_of), _sender_of):
            if not self._write(list(group)):
                return False
        with self._lock:
            for item in taken:
                self._waiting.popleft()
                self._waiting_bytes -= item.size_bytes
        return True

    def _write(self, items: list[Waiting]) -> bool:
        """False when the database is away. A decision that it refuses is found by halving, and holds up no other."""
        project_id, key_id, client = items[0].sender
        spans, decisions = (item.recorded.span for item in items), (item.recorded.decision for item in items)
        batch = Batch(spans=tuple(spans), decisions=tuple(decisions))
        entry = LedgerEntry(api_key_id=key_id, signal="traces", client=client, body_bytes=0, sent=len(items))
        try:
            return _stored(project_id, batch, entry)
        except _FAULTS_OF_A_ROW as error:
            if len(items) > 1:
                half = len(items) // 2
                return self._write(items[:half]) and self._write(items[half:])
            log.error("a guard decision was refused by the database: %s", type(error).__name__)
            with self._lock:
                self._lose(items[0], UNWRITABLE)
            return True

    def _write_lost(self) -> bool:
        while self._lost:
            (project_id, key_id, reason), count = next(iter(self._lost.items()))
            entry = LedgerEntry(
                api_key_id=key_id, signal="traces", client="guard checks", body_bytes=0, sent=count, rejected=count,
                reasons={reason: count}, detail=_DETAILS[reason],
            )  # fmt: skip
            if not _stored(project_id, Batch(), entry):
                return False
            with self._lock:
                self._lost[project_id, key_id, reason] -= count
                self._lost += Counter()
        return True

    def _lose(self, item: Waiting, reason: str) -> None:
        if sum(self._lost.values()) % LOG_EVERY == 0:
            log.error("guard decisions are being lost (%s): %d so far", reason, sum(self._lost.values()) + 1)
        self._lost[item.project_id, item.api_key_id, reason] += 1


def _sender_of(item: Waiting) -> tuple[int, int, str]:
    return item.sender


def _stored(project_id: int, batch: Batch, entry: LedgerEntry) -> bool:
    try:
        store.store(project_id, batch, entry, (jobs.of_written,))
    except Unavailable as error:
        log.warning("guard decisions wait for the database: %s", error.reason)
        return False
    return True


recorder = Recorder()
