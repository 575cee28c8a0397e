"""Masked mode and mode off, with the real third-party instrumentations around: what the sink receives, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.client_envs import ROOT, run_app
from kit.sdk_sink import Sink
from stanchion_server.commands.fake_llm.server import FakeLlm

pytestmark = [pytest.mark.clients, pytest.mark.slow]
APP = Path(__file__).parent / "sdk_masking" / "third_party_app.py"
PLANTED = (
    "zebra mail ann@example.org card 4111 1111 1111 1111 account DE89370400440532013000 phone +49 (30) 1234567 "
    "key sk-proj-abcdefghijklmnopqrst password=hunter2hunter2 Authorization: Bearer hunter2.hunter2.hunter2"
)
SECRETS = (
    "ann@example", "ann%40example", "4111 1111", "DE8937040044", "1234567", "abcdefghijklmnopqrst", "hunter2",
)  # fmt: skip


@pytest.fixture(scope="module", params=["masked", "off", "full"])
def sent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sink, bytes]]:
    with Sink() as sink, FakeLlm(latency_ms=1, chunk_ms=1) as fake:
        variables = {
            "PYTHONPATH": str(ROOT / "collectors" / "src"), "STANCHION_ENDPOINT": sink.url,
            "STANCHION_API_KEY": "stn_k", "STANCHION_SPOOL_DIR": str(tmp_path_factory.mktemp("spool")),
            "STANCHION_CONTENT": request.param, "STANCHION_RELEASE": "r1 ann@example.org",
            "OPENAI_BASE_URL": fake.url + "/v1", "OPENAI_API_KEY": "sk-proj-abcdefghijklmnopqrst", "PLANTED": PLANTED,
            "OTEL_RESOURCE_ATTRIBUTES": "owner.mail=ann%40example.org,owner.password=hunter2hunter2",
        }  # fmt: skip
        run_app("many", str(APP), variables=variables)
        yield request.param, sink, b"".join(sink.bodies) + json.dumps(sink.feedback).encode()


def test_the_application_made_spans_of_every_library(sent: tuple[str, Sink, bytes]) -> None:
    _, sink, _ = sent
    scopes = {span.scope.partition(" ")[0] for span in sink.spans}
    assert scopes >= {
        "openinference.instrumentation.openai", "openinference.instrumentation.langchain", "stanchion_sdk",
        "opentelemetry.instrumentation.urllib3", "an.app",
    }  # fmt: skip
    assert len(sink.feedback) == 1


def test_nothing_planted_leaves_unless_contents_are_sent_in_full(sent: tuple[str, Sink, bytes]) -> None:
    mode, _, body = sent
    found = [secret for secret in SECRETS if secret.encode() in body]
    assert bool(found) is (mode == "full"), found


def test_without_contents_no_text_leaves_at_all(sent: tuple[str, Sink, bytes]) -> None:
    """`zebra` is in every text. What remains are names that the application chose: span names and labels."""
    mode, sink, _ = sent
    if mode != "off":
        pytest.skip("about mode off")
    for span in sink.spans:
        texts = {key: value for key, value in span.attributes.items() if "zebra" in str(value)}
        assert not {key for key in texts if not key.startswith("stanchion.") and key not in ("session.id", "user.id")}
        assert "zebra" not in str(span.events) and span.message == ""
    assert not {"comment", "correction"} & set(sink.feedback[0])
