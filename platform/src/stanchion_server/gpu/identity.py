"""Which card, engine and agent a point is about. Pure.

`hw.id`, `hw.name` and the like are today's names; collectors of before 2025-08 say `id`, `name`, `parent` instead
(OpenTelemetry's semantic conventions 1.36 and earlier), and both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stanchion_wire import gpu

PREFIXES = ("hw.", "stanchion.gpu.", "stanchion.engine.", "stanchion.agent.")
OF_CARDS = (
    gpu.UTILIZATION, gpu.UTILIZATION_MAX, gpu.MEMORY_USAGE, gpu.MEMORY_LIMIT, gpu.POWER, gpu.POWER_LIMIT, gpu.ENERGY,
    gpu.TEMPERATURE, gpu.THROTTLED, gpu.ERRORS, gpu.STATUS, gpu.PROCESS_MEMORY,
)  # fmt: skip
OF_ENGINES = (
    gpu.ENGINE_UP, gpu.RUNNING, gpu.WAITING, gpu.KV_CACHE_USE, gpu.PREEMPTIONS, gpu.PROMPT_TOKENS,
    gpu.GENERATED_TOKENS, gpu.REQUESTS,
)  # fmt: skip
MAX_CHARS = 200
_ONLY_GPU = ("hw.gpu.", "stanchion.gpu.")


def is_about_hardware(name: str) -> bool:
    return name.startswith(PREFIXES)


def host_of(resource: Mapping[str, Any]) -> str:
    for key in ("host.name", "host.id", "k8s.node.name", "service.instance.id"):
        if resource.get(key):
            return str(resource[key])[:MAX_CHARS]
    return ""


def device_of(name: str, attributes: Mapping[str, Any], host: str) -> str:
    """The card's id; empty when the point is about something else, or tells neither an id nor a name."""
    if not name.startswith(("hw.", "stanchion.gpu.")):
        return ""
    is_gpu = name.startswith(_ONLY_GPU) or told(attributes, gpu.HW_TYPE) == gpu.HW_TYPE_GPU
    if not is_gpu:
        return ""
    identity = told(attributes, gpu.HW_ID, "id")
    if identity:
        return identity
    index = told(attributes, gpu.HW_NAME, "name")
    return f"{host}/{index}"[:MAX_CHARS] if index else ""


def engine_of(name: str, attributes: Mapping[str, Any]) -> tuple[str, str] | None:
    """Its kind and endpoint."""
    if not name.startswith("stanchion.engine."):
        return None
    return told(attributes, gpu.ENGINE), told(attributes, gpu.ENGINE_ENDPOINT)


def told(attributes: Mapping[str, Any], *names: str) -> str:
    """The first that is there, as text."""
    for name in names:
        if attributes.get(name) not in (None, ""):
            return str(attributes[name])[:MAX_CHARS]
    return ""
