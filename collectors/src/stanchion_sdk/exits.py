"""The ways out of a process: normal return, exceptions, sys.exit, SIGINT, SIGTERM, fork.

`atexit` covers the first four (Python turns SIGINT into KeyboardInterrupt). SIGTERM's default kills without a word, so
a handler flushes first and then lets the signal do what it would have done. Not covered: os._exit and SIGKILL.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import safety

_close: Callable[[], None] | None = None
_reset: Callable[[], None] | None = None
_hooked = False


def install(close: Callable[[], None], reset: Callable[[], None]) -> None:
    """Hooks once per process; later calls only replace what is called."""
    global _close, _reset, _hooked
    _close, _reset = close, reset
    if _hooked:
        return
    _hooked = True
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            _chain(number)


def _at_exit() -> None:
    try:
        if _close is not None:
            _close()
    except Exception as error:
        safety.note("exit", error)


def _in_child() -> None:
    try:
        if _reset is not None:
            _reset()
        # A multiprocessing child leaves through os._exit and never runs atexit; it does run its own finalizers.
        if "multiprocessing.util" in sys.modules:
            sys.modules["multiprocessing.util"].register_after_fork(_in_child, _finalize_in_multiprocessing)
    except Exception as error:
        safety.note("fork", error)


def _finalize_in_multiprocessing(_: Any) -> None:
    from multiprocessing import util

    util.Finalize(None, _at_exit, exitpriority=10)


def _chain(number: signal.Signals) -> None:
    """Takes the place of the default action, or goes before a handler that is there; leaves SIG_IGN alone."""
    try:
        before = signal.getsignal(number)
        if before in (signal.SIG_IGN, None, signal.default_int_handler):
            return
        signal.signal(number, _handler(before))
    except (ValueError, OSError) as error:
        safety.note("signal", error)


def _handler(before: Any) -> Callable[[int, FrameType | None], Any]:
    def handle(number: int, frame: FrameType | None) -> Any:
        _at_exit()
        if callable(before):
            return before(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return None

    return handle
