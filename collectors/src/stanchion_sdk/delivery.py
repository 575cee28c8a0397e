"""From finished span to stored span without the application waiting: two background threads and a spool.

The application's thread appends to a queue. The packer encodes, masks and compresses; it never waits for the network,
so a stalled server fills neither the queue nor the memory. The courier sends; while the server is away everything
goes to the spool, and from there in order once it is back. All hand-overs use deques and SimpleQueues, which a signal
handler may use at any point: their operations are reentrant, those of Event and Queue are not.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from . import attributes as names
from . import encoding, safety
from .outbox import Outbox
from .packing import Packer, compress
from .settings import Settings
from .spool import Parcel, Spool
from .transport import Answer, Fate, Transport

WAKE_AT = 512
FIRST_DELAY_S, LONGEST_DELAY_S, SETUP_DELAY_S = 0.5, 30.0, 30.0
GIVE_UP_AFTER = 8
DROP_REPORT_EVERY_S = 60.0
START_AGAIN_S = 5.0
MOST_BODIES = 1000


@dataclass
class Flush:
    """A request to get everything out; `done` receives whether it was all stored or spooled."""

    done: SimpleQueue[bool] = field(default_factory=SimpleQueue)


class Delivery:
    """One per process and server. `put` is what the application's threads call: no lock, no I/O, no exception."""

    def __init__(self, settings: Settings, packer: Packer, resource: Resource | None = None) -> None:
        self._settings = settings
        self._packer = packer
        self._metrics_resource = resource
        self.dropped: Counter[str] = Counter()
        self.spool = None
        if settings.spool_dir is not None:
            address = f"{settings.traces_url}\0{settings.api_key}"
            self.spool = Spool(settings.spool_dir, address, settings.spool_max_bytes, self.drop)
        headers = {"User-Agent": "stanchion-sdk/0.1.0", **settings.headers}
        if settings.api_key:
            headers["authorization"] = f"Bearer {settings.api_key}"
        self._transport = Transport(headers, settings.request_timeout_s)
        self._since_ns = time.time_ns()
        self._begin()

    def _begin(self) -> None:
        """The state of a process without threads: at the start, and again in a forked child."""
        self._queue: deque[tuple[ReadableSpan, int]] = deque()
        self._bodies: deque[tuple[str, bytes]] = deque()
        self._put_bytes = self._taken_bytes = 0
        self._to_pack: SimpleQueue[Flush | None] = SimpleQueue()
        self._to_send: SimpleQueue[Flush | None] = SimpleQueue()
        self._outbox = Outbox(self.spool, self.drop)
        self._in_flight: Parcel | None = None
        self._down_until = 0.0
        self._delay_s = 0.0
        self._patience_s = self._settings.request_timeout_s
        self._threads: dict[str, threading.Thread] = {}
        self._start_again_at = 0.0
        # Of our own, for an application that seeds the module's generator expects its numbers in order.
        self._jitter = random.Random()  # noqa: S311 - no secret
        self._starting = threading.Lock()
        self._counting = threading.RLock()
        self._attempts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._said_full = 0
        self._report_at = 0.0
        self._closed = False

    def put(self, span: ReadableSpan, size: int) -> None:
        """Queues a finished span of about `size` bytes; a full queue drops it and counts."""
        if len(self._threads) < 2:
            self._start()
        queue = self._queue
        if len(queue) >= self._settings.queue_max_spans or self._queued_bytes() > self._settings.queue_max_bytes:
            self._count("queue_full", 1)
            return
        self._put_bytes += size
        queue.append((span, size))
        if len(queue) % WAKE_AT == 0:
            self._to_pack.put(None)
        if self._closed:
            self._salvage()

    def put_body(self, kind: str, body: bytes) -> None:
        """Queues a small body of another kind (feedback) for the same road."""
        if len(self._threads) < 2:
            self._start()
        if len(self._bodies) >= MOST_BODIES:
            self._count("queue_full_" + kind, 1)
            return
        self._bodies.append((kind, body))
        if self._closed:
            self._salvage()

    def _queued_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def drop(self, reason: str, spans: int) -> None:
        """Counts and says so; the counts also travel to the server as a metric."""
        self._count(reason, spans)
        safety.say_rarely(
            f"drop-{reason}",
            "stanchion: spans are being dropped (%s), %d so far",
            reason,
            self.dropped[reason],
            every_s=60.0,
        )

    def _count(self, reason: str, spans: int) -> None:
        """Under a lock that the same thread may take twice, as a signal handler in the middle of it would."""
        with self._counting:
            self.dropped[reason] += spans

    def flush(self, timeout_s: float) -> bool:
        """Waits until what was queued before is stored or spooled; False when the time was not enough."""
        if not self._alive():
            return self._flush_here(timeout_s)
        request = Flush()
        self._to_pack.put(request)
        try:
            return request.done.get(timeout=timeout_s)
        except Empty:
            return False

    def close(self, timeout_s: float) -> None:
        """The way out of the process: a flush, and what it could not send goes to the spool. Callable twice.

        What is recorded afterwards, by exit handlers that run behind ours, goes to the spool at once.
        """
        self._closed = False
        if not self.flush(timeout_s):
            self._salvage()
        self._closed = True

    def after_fork(self) -> None:
        """In the child: the queue, the threads and the sockets are the parent's."""
        self._transport.forget()
        if self.spool is not None:
            self.spool.release()
        self._begin()

    @property
    def exit_timeout_s(self) -> float:
        return self._settings.exit_timeout_s

    # Threads

    def _alive(self) -> bool:
        return len(self._threads) == 2 and all(thread.is_alive() for thread in self._threads.values())

    def _start(self) -> None:
        """At the first span, so that a server which forks its workers after `init` has no threads to lose."""
        if time.monotonic() < self._start_again_at or not self._starting.acquire(blocking=False):
            return
        try:
            for name, work in (("courier", self._send_forever), ("packer", self._pack_forever)):
                if name not in self._threads:
                    thread = threading.Thread(target=work, name=f"stanchion-{name}", daemon=True)
                    thread.start()
                    self._threads[name] = thread
        except RuntimeError:  # no thread to be had, or the interpreter is going down: close() sends from its own
            self._start_again_at = time.monotonic() + START_AGAIN_S
        finally:
            self._starting.release()

    def _pack_forever(self) -> None:
        while True:
            try:
                request = self._to_pack.get(timeout=self._settings.interval_s)
            except Empty:
                request = None
            try:
                self._pack()
                self._transport.cut_off()
            except Exception as error:
                safety.note("packer", error)
            if self.dropped["queue_full"] > self._said_full:
                self._said_full = self.dropped["queue_full"]
                self.drop("queue_full", 0)
            if request is not None:
                self._to_send.put(request)

    def _send_forever(self) -> None:
        while True:
            try:
                request = self._to_send.get(timeout=self._wait_s())
            except Empty:
                request = None
            try:
                complete = self._send_all()
            except Exception as error:
                safety.note("courier", error)
                self._rescue()
                complete = False
            if request is not None:
                request.done.put(complete)

    def _rescue(self) -> None:
        """After a mistake of ours: the request under way goes back in line, unless it is what we stumble over."""
        parcel, self._in_flight = self._in_flight, None
        self._down_until = time.monotonic() + FIRST_DELAY_S
        if parcel is None:
            return
        parcel.attempts += 1
        if parcel.attempts < GIVE_UP_AFTER:
            self._outbox.give_back(parcel)
        else:
            self.drop("not_sendable", parcel.spans)
            self._forget(parcel)

    def _wait_s(self) -> float:
        if self._down_until:
            return max(self._down_until - time.monotonic(), 0.01)
        return 5.0

    # Packing

    def _pack(self) -> None:
        while self._bodies:
            with suppress(IndexError):  # a signal handler may be packing as well
                kind, body = self._bodies.popleft()
                self._hand_over(Parcel(kind, compress(body), 0))
        while self._queue:
            spans = self._take()
            for parcel in self._packer.parcels(spans):
                self._hand_over(parcel)
        if self._packer.lost:
            lost, self._packer.lost = self._packer.lost, 0
            self.drop("not_encodable", lost)

    def _take(self) -> list[ReadableSpan]:
        spans: list[ReadableSpan] = []
        try:
            while len(spans) < 4 * WAKE_AT:
                span, size = self._queue.popleft()
                spans.append(span)
                self._taken_bytes += size
        except IndexError:
            self._put_bytes = self._taken_bytes = 0
        return spans

    def _hand_over(self, parcel: Parcel) -> None:
        spool = self.spool
        if spool is not None and self._settings.durable:
            if spool.put(parcel) and self._down_until:
                return
        elif spool is not None and self._down_until and spool.append(parcel):
            return
        self._outbox.add(parcel)
        self._to_send.put(None)

    # Sending

    def _send_all(self) -> bool:
        """Spool first, then memory, so that order holds. True when nothing is left that only memory knows."""
        if self._down_until > time.monotonic():
            self._outbox.to_disk()
            return not self._outbox
        self._down_until = 0.0
        while True:
            parcel = self._next()
            if parcel is None:
                self._report_drops()
                return True
            self._in_flight = parcel
            if not self._send(parcel):
                self._outbox.to_disk()
                self._in_flight = None
                return not self._outbox
            self._in_flight = None

    def _next(self) -> Parcel | None:
        spooled = self.spool.oldest() if self.spool is not None and not self._settings.durable else None
        return spooled or self._outbox.take() or (self.spool.oldest() if self.spool is not None else None)

    def _send(self, parcel: Parcel) -> bool:
        """Whether to go on with the next one."""
        answer = self._transport.post(self._url(parcel.kind), parcel.body, _headers(parcel.kind), self._patience_s)
        if answer.fate is Fate.STORED:
            self._arrived(parcel, answer)
            return True
        if answer.fate is Fate.NEVER or self._is_poison(parcel, answer):
            self.drop(*_refused(parcel, answer))
            self._forget(parcel)
            return True
        self._keep(parcel)
        self._back_off(answer)
        return False

    def _url(self, kind: str) -> str:
        settings = self._settings
        return {"metrics": settings.metrics_url, "feedback": settings.feedback_url}.get(kind, settings.traces_url)

    def _arrived(self, parcel: Parcel, answer: Answer) -> None:
        self._delay_s = self._down_until = 0.0
        self._forget(parcel)
        rejected = encoding.rejected_spans(answer.body) if parcel.kind == "traces" else 0
        if rejected:
            self.drop("rejected_by_server", min(rejected, parcel.spans))

    def _forget(self, parcel: Parcel) -> None:
        if self.spool is not None:
            self.spool.remove(parcel)

    def _is_poison(self, parcel: Parcel, answer: Answer) -> bool:
        """A parcel that the server answers with 500 time and again must not hold up the others for ever.

        404 and the like mean a wrong address for spans, but for feedback and metrics a server without that feature.
        """
        if answer.status == 500:
            parcel.attempts += 1
            if parcel.file is not None:
                self._attempts[parcel.file.name] += 1
        attempts = max(parcel.attempts, self._attempts[parcel.file.name] if parcel.file is not None else 0)
        return attempts >= GIVE_UP_AFTER or (parcel.kind != "traces" and answer.status in (403, 404, 405))

    def _keep(self, parcel: Parcel) -> None:
        if self.spool is not None and self.spool.put(parcel):
            if parcel.attempts and parcel.file is not None:
                self._attempts[parcel.file.name] = max(parcel.attempts, self._attempts[parcel.file.name])
            return
        self._outbox.give_back(parcel)

    def _back_off(self, answer: Answer) -> None:
        """Doubling with full jitter; the server's Retry-After counts as the least."""
        setup = answer.fate is Fate.SETUP
        self._delay_s = SETUP_DELAY_S if setup else min(max(self._delay_s * 2, FIRST_DELAY_S), LONGEST_DELAY_S)
        wait = self._jitter.uniform(self._delay_s / 2, self._delay_s)
        self._down_until = time.monotonic() + max(wait, answer.retry_after_s or 0.0)
        hint = "check the address and the key" if setup else "spans are kept and sent later"
        safety.say_rarely(
            f"away-{answer.reason}",
            "stanchion: the server did not take spans (%s); %s",
            answer.reason,
            hint,
            every_s=300.0,
        )

    def _report_drops(self) -> None:
        if self.dropped == self._reported or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + DROP_REPORT_EVERY_S
        counts = Counter(self.dropped)
        resource = self._packer.resource_bytes(self._metrics_resource)
        body = encoding.counter_request(
            resource, names.SDK_DROPPED_SPANS, "{span}", self._since_ns, time.time_ns(), counts
        )
        answer = self._transport.post(self._settings.metrics_url, compress(body), _headers("metrics"))
        if answer.fate is Fate.STORED:
            self._reported = counts

    # The way out

    def _flush_here(self, timeout_s: float) -> bool:
        """Without threads: before the first span, in a forked child that never started them, at interpreter exit."""
        if not self._queue and not self._bodies and not self._outbox:
            return True
        self._transport.close()
        self._pack()
        if timeout_s > 0:
            self._patience_s = min(timeout_s, self._settings.request_timeout_s)
            return self._send_all()
        self._salvage()
        return not self._outbox

    def _salvage(self) -> None:
        """Time is up: everything that is only in memory goes to disk, the request under way included."""
        self._pack()
        parcel = self._in_flight
        if parcel is not None and self.spool is not None:
            self.spool.put(parcel)
        self._outbox.to_disk()
        left = self._outbox.abandon()
        if left:
            self.drop("exit", left)


def _refused(parcel: Parcel, answer: Answer) -> tuple[str, int]:
    # A rating is a parcel of its own that carries no span; it counts as one under its own reason.
    if parcel.kind == "feedback":
        return f"refused_{answer.status}_feedback", 1
    return f"refused_{answer.status}", parcel.spans


def _headers(kind: str) -> dict[str, str]:
    media_type = "application/json" if kind == "feedback" else "application/x-protobuf"
    return {"Content-Type": media_type, "Content-Encoding": "gzip"}
