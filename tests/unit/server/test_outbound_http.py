"""Where the server may call, and that nothing it is answered can hold or fool it."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.kernel import addresses, http

REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:53aa:64c::1", "2001:db8::1", "2001:10::1", "100::1", "fc00::1", "fd00:ec2::254", "fd12::1", "fe80::1",
    "febf::1", "fec0::1", "feff::1", "ff02::1", "ff0e::1", "3fff::1", "5f00::1", "4000::1", "fe80::1%eth0",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "168.63.129.17", "2606:4700::1111",
          "::ffff:8.8.8.8"]  # fmt: skip
HOOK = addresses.target("https://hooks.example.org/x")


@pytest.mark.parametrize("address", REFUSED)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(http.Refused, match="not public"):
        addresses.checked(HOOK, ["8.8.8.8", address], addresses.Rules())


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_not(address: str) -> None:
    assert addresses.checked(HOOK, [address], addresses.Rules())


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]",
             "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
)  # fmt: skip
def test_no_way_of_writing_loopback_gets_there(host: str) -> None:
    with pytest.raises(http.Refused):
        http.Client().send("POST", f"http://{host}/")


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "file:///etc/passwd", "gopher://example.org", "//example.org", "example.org", "",
            "http://", "https://user@example.org/", "https://user:secret@example.org/", "https://@example.org/",
            "https://exa mple.org/", "https://example.org/\r\nX: y", "https://example.org\\@evil.org/",
            "https://example.org:99999/", "https://example.org:22/", "https://example.org:6379/",
            "http://metadata.google.internal/", "http://metadata.google.internal./", "https://[::1", "https://e%0d.org/",
            "http://[fe80::1%25eth0]/", "https://\x00/", "https://../"],
)  # fmt: skip
def test_an_address_that_is_no_plain_web_address_is_refused_before_any_name_is_resolved(url: str) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError("resolved")

    with pytest.raises(http.Refused):
        http.Client(resolve=never).send("POST", url)


@given(st.integers(0, 2**128 - 1))
def test_whatever_is_not_global_for_python_is_not_for_us_either(number: int) -> None:
    for address in (ipaddress.ip_address(number % 2**32), ipaddress.IPv6Address(number)):
        if not addresses.unmapped(address).is_global or address.is_multicast:
            assert addresses.denied(address)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            asked = addresses.target(url)
        except http.Refused:
            continue
        assert asked.path.isascii() and asked.host.isascii() and not set(" \r\n\0") & set(asked.path + asked.host)


Serve = Callable[[socket.socket], None]


@contextmanager
def listening(serve: Serve) -> Iterator[tuple[int, list[str]]]:
    """A server on loopback that does `serve` with each connection, and the hosts it was reached at."""
    server = socket.create_server(("127.0.0.1", 0))
    reached: list[str] = []

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            reached.append("once")
            with connection, suppress(OSError):
                serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], reached
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def here(**more: object) -> http.Client:
    return http.Client(rules=addresses.rules(["127.0.0.0/8"]), **more)  # type: ignore[arg-type]


def reading(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return serve


def test_a_name_that_changes_its_answer_is_connected_where_it_was_checked() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    with listening(reading(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as (port, reached):
        rules = addresses.rules(["127.0.0.0/8"], [port])
        client = http.Client(rules, resolve=lambda host, port: answers.pop(0))
        assert client.send("POST", f"http://rebinding.example.org:{port}/").body == b"ok"
        assert len(answers) == 1, "the name was resolved twice"
        with pytest.raises(http.Refused, match=r"10\.0\.0\.1"):
            client.send("POST", f"http://rebinding.example.org:{port}/")
        assert reached == ["once"]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with listening(reading(answer)) as (port, reached):
        assert here().send("POST", f"http://127.0.0.1:{port}/").status == 302
    assert reached == ["once"]


def test_an_answer_without_end_is_cut() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(b"x" * 65536)

    with listening(serve) as (port, _):
        assert len(here().send("POST", f"http://127.0.0.1:{port}/").body) == http.READ_BYTES


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with listening(reading(b"HTTP/1.1 204 No Content\r\n\r\n")) as (port, _):
        assert here().send("POST", f"http://127.0.0.1:{port}/").status == 204


def _silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _cutting(connection: socket.socket) -> None:
    connection.recv(65536)


def _dripping(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    gone = threading.Event()
    while not gone.wait(0.05):
        connection.sendall(b"x")


@pytest.mark.parametrize("serve", [_silent, _dripping], ids=["silent", "dripping"])
def test_a_receiver_that_stalls_is_left_in_time(serve: Serve) -> None:
    with listening(serve) as (port, _), pytest.raises(http.Failed) as failure:
        here(timeout_s=0.4).send("POST", f"http://127.0.0.1:{port}/", b"{}")
    assert failure.value.reason == "timeout"
    assert not failure.value.is_outcome_known


def test_a_handshake_that_never_comes_is_left_in_time_and_nothing_was_sent() -> None:
    with listening(_silent) as (port, _), pytest.raises(http.Failed) as failure:
        here(timeout_s=0.4).send("POST", f"https://127.0.0.1:{port}/", b"{}")
    assert (failure.value.reason, failure.value.is_outcome_known) == ("timeout", True)


def test_a_resolver_that_hangs_is_left_in_time() -> None:
    gone = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        gone.wait(10)
        return []

    with pytest.raises(http.Failed) as failure:
        here(timeout_s=0.2, resolve=hangs).send("POST", "https://example.org/")
    gone.set()
    assert failure.value.reason == "timeout"


def test_a_connection_cut_after_the_request_leaves_its_fate_open() -> None:
    with listening(_cutting) as (port, _), pytest.raises(http.Failed) as failure:
        here().send("POST", f"http://127.0.0.1:{port}/", b"{}")
    assert (failure.value.reason, failure.value.is_outcome_known) == ("cut", False)


def test_nothing_listening_is_a_failure_with_a_known_fate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(http.Failed) as failure:
        here().send("POST", f"http://127.0.0.1:{port}/")
    assert (failure.value.reason, failure.value.is_outcome_known) == ("connect", True)


def test_the_operator_allows_hosts_and_networks_and_nothing_else() -> None:
    allowed = addresses.rules(["alerts.corp", "10.1.0.0/16", "fd00::7"])
    inside = addresses.target("http://alerts.corp:9093/")
    addresses.check_target(inside, allowed)
    assert addresses.checked(inside, ["192.168.0.1"], allowed) == ("192.168.0.1",)
    assert addresses.checked(HOOK, ["10.1.2.3", "fd00::7"], allowed)
    with pytest.raises(http.Refused):
        addresses.checked(HOOK, ["10.2.0.1"], allowed)
    odd = addresses.target("http://hooks.example.org:9093/")
    assert addresses.checked(odd, ["10.1.2.3"], allowed)
    for found in (["8.8.8.8"], ["10.1.2.3", "8.8.8.8"]):
        with pytest.raises(http.Refused, match="Port 9093"):
            addresses.checked(odd, found, allowed)
    for text in ("10.1.0.1/16", "10.1.0.0/99", "a b", "http://x", "1.2.3"):
        with pytest.raises(ValueError, match="neither"):
            addresses.rules([text])
