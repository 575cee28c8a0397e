"""Children that cannot outlive their parent, and an order of signals that ends any of them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

NOBODY = 65534  # has an entry in every passwd file; PostgreSQL refuses an identity without one

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int | None = None,
    on_parent_death: signal.Signals = signal.SIGTERM,
    identity: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C in a terminal reaches the parent alone.

    On Linux the kernel sends `on_parent_death` when the *thread* that called this ends: call it from the main thread.
    `identity` runs in the child before the command and may change its user.
    """
    parent = os.getpid()

    def prepare() -> None:
        if identity is not None:
            identity()  # first: a change of user clears the wish below
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_parent_death), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return subprocess.Popen(  # noqa: S603 - the callers build the commands, nothing comes from outside
        list(command),
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        preexec_fn=prepare,
    )


def stop(process: subprocess.Popen[bytes], escalation: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send each signal and wait its seconds; SIGKILL ends what is left. Returns the exit status."""
    for number, patience_s in [*escalation, (signal.SIGKILL, 10.0)]:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def alive(pid: int) -> bool:
    """Whether a process with this id exists; a zombie counts as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def can_map_users() -> bool:
    """Whether a child of ours may make a user namespace; container engines often forbid it."""
    if _LIBC is None:
        return False
    try:
        return subprocess.run(["true"], preexec_fn=appear_as_nobody, check=False).returncode == 0  # noqa: S607
    except subprocess.SubprocessError:
        return False


def appear_as_nobody() -> None:
    """In a child: look like nobody to programs that refuse root or an unnamed user, while files keep their owner.

    A user namespace maps nobody to the present user, so a data folder inside a private home folder is no obstacle, no
    user is created and no permission changes.
    """
    user, group = os.geteuid(), os.getegid()
    if _LIBC is None or _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "user namespaces are not allowed here")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - between fork and exec: as little code as possible
            file.write(text)


def become_nobody() -> None:
    """In a child of root: give up root for good."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
