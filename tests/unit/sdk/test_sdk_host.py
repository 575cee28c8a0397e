"""What an application must never notice: start-up in every situation, beside its own tracing, our failures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import stanchion_sdk as stanchion
from kit.sdk_sink import Sink
from stanchion_sdk import recording, safety, settings, startup
from stanchion_sdk.testing import CountingIds, SteppingClock
from stanchion_sdk.testing import recording as recorded_calls


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def app(body: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "STANCHION_"))}
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", "import stanchion_sdk as stanchion\n" + body],
        capture_output=True, text=True, timeout=60, check=False,
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
    )  # fmt: skip


ONE = "stanchion.record_call(provider='p', model='m', input='hi')\n"


def test_init_reads_everything_from_the_environment(sink: Sink, tmp_path: Path) -> None:
    done = app(
        "assert stanchion.init()\n" + ONE,
        STANCHION_ENDPOINT=sink.url + "/", STANCHION_API_KEY="stn_k", STANCHION_RELEASE="r7",
        STANCHION_ENVIRONMENT="prod", STANCHION_SERVICE_NAME="shop", STANCHION_SPOOL_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    resource = sink.spans[0].resource
    assert resource["service.name"] == "shop" and resource["stanchion.release"] == "r7"
    assert resource["deployment.environment.name"] == "prod"
    assert sink.headers[0]["authorization"] == "Bearer stn_k"


def test_the_otel_variables_are_enough(sink: Sink, tmp_path: Path) -> None:
    done = app(
        "assert stanchion.init()\n" + ONE, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, OTEL_SERVICE_NAME="shop",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20stn_h", OTEL_RESOURCE_ATTRIBUTES="team=a",
        STANCHION_SPOOL_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sink.headers[0]["authorization"] == "Bearer stn_h"
    assert (sink.spans[0].resource["service.name"], sink.spans[0].resource["team"]) == ("shop", "a")


def test_without_an_address_or_with_tracing_disabled_nothing_starts_and_nothing_breaks() -> None:
    body = "assert not stanchion.init()\nassert stanchion.record_call(provider='p', model='m') is None\n"
    body += "with stanchion.feature('f'), stanchion.user('u'): pass\nassert not stanchion.feedback(score=1)\n"
    body += "assert stanchion.flush()\n"
    for variables in ({}, {"OTEL_SDK_DISABLED": "true", "STANCHION_ENDPOINT": "http://127.0.0.1:9"}):
        done = app(body, **variables)
        assert done.returncode == 0, done.stderr


def test_a_provider_that_is_there_is_kept_and_gets_one_processor_more(sink: Sink, tmp_path: Path) -> None:
    body = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
for _ in range(3):
    assert stanchion.init({sink.url!r}, service_name="shop", spool_dir={str(tmp_path)!r})
assert trace.get_tracer_provider() is provider
with stanchion.feature("f"), trace.get_tracer("app").start_as_current_span("request"):
    {ONE.strip()}
assert [span.name for span in theirs.get_finished_spans()] == ["chat m", "request"]
"""
    done = app(body)
    assert done.returncode == 0, done.stderr
    assert sorted(span.name for span in sink.spans) == ["chat m", "request"]
    assert {span.attributes["stanchion.feature"] for span in sink.spans} == {"f"}
    assert sink.spans[0].resource["service.name"] == "shop"
    child, parent = sorted(sink.spans, key=lambda span: span.name)
    assert child.parent_id == parent.span_id


PLANTED = ["ann@example.org", "4111 1111 1111 1111", "sk-proj-abcdefghijklmnopqrst", "hunter2hunter2"]


def test_masked_mode_lets_nothing_planted_out_of_any_span(sink: Sink, tmp_path: Path) -> None:
    body = f"""
from opentelemetry import trace
assert stanchion.init({sink.url!r}, content="masked", spool_dir={str(tmp_path)!r})
planted = {PLANTED!r}
text = "mail ann@example.org card 4111 1111 1111 1111 key sk-proj-abcdefghijklmnopqrst password=hunter2hunter2"
tracer = trace.get_tracer("someone.else")
try:
    with stanchion.session("ann@example.org"), tracer.start_as_current_span("GET /?mail=ann@example.org") as span:
        span.set_attribute("http.request.header.authorization", "hunter2hunter2")
        span.set_attribute("list", [text, "x"])
        span.add_event("said " + text, {{"body": text, "ann@example.org": 1}})
        stanchion.record_call(provider="p", model="m", input=text, output=[{{"role": "assistant", "parts": [
            {{"type": "tool_call", "arguments": {{"to": text, "card": 4111111111111111}}}}]}}], error=ValueError(text))
        stanchion.feedback(comment=text, score=1)
        raise RuntimeError(text)
except RuntimeError:
    pass
"""
    done = app(body)
    assert done.returncode == 0, done.stderr
    assert len(sink.spans) == 2 and len(sink.feedback) == 1
    sent = b"".join(sink.bodies) + repr(sink.feedback).encode()
    assert [value for value in [*PLANTED, "4111111111111111"] if value.encode() in sent] == []
    assert b"[EMAIL]" in sent and b"[CARD]" in sent


def test_feedback_arrives_with_the_trace_it_belongs_to(sink: Sink, tmp_path: Path) -> None:
    body = f"""
from opentelemetry import trace
stanchion.init({sink.url!r}, spool_dir={str(tmp_path)!r})
with trace.get_tracer("app").start_as_current_span("request"):
    assert len(stanchion.feedback(score=0.5, label="thumbs_up")) == 32
"""
    done = app(body)
    assert done.returncode == 0, done.stderr
    assert sink.feedback[0]["trace_id"] == sink.spans[0].trace_id
    assert (sink.feedback[0]["score"], sink.feedback[0]["label"]) == (0.5, "thumbs_up")


def test_feedback_takes_the_callers_id_and_time(sink: Sink, tmp_path: Path) -> None:
    body = f"""
from datetime import datetime, timezone
stanchion.init({sink.url!r}, spool_dir={str(tmp_path)!r})
assert stanchion.feedback(score=1, id="vote-7", at=datetime(2026, 11, 24, 10, 0, 0, 123457, timezone.utc)) == "vote-7"
"""
    done = app(body)
    assert done.returncode == 0, done.stderr
    assert (sink.feedback[0]["id"], sink.feedback[0]["time_ns"]) == ("vote-7", 1795514400123457000)


def test_a_rating_of_which_mode_off_leaves_nothing_is_not_sent(sink: Sink, tmp_path: Path) -> None:
    body = f"""
stanchion.init({sink.url!r}, spool_dir={str(tmp_path)!r}, content="off")
assert stanchion.feedback(comment="Too short.") is None
assert stanchion.feedback(comment="Too short.", score=0)
"""
    done = app(body)
    assert done.returncode == 0, done.stderr
    assert [rating.get("score") for rating in sink.feedback] == [0]


def test_init_itself_imports_no_provider_library_and_no_http_library(sink: Sink) -> None:
    body = f"import sys\nstanchion.init({sink.url!r}, spool_dir='off')\n" + ONE
    body += "print([m for m in ('openai', 'anthropic', 'requests', 'urllib3', 'google.protobuf') if m in sys.modules])"
    assert app(body).stdout.strip() == "[]"


class Hostile:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __len__ = __iter__ = __str__  # type: ignore[assignment]


class Endless:
    def __iter__(self) -> Iterator[int]:
        while True:
            yield 1


def cyclic() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


THINGS = {
    "raises on everything": Hostile(),
    "endless": Endless(),
    "cyclic": cyclic(),
    "odd keys": {1: {2: object()}},
    "bytes": b"\xff",
    "surrogate": "\ud800",
    "nan": float("nan"),
    "nothing": None,
}


@pytest.mark.parametrize("name", THINGS)
def test_hostile_prompts_are_recorded_somehow_and_quickly(name: str) -> None:
    thing = THINGS[name]
    with recorded_calls() as memory:
        began = time.monotonic()
        stanchion.record_call(provider="p", model="m", input=[{"role": "user", "content": thing}], output=thing)
        assert time.monotonic() - began < 0.5
    assert len(memory.calls) == 1


def test_our_own_failures_are_counted_said_once_and_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(recording.Recorder):
        def start(self, *_: object, **__: object) -> recording.Call:
            raise RuntimeError("ours")

    with recorded_calls() as memory:
        state = startup.running()
        assert state is not None
        broken = startup.Running(
            state.settings, state.delivery, Broken(state.recorder.tracer, True), True, state.provider
        )
        startup._running = broken
        safety._said_at.clear()
        before = safety.failures["record_call"]
        for _ in range(3):
            assert stanchion.record_call(provider="p", model="m") is None
        assert safety.failures["record_call"] == before + 3
    assert [record.message for record in caplog.records if "record_call" in record.message] == [
        "stanchion: record_call failed (RuntimeError); the application is not affected"
    ]
    assert memory.spans == []


def test_the_test_kit_counts_ids_and_steps_its_clock() -> None:
    clock, ids = SteppingClock(start_ns=100, step_ns=5), CountingIds()
    assert [clock(), clock(), clock()] == [100, 105, 110]
    assert [ids.generate_span_id(), ids.generate_span_id(), ids.generate_trace_id()] == [1, 2, 1]
    with recorded_calls() as memory:
        stanchion.record_call(
            provider="p", model="m", started_ns=1000, duration_s=1e-6, input_tokens=3, response_id="r"
        )
    assert (memory.calls[0].start_ns, memory.calls[0].end_ns, memory.calls[0].span_id) == (
        1000,
        2000,
        "0000000000000001",
    )


@pytest.mark.parametrize(
    "mistake", [{"STANCHION_INTERVAL_S": "soon"}, {"STANCHION_SPOOL_MAX_MIB": "-3"}, {"STANCHION_CONTENT": "ful"}]
)
def test_a_mistyped_variable_falls_back_to_the_safe_side(mistake: dict[str, str]) -> None:
    found = settings.from_environment({}, {"STANCHION_ENDPOINT": "http://x", **mistake})
    assert found is not None and found.interval_s == 0.5 and found.spool_max_bytes == 64 * settings.MIB
    assert found.content == ("masked" if "STANCHION_CONTENT" in mistake else "full")
