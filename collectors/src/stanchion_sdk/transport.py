"""One kept-alive connection to the server, on the standard library's HTTP client.

`requests` and `urllib3` are what applications instrument and pin; this module shares nothing with them.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

MAX_ANSWER_BYTES = 1024 * 1024
# A timeout bounds each read; a server that sends a byte now and then is cut off after so many of them in all.
MOST_TIMEOUTS = 3


class Fate(Enum):
    """What an answer means for the parcel."""

    STORED = "stored"
    LATER = "later"  # the server is away or overloaded: keep and try again
    SETUP = "setup"  # wrong key or address: keep, try rarely, tell
    NEVER = "never"  # the server understood and refuses: drop and count


@dataclass(frozen=True)
class Answer:
    fate: Fate
    status: int = 0
    retry_after_s: float | None = None
    body: bytes = b""
    reason: str = ""
    date: str = ""


class Transport:
    def __init__(self, headers: Mapping[str, str], timeout_s: float) -> None:
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._open: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._under_way: tuple[float, http.client.HTTPConnection] | None = None
        self._aborted = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float | None = None) -> Answer:
        """Sends one request; whatever goes wrong on the way is an Answer to try again later."""
        return self._send(url, body, headers, timeout_s if timeout_s is not None else self._timeout_s)

    def get(self, url: str) -> Answer:
        """Asks for one resource, with the same answers; `STORED` is any success."""
        return self._send(url, None, {}, self._timeout_s)

    def _send(self, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> Answer:
        try:
            parts = urlsplit(url)
        except ValueError:
            return Answer(Fate.SETUP, reason="the address is malformed")
        place = (parts.scheme, parts.netloc)
        reused, self._aborted = place in self._open, False
        try:
            return self._once(parts, place, body, headers, timeout)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close(place)
            if not reused or self._aborted:
                return Answer(Fate.LATER, reason=type(error).__name__)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close(place)
            return Answer(Fate.LATER, reason=type(error).__name__)
        return self._second(parts, place, body, headers, timeout)

    def _second(
        self, parts: Any, place: tuple[str, str], body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """The server had closed the idle connection: the same request on a new one."""
        try:
            return self._once(parts, place, body, headers, timeout)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close(place)
            return Answer(Fate.LATER, reason=type(error).__name__)

    def _once(
        self, parts: Any, place: tuple[str, str], body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        connection = self._open.get(place)
        if connection is None:
            connection = self._open[place] = _connect(parts, timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if isinstance(connection, _ThroughProxy):
            target = f"{parts.scheme}://{parts.netloc}{target}"
        self._under_way = (time.monotonic() + MOST_TIMEOUTS * timeout, connection)
        try:
            connection.request("GET" if body is None else "POST", target, body, {**self._headers, **headers})
            if self._aborted:
                raise TimeoutError
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES)
        finally:
            self._under_way = None
        if response.will_close or not response.isclosed():
            self.close(place)
        return _answer(response, answer)

    def cut_off(self) -> None:
        """Ends a request that takes far too long; called from another thread than the one that waits for it."""
        under_way = self._under_way
        if under_way is not None and time.monotonic() >= under_way[0]:
            self.abort()

    def abort(self) -> None:
        """Ends the request under way, if there is one; called from another thread than the one that waits for it."""
        under_way, self._aborted = self._under_way, True
        sock = under_way[1].sock if under_way is not None else None
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self, place: tuple[str, str] | None = None) -> None:
        for key in [place] if place is not None else list(self._open):
            connection = self._open.pop(key, None)
            if connection is not None:
                connection.close()

    def forget(self) -> None:
        """After a fork: drops the parent's sockets without a word to the server."""
        for connection in list(self._open.values()):
            if connection.sock is not None:
                socket.close(connection.sock.detach())
        self._open = {}


class _ThroughProxy(http.client.HTTPConnection):
    """A plain HTTP proxy wants the whole address in the request line."""


def _connect(parts: Any, timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or "localhost"
    proxy = getproxies().get(parts.scheme)
    behind = urlsplit(proxy) if proxy and not proxy_bypass(host) else None
    if parts.scheme == "https":
        import ssl

        context = ssl.create_default_context()
        if behind is None:
            return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        tunnel = http.client.HTTPSConnection(behind.hostname or "", behind.port, timeout=timeout, context=context)
        tunnel.set_tunnel(host, parts.port or 443)
        return tunnel
    if behind is not None:
        return _ThroughProxy(behind.hostname or "", behind.port, timeout=timeout)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    """A page where OTLP should answer is a portal's or a proxy's: whatever its status, nobody stored anything."""
    fate, reason = fate_of(response.status), f"HTTP {response.status}"
    if fate is Fate.STORED and (response.getheader("Content-Type") or "").startswith("text/html"):
        fate, reason = Fate.SETUP, f"{reason} with a web page"
    return Answer(
        fate,
        response.status,
        _seconds(response.getheader("Retry-After")),
        body,
        reason,
        response.getheader("Date") or "",
    )


def fate_of(status: int) -> Fate:
    """A redirect is not success: the server that answered did not store anything."""
    if 200 <= status < 300:
        return Fate.STORED
    if status in (401, 403, 404, 405, 407) or 300 <= status < 400:
        return Fate.SETUP
    if status in (408, 425, 429) or status >= 500 or status < 200:
        return Fate.LATER
    return Fate.NEVER


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 300.0) if text else None
    except ValueError:
        return None
