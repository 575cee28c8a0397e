"""The shop's services as the SDK sees them: one process plays them all, so each gets a tracer provider of its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import stanchion_sdk as stanchion
from stanchion_demo.player import Rated, Tracers
from stanchion_demo.recorder import PacedRecorder, PacedTracing, SeededIds
from stanchion_demo.steps import Conversation
from stanchion_sdk import hooks, startup
from stanchion_sdk.processor import StanchionProcessor
from stanchion_wire import decisions, names

FLUSH_S = 60.0


class CannotStart(Exception):
    """The message says why and what to do."""


class Applications:
    """Starts the SDK once with its own hooks, packer, delivery and spool; `tracers` makes a service on first sight."""

    def __init__(self, url: str, api_key: str, spool: Path) -> None:
        trace.set_tracer_provider(PacedTracing(shutdown_on_exit=False))
        if not stanchion.init(endpoint=url, api_key=api_key, content="full", spool_dir=str(spool)):
            raise CannotStart("the SDK did not start: OTEL_SDK_DISABLED is set, or the reason is above.")
        running = startup.running()
        assert running is not None
        self._running = running
        self.ids = SeededIds()
        self._services: dict[tuple[str, str, str], Tracers] = {}
        hooks.install(PacedRecorder(running.recorder.tracer, content=True))

    def tracers(self, conversation: Conversation) -> Tracers:
        key = (conversation.app.service, conversation.release, conversation.environment)
        if key not in self._services:
            self._services[key] = self._service(*key)
        return self._services[key]

    def _service(self, service: str, release: str, environment: str) -> Tracers:
        resource = Resource.create(
            {
                "service.name": service,
                "service.version": release,
                names.RELEASE: release,
                "deployment.environment.name": environment,
            }
        )
        provider = TracerProvider(resource=resource, id_generator=self.ids, shutdown_on_exit=False)
        provider.add_span_processor(StanchionProcessor(self._running.delivery))
        return Tracers(
            provider.get_tracer(f"birchwood.{service}"),
            provider.get_tracer("stanchion_sdk", startup.VERSION),
            provider.get_tracer(decisions.SCOPE),
        )

    def flush(self) -> bool:
        """Waits until everything so far is stored, or lies in the spool; False after a minute."""
        return stanchion.flush(FLUSH_S)

    def rate_now(self, rated: Rated) -> None:
        rating = rated.rating
        stanchion.feedback(
            score=rating.score,
            label=rating.label,
            comment=rating.comment or None,
            correction=rating.correction or None,
            trace_id=rated.trace_id,
        )

    def rate_then(self, rated: Rated) -> None:
        """What `feedback` sends, with a time of its own and an id that a second telling repeats."""
        rating = rated.rating
        body = {
            "id": hashlib.sha256(f"{rated.trace_id}/{rated.place}".encode()).hexdigest()[:32],
            "name": "user_feedback",
            "score": rating.score,
            "label": rating.label,
            "trace_id": rated.trace_id,
            "time_ns": rated.time_ns,
            **({"comment": rating.comment} if rating.comment else {}),
            **({"correction": rating.correction} if rating.correction else {}),
        }
        self._running.delivery.put_body("feedback", json.dumps(body).encode())
