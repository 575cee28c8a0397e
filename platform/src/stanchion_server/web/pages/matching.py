"""Matchers as people type them, one a line: `feature = refunds`, `rule != latency`, `model ~ gpt-*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stanchion_server.alerts import quiet_services


def read(text: str) -> list[dict[str, str]]:
    """SenderError names a line that is none."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        label, op, value = [*line.split(maxsplit=2), "", ""][:3]
        found.append({"label": label, "op": op, "value": value.strip()})
    return quiet_services.checked_matchers(found)


def written(matchers: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(f"{one['label']} {one['op']} {one['value']}".rstrip() for one in matchers)
