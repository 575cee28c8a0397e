"""Parcels on disk while the server is away: bounded, in order, shared by the processes of one application.

A parcel is one file, `<time ns>-<pid>-<number>-<spans>.<kind>`, written beside its final name and then renamed, so a
crash leaves either a whole parcel or a `.tmp` that is ignored and later swept. The process that holds the lock file
sends; the lock dies with its process. Folders are mode 700 and named by a hash of address and key, so that no parcel
can reach another project.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: every process sends its own parcels only
    fcntl = None  # type: ignore[assignment]

KINDS = ("traces", "metrics", "feedback")
TMP_MAX_AGE_S = 3600.0


@dataclass(slots=True)
class Parcel:
    """A compressed request body on its way. `file` is set while a copy of it lies on disk."""

    kind: str
    body: bytes
    spans: int
    file: Path | None = None
    attempts: int = 0


class Spool:
    """Never raises OSError: a full or read-only disk makes `put` answer False."""

    def __init__(self, root: Path, address: str, max_bytes: int, dropped: Callable[[str, int], None]) -> None:
        self.folder = root / hashlib.sha256(address.encode()).hexdigest()[:24]
        self._max_bytes = max_bytes
        self._dropped = dropped
        self._number = count()
        self._lock: int | None = None
        self._usable: bool | None = None

    def put(self, parcel: Parcel) -> bool:
        if parcel.file is not None:
            return True
        if len(parcel.body) > self._max_bytes or not self._ready():
            return False
        self._make_room(len(parcel.body))
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._number):06d}-{parcel.spans}.{parcel.kind}"
        temporary, final = self.folder / f"{name}.tmp", self.folder / name
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(parcel.body)
            temporary.replace(final)
        except OSError:
            temporary.unlink(missing_ok=True) if os.access(self.folder, os.W_OK) else None
            return False
        parcel.file = final
        return True

    def oldest(self) -> Parcel | None:
        """The first parcel in line; None when there is none or another process is the sender."""
        if not self.is_sender():
            return None
        for path in self._files():
            try:
                body = path.read_bytes()
            except OSError:
                continue
            return Parcel(path.suffix[1:], body, _spans(path), path)
        return None

    def remove(self, parcel: Parcel) -> None:
        if parcel.file is not None:
            try:
                parcel.file.unlink(missing_ok=True)
            except OSError:
                self._usable = False
            parcel.file = None

    def is_sender(self) -> bool:
        """Whether this process holds the lock; tries to take it."""
        if self._lock is not None:
            return True
        if not self.folder.is_dir() or not self._ready():
            return False
        if fcntl is None:
            return True
        handle = -1
        try:
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if handle >= 0:
                os.close(handle)
            return False
        self._lock = handle
        self._sweep()
        return True

    def waiting(self) -> int:
        return len(self._files()) if self.folder.is_dir() else 0

    def release(self) -> None:
        """Gives the lock back. After a fork the child closes its copy, which leaves the parent's lock in force."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _ready(self) -> bool:
        """A folder that another user made or can read is not used: it would be a leak or a trap."""
        if self._usable is None:
            try:
                self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.folder.mkdir(mode=0o700, exist_ok=True)
                self._usable = all(_is_private(folder) for folder in (self.folder, self.folder.parent))
            except OSError:
                self._usable = False
        return self._usable

    def _files(self) -> list[Path]:
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.endswith(KINDS))
        except OSError:
            return []
        own = f"-{os.getpid()}-"
        return [self.folder / name for name in names if fcntl is not None or own in name]

    def _make_room(self, wanted: int) -> None:
        """Drops the oldest parcels until the new one fits; what is dropped is counted."""
        sizes = [(path, _size(path)) for path in self._files()]
        total = sum(size for _, size in sizes) + wanted
        for path, size in sizes:
            if total <= self._max_bytes:
                return
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError:
                return
            total -= size
            self._dropped("spool_full", _spans(path))

    def _sweep(self) -> None:
        """Removes what a crash left half written."""
        for path in self.folder.glob("*.tmp"):
            try:
                if time.time() - path.stat().st_mtime > TMP_MAX_AGE_S:
                    path.unlink()
            except OSError:
                continue


def _spans(path: Path) -> int:
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_private(folder: Path) -> bool:
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
