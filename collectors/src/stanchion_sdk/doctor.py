"""`stanchion doctor`: walks the road a span takes, step by step, and says at which step it ends and what to do.

It prints names, addresses and scopes, never the key.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from . import encoding
from .encoding import rejected_spans
from .packing import compress
from .settings import Settings, from_environment
from .transport import Answer, Fate, Transport

MAX_SKEW_S = 60.0
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Step:
    name: str
    passed: bool
    said: str


def examine(settings: Settings, now: Callable[[], float] = time.time) -> Iterator[Step]:
    """The steps in order; ends after the first that fails, for the ones behind it could not pass."""
    try:
        parts = urlsplit(settings.traces_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    if not host or parts.scheme not in ("http", "https"):
        yield Step("address", False, "STANCHION_ENDPOINT is no address: it reads like https://stanchion.example.org")
        return
    transport = Transport(_headers(settings), TIMEOUT_S)
    checks: list[Callable[[], Step]] = [lambda: _name(host, port), lambda: _connection(host, port, parts.scheme)]
    scopes: set[str] = set()
    checks += [lambda: _key(transport, settings, now), lambda: _scopes(transport, settings, scopes)]
    checks += [lambda: _round_trip(transport, settings, scopes, now)]
    try:
        for check in checks:
            step = check()
            yield step
            if not step.passed:
                return
        yield _spool(settings)
    finally:
        transport.close()


def _headers(settings: Settings) -> dict[str, str]:
    key = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    return {"User-Agent": "stanchion-doctor", **settings.headers, **key}


def _name(host: str, port: int) -> Step:
    try:
        found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except OSError as error:
        return Step("DNS", False, f"{host} does not resolve ({error}): check the host in STANCHION_ENDPOINT")
    return Step("DNS", True, f"{host} is {', '.join(found)}")


def _connection(host: str, port: int, scheme: str) -> Step:
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as plain:
            if scheme != "https":
                return Step("connection", True, f"{host}:{port} answers; without TLS the key travels in clear")
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure:
                return Step("connection", True, f"{secure.version()}, the certificate is valid for {host}")
    except ssl.SSLError as error:
        return Step("connection", False, f"TLS fails ({error.reason or error}): for an own authority set SSL_CERT_FILE")
    except OSError as error:
        return Step("connection", False, f"{host}:{port} does not answer ({error}): is the server up, a proxy needed?")


def _key(transport: Transport, settings: Settings, now: Callable[[], float]) -> Step:
    """An empty export: it stores nothing, and needs the same scope as a full one."""
    answer = _export(transport, settings, b"")
    if answer.fate is not Fate.STORED:
        has = _scopes(transport, settings, set()).said if answer.status == 403 else ""
        return Step("key", False, _why(answer, settings) + (f"; {has}" if has else ""))
    skew = _skew_s(answer.date, now())
    if skew is not None and abs(skew) > MAX_SKEW_S:
        return Step(
            "key",
            False,
            f"the key is good, but this clock is {skew:+.0f} s off the server's, so spans land in another hour: "
            "synchronise this machine's clock (NTP)",
        )
    clock = "the server tells no time" if skew is None else f"clocks agree within {max(abs(skew), 1):.0f} s"
    return Step("key", True, f"the key may send traces; {clock}")


def _why(answer: Answer, settings: Settings) -> str:
    reasons = {
        401: "the key is unknown or revoked" if settings.api_key else "no key is set: STANCHION_API_KEY",
        403: "the key may not send traces: it needs the ingest scope",
        404: "there is no OTLP door at this address: STANCHION_ENDPOINT is the server's base address",
        429: "the project's quota is used up",
        503: "the server is overloaded or its database is away; the SDK keeps spans and sends them later",
    }
    redirected = "the address redirects: use the final one, spans are not sent along redirects"
    known = redirected if 300 <= answer.status < 400 else reasons.get(answer.status, "see the server's log")
    return f"{answer.reason}: {known}"


def _skew_s(date: str, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def _scopes(transport: Transport, settings: Settings, found: set[str]) -> Step:
    """Fills `found`. A server that does not tell, another product's or an older one, is no failure."""
    answer = transport.get(settings.endpoint + "/api/v1/me")
    told = _json(answer)
    scopes = told.get("scopes")
    if answer.status != 200 or not isinstance(scopes, list):
        return Step("scopes", True, f"the server does not tell what the key may do ({answer.reason})")
    found.update(str(scope) for scope in scopes)
    return Step("scopes", True, f"project {told.get('project')}, the key has: {', '.join(sorted(found)) or 'nothing'}")


def _json(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body) if answer.status == 200 else {}
    except ValueError:
        value = {}
    return value if isinstance(value, dict) else {}


def _round_trip(transport: Transport, settings: Settings, scopes: set[str], now: Callable[[], float]) -> Step:
    trace_id = secrets.token_hex(16)
    began = time.perf_counter()
    answer = _export(transport, settings, _test_span(trace_id, int(now() * 1e9)))
    took_ms = (time.perf_counter() - began) * 1000
    if answer.fate is not Fate.STORED:
        return Step("test span", False, _why(answer, settings))
    if rejected_spans(answer.body):
        return Step("test span", False, "the server refused the span: its ingest page tells why")
    stored = f"stored in {took_ms:.0f} ms as trace {trace_id}"
    if not scopes & {"admin", "read:metrics"}:
        return Step("test span", True, f"{stored}; not read back, for which the key would need read:metrics")
    back = transport.get(f"{settings.endpoint}/api/v1/traces/{trace_id}")
    if back.status != 200 or trace_id.encode() not in back.body:
        return Step("test span", False, f"{stored}, but reading it back gives {back.reason}: see the server's log")
    return Step("test span", True, f"{stored} and read back")


def _test_span(trace_id: str, now_ns: int) -> bytes:
    body = b"\x0a\x10" + bytes.fromhex(trace_id) + b"\x12\x08" + secrets.token_bytes(8)
    body += encoding.delimited(b"\x2a", b"stanchion doctor") + b"\x30\x01"
    body += b"\x39" + now_ns.to_bytes(8, "little") + b"\x41" + (now_ns + 1_000_000).to_bytes(8, "little")
    resource = encoding.attributes(b"\x0a", {"service.name": "stanchion-doctor"})
    return encoding.request(resource, [(encoding.scope("stanchion_sdk.doctor", None), [body])])


def _export(transport: Transport, settings: Settings, body: bytes) -> Answer:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    return transport.post(settings.traces_url, compress(body), headers)


def _spool(settings: Settings) -> Step:
    folder = settings.spool_dir
    if folder is None:
        return Step("spool", True, "switched off: an outage longer than the memory lasts loses spans")
    waiting = sum(1 for _ in folder.rglob("*.traces")) if folder.is_dir() else 0
    return Step("spool", True, f"{folder} holds {waiting} requests that wait to be sent")


def main(arguments: list[str] | None = None) -> int:
    """The exit status is 0 when everything passed, 1 when a step failed, 2 when no server is named."""
    parser = argparse.ArgumentParser(prog="stanchion", description="Tools for an application that sends to Stanchion.")
    parser.add_argument("command", choices=["doctor"], help="check the way to the server")
    parser.add_argument("--endpoint", help="the server's base address (STANCHION_ENDPOINT)")
    parser.add_argument("--api-key", help="the project's key (STANCHION_API_KEY)")
    args = parser.parse_args(arguments)
    given = {key: value for key, value in (("endpoint", args.endpoint), ("api_key", args.api_key)) if value}
    settings = from_environment(given, os.environ)
    if settings is None:
        sys.stderr.write("no server named: set STANCHION_ENDPOINT or pass --endpoint\n")
        return 2
    passed = True
    for step in examine(settings):
        sys.stdout.write(f"{'ok  ' if step.passed else 'FAIL'} {step.name:<11} {step.said}\n")
        passed = passed and step.passed
    return 0 if passed else 1
