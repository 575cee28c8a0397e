"""What `init` was told: arguments first, then STANCHION_*, then OTEL_* variables."""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

MIB = 1024 * 1024
CONTENT_MODES = ("full", "masked", "off")


@dataclass(frozen=True)
class Settings:
    """`endpoint` is the server's base address; the OTLP paths are added to it."""

    endpoint: str
    traces_url: str
    api_key: str = ""
    service_name: str = ""
    environment: str = ""
    release: str = ""
    content: str = "full"
    user_salt: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    spool_dir: Path | None = None
    spool_max_bytes: int = 64 * MIB
    queue_max_spans: int = 20_000
    queue_max_bytes: int = 64 * MIB
    interval_s: float = 0.5
    request_timeout_s: float = 10.0
    exit_timeout_s: float = 5.0
    durable: bool = False

    @property
    def metrics_url(self) -> str:
        return self.endpoint + "/v1/metrics"

    @property
    def feedback_url(self) -> str:
        return self.endpoint + "/api/v1/feedback"

    def user_hash(self, user: str) -> str:
        """16 hex digits of HMAC-SHA256: the same person gets the same hash within one project, and no way back."""
        salt = self.user_salt or self.api_key
        key = hashlib.sha256(b"stanchion user hash\0" + salt.encode()).digest()
        return hmac.new(key, user.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def from_environment(given: Mapping[str, object], environ: Mapping[str, str]) -> Settings | None:
    """Settings, or None when no server is named anywhere. Unknown values of `content` fall back to "masked"."""
    endpoint, traces_url = _addresses(given, environ)
    if not traces_url:
        return None
    content = _text(given, environ, "content", "STANCHION_CONTENT") or "full"
    return Settings(
        endpoint=endpoint,
        traces_url=traces_url,
        api_key=_text(given, environ, "api_key", "STANCHION_API_KEY"),
        service_name=_text(given, environ, "service_name", "STANCHION_SERVICE_NAME", "OTEL_SERVICE_NAME"),
        environment=_text(given, environ, "environment", "STANCHION_ENVIRONMENT"),
        release=_text(given, environ, "release", "STANCHION_RELEASE"),
        content=content if content in CONTENT_MODES else "masked",
        user_salt=_text(given, environ, "user_salt", "STANCHION_USER_SALT"),
        # Those of OTEL_* may hold the key of another backend; they go to the address that came with them.
        headers={} if _text(given, environ, "endpoint", "STANCHION_ENDPOINT") else _headers(environ),
        spool_dir=_spool_dir(given, environ),
        spool_max_bytes=int(_number(given, environ, "spool_max_mib", "STANCHION_SPOOL_MAX_MIB", 64.0) * MIB),
        interval_s=_number(given, environ, "interval_s", "STANCHION_INTERVAL_S", 0.5),
        request_timeout_s=_number(given, environ, "request_timeout_s", "STANCHION_REQUEST_TIMEOUT_S", 10.0),
        exit_timeout_s=_number(given, environ, "exit_timeout_s", "STANCHION_EXIT_TIMEOUT_S", 5.0),
        durable=_text(given, environ, "durable", "STANCHION_DURABLE").lower() in ("1", "true", "yes"),
    )


def _addresses(given: Mapping[str, object], environ: Mapping[str, str]) -> tuple[str, str]:
    own = _text(given, environ, "endpoint", "STANCHION_ENDPOINT").rstrip("/")
    if own:
        own = own.removesuffix("/v1/traces")
        return own, own + "/v1/traces"
    exact = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/") or exact.removesuffix("/v1/traces").rstrip("/")
    return base, exact or (base + "/v1/traces" if base else "")


def _text(given: Mapping[str, object], environ: Mapping[str, str], name: str, *variables: str) -> str:
    value = given.get(name)
    if value is not None:
        return str(value)
    return next((environ[variable] for variable in variables if environ.get(variable)), "")


def _number(given: Mapping[str, object], environ: Mapping[str, str], name: str, variable: str, default: float) -> float:
    try:
        value = float(_text(given, environ, name, variable) or default)
    except ValueError:
        return default
    return value if value >= 0 else default


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _spool_dir(given: Mapping[str, object], environ: Mapping[str, str]) -> Path | None:
    """None switches the spool off (`spool_dir=""` or STANCHION_SPOOL_DIR=off)."""
    chosen = given.get("spool_dir", environ.get("STANCHION_SPOOL_DIR"))
    if chosen is None:
        cache = environ.get("XDG_CACHE_HOME")
        uid = os.getuid() if hasattr(os, "getuid") else 0
        return Path(cache) / "stanchion" if cache else Path(tempfile.gettempdir()) / f"stanchion-{uid}"
    return Path(str(chosen)) if chosen and str(chosen) != "off" else None
