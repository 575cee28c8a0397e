"""The check API of a running product: a key made to suit, checks over kept connections, a second web process."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.product import Product, free_port, web_answers
from kit.sending import wait_until


def open_key(product: Product) -> str:
    """The product's first key, which may now also check and administer; call it before the key is first used."""
    with product.connect() as connection:
        connection.execute('UPDATE tenants_apikey SET scopes = \'["ingest", "guard", "admin"]\'')
    return product.target.api_key


@dataclass
class Door:
    """One kept connection to a web process."""

    port: int
    key: str

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer; status 0 when the connection broke, which is then made anew."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        try:
            self._connection.request(method, f"/api/v1/{path}", data, headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, None

    def check(self, text: str, policy: str = "default", **more: Any) -> tuple[int, Any]:
        return self.send("POST", "guard/check", {"policy": policy, "text": text, **more})


def published(door: Door, name: str, *documents: str) -> None:
    """A policy whose versions are the documents, the first of them live."""
    calls: list[tuple[str, str, dict[str, Any]]] = [("POST", "policies", {"name": name})]
    for document in documents:
        calls.append(("PUT", f"policies/{name}/draft", {"document": document}))
        calls.append(("POST", f"policies/{name}/versions", {}))
    for method, path, body in [*calls, ("POST", f"policies/{name}/rollout", {"live": 1})]:
        status, answer = door.send(method, path, body)
        if status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {status} {answer}")


@contextmanager
def second_web(product: Product) -> Iterator[int]:
    """Another web process on the same database, as a second replica would be; its port."""
    first = product.processes("granian", "--port")[0]
    command = Path(f"/proc/{first}/cmdline").read_bytes().decode().strip("\0").split("\0")
    pairs = Path(f"/proc/{first}/environ").read_bytes().decode().strip("\0").split("\0")
    port = free_port()
    command[command.index("--port") + 1] = str(port)
    with (product.folder / "second.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=dict(pair.split("=", 1) for pair in pairs), stdout=log, stderr=log, cwd=product.folder
        )
    try:
        wait_until(lambda: web_answers(port), 60, "starting the second web process")
        yield port
    finally:
        process.terminate()
        process.wait(30)
