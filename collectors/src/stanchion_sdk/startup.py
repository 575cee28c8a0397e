"""`init` and its counterparts: one state per process, composed with what the application already has."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from . import attributes as names
from . import exits, hooks, masking, safety, scope
from .delivery import Delivery
from .packing import Packer
from .processor import StanchionProcessor
from .recording import Recorder
from .settings import Settings, from_environment

VERSION = "0.1.0"
MAX_FEEDBACK_CHARS = 64 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - Python 3.10 has no datetime.UTC


@dataclass(frozen=True)
class Running:
    settings: Settings
    delivery: Delivery
    recorder: Recorder
    own_provider: bool
    provider: TracerProvider


_running: Running | None = None
_starting = threading.Lock()


def init(
    endpoint: str | None = None,
    api_key: str | None = None,
    service_name: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    content: str | None = None,
    **more: object,
) -> bool:
    """Starts sending. Every argument may come from the environment instead: STANCHION_ENDPOINT, STANCHION_API_KEY,
    STANCHION_SERVICE_NAME, STANCHION_ENVIRONMENT, STANCHION_RELEASE, STANCHION_CONTENT, and the OTEL_* counterparts.

    `content` is "full", "masked" or "off". Further keywords: user_salt, spool_dir, spool_max_mib, interval_s,
    request_timeout_s, exit_timeout_s, durable. False when nothing was started: no address, OTEL_SDK_DISABLED, or
    a mistake, which is logged. A second call changes nothing and answers True. Never raises.
    """
    named = {
        "endpoint": endpoint, "api_key": api_key, "service_name": service_name,
        "environment": environment, "release": release, "content": content,
    }  # fmt: skip
    try:
        with _starting:
            return _start({**{key: value for key, value in named.items() if value is not None}, **more})
    except Exception as error:
        safety.note("init", error)
        return False


def _start(given: Mapping[str, object]) -> bool:
    global _running
    if _running is not None:
        return True
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    settings = from_environment(given, os.environ)
    if settings is None:
        safety.say_rarely("endpoint", "stanchion: no endpoint given (STANCHION_ENDPOINT); nothing is recorded")
        return False
    _running = _assemble(settings)
    exits.install(shutdown, _after_fork)
    hooks.install(_running.recorder)
    return True


def _assemble(settings: Settings) -> Running:
    provider, own = _provider(settings)
    extra = _resource_extra(settings)
    delivery = Delivery(settings, Packer(settings, extra), provider.resource)
    provider.add_span_processor(StanchionProcessor(delivery))
    tracer = provider.get_tracer("stanchion_sdk", VERSION)
    return Running(settings, delivery, Recorder(tracer, settings.content != "off"), own, provider)


def _provider(settings: Settings) -> tuple[TracerProvider, bool]:
    """The application's provider where it has one that takes processors, else a new one, made the global one."""
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present, False
    attributes = {"service.name": settings.service_name} if settings.service_name else {}
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider, True


def _resource_extra(settings: Settings) -> dict[str, Any]:
    """Added to every resource that we send, also to that of an application's own provider."""
    extra = {
        "deployment.environment.name": settings.environment,
        "service.version": settings.release,
        names.RELEASE: settings.release,
        "service.name": settings.service_name,
        "telemetry.distro.name": "stanchion_sdk",
        "telemetry.distro.version": VERSION,
    }
    return {key: value for key, value in extra.items() if value}


def running() -> Running | None:
    return _running


def flush(timeout_s: float = 5.0) -> bool:
    """Waits until everything recorded so far is stored by the server or lies in the spool."""
    try:
        return _running.delivery.flush(timeout_s) if _running is not None else True
    except Exception as error:
        safety.note("flush", error)
        return False


def shutdown() -> None:
    """What happens at exit by itself: a flush of at most `exit_timeout_s`, the rest to the spool."""
    try:
        if _running is not None:
            _running.delivery.close(_running.settings.exit_timeout_s)
    except Exception as error:
        safety.note("shutdown", error)


def _after_fork() -> None:
    global _starting
    _starting = threading.Lock()
    if _running is not None:
        _running.delivery.after_fork()


def dropped() -> dict[str, int]:
    """Spans that were dropped in this process, by reason."""
    return dict(_running.delivery.dropped) if _running is not None else {}


def user(user_id: object) -> scope.Scope:
    """Labels with a hash of the user; the id itself is never sent. Its key is `user_salt`, else the API key."""
    try:
        settings = (
            _running.settings if _running is not None else Settings("", "", os.environ.get("STANCHION_API_KEY", ""))
        )
        return scope.Scope({names.USER: settings.user_hash(scope.text(user_id))})
    except Exception as error:
        safety.note("user", error)
        return scope.Scope({})


def feedback(
    *,
    score: float | None = None,
    label: str | None = None,
    comment: str | None = None,
    correction: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
    session_id: str | None = None,
    name: str = "user_feedback",
    id: str | None = None,  # noqa: A002 - the API's own word
    at: datetime | None = None,
) -> str | None:
    """Sends a rating in the background; without a target it belongs to the current trace.

    Returns the id under which the server keeps it once, however often it is sent: `id`, or a new one. To send the very
    same rating again, give the same `id` and `at` (without a time zone: local time); a later `at` replaces it. None
    when nothing was queued, as with a rating of which mode "off" leaves nothing.
    """
    try:
        if _running is None:
            return None
        feedback_id = id or uuid.uuid4().hex
        target = trace_id or (None if session_id else scope.current_trace_id())
        values = {
            "id": feedback_id,
            "name": name,
            "score": score,
            "label": label,
            "comment": comment,
            "correction": correction,
            "trace_id": target,
            "span_id": span_id,
            "session_id": session_id,
            "time_ns": time.time_ns() if at is None else _nanoseconds(at),
        }
        cleaned = {key: _clean(key, value) for key, value in values.items()}
        body = {key: value for key, value in cleaned.items() if value is not None}
        if not body.keys() & {"score", "label", "comment", "correction"}:
            return None
        _running.delivery.put_body("feedback", json.dumps(body).encode())
        return feedback_id
    except Exception as error:
        safety.note("feedback", error)
        return None


def _nanoseconds(at: datetime) -> int:
    """Since 1970, to the microsecond and without the rounding of a float."""
    return (at.astimezone(EPOCH.tzinfo) - EPOCH) // timedelta(microseconds=1) * 1000


def _clean(key: str, value: object) -> object:
    """Texts bounded as the server bounds them, masked in both modes that do not send contents in full, and what a
    person wrote left out in mode "off"."""
    mode = _running.settings.content if _running is not None else "off"
    if not isinstance(value, str):
        return value
    if mode == "off" and key in ("comment", "correction"):
        return None
    short = value[:MAX_FEEDBACK_CHARS]
    return short if mode == "full" or key in ("id", "trace_id", "span_id") else masking.mask(short)
