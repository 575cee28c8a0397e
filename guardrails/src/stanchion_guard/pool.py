"""Threads for expensive checks: few, bounded, and able to be left behind at a deadline."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Job = tuple["Future[Any]", Callable[[], Any]]


class Pool:
    """`workers` daemon threads with at most `waiting` jobs before them.

    The standard library's pool has an unbounded queue, and joins its threads when the interpreter ends: a check that
    hangs would keep the whole process from ending. Threads start with the first job, and again after a fork.
    """

    def __init__(self, workers: int = 2, waiting: int = 64) -> None:
        self._workers, self._waiting = workers, waiting
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._jobs: queue.Queue[Job]

    def submit(self, work: Callable[[], Any]) -> Future[Any] | None:
        """A future of `work`, or None where as many jobs wait as may."""
        jobs = self._started()
        future: Future[Any] = Future()
        try:
            jobs.put_nowait((future, work))
        except queue.Full:
            return None
        return future

    def _started(self) -> queue.Queue[Job]:
        with self._lock:
            if self._owner != os.getpid():
                self._owner, self._jobs = os.getpid(), queue.Queue(self._waiting)
                for index in range(self._workers):
                    name = f"stanchion-guard-{index}"
                    threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True).start()
            return self._jobs


def _work(jobs: queue.Queue[Job]) -> None:
    while True:
        future, work = jobs.get()
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work())
        except BaseException as error:  # SystemExit of a model library must not end the worker
            future.set_exception(error)
        del future, work
