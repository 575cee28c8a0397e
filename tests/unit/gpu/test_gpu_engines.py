"""Engines' texts under our names. `expositions/` has one for each engine and version, with its source in its head."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.raw_server import answering
from stanchion_gpu import engines, points
from stanchion_gpu.records import EngineReading, Histogram
from stanchion_gpu.vocabularies import VOCABULARIES
from stanchion_wire import gpu

TEXTS = Path(__file__).with_name("expositions")


def told(name: str) -> EngineReading:
    engine = "triton" if name.startswith("triton") else name.rpartition("-")[0] or name
    found = engines.parse(engine, "h:1", (TEXTS / f"{name}.prom").read_text())
    assert (found.is_up, found.reason) == (True, "")
    return found


def test_a_vllm_of_two_engines_is_added_up_and_its_fullest_cache_counts() -> None:
    found = told("vllm-0.33")
    assert found.model == "meta-llama/Llama-3.1-8B-Instruct"
    assert found.gauges == {gpu.RUNNING: 5, gpu.WAITING: 7, gpu.KV_CACHE_USE: 0.75, gpu.KV_CACHE_CAPACITY: 2 * 9136}
    assert found.counters == {
        gpu.PREEMPTIONS: 4,
        gpu.PREFIX_QUERIES: 1500,
        gpu.PREFIX_HITS: 500,
        gpu.PROMPT_TOKENS: 10_000,
        gpu.GENERATED_TOKENS: 1500,
        gpu.REQUESTS: 13,
    }
    assert found.histograms == {
        gpu.TTFT: Histogram((0.1, 1.0), (2, 2, 1), pytest.approx(3.1)),
        gpu.TIME_PER_TOKEN: Histogram((0.1, 1.0), (1, 1, 0), pytest.approx(0.22)),
        gpu.REQUEST_DURATION: Histogram((0.1, 1.0), (0, 1, 1), 3.5),
        gpu.QUEUE_DURATION: Histogram((0.1, 1.0), (1, 0, 0), 0.01),
    }


def test_vllms_first_engine_is_read_by_its_own_names_and_has_no_hit_rate_of_minus_one() -> None:
    found = told("vllm-0.6")
    assert found.gauges == {gpu.RUNNING: 1, gpu.WAITING: 2, gpu.KV_CACHE_USE: 0.5, gpu.KV_CACHE_CAPACITY: 573 * 16}
    assert found.counters == {
        gpu.PREEMPTIONS: 1,
        gpu.PROMPT_TOKENS: 90,
        gpu.GENERATED_TOKENS: 12,
        gpu.REQUESTS: 3,
    }
    assert set(found.histograms) == {gpu.TTFT, gpu.TIME_PER_TOKEN, gpu.REQUEST_DURATION, gpu.QUEUE_DURATION}


def test_an_sglang_counts_neither_ranks_nor_priorities_twice() -> None:
    found = told("sglang-0.5")
    assert found.gauges == {
        gpu.RUNNING: 5 + 4,
        gpu.WAITING: 2 + 1,
        gpu.KV_CACHE_USE: 0.5,
        gpu.KV_CACHE_TOKENS: 2800 + 5000,
        gpu.KV_CACHE_CAPACITY: 20_000,
        gpu.PREFIX_HIT_RATE: 0.5,
        gpu.TOKENS_PER_S: 400,
    }
    assert found.histograms[gpu.QUEUE_DURATION] == Histogram((0.1, 1.0), (1, 1, 0), 0.55)


def test_an_sglangs_requests_of_each_priority_are_added_up() -> None:
    found = told("sglang-0.5")
    assert found.counters == {
        gpu.PREEMPTIONS: 3,
        gpu.PREFIX_QUERIES: 1000,
        gpu.PREFIX_HITS: 350,
        gpu.PROMPT_TOKENS: 1000,
        gpu.GENERATED_TOKENS: 100,
        gpu.REQUESTS: 10,
    }
    assert found.histograms[gpu.TTFT] == Histogram((0.1, 1.0), (1, 1, 0), 0.55)


def test_a_tgis_names_and_seconds_are_taken_as_they_are() -> None:
    found = told("tgi-3")
    assert found.gauges == {gpu.WAITING: 4, gpu.BATCH_SIZE: 8}
    assert found.counters == {gpu.PROMPT_TOKENS: 700, gpu.GENERATED_TOKENS: 300, gpu.REQUESTS: 10}
    assert found.histograms[gpu.REQUEST_DURATION] == Histogram((0.1, 1.0), (1, 3, 6), 31.5)
    assert found.histograms[gpu.QUEUE_DURATION] == Histogram((0.1,), (9, 1), 0.75)
    assert found.histograms[gpu.TIME_PER_TOKEN] == Histogram((0.1,), (10, 0), 0.25)


def test_of_a_tritons_ensemble_the_model_that_answers_counts_and_waiting_is_not_running() -> None:
    found = told("triton-trtllm-2025")
    assert found.model == "tensorrt_llm"
    assert found.gauges == {
        gpu.RUNNING: 3,
        gpu.WAITING: 5,
        gpu.KV_CACHE_USE: 0.4,
        gpu.KV_CACHE_TOKENS: 40 * 64,
        gpu.KV_CACHE_CAPACITY: 100 * 64,
    }
    assert found.counters == {gpu.REQUESTS: 12}


def test_a_triton_without_a_share_of_its_cache_has_it_from_the_blocks() -> None:
    found = told("triton-trtllm-2024")
    assert (found.gauges[gpu.KV_CACHE_USE], found.gauges[gpu.WAITING]) == (0.25, 6)


def test_a_tritons_models_without_tensorrt_are_added_up() -> None:
    text = "".join(f'nv_inference_request_success{{model="{model}",version="1"}} 5\n' for model in "ab")
    found = engines.parse("triton", "h:1", text)
    assert (found.model, found.counters) == (None, {gpu.REQUESTS: 10})


def test_tensorrt_llms_own_server_is_read() -> None:
    found = told("trtllm")
    assert found.gauges == {
        gpu.RUNNING: 3,
        gpu.WAITING: 5,
        gpu.KV_CACHE_USE: 0.4,
        gpu.KV_CACHE_TOKENS: 40 * 32,
        gpu.KV_CACHE_CAPACITY: 100 * 32,
        gpu.PREFIX_HIT_RATE: 0.2,
    }
    assert found.counters == {
        gpu.PREFIX_QUERIES: 700,
        gpu.PREFIX_HITS: 140,
        gpu.PROMPT_TOKENS: 700,
        gpu.GENERATED_TOKENS: 70,
        gpu.REQUESTS: 7,
    }
    assert set(found.histograms) == {gpu.TTFT, gpu.TIME_PER_TOKEN, gpu.REQUEST_DURATION, gpu.QUEUE_DURATION}


def test_a_llama_cpps_prompts_are_those_it_read_and_those_it_had_kept() -> None:
    found = told("llama.cpp-b10434")
    assert found.gauges == {gpu.RUNNING: 1, gpu.WAITING: 0}
    assert found.counters == {
        gpu.PREFIX_HITS: 45,
        gpu.PREFIX_QUERIES: 80,
        gpu.PROMPT_TOKENS: 80,
        gpu.GENERATED_TOKENS: 1200,
    }


def test_an_older_llama_cpp_tells_its_cache() -> None:
    found = told("llama.cpp-b4000")
    assert found.gauges == {gpu.RUNNING: 1, gpu.WAITING: 2, gpu.KV_CACHE_USE: 0.1, gpu.KV_CACHE_TOKENS: 819}
    assert found.counters == {gpu.PROMPT_TOKENS: 20, gpu.GENERATED_TOKENS: 30}


def test_a_djl_serving_is_read_by_its_own_names_and_by_vllms() -> None:
    found = told("djl")
    assert (found.gauges, found.counters) == ({gpu.BATCH_SIZE: 3.5}, {gpu.REQUESTS: 11})
    assert engines.parse("djl", "h:1", 'vllm:num_requests_running{model_name="m"} 6\n').gauges == {gpu.RUNNING: 6}


def test_every_engine_has_a_text() -> None:
    assert all(any(TEXTS.glob(f"{engine}*.prom")) for engine in VOCABULARIES)


@pytest.mark.parametrize("text", ["", "<html>login</html>", "vllm:num_requests_running{ 3", "\x00\xff" * 50])
def test_what_is_no_metrics_text_is_an_engine_that_is_not_up(text: str) -> None:
    found = engines.parse("vllm", "h:1", text)
    assert not found.is_up
    assert found.reason


def test_one_broken_line_costs_that_line_and_no_other() -> None:
    found = engines.parse("vllm", "h:1", "vllm:num_requests_running{oops 3\nvllm:num_requests_waiting 2\n")
    assert (found.is_up, found.gauges, found.reason) == (True, {gpu.WAITING: 2}, "1 lines left out")


@pytest.mark.parametrize("value", ["NaN", "+Inf", "1e300", "-1e19"])
def test_a_value_that_cannot_be_is_not_known(value: str) -> None:
    text = f"vllm:num_requests_running {value}\nvllm:num_requests_waiting 1\nvllm:prompt_tokens_total {value}\n"
    found = engines.parse("vllm", "h:1", text)
    assert (found.gauges, found.counters) == ({gpu.WAITING: 1}, {})


def test_a_caches_capacity_is_blocks_times_their_size_over_all_ranks() -> None:
    line = 'vllm:cache_config_info{{block_size="16",engine="{0}",num_gpu_blocks="{1}"}} 1\n'
    assert engines.parse("vllm", "h:1", line.format(0, 573) + line.format(1, 27)).gauges == {
        gpu.KV_CACHE_CAPACITY: 9600
    }
    assert engines.parse("vllm", "h:1", line.format(0, 573) + line.format(1, "None")).gauges == {}
    assert engines.parse("vllm", "h:1", line.format(0, "9" * 5000)).gauges == {}


def test_tritons_blocks_are_tokens_of_each_model() -> None:
    line = 'nv_trt_llm_kv_cache_block_metrics{{kv_cache_block_type="{}",model="{}",version="1"}} {}\n'
    text = "".join(
        line.format(kind, model, value)
        for model, size in (("a", 64), ("b", 32))
        for kind, value in (("tokens_per", size), ("used", 10), ("max", 100))
    )
    assert engines.parse("triton", "h:1", text).gauges == {
        gpu.KV_CACHE_TOKENS: 10 * 64 + 10 * 32,
        gpu.KV_CACHE_CAPACITY: 100 * 64 + 100 * 32,
        gpu.KV_CACHE_USE: 0.1,
    }


@given(st.text(max_size=300))
def test_no_text_of_an_engine_hurts(text: str) -> None:
    wild = f'vllm:num_requests_running{text}\nvllm:cache_config_info{{num_gpu_blocks="{text}",block_size="16"}} 1\n'
    found = engines.parse("vllm", "h:1", wild + f'vllm:time_to_first_token_seconds_bucket{{le="{text}"}} 1')
    points.request(points.Interval(1, 2, engines=(found,)), {})


def test_an_engine_that_is_away_is_not_up_and_says_why() -> None:
    found = engines.read("vllm", "127.0.0.1:9")
    assert (found.is_up, found.reason) == (False, "ConnectionRefusedError")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 501 Not Implemented\r\n\r\n", "HTTP 501"),
        (b"220 mail.example ESMTP\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_an_answer_that_is_no_reading_is_an_engine_that_is_not_up(answer: bytes, said: str) -> None:
    with answering(lambda connection: connection.sendall(answer)) as endpoint:
        found = engines.read("vllm", endpoint)
    assert (found.is_up, found.reason) == (False, said)


def test_an_engine_that_sends_a_byte_now_and_then_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WHOLE_S", 0.2)
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nvllm:num_requests_running ")
        while not ended.wait(0.02):
            connection.sendall(b"1")

    with answering(drip) as endpoint:
        found = engines.read("vllm", endpoint)
        ended.set()
    # What had come by then ends in half a line.
    assert not found.gauges or found.gauges[gpu.RUNNING] > 0


def test_an_answer_beyond_the_bound_loses_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MOST_BYTES", 60)
    body = b"vllm:num_requests_running 5\nvllm:num_requests_waiting 123456\n"
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)) as endpoint:
        assert engines.read("vllm", endpoint).gauges == {gpu.RUNNING: 5}
