"""Turns: how many threads of a process a task may hold at a time."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from stanchion_server.kernel import clock

Task = Callable[[], None]
STUCK_AFTER_S = 900.0
"""A run that has not ended by then holds no turn any more. Longer than any task's limit, which threads do not heed."""


class _Turns:
    def __init__(self, threads: int) -> None:
        self._threads, self._lock = threads, threading.Lock()
        self._begun: dict[object, float] = {}

    def take(self) -> object | None:
        now, turn = clock.monotonic_s(), object()
        with self._lock:
            self._begun = {one: begun for one, begun in self._begun.items() if now - begun < STUCK_AFTER_S}
            if len(self._begun) >= self._threads:
                return None
            self._begun[turn] = now
        return turn

    def give_back(self, turn: object) -> None:
        with self._lock:
            self._begun.pop(turn, None)


def at_most(threads: int) -> Callable[[Task], Task]:
    """For tasks that work until a budget is used up, or wait for others: a run beyond `threads` in this process ends at
    once, so that what piled up of one kind leaves threads to every other. A wake-up that ends so is made up for by the
    run that is at it, or by the next."""

    def limited(task: Task) -> Task:
        turns = _Turns(threads)

        @functools.wraps(task)
        def run() -> None:
            turn = turns.take()
            if turn is None:
                return
            try:
                task()
            finally:
                turns.give_back(turn)

        return run

    return limited
