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
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: every process sends its own parcels only
    fcntl = None  # type: ignore[assignment]

KINDS = ("traces", "metrics", "feedback")
TMP_MAX_AGE_S = 3600.0
BLOCK_BYTES = 4096
# Small parcels are joined, or an outage of a quiet application would leave a file for every half second of it. The
# server reads at most 1,000 gzip members in one body.
JOINED_BYTES, JOINED_PARCELS = 256 * 1024, 200
LOOK_AGAIN_AFTER = 100


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
        self._line: deque[Path] = deque()
        self._known_bytes = 0
        self._puts = 0
        self._last: Parcel | None = None
        self._joined = 0

    def put(self, parcel: Parcel) -> bool:
        if parcel.file is not None:
            return True
        if len(parcel.body) > self._max_bytes or not self._ready():
            return False
        self._make_room(len(parcel.body))
        stem = f"{time.time_ns():020d}-{os.getpid()}-{next(self._number):06d}"
        return self._write(parcel, f"{stem}-{parcel.spans}.{parcel.kind}")

    def append(self, parcel: Parcel) -> bool:
        """`put` for a parcel that nobody will ask about again: spans go into the file before, while that is small.

        Gzip members in a row are one gzip file, and OTLP requests in a row are one request. A crash between the two
        steps leaves both files, whose spans the server knows apart.
        """
        last = self._last
        if parcel.kind != "traces" or last is None or last.file is None or not self._may_join(last, parcel):
            self._last, self._joined = (parcel if parcel.kind == "traces" else last), 1
            return self.put(parcel)
        joined = Parcel("traces", last.body + parcel.body, last.spans + parcel.spans)
        stem = last.file.name.rpartition("-")[0]
        self._make_room(len(parcel.body))
        if not self._write(joined, f"{stem}-{joined.spans}.traces"):
            return False
        self.remove(last)
        self._last, self._joined = joined, self._joined + 1
        return True

    def _may_join(self, last: Parcel, parcel: Parcel) -> bool:
        small = len(last.body) + len(parcel.body) <= JOINED_BYTES and self._joined < JOINED_PARCELS
        return small and parcel.spans > 0 and last.file is not None and last.file.is_file()

    def _write(self, parcel: Parcel, name: str) -> bool:
        temporary, final = self.folder / f"{name}.tmp", self.folder / name
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(parcel.body)
            temporary.replace(final)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        parcel.file = final
        self._known_bytes += _on_disk(len(parcel.body))
        return True

    def oldest(self) -> Parcel | None:
        """The first parcel in line; None when there is none or another process is the sender."""
        if not self.is_sender():
            return None
        if not self._line:
            self._line.extend(self._files())
        while self._line:
            path = self._line[0]
            try:
                return Parcel(path.suffix[1:], path.read_bytes(), _spans(path), path)
            except OSError:  # joined to another, dropped for room, or not ours to read
                self._line.popleft()
        return None

    def remove(self, parcel: Parcel) -> None:
        if parcel.file is not None:
            try:
                parcel.file.unlink(missing_ok=True)
            except OSError:
                self._usable = False
            if self._line and self._line[0] == parcel.file:
                self._line.popleft()
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
        self._last = None
        self._line.clear()
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
        """Drops the oldest parcels until the new one fits; what is dropped is counted.

        The folder is read when the own count says that it is full, and now and then for what other processes wrote.
        """
        self._puts += 1
        wanted = _on_disk(wanted)
        if self._puts % LOOK_AGAIN_AFTER != 1 and self._known_bytes + wanted <= self._max_bytes:
            return
        sizes = [(path, _size(path)) for path in self._files()]
        total = sum(size for _, size in sizes) + wanted
        for path, size in sizes:
            self._known_bytes = total - wanted
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
        self._known_bytes = total - wanted

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
        return _on_disk(path.stat().st_size)
    except OSError:
        return 0


def _on_disk(size: int) -> int:
    """A small file takes a whole block."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _is_private(folder: Path) -> bool:
    status = folder.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
