"""Evidently's page from rows, with every connection refused: it must not ask anybody for anything."""

from __future__ import annotations

import json
import runpy
import socket
import sys
import tempfile
from pathlib import Path

asked: list[object] = []


def refused(*arguments: object, **_more: object) -> None:
    asked.append(arguments[-1])
    raise OSError("no connection in this test")


socket.socket.connect = refused  # type: ignore[method-assign,assignment]
socket.getaddrinfo = refused  # type: ignore[assignment]
script = runpy.run_path(sys.argv[1])
side = {
    "latency_ms": [float(place % 17) for place in range(60)],
    "model": ["a", "b", None] * 20,
    "nothing": [None] * 60,
}
rows = {"numbers": ["latency_ms", "nothing"], "categories": ["model"], "reference": side, "current": side}
with tempfile.TemporaryDirectory() as folder:
    target = Path(folder) / "page.html"
    script["report"](json.loads(json.dumps(rows))).save_html(str(target))
    page = target.read_text()
assert "Dataset Drift" in page and "latency_ms" in page
assert asked == [], asked
