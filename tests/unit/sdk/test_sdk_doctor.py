from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from kit.sdk_sink import Sink
from stanchion_sdk import doctor
from stanchion_sdk.settings import Settings


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def steps(url: str, skew_s: float = 0.0) -> list[doctor.Step]:
    settings = Settings(url, url + "/v1/traces", "stn_k")
    return list(doctor.examine(settings, now=lambda: time.time() + skew_s))


def test_a_good_way_passes_every_step_and_leaves_one_test_span(sink: Sink) -> None:
    found = steps(sink.url)
    assert [step.name for step in found] == ["DNS", "connection", "key", "scopes", "test span", "spool"]
    assert all(step.passed for step in found)
    assert [span.name for span in sink.spans] == ["stanchion doctor"]
    assert sink.spans[0].trace_id in found[4].said and "not read back" in found[4].said
    assert sink.headers[0]["authorization"] == "Bearer stn_k"


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "unknown or revoked"), (403, "scope"), (404, "base address"), (302, "redirect"), (503, "overloaded")],
)
def test_a_refusal_ends_the_examination_with_what_to_do(sink: Sink, status: int, words: str) -> None:
    sink.status = status
    last = steps(sink.url)[-1]
    assert (last.name, last.passed) == ("key", False)
    assert words in last.said


def test_a_clock_that_is_off_is_told(sink: Sink) -> None:
    last = steps(sink.url, skew_s=3600)[-1]
    assert not last.passed and "s off the server" in last.said


@pytest.mark.parametrize("url", ["http://[::1", "stanchion.example.org", "ftp://host", "http://host:99999999"])
def test_what_is_no_address_is_told(url: str) -> None:
    assert [(step.name, step.passed) for step in steps(url)] == [("address", False)]


def test_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert [step.name for step in steps(f"http://127.0.0.1:{port}") if not step.passed] == ["connection"]
    assert [step.name for step in steps("http://nowhere.invalid") if not step.passed] == ["DNS"]


def test_the_command_says_each_step_and_answers_with_a_status(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STANCHION_ENDPOINT", raising=False)
    assert doctor.main(["doctor", "--endpoint", sink.url, "--api-key", "stn_k"]) == 0
    assert capsys.readouterr().out.count("ok  ") == 6
    sink.status = 401
    assert doctor.main(["doctor", "--endpoint", sink.url]) == 1
    assert "no key is set" in capsys.readouterr().out
    assert doctor.main(["doctor"]) == 2


ME, BACK = "/api/v1/me", "/api/v1/traces/{trace}"


def said(found: list[doctor.Step], name: str) -> doctor.Step:
    return next(step for step in found if step.name == name)


def test_a_key_that_reads_gets_its_scopes_listed_and_the_span_read_back(sink: Sink) -> None:
    sink.answers_to_get[ME] = (200, {"project": "shop", "who": "k", "scopes": ["read:metrics", "ingest"]})
    sink.answers_to_get[BACK] = (200, {"trace_id": "{trace}"})
    found = steps(sink.url)
    assert said(found, "scopes").said == "project shop, the key has: ingest, read:metrics"
    assert said(found, "test span").said.endswith("and read back")


def test_a_key_that_only_sends_relies_on_the_acknowledgement_and_says_so(sink: Sink) -> None:
    sink.answers_to_get[ME] = (200, {"project": "shop", "who": "k", "scopes": ["ingest"]})
    span = said(steps(sink.url), "test span")
    assert span.passed and "not read back, for which the key would need read:metrics" in span.said


def test_a_span_that_cannot_be_read_back_is_a_failure(sink: Sink) -> None:
    sink.answers_to_get[ME] = (200, {"project": "shop", "who": "k", "scopes": ["admin"]})
    sink.answers_to_get[BACK] = (404, {})
    assert not said(steps(sink.url), "test span").passed


def test_a_key_without_the_right_to_send_is_shown_with_what_it_has(sink: Sink) -> None:
    sink.answers_to_get[ME] = (200, {"project": "shop", "who": "k", "scopes": ["read:metrics"]})
    sink.status = 403
    last = steps(sink.url)[-1]
    assert not last.passed and "needs the ingest scope" in last.said and "read:metrics" in last.said


@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_the_key_is_never_printed(sink: Sink, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    sink.status = status
    doctor.main(["doctor", "--endpoint", sink.url.replace("//", "//user:hunter2@"), "--api-key", "stn_k_topsecret"])
    output = capsys.readouterr()
    assert "topsecret" not in output.out + output.err and "hunter2" not in output.out + output.err


def test_an_address_without_tls_where_tls_is_asked_for_is_told(sink: Sink) -> None:
    last = steps(sink.url.replace("http://", "https://"))[-1]
    assert (last.name, last.passed) == ("connection", False) and "TLS fails" in last.said
