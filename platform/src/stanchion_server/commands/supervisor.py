"""Keeps a few child processes alive, passes their output on with a prefix, and stops them in order.

One thread and one selector: PR_SET_PDEATHSIG is bound to the thread that spawned, so all spawning stays on the main.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stanchion_server.kernel import process

STEADY_AFTER_S = 60.0
LONGEST_PAUSE_S = 15.0
FIRST_PAUSE_S = 0.2
LONGEST_LINE_BYTES = 16_384
COLOURS = ("36", "32", "33", "35", "34")


@dataclass(frozen=True, slots=True)
class Program:
    """How to start, recognise as ready, and stop one child."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    stop_order: Sequence[tuple[signal.Signals, float]]
    on_parent_death: signal.Signals = signal.SIGTERM
    identity: Callable[[], None] | None = None
    is_ready: Callable[[int], bool] | None = None


@dataclass(slots=True)
class Child:
    program: Program
    process: subprocess.Popen[bytes]
    started_s: float
    pause_s: float = FIRST_PAUSE_S
    restart_at_s: float | None = None
    rest: bytes = b""
    once: bool = False


class Stopped(Exception):
    """Somebody asked us to stop, with Ctrl-C or a signal."""


class Supervisor:
    """Start programs one after another with `start`, keep them with `run` until a signal, end all with `stop`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._alarm = socket.socketpair()
        self._wake.setblocking(False)
        self._alarm.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._stopping = False
        self._stop_asked = False
        signal.set_wakeup_fd(self._alarm.fileno())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def start(self, program: Program, timeout_s: float) -> None:
        """Spawn and wait until it is ready. A child that ends on the way is started again until the time is over.

        Raises TimeoutError with the program's name, or Stopped.
        """
        child = Child(program, self._spawn(program), time.monotonic())
        self._children.append(child)
        deadline = time.monotonic() + timeout_s
        while program.is_ready is not None and not (
            child.process.poll() is None and program.is_ready(child.process.pid)
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{program.name} was not ready within {timeout_s:.0f} s; its last lines are above.")
            self._tick(0.05)

    def finish(self, program: Program) -> int:
        """Run a program to its end and return its exit status."""
        child = Child(program, self._spawn(program), time.monotonic(), once=True)
        self._children.append(child)
        try:
            while child.process.poll() is None:
                self._tick(0.1)
        finally:
            process.stop(child.process, program.stop_order)
            self._bury(child)
            self._children.remove(child)
        return child.process.returncode

    def run(self) -> None:
        """Keep the children alive until Stopped."""
        while True:
            self._tick(0.5)

    def stop(self) -> None:
        """Stop the children, last started first."""
        self._stopping = True
        for child in reversed(self._children):
            self._stop_child(child)
        self._children.clear()

    def say(self, name: str, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        label = f"{name:<8}"
        if self._colour:
            label = f"\x1b[{COLOURS[sum(name.encode()) % len(COLOURS)]}m{label}\x1b[0m"
        try:
            print(f"{stamp} {label} {text}", flush=True)
        except OSError:
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the terminal is gone; the server goes on

    def _ask_to_stop(self, number: int, _frame: object) -> None:
        self._stop_asked = True

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        child = process.spawn(
            program.command,
            env=program.env,
            cwd=self._folder,
            output=subprocess.PIPE,
            on_parent_death=program.on_parent_death,
            identity=program.identity,
        )
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        self._selector.register(child.stdout, selectors.EVENT_READ, program.name)
        return child

    def _tick(self, longest_s: float) -> None:
        """Pass on output, notice ends, restart what is due."""
        for key, _ in self._selector.select(longest_s):
            if key.fileobj is self._wake:
                self._wake.recv(4096)
            else:
                self._drain(key.fileobj)
        if self._stop_asked and not self._stopping:
            self._stop_asked = False
            raise Stopped
        for child in self._children:
            self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now_s = time.monotonic()
        if child.restart_at_s is not None:
            if now_s >= child.restart_at_s:
                child.process, child.started_s, child.restart_at_s = self._spawn(child.program), now_s, None
            return
        if child.once or child.process.poll() is None or self._stopping:
            return
        self._bury(child)
        if now_s - child.started_s > STEADY_AFTER_S:
            child.pause_s = FIRST_PAUSE_S
        pause_s = child.pause_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads restarts, hides nothing
        child.restart_at_s = now_s + pause_s
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)
        self.say(child.program.name, f"ended with status {child.process.returncode}; starting again in {pause_s:.1f} s")

    def _bury(self, child: Child) -> None:
        """Pass on the last words and end what the child left behind in its process group, such as its own workers."""
        self._read(child)
        self._close(child)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)

    def _stop_child(self, child: Child) -> None:
        escalation = list(child.program.stop_order)
        for number, patience_s in [*escalation, (signal.SIGKILL, 10.0)]:
            if child.process.poll() is not None:
                break
            child.process.send_signal(signal.SIGKILL if self._stop_asked else number)
            deadline = time.monotonic() + patience_s
            while child.process.poll() is None and time.monotonic() < deadline and not self._stop_asked:
                self._tick(0.05)
        child.process.wait()
        self._bury(child)

    def _drain(self, stream: object) -> None:
        for child in self._children:
            if child.process.stdout is stream:
                self._read(child)

    def _read(self, child: Child) -> None:
        stream = child.process.stdout
        while stream is not None and not stream.closed:
            try:
                data = os.read(stream.fileno(), 65_536)
            except BlockingIOError:
                return
            self._pass_on(child, data)
            if not data:
                self._close(child)

    def _pass_on(self, child: Child, data: bytes) -> None:
        """Say the complete lines and keep the beginning of the next; at the end of the stream (no data) say all."""
        *lines, rest = (child.rest + data).split(b"\n")
        if not data or len(rest) > LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        child.rest = rest
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self.say(child.program.name, text)

    def _close(self, child: Child) -> None:
        stream = child.process.stdout
        if stream is not None and not stream.closed:
            self._selector.unregister(stream)
            stream.close()
