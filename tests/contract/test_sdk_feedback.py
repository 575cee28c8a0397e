"""The real SDK sends ratings to the real server: compressed, through outages, twice, and ahead of their traces."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Min
from django.test import Client

from kit.client_envs import ROOT, run_app
from kit.contract import Door
from kit.product import free_port
from stanchion_server.commands.fake_llm.server import FakeLlm
from stanchion_server.feedback import selectors
from stanchion_server.feedback.models import Rating
from stanchion_server.feedback.selectors import Rated
from stanchion_server.routes import telemetry
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Project
from stanchion_server.traces import partitions
from stanchion_server.traces import selectors as traces
from stanchion_server.traces.models import LlmCall, Span

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PAGE = (ROOT / "docs" / "instrument.md").read_text()
SECTION = PAGE[PAGE.index("## Feedback\n") : PAGE.index("## Beside OpenTelemetry")]


@pytest.fixture(autouse=True)
def _empty_caches() -> None:
    access.forget_everything()
    partitions.forget()


def app(door: Door, body: str, spool: Path | str, url: str = "", **variables: str) -> None:
    """Runs `body` in a process of its own, with the SDK started."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "STANCHION_"))}
    code = "import stanchion_sdk as stanchion\nfrom opentelemetry import trace\nassert stanchion.init()\n" + body
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
        env={
            **environment, "PYTHONPATH": os.pathsep.join(sys.path), "STANCHION_ENDPOINT": url or door.url,
            "STANCHION_API_KEY": door.api_key, "STANCHION_SPOOL_DIR": str(spool), **variables,
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


CALL = "stanchion.record_call(provider='p', model='m', input='hi', output='ho')\n"
REQUEST = "with trace.get_tracer('app').start_as_current_span('request'):\n    "


@dataclass
class Relay:
    """Hands every request on to the server; the answers to the first `lost` ratings do not come back."""

    port: int
    target: str
    lost: int = 0
    relayed: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        handler = type("Bound", (_Handler,), {"relay": self})
        server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

    def hand_on(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        request = urllib.request.Request(self.target + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status: int = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        self.relayed.append(path)
        if path.endswith("/feedback") and self.lost:
            self.lost -= 1
            return 503
        return status


class _Handler(BaseHTTPRequestHandler):
    relay: Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        names = ("Content-Type", "Content-Encoding", "Authorization", "User-Agent")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        self.send_response(self.relay.hand_on(self.path, body, headers))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def rated_calls(door: Door, rated: Rated) -> list[str]:
    also = selectors.call_conditions(door.project_id, rated)
    return [item.model for item in traces.calls(door.project_id, traces.CallFilter(), also=also).items]


def test_a_rating_of_the_sdk_arrives_whole_and_finds_its_call(live_door: Door, tmp_path: Path) -> None:
    more = "stanchion.feedback(score=0.5, label='thumbs_down', comment='né\\u2028\\0', correction='Paris', name='n')\n"
    app(live_door, REQUEST + CALL + "    " + more, tmp_path)
    row = Rating.objects.get()
    assert (row.project_id, row.source, len(row.rating_id)) == (live_door.project_id, "sdk", 32)
    assert (row.name, row.score, row.label, row.tone) == ("n", 0.5, "thumbs_down", -1)
    assert (row.comment, row.correction) == ("né\u2028\ufffd", "Paris")
    assert row.trace_id == LlmCall.objects.get().trace_id
    assert rated_calls(live_door, Rated.NEGATIVE) == ["m"]


def test_a_rating_that_is_here_before_its_trace_is_kept_and_found(live_door: Door, tmp_path: Path) -> None:
    body = REQUEST + "stanchion.feedback(score=1)\n    assert stanchion.flush()\n    " + CALL
    app(live_door, body, tmp_path)
    row = Rating.objects.get()
    first = Span.objects.filter(trace_id=row.trace_id).aggregate(first=Min("received_at"))["first"]
    assert row.received_at < first
    assert rated_calls(live_door, Rated.POSITIVE) == ["m"]


def test_ratings_outlast_an_outage_on_disk(live_door: Door, tmp_path: Path) -> None:
    relay = Relay(free_port(), live_door.url)
    url = f"http://127.0.0.1:{relay.port}"
    app(live_door, REQUEST + CALL + "    stanchion.feedback(score=0)\n", tmp_path, url, STANCHION_EXIT_TIMEOUT_S="1")
    assert Rating.objects.count() == 0
    with relay.running():
        app(live_door, CALL, tmp_path, url)
    assert Rating.objects.get().tone == -1
    assert rated_calls(live_door, Rated.NEGATIVE) == ["m"]


def test_a_rating_that_is_sent_twice_is_kept_once(live_door: Door, tmp_path: Path) -> None:
    relay = Relay(free_port(), live_door.url, lost=1)
    url = f"http://127.0.0.1:{relay.port}"
    with relay.running():
        app(live_door, "stanchion.feedback(session_id='s', score=1)\n", tmp_path, url, STANCHION_EXIT_TIMEOUT_S="1")
        first = Rating.objects.get()
        app(live_door, CALL, tmp_path, url)
    assert relay.relayed.count("/api/v1/feedback") >= 2
    assert Rating.objects.get().received_at == first.received_at


def test_a_rating_that_cannot_be_read_is_dropped_counted_and_holds_up_nothing(live_door: Door, tmp_path: Path) -> None:
    app(
        live_door,
        "stanchion.feedback(session_id='s', score=5)\nstanchion.feedback(session_id='s', score=1)\n",
        tmp_path,
    )
    assert Rating.objects.get().score == 1
    telemetry.write_refusals(is_forced=True)
    key = services.create_key(Project.objects.get(pk=live_door.project_id), "reader", ["read:metrics"])
    health: Any = Client(headers={"x-api-key": key}).get("/api/v1/ingest/health").json()
    assert [source["key_name"] for source in health["sources"] if source["signal"] == "feedback"] == ["app"]


def test_masked_ratings_keep_their_session_and_lose_their_secrets(live_door: Door, tmp_path: Path) -> None:
    body = (
        "with stanchion.session('ann@example.org'):\n    " + CALL
        + "stanchion.feedback(session_id='ann@example.org', score=0, comment='mail ann@example.org')\n"
    )  # fmt: skip
    app(live_door, body, tmp_path, STANCHION_CONTENT="masked")
    row = Rating.objects.get()
    assert "ann@" not in row.session_id + row.comment
    assert row.session_id == LlmCall.objects.get().session_id != ""


@pytest.mark.clients
def test_the_example_of_the_page_rates_the_call_that_it_makes(live_door: Door, tmp_path: Path) -> None:
    [(environment, code)] = re.findall(r"<!-- run: (\S+) -->\n```python\n(.*?)```", SECTION, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)
    with FakeLlm(latency_ms=1, chunk_ms=1) as fake:
        variables = {
            "PYTHONPATH": str(ROOT / "collectors" / "src"), "STANCHION_ENDPOINT": live_door.url,
            "STANCHION_API_KEY": live_door.api_key, "STANCHION_SPOOL_DIR": "off", "OPENAI_BASE_URL": fake.url + "/v1",
            "OPENAI_API_KEY": "x",
        }  # fmt: skip
        run_app(environment, str(script), variables=variables)
    row = Rating.objects.get()
    assert (row.name, row.score, row.comment, row.correction) == ("helpful", 0, "Too short.", "Paris, on the Seine.")
    assert rated_calls(live_door, Rated.NEGATIVE) == ["gpt-4o-mini"]


def test_the_command_of_the_page_works_as_it_stands(live_door: Door) -> None:
    [command] = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    environment = {
        "PATH": os.environ["PATH"], "STANCHION_API_KEY": live_door.api_key, "STANCHION_ENDPOINT": live_door.url,
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "curl: not found" in done.stderr:
        pytest.skip("no curl here")
    assert done.stdout == '{"id":"vote-4711","status":"stored"}', done.stderr
    assert Rating.objects.get().rating_id == "vote-4711"
