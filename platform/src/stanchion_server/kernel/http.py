"""The only outbound client of the server, for addresses that people type: webhooks, alert channels, heartbeats.

The name is resolved once, every address it leads to is checked, and the connection goes to the checked address: a name
that answers differently a moment later changes nothing. TLS still verifies the name. No redirects, no proxy from the
environment, a bounded answer, and one limit in time over everything, name resolution included.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from stanchion_server.kernel import addresses, clock
from stanchion_server.kernel.addresses import Refused, Target

READ_BYTES = 64 << 10
"""What is read of an answer; the rest is not."""
USER_AGENT = "Stanchion"

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names in lower case; the body is cut at READ_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_ms: int


class Failed(Exception):
    """No answer. `reason` is dns, connect, tls, timeout or cut; `is_outcome_known` is False once the request may have
    been read."""

    def __init__(self, reason: str, text: str, is_outcome_known: bool) -> None:
        super().__init__(text)
        self.reason = reason
        self.is_outcome_known = is_outcome_known


def resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Client:
    """`timeout_s` is for the whole request. `resolve` and `trust` (whose certificates count; None: the system's) are
    seams."""

    rules: addresses.Rules = field(default_factory=addresses.Rules)
    timeout_s: float = 10.0
    resolve: Resolve = resolve
    trust: ssl.SSLContext | None = None

    def send(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Raises Refused where policy forbids the request, and Failed where there was no answer."""
        began_s = clock.monotonic_s()
        asked = addresses.target(url)
        addresses.check_target(asked, self.rules)
        found = addresses.checked(asked, self._resolved(asked), self.rules)
        attempt = _Attempt(asked, began_s + self.timeout_s)
        try:
            attempt.open(found, self.trust)
            return attempt.exchange(method, body, headers or {}, began_s)
        finally:
            attempt.close()

    def _resolved(self, asked: Target) -> Sequence[str]:
        """In a thread of its own: the system's resolver knows no time limit."""
        answer: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self.resolve(asked.host, asked.port))
            except (OSError, UnicodeError) as error:  # the latter for labels that are too long
                answer.put(OSError(str(error)))

        threading.Thread(target=ask, daemon=True).start()
        try:
            found = answer.get(timeout=self.timeout_s)
        except queue.Empty:
            raise Failed("timeout", f"The name {asked.host} was not resolved in {self.timeout_s:g} s.", True) from None
        if isinstance(found, OSError) or not found:
            raise Failed("dns", f"The name {asked.host} cannot be resolved.", True)
        return found


class _Attempt:
    """One connection. A timer ends it from outside, whatever it waits for: a handshake that drips, a body that does."""

    def __init__(self, asked: Target, deadline_s: float) -> None:
        self._asked = asked
        self._deadline_s = deadline_s
        self._socket: socket.socket | None = None
        self._is_late = False
        self._is_sent = False
        self._timer = threading.Timer(max(0.001, self._left_s()), self._end)
        self._timer.daemon = True

    def open(self, found: Sequence[str], trust: ssl.SSLContext | None) -> None:
        last: OSError | None = None
        for address in found:
            try:
                self._socket = socket.create_connection((address, self._asked.port), max(0.001, self._left_s()))
                break
            except OSError as error:
                last = error
        if self._socket is None:
            reason = "timeout" if isinstance(last, TimeoutError) else "connect"
            raise Failed(reason, f"No connection to {self._asked.authority}: {_plain(last)}.", True)
        self._socket.settimeout(max(0.001, self._left_s()) + 1)
        self._timer.start()
        if self._asked.scheme == "https":
            self._secure(trust or ssl.create_default_context())

    def _secure(self, context: ssl.SSLContext) -> None:
        assert self._socket is not None
        try:
            self._socket = context.wrap_socket(
                self._socket, server_hostname=self._asked.host.rstrip("."), do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        except (OSError, ValueError) as error:
            if self._is_late or isinstance(error, TimeoutError):
                raise self._timed_out() from error
            raise Failed("tls", f"TLS with {self._asked.authority} failed: {_plain(error)}.", True) from error

    def exchange(self, method: str, body: bytes, headers: Mapping[str, str], began_s: float) -> Answer:
        connection = http.client.HTTPConnection(self._asked.host, self._asked.port)
        connection.sock = self._socket
        try:
            connection.putrequest(method, self._asked.path, skip_host=True, skip_accept_encoding=True)
            fixed = {"Host": self._asked.authority, "User-Agent": USER_AGENT, "Connection": "close"}
            for name, value in {**fixed, **headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            self._is_sent = True
            connection.endheaders(body or None)
            response = connection.getresponse()
            read = response.read(READ_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._is_late or isinstance(error, TimeoutError):
                raise self._timed_out() from error
            raise Failed("cut", f"{self._asked.authority} ended the connection: {_plain(error)}.", False) from error
        if self._is_late:
            raise self._timed_out()
        took_ms = round((clock.monotonic_s() - began_s) * 1000)
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, read, took_ms)

    def close(self) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        self._is_late = True
        try:
            if self._socket is not None:
                # An SSLSocket's own shutdown would take the session from under the thread that uses it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass  # already closed

    def _left_s(self) -> float:
        return self._deadline_s - clock.monotonic_s()

    def _timed_out(self) -> Failed:
        return Failed("timeout", f"{self._asked.authority} did not answer in time.", not self._is_sent)


def _plain(error: BaseException | None) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def client() -> Client:
    """The client as the operator configured it."""
    rules = addresses.rules(settings.OUTBOUND_ALLOW, settings.OUTBOUND_PORTS)
    return Client(rules, settings.OUTBOUND_TIMEOUT_S)


__all__ = ["Answer", "Client", "Failed", "Refused", "client", "resolve"]
