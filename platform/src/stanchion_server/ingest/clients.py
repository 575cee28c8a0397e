"""A short, bounded name for the software that sent a request: `scope version via sdk version`."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable

from stanchion_server.ingest.records import Attributes, Decoded, RawLog, RawPoint, RawSpan

MAX_LENGTH = 160
MAX_CLIENTS_PER_PROJECT = 200
OTHER = "other clients"
UNKNOWN = "unknown client"

_UNWANTED = re.compile(r"[^\x20-\x7e]+")


class Names:
    """Admits at most `limit` different names per project; later ones become `OTHER`. Process-local."""

    def __init__(self, limit: int = MAX_CLIENTS_PER_PROJECT) -> None:
        self._limit = limit
        self._known: dict[int, set[str]] = {}
        self._lock = threading.Lock()

    def bounded(self, project_id: int, name: str) -> str:
        with self._lock:
            known = self._known.setdefault(project_id, set())
            if name in known:
                return name
            if len(known) >= self._limit:
                return OTHER
            known.add(name)
            return name


def from_user_agent(user_agent: str) -> str:
    """`OTel-OTLP-Exporter-Python/1.45.2` becomes `OTel-OTLP-Exporter-Python 1.45.2`; the rest is noise."""
    product = user_agent.split(" ", 1)[0].replace("/", " ", 1)
    return _tidy(product) or UNKNOWN


def of(decoded: Decoded, user_agent: str) -> str:
    """The most frequent instrumentation scope of the request and the SDK under it, else the User-Agent."""
    items: Iterable[RawSpan | RawLog | RawPoint] = (*decoded.spans, *decoded.logs, *decoded.points)
    found = Counter((item.scope.name, item.scope.version, item.resource.resource_id) for item in items)
    if not found:
        return from_user_agent(user_agent)
    (scope, version, resource_id), _ = found.most_common(1)[0]
    resource = next(item.resource.attributes for item in items if item.resource.resource_id == resource_id)
    sdk = _sdk(resource) or from_user_agent(user_agent)
    return _tidy(f"{scope} {version} via {sdk}") if scope else _tidy(sdk)


def _sdk(resource: Attributes) -> str:
    parts = (resource.get(f"telemetry.sdk.{part}") for part in ("name", "language", "version"))
    return " ".join(str(part) for part in parts if part)


def _tidy(text: str) -> str:
    return " ".join(_UNWANTED.sub(" ", text[: 4 * MAX_LENGTH]).split())[:MAX_LENGTH]
