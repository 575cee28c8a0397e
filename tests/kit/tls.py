"""A TLS front for a plain server: botocore sends a bearer token over nothing else."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Front:
    url: str
    certificate: Path


def boto_variables(front: Front, key: str) -> dict[str, str]:
    """The environment of a boto3 application that is to use our Bedrock."""
    return {
        "AWS_BEARER_TOKEN_BEDROCK": key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CA_BUNDLE": str(front.certificate),
        "AWS_EC2_METADATA_DISABLED": "true",
        "BEDROCK_URL": f"{front.url}/compat/bedrock",
    }


@contextmanager
def tls_front(url: str, folder: Path) -> Iterator[Front]:
    """https://localhost:<port> before the server at `url`, with a certificate made in `folder`."""
    target = urlsplit(url)
    assert target.hostname and target.port
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out",
            str(certificate), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = (target.hostname, target.port)
        threading.Thread(target=_accept, args=(listener, context, door), daemon=True).start()
        yield Front(f"https://localhost:{listener.getsockname()[1]}", certificate)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, door: tuple[str, int]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, door), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, door: tuple[str, int]) -> None:
    """One request and its answer: whatever the client sends is passed on until the server has answered and closed."""
    with (
        suppress(OSError),
        client,
        context.wrap_socket(client, server_side=True) as outer,
        socket.create_connection(door) as inner,
    ):
        threading.Thread(target=_pump, args=(outer, inner), daemon=True).start()
        _pump(inner, outer)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
