"""Bodies whose length nobody announces, as Node's and Go's clients send them, over sockets to the real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from kit import product
from kit.guard_door import open_key
from kit.product import Product

pytestmark = [pytest.mark.faults, pytest.mark.slow]
MAIL = "mail ann.lee@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product.running(tmp_path_factory.mktemp("chunked")) as running:
        open_key(running)
        yield running


def post(server: Product, path: str, *chunks: bytes) -> tuple[int, Any]:
    """The status and the JSON of the answer, in which the server may chunk as well."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.target.api_key}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        with suppress(BrokenPipeError, ConnectionResetError):  # who refuses a body need not read the rest of it
            for chunk in (*chunks, b""):
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split(b" ", 2)[1]), json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


def in_two(body: object) -> tuple[bytes, bytes]:
    data = json.dumps(body).encode()
    return data[:10], data[10:]


def test_the_check_api_judges_a_chunked_body(server: Product) -> None:
    status, told = post(server, "/api/v1/guard/check", *in_two({"text": MAIL}))
    assert (status, told["labels"]) == (200, ["EMAIL"])


def test_the_doors_of_other_formats_judge_a_chunked_body(server: Product) -> None:
    body = {"source": "INPUT", "content": [{"text": {"text": MAIL}}]}
    status, told = post(server, "/compat/bedrock/guardrail/default/version//apply", *in_two(body))
    assert (status, told["stanchion"]["labels"]) == (200, ["EMAIL"])
    status, told = post(server, "/compat/openai/v1/moderations", *in_two({"input": MAIL}))
    assert (status, told["results"][0]["stanchion"]["labels"]) == (200, ["EMAIL"])


def test_telemetry_and_ratings_are_read_from_chunked_bodies(server: Product) -> None:
    assert post(server, "/v1/traces", *in_two({"resourceSpans": []}))[0] == 200
    assert post(server, "/v1/traces", *in_two({"resourceMetrics": []}))[0] == 400
    status, told = post(server, "/api/v1/feedback", *in_two({"rating": "a lot"}))
    assert status == 400
    assert "empty" not in told["error"]["message"]


def test_a_chunked_body_is_bounded_like_any_other(server: Product) -> None:
    chunks = [b'{"text": "' + b"a" * (1 << 20), *[b"a" * (1 << 20)] * 8, b'"}']
    for path in ("/api/v1/guard/check", "/compat/openai/v1/moderations"):
        status, told = post(server, path, *chunks)
        assert (status, told["error"]["code"]) == (413, "too_large")
    assert post(server, "/api/v1/guard/check", *in_two({"text": MAIL}))[0] == 200
