"""A task takes no more threads than it is given."""

from __future__ import annotations

import threading

import pytest

from stanchion_server.kernel import clock, turns


def test_a_run_beyond_the_threads_ends_at_once_and_the_next_after_them_works() -> None:
    began, go_on = threading.Semaphore(0), threading.Event()
    runs: list[int] = []

    @turns.at_most(2)
    def task() -> None:
        runs.append(threading.get_ident())
        began.release()
        go_on.wait(30)

    threads = [threading.Thread(target=task) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert began.acquire(timeout=30)
    task()
    assert len(runs) == 2, "a third run worked beside two"
    go_on.set()
    for thread in threads:
        thread.join(30)
    task()
    assert len(runs) == 3


def test_a_run_that_fails_gives_its_turn_back() -> None:
    runs: list[int] = []

    @turns.at_most(1)
    def task() -> None:
        runs.append(1)
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            task()
    assert len(runs) == 2


def test_a_run_that_is_stuck_holds_its_turn_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic_s", lambda: now)
    began, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    @turns.at_most(1)
    def task() -> None:
        runs.append(1)
        if len(runs) == 1:
            began.set()
            go_on.wait(30)

    stuck = threading.Thread(target=task)
    stuck.start()
    assert began.wait(30)
    now += turns.STUCK_AFTER_S - 1
    task()
    assert len(runs) == 1
    now += 1
    task()
    go_on.set()
    stuck.join(30)
    task()
    assert len(runs) == 3
