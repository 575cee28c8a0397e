"""The openai client under every instrumentation: the same canonical call comes out of all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.contract import CURRENT_CONVENTIONS, Door, Known, check_openai, check_texts

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
# The older package reports neither cached nor reasoning tokens, nor anything about a stream.
TERSE = Known(cached=(), reasoning=(), ttft=(), is_streamed=False)
OPENLLMETRY = Known(reasoning=("plain", "tools"))


def test_the_older_opentelemetry_package_in_its_default_conventions(live_door: Door) -> None:
    run = live_door.run("openai-v2", "otel_v2_app.py", OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")

    check_openai(run, known=TERSE)
    check_texts(run)


def test_the_older_opentelemetry_package_in_the_current_conventions(live_door: Door) -> None:
    run = live_door.run("openai-v2", "otel_v2_app.py", **CURRENT_CONVENTIONS)

    check_openai(run, known=TERSE)
    check_texts(run)


def test_the_newer_opentelemetry_package(live_door: Door) -> None:
    run = live_door.run("openai-v3", "otel_genai_app.py", **CURRENT_CONVENTIONS)

    check_openai(run)
    check_texts(run)


def test_openinference(live_door: Door) -> None:
    run = live_door.run("many", "openinference_app.py")

    check_openai(run)
    check_texts(run)


def test_openllmetry_with_messages_on_spans(live_door: Door) -> None:
    run = live_door.run("many", "openllmetry_app.py")

    check_openai(run, known=OPENLLMETRY)
    check_texts(run)


def test_openllmetry_with_messages_as_log_records(live_door: Door) -> None:
    run = live_door.run("many", "openllmetry_app.py", "events")

    # Of a stream, its record of the answer names neither trace nor span.
    check_openai(run, known=replace(OPENLLMETRY, tool_calls=("tools",)))
    check_texts(run, ("plain", "tools"))


def test_the_traceloop_sdk_with_its_user_and_session(live_door: Door) -> None:
    run = live_door.run("many", "traceloop_app.py")

    check_openai(run, known=OPENLLMETRY)
    check_texts(run)
    assert {(call.user_id, call.session_id) for call in run.charged} == {("user-1", "session-1")}
