"""Requests on their way to an OTLP door: oldest first, on disk while the door is away, bounded, each drop counted.

A request is sent again until the door says it is stored or will never be; a request sent twice is harmless, since
points are known by their series and time. The thread of `Sender` is the only one that talks to the network.
"""

from __future__ import annotations

import gzip
import http.client
import os
import random
import socket
import ssl
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

MOST_IN_MEMORY = 360
MOST_BACKOFF_S = 60.0
FIRST_BACKOFF_S = 1.0
MOST_RETRY_AFTER_S = 300.0
MOST_ANSWER_BYTES = 64 * 1024
# A timeout bounds each wait; a door that sends a byte now and then is cut off after so many of them.
MOST_TIMEOUTS = 3
# More than these wait in memory only while they are sent one after the other.
FEW = 3
# With a wrong key or address, trying each second would only fill two logs.
SETUP_BACKOFF_S = 30.0

_SETUP = frozenset({401, 403, 404, 405, 407})
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """`is_stored`, else `is_final` (will never be taken), else to be sent again. `reason` is for people.
    `rejected_points` of what was stored were not."""

    is_stored: bool = False
    is_final: bool = False
    is_setup: bool = False
    retry_after_s: float | None = None
    reason: str = ""
    rejected_points: int = 0


@dataclass(slots=True)
class Parcel:
    body: bytes  # gzip
    points: int
    file: Path | None = None


class Door:
    """One kept connection. `post` never raises."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._parts = urlsplit(url)
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            "User-Agent": "stanchion-gpu-agent",
            **headers,
        }
        self._timeout_s = timeout_s
        self._open: http.client.HTTPConnection | None = None
        self._under_way: tuple[float, socket.socket] | None = None

    def post(self, body: bytes) -> Answer:
        try:
            return self._once(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Answer(reason=type(error).__name__)
        finally:
            self._under_way = None

    def cut_off(self) -> None:
        """Ends a request that takes far too long, a byte now and then; called from another thread than `post`."""
        under_way = self._under_way
        if under_way is not None and time.monotonic() > under_way[0]:
            with suppress(OSError):
                under_way[1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _once(self, body: bytes) -> Answer:
        if self._open is None:
            self._open = self._connection()
        if self._open.sock is None:
            self._open.connect()
        # The connection forgets its socket while a body without a length is read.
        self._under_way = (time.monotonic() + MOST_TIMEOUTS * self._timeout_s, self._open.sock)
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        self._open.request("POST", path, body, self._headers)
        response = self._open.getresponse()
        body = response.read(MOST_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        media = response.getheader("Content-Type") or ""
        answer = answer_of(response.status, response.getheader("Retry-After"), media.startswith("text/html"))
        return partly(answer, body) if answer.is_stored and media.startswith("application/x-protobuf") else answer

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout_s)


def answer_of(status: int, retry_after: str | None, is_page: bool) -> Answer:
    """What a status means. A redirect stores nothing, and a web page with 200 is some portal's."""
    if 200 <= status < 300 and not is_page:
        return Answer(is_stored=True)
    reason = f"HTTP {status}" + (" with a web page" if is_page else "")
    if status in _SETUP or status < 400:
        return Answer(is_setup=True, reason=reason)
    if status in _LATER or status >= 500:
        return Answer(retry_after_s=_seconds(retry_after), reason=reason)
    return Answer(is_final=True, reason=reason)


def partly(answer: Answer, body: bytes) -> Answer:
    """With the points that the door says it refused, and its words for it."""
    try:
        told = ExportMetricsServiceResponse.FromString(body).partial_success
    except DecodeError:
        return answer
    return replace(answer, rejected_points=max(0, told.rejected_data_points), reason=told.error_message[:200])


def _seconds(text: str | None) -> float | None:
    with suppress(ValueError):
        return min(max(float(text or "x"), 0.0), MOST_RETRY_AFTER_S)
    return None


class Spool:
    """Files `<time ns>-<points>.gz` in a folder of mode 700, the oldest dropped when `most_bytes` is passed. Without a
    usable folder nothing is kept and `put` answers False."""

    def __init__(self, folder: Path, most_bytes: int, dropped: Callable[[int], None]) -> None:
        self._folder, self._most_bytes, self._dropped = folder, most_bytes, dropped
        self._line: deque[Path] = deque()
        self._sizes: dict[Path, int] = {}
        self.bytes = 0
        self.is_usable = most_bytes > 0 and self._open()

    def put(self, parcel: Parcel) -> bool:
        if parcel.file is not None:
            return True
        if not self.is_usable or len(parcel.body) > self._most_bytes:
            return False
        path = self._folder / f"{time.time_ns():020d}-{parcel.points}.gz"
        temporary = path.with_suffix(".tmp")
        try:
            temporary.write_bytes(parcel.body)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        parcel.file = path
        self._known(path, len(parcel.body))
        self._make_room(path)
        return True

    def oldest(self) -> Parcel | None:
        while self._line:
            path = self._line[0]
            try:
                body = path.read_bytes()
            except FileNotFoundError:  # another process took it
                self.remove(path)
                continue
            except OSError:
                body = b""
            if is_whole(body):
                return Parcel(body, points_of(path), path)
            self.remove(path)
            self._dropped(points_of(path))
        return None

    def remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        with suppress(ValueError):
            self._line.remove(path)
        self.bytes -= self._sizes.pop(path, 0)

    def _open(self) -> bool:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._folder.glob("*.tmp"):
                left.unlink(missing_ok=True)
            for path in sorted(self._folder.glob("*.gz")):
                self._known(path, path.stat().st_size)
        except OSError:
            return False
        return os.access(self._folder, os.W_OK)

    def _known(self, path: Path, size: int) -> None:
        self._line.append(path)
        self._sizes[path] = size
        self.bytes += size

    def _make_room(self, newest: Path) -> None:
        while self.bytes > self._most_bytes and self._line and self._line[0] != newest:
            path = self._line[0]
            self.remove(path)
            self._dropped(points_of(path))


def is_whole(body: bytes) -> bool:
    """Whether a kept request can be read: a host that lost its power leaves files empty or in part, and a door that
    answers such with 500 would be asked again and again while all others wait behind it."""
    try:
        return bool(gzip.decompress(body))
    except (OSError, EOFError, zlib.error):
        return False


def points_of(path: Path) -> int:
    told = path.stem.rpartition("-")[2]
    return int(told) if told.isdigit() else 0


class Sender:
    """Takes requests at any time without waiting, sends them from a thread of its own."""

    def __init__(self, door: Door, folder: Path | None, most_bytes: int, say: Callable[[str], None]) -> None:
        self._door, self._say = door, say
        self._memory: deque[Parcel] = deque()
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._ending = False
        self._backoff_s = 0.0
        self._last_reason = ""
        self.dropped_points = 0
        self.sent_requests = 0
        spool = None if folder is None or most_bytes == 0 else Spool(folder, most_bytes, self.drop)
        self._spool = spool if spool is not None and spool.is_usable else None
        self._thread = threading.Thread(target=self._run, name="stanchion-gpu-send", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, body: bytes, points: int) -> None:
        """Keeps a serialised request; when there is no room, the oldest goes and is counted."""
        parcel = Parcel(gzip.compress(body, compresslevel=1), points)
        with self._guard:
            self._memory.append(parcel)
            if self._spool is not None and (self._backoff_s > 0 or len(self._memory) > FEW):
                self._to_disk()
            while len(self._memory) > MOST_IN_MEMORY:
                self.drop(self._memory.popleft().points)
        self._door.cut_off()
        self._wake.set()

    def drop(self, points: int) -> None:
        self.dropped_points += points

    @property
    def keeps_on_disk(self) -> bool:
        return self._spool is not None

    @property
    def spooled_bytes(self) -> int:
        return 0 if self._spool is None else self._spool.bytes

    def close(self, within_s: float) -> bool:
        """Sends what is left, at most so long; the rest goes to disk. Whether everything was sent or kept."""
        self._ending = True
        self._wake.set()
        self._thread.join(within_s)
        with self._guard:
            if self._spool is not None:
                self._to_disk()
            left = sum(parcel.points for parcel in self._memory)
            self.drop(left)
            self._memory.clear()
        return left == 0

    def _run(self) -> None:
        spread = random.Random()  # noqa: S311 (spreads agents, hides nothing)
        while True:
            if not self._step() and not self._ending:
                self._wake.wait()
                self._wake.clear()
            elif self._ending and (self._backoff_s > 0 or not self._has_any()):
                return
            elif self._backoff_s > 0:
                self._pause(self._backoff_s * spread.uniform(0.5, 1.0))

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ending and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _step(self) -> bool:
        """One request; False when there is none."""
        parcel = self._next()
        if parcel is None:
            return False
        answer = self._door.post(parcel.body)
        if answer.is_stored or answer.is_final:
            self._finish(parcel)
            self.drop(parcel.points if answer.is_final else answer.rejected_points)
        self._after(answer)
        return True

    def _after(self, answer: Answer) -> None:
        if answer.is_stored:
            self.sent_requests += 1
            self._backoff_s = 0.0
        elif not answer.is_final:
            grown = min(max(self._backoff_s * 2, FIRST_BACKOFF_S), MOST_BACKOFF_S)
            self._backoff_s = max(SETUP_BACKOFF_S if answer.is_setup else grown, answer.retry_after_s or 0.0)
            with self._guard:
                if self._spool is not None:
                    self._to_disk()
        if answer.reason != self._last_reason:
            self._say(_words(answer))
            self._last_reason = answer.reason

    def _next(self) -> Parcel | None:
        with self._guard:
            kept = self._spool.oldest() if self._spool is not None else None
            if kept is not None:
                return kept
            return self._memory[0] if self._memory else None

    def _finish(self, parcel: Parcel) -> None:
        with self._guard:  # while it was under way it may have gone to disk
            if parcel.file is not None and self._spool is not None:
                self._spool.remove(parcel.file)
            elif self._memory and self._memory[0] is parcel:
                self._memory.popleft()

    def _has_any(self) -> bool:
        with self._guard:
            return bool(self._memory) or self.spooled_bytes > 0

    def _to_disk(self) -> None:
        """From memory to disk in order, as far as the disk takes them."""
        assert self._spool is not None
        while self._memory and self._spool.put(self._memory[0]):
            self._memory.popleft()


def _words(answer: Answer) -> str:
    if answer.is_stored:
        return (
            f"the door refused {answer.rejected_points} points: {answer.reason}" if answer.reason else "sending works"
        )
    return f"not sent: {answer.reason}"
