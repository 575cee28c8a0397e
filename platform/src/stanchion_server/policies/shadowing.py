"""Shadows judge here, when the caller has its verdict.

A draft with a slow check must cost nobody time. What waits is bounded in number and size, and for each policy, so that
one slow shadow leaves room for others; what comes beyond that is recorded as not judged, and counts as not compared.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing.util import Finalize

from django.db import connection

from stanchion_server.policies import engine, recording
from stanchion_server.policies.decisions import Origin, record

log = logging.getLogger(__name__)

THREADS = 4
MAX_WAITING = 1_000
MAX_WAITING_OF_ONE = 200
MAX_WAITING_CHARACTERS = 16_000_000
TOO_MANY = "not judged: too many checks wait for shadows"
ENDED = "not judged: the process ended before its turn"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A shadow's turn, and what its decision is recorded with."""

    beside: engine.Beside
    api_key_id: int
    client: str
    origin: Origin
    span_id: int
    start_ns: int

    @property
    def policy(self) -> tuple[int, int]:
        return self.beside.project_id, self.beside.state.policy_id

    @property
    def characters(self) -> int:
        return sum(len(part.text) for part in self.beside.subject.parts)

    def told(self, judgement: engine.Judgement) -> recording.Waiting:
        recorded = record(judgement, self.beside.subject, self.origin, self.span_id, self.start_ns)
        return recording.Waiting(self.beside.project_id, self.api_key_id, self.client, recorded)

    def untold(self, reason: str) -> recording.Waiting:
        return self.told(engine.not_judged(self.beside, reason))


class Shadower:
    """One queue and a few judging threads per process; they start with the first shadow."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._of_one: Counter[tuple[int, int]] = Counter()
        self._characters = 0
        self._judging = 0
        self._changed = threading.Condition()
        self._pid = 0

    def add(self, items: list[Waiting]) -> None:
        """Never waits for a judgement."""
        if not items:
            return
        self._start()
        with self._changed:
            beyond = [item for item in items if not self._taken_in(item)]
            self._changed.notify(len(items))
        recording.recorder.add([item.untold(TOO_MANY) for item in beyond])

    def flush(self) -> None:
        """Returns when nothing waits and nothing is being judged; the calling thread helps."""
        while (item := self._next()) is not None:
            self._judge(item)
        with self._changed:
            self._changed.wait_for(lambda: not self._judging and not self._waiting)

    def _taken_in(self, item: Waiting) -> bool:
        room = MAX_WAITING_CHARACTERS - item.characters
        if len(self._waiting) >= MAX_WAITING or self._characters > room:
            return False
        if self._of_one[item.policy] >= MAX_WAITING_OF_ONE:
            return False
        self._waiting.append(item)
        self._of_one[item.policy] += 1
        self._characters += item.characters
        return True

    def _next(self) -> Waiting | None:
        with self._changed:
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._of_one -= Counter([item.policy])
            self._characters -= item.characters
            self._judging += 1
            return item

    def _judge(self, item: Waiting) -> None:
        # The threads are the process's only ones: after an error nobody foresaw, the next shadow has its turn.
        try:
            told = item.told(engine.judge_beside(item.beside))
        except Exception as error:
            log.error("a shadow could not judge: %s", type(error).__name__)
            told = item.untold(f"not judged: {type(error).__name__}")
        recording.recorder.add([told])
        with self._changed:
            self._judging -= 1
            self._changed.notify_all()

    def _start(self) -> None:
        with self._changed:
            if self._pid == os.getpid():
                return
            self._pid = os.getpid()
        for _ in range(THREADS):
            threading.Thread(target=self._run, name="guard-shadows", daemon=True).start()
        # Before the recorder's own, which has a lower priority.
        Finalize(None, self._finish, exitpriority=200)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
            if (item := self._next()) is not None:
                self._judge(item)
                connection.close_if_unusable_or_obsolete()

    def _finish(self) -> None:
        """At the process's end: nobody waits for shadows any more."""
        while (item := self._next()) is not None:
            recording.recorder.add([item.untold(ENDED)])


shadower = Shadower()
