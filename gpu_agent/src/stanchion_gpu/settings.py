"""What the operator sets: a TOML file, then STANCHION_GPU_* variables over it. Wrong settings end the start."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stanchion_gpu.vocabularies import VOCABULARIES
from stanchion_wire import gpu

LABEL_KEYS = {
    "feature": gpu.FEATURE,
    "model": gpu.MODEL,
    "deployment": gpu.DEPLOYMENT,
    "job": gpu.JOB_KIND,
    "run": gpu.RUN_ID,
}
JOB_KINDS = ("serve", "train")
# What Kubernetes puts beside our settings when there is a Service named "stanchion-gpu-…".
_SERVICE_LINK = re.compile(r"_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)$")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
DEFAULT_SPOOL = Path("/var/lib/stanchion-gpu-agent")


class WrongSetting(Exception):
    """Names the setting, the value and what to write instead."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`path` is where its metrics are, unless it is the usual place of its kind."""

    kind: str
    endpoint: str  # host:port
    labels: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    tensor_parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`endpoint` is the base of an OTLP/HTTP door, without `/v1/metrics`; None sends nothing (Prometheus only).
    Intervals in seconds. `prometheus` is host:port to be scraped at, or empty."""

    endpoint: str | None = None
    api_key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    sample_s: float = 1.0
    export_s: float = 10.0
    timeout_s: float = 10.0
    spool: Path = DEFAULT_SPOOL
    spool_bytes: int = 64 * 1024 * 1024
    prometheus: str = ""
    host_name: str = ""
    wait_for_gpu: bool = True
    source: str = "auto"
    discover_engines: bool = True
    engines: tuple[Engine, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str | None:
        return None if self.endpoint is None else self.endpoint.rstrip("/") + "/v1/metrics"


def read(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The file's settings, then the environment's. WrongSetting for an unknown name as well as a wrong value."""
    told = _file(path) if path is not None else {}
    told |= _variables(environment)
    known = {one.name for one in fields(Settings)}
    for name in told:
        if name not in known:
            raise WrongSetting(f"unknown setting {name!r}; known are: {', '.join(sorted(known))}")
    values = {name: _READERS.get(name, _text)(name, value) for name, value in told.items()}
    return _checked(Settings(**values))


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise WrongSetting(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{path} is not TOML: {error}") from error


def _variables(environment: Mapping[str, str]) -> dict[str, Any]:
    """STANCHION_GPU_EXPORT_S is `export_s`; the address and key may also be those of the SDK."""
    told: dict[str, Any] = {}
    for name, ours in (("STANCHION_ENDPOINT", "endpoint"), ("STANCHION_API_KEY", "api_key")):
        if environment.get(name):
            told[ours] = environment[name]
    prefix = "STANCHION_GPU_"
    named = {name[len(prefix) :]: value for name, value in environment.items() if name.startswith(prefix)}
    told |= {name.lower(): value for name, value in named.items() if not _SERVICE_LINK.search(name)}
    for name, value in told.items():
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise WrongSetting(f"the variable for {name} is not UTF-8")
    return told


def _checked(settings: Settings) -> Settings:
    _check_addresses(settings)
    for name, least, most in (("sample_s", 0.1, 60), ("export_s", 1, 600), ("timeout_s", 0.5, 60)):
        value = getattr(settings, name)
        if not least <= value <= most:
            raise WrongSetting(f"{name} is {value}; write {least} to {most} seconds")
    if settings.export_s < settings.sample_s:
        raise WrongSetting(f"export_s is {settings.export_s}, less than sample_s, {settings.sample_s}")
    if settings.spool_bytes < 0:
        raise WrongSetting(f"spool_bytes is {settings.spool_bytes}; write 0 (keep nothing on disk) or more")
    if settings.source not in ("auto", "nvml", "nvidia-smi"):
        raise WrongSetting(f"source is {settings.source!r}; write auto, nvml or nvidia-smi")
    _check_headers(settings)
    return settings


def _check_addresses(settings: Settings) -> None:
    if settings.endpoint is not None:
        parts = urlsplit(settings.endpoint)
        if "@" in parts.netloc:  # not shown: it may hold a password
            raise WrongSetting("endpoint holds a user name; write http://host:port, and credentials as headers")
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(settings.endpoint):
            raise WrongSetting(f"endpoint is {settings.endpoint!r}; write http://host:port or https://host")
    if settings.prometheus:
        host, _, port = settings.prometheus.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise WrongSetting(f"prometheus is {settings.prometheus!r}; write host:port, as 127.0.0.1:9400")


def _check_headers(settings: Settings) -> None:
    for header in settings.headers:
        if not _HEADER.fullmatch(header):
            raise WrongSetting(f"headers: {header[:40]!r} is no name of a header; write letters, digits and dashes")
    for header, content in (("api_key", settings.api_key), *settings.headers.items()):
        if not (content.isascii() and content.isprintable()):
            raise WrongSetting(f"{header} holds a line break or a letter that no header can carry")


def _has_port(endpoint: str) -> bool:
    """Whether its port, if any, is one."""
    try:
        return urlsplit(endpoint).port != 0
    except ValueError:
        return False


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise WrongSetting(f"{name} is {value!r}; write a text")
    return value


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise WrongSetting(f"{name} is {value!r}; write a number of seconds") from error


def _bytes(name: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongSetting(f"{name} is {value!r}; write a number of bytes") from error


def _truth(name: str, value: Any) -> bool:
    told = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(str(value).lower())
    if told is None:
        raise WrongSetting(f"{name} is {value!r}; write true or false")
    return told


def _headers(name: str, value: Any) -> Mapping[str, str]:
    """A table, or `a=1,b=2` as OTEL_EXPORTER_OTLP_HEADERS has them."""
    if isinstance(value, str):
        value = _pairs(value)
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise WrongSetting(f"{name}: write a table of texts, or name=value,name=value")
    return value


def _pairs(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    return {key.strip(): content.strip() for key, _, content in pairs}


def _labels(name: str, value: Any) -> Mapping[str, str]:
    """Keys of LABEL_KEYS to our attribute names; `feature=chat,job=serve` in a variable."""
    if isinstance(value, str):
        value = _pairs(value)
    if not isinstance(value, dict):
        raise WrongSetting(f"{name} is {value!r}; write a table with {', '.join(LABEL_KEYS)}")
    for key, content in value.items():
        if key not in LABEL_KEYS or not isinstance(content, str):
            raise WrongSetting(f"{name}.{key}: write a text, and one of {', '.join(LABEL_KEYS)}")
    if value.get("job") not in (None, *JOB_KINDS):
        raise WrongSetting(f"{name}.job is {value['job']!r}; write serve or train")
    return {LABEL_KEYS[key]: content for key, content in value.items()}


def _cards(name: str, value: Any) -> Mapping[str, Mapping[str, str]]:
    """Labels by UUID or by name on the host (`gpu0`)."""
    if not isinstance(value, dict):
        raise WrongSetting(f'{name}: write [cards.gpu0] or [cards."GPU-…"] tables')
    return {card: _labels(f"{name}.{card}", labels) for card, labels in value.items()}


def _engines(name: str, value: Any) -> tuple[Engine, ...]:
    if isinstance(value, str):  # STANCHION_GPU_ENGINES=vllm@127.0.0.1:8000,tgi@127.0.0.1:8080
        value = [dict(zip(("kind", "endpoint"), part.partition("@")[::2], strict=True)) for part in value.split(",")]
    if not isinstance(value, list):
        raise WrongSetting(f"{name}: write [[engines]] tables with kind and endpoint")
    return tuple(_engine(entry) for entry in value)


def _engine(entry: Any) -> Engine:
    if not isinstance(entry, dict) or not {"kind", "endpoint"} <= entry.keys() <= {
        "kind",
        "endpoint",
        "labels",
        "path",
    }:
        raise WrongSetting(f"engines: {entry!r}; write kind and endpoint, and if need be path and labels")
    kind, endpoint, path = str(entry["kind"]).strip(), str(entry["endpoint"]).strip(), entry.get("path", "")
    if kind not in VOCABULARIES:
        raise WrongSetting(f"engines: kind is {kind!r}; write one of {', '.join(VOCABULARIES)}")
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535 or "/" in endpoint:
        raise WrongSetting(f"engines: endpoint is {endpoint!r}; write host:port")
    if path and not (isinstance(path, str) and path.startswith("/") and path.isascii() and path.isprintable()):
        raise WrongSetting(f"engines: path is {path!r}; write /metrics or the like")
    return Engine(kind, endpoint, _labels("engines.labels", entry.get("labels", {})), path)


_READERS: dict[str, Any] = {
    "sample_s": _number,
    "export_s": _number,
    "timeout_s": _number,
    "spool_bytes": _bytes,
    "spool": lambda name, value: Path(_text(name, value)),
    "wait_for_gpu": _truth,
    "discover_engines": _truth,
    "headers": _headers,
    "labels": _labels,
    "cards": _cards,
    "engines": _engines,
}
