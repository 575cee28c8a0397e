"""Decisions wait here for a moment after the caller has its verdict, and are then written together.

A verdict must not wait for the database, nor fail with it. What is waiting is bounded; when the database stays away for
so long that the bound is reached, further decisions are dropped and counted, and the count stands in the ledger as soon
as it can be written.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from itertools import groupby, islice

from django.db import connection

from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.kernel.errors import Unavailable
from stanchion_server.policies.decisions import Recorded
from stanchion_server.quality import jobs
from stanchion_server.traces import store

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
BATCH = 1_000
LINGER_S = 0.2
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Waiting:
    project_id: int
    api_key_id: int
    client: str
    recorded: Recorded


class Recorder:
    """One queue and one writing thread per process; the thread starts with the first decision."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._dropped: dict[int, int] = {}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.RLock()
        self._pid = 0

    def add(self, items: list[Waiting]) -> None:
        """Never blocks on the database and never raises for it."""
        self._start()
        with self._lock:
            for item in items:
                if len(self._waiting) < MAX_WAITING:
                    self._waiting.append(item)
                else:
                    self._dropped[item.project_id] = self._dropped.get(item.project_id, 0) + 1
        self._wake.set()

    def flush(self) -> bool:
        """Writes what is waiting, in the calling thread; False when the database would not take all of it."""
        with self._writing:
            while self._waiting:
                if not self._write_some():
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
        atexit.register(self.flush)

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

    def _write_some(self) -> bool:
        with self._lock:
            taken = list(islice(self._waiting, BATCH))
            dropped, self._dropped = self._dropped, {}
        for (project_id, key_id, client), group in groupby(
            sorted(taken, key=lambda item: (item.project_id, item.api_key_id, item.client)),
            lambda item: (item.project_id, item.api_key_id, item.client),
        ):
            if not _write(project_id, key_id, client, list(group), dropped.get(project_id, 0)):
                self._give_back(dropped)
                return False
            dropped.pop(project_id, None)
        with self._lock:
            for _ in taken:
                self._waiting.popleft()
        self._give_back(dropped)
        return True

    def _give_back(self, dropped: dict[int, int]) -> None:
        with self._lock:
            for project_id, count in dropped.items():
                self._dropped[project_id] = self._dropped.get(project_id, 0) + count


def _write(project_id: int, key_id: int, client: str, items: list[Waiting], dropped: int) -> bool:
    batch = Batch(
        spans=tuple(item.recorded.span for item in items),
        decisions=tuple(item.recorded.decision for item in items),
    )
    entry = LedgerEntry(
        api_key_id=key_id, signal="traces", client=client, body_bytes=0, sent=len(items) + dropped, rejected=dropped,
        reasons={"decision_dropped": dropped} if dropped else {},
        detail="The database was away for too long to keep every guard decision." if dropped else "",
    )  # fmt: skip
    try:
        store.store(project_id, batch, entry, (jobs.of_written,))
    except Unavailable as error:
        log.warning("guard decisions wait for the database: %s", error.reason)
        return False
    return True


recorder = Recorder()
