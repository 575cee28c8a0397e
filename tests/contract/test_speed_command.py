"""`manage.py benchmark_tps` against the bundled provider: what it sends, what it says, and what it says of failures."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from stanchion_server.commands.fake_llm import FakeLlm


def measured(fake: FakeLlm, *more: str, model: str = "gpt-4o-mini") -> str:
    out = io.StringIO()
    call_command("benchmark_tps", "--url", f"{fake.url}/v1", "--model", model, *more, stdout=out)
    return out.getvalue()


def test_each_length_is_asked_for_as_often_as_wanted_and_summed_up() -> None:
    with FakeLlm(latency_ms=0, chunk_ms=0) as fake:
        text = measured(fake, "--cases", "2", "--repeats", "3", "--concurrency", "3")
        assert [(call.model, call.is_streamed) for call in fake.calls] == [("gpt-4o-mini", True)] * 6
    rows = text.splitlines()
    assert rows[0].startswith("length  answered")
    assert [row.split()[:2] for row in rows[1:3]] == [["1", "3/3"], ["2", "3/3"]]
    assert "first token, s" in text
    assert "estimate" not in text


def test_runs_come_as_json_with_the_providers_counts() -> None:
    with FakeLlm(latency_ms=0, chunk_ms=0) as fake:
        runs = [json.loads(line) for line in measured(fake, "--json", "--cases", "1", "--repeats", "2").splitlines()]
    assert [(run["output_tokens"], run["input_tokens"], run["is_estimated"]) for run in runs] == [(60, 1100, False)] * 2
    assert all(0 < run["first_token_s"] <= run["total_s"] for run in runs)


def test_a_throttling_provider_is_no_speed_of_zero() -> None:
    with (
        FakeLlm(latency_ms=0, chunk_ms=0) as fake,
        pytest.raises(CommandError, match=r"No request was answered\. HTTP 429"),
    ):
        measured(fake, "--cases", "1", "--repeats", "2", model="error-429")


def test_an_address_where_nobody_answers_is_told() -> None:
    with FakeLlm() as fake:
        pass
    with pytest.raises(CommandError, match=r"No request was answered\. ConnectionRefusedError"):
        measured(fake, "--cases", "1", "--repeats", "1")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--repeats", "0"), "--repeats 0 must be from 1 to 1000"),
        (("--concurrency", "999"), "--concurrency 999 must be from 1 to 256"),
        (("--timeout-s", "0"), "--timeout-s"), (("--key-env", "STANCHION_NO_SUCH_KEY"), "no such environment variable"),
        (("--url", "ftp://x"), "is no address like"), (("--url", "http://x:99999/v1"), "is no address like"),
        (("--url", "http://[/v1"), "is no address like"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(more: tuple[str, ...], text: str) -> None:
    with pytest.raises(CommandError, match=text):
        call_command("benchmark_tps", "--url", "http://127.0.0.1:9/v1", "--model", "m", *more, stdout=io.StringIO())
