"""Reads serving engines by their Prometheus endpoints and puts what they say under our names.

The names of each engine are those of its documentation, read 2026-11-26: vLLM 0.32 and before (docs.vllm.ai,
"Production Metrics"; `gpu_*` are names of versions before 0.10), SGLang (docs.sglang.io, "Production Metrics"), TGI 3
(huggingface.co/docs, "Metrics"), Triton with the TensorRT-LLM backend (its `metrics` page), llama.cpp (tools/server).
DJL's LMI containers pass on what their vLLM says; names of DJL's own are not read.
"""

from __future__ import annotations

import http.client
import math
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.error import HTTPError, URLError

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as PrometheusSample

from stanchion_gpu.records import EngineReading, Histogram
from stanchion_wire import gpu

TIMEOUT_S = 2.0
# A busy vLLM with every histogram writes about 200 kB.
MOST_BYTES = 4 * 1024 * 1024
MOST_BUCKETS = 64

Match = tuple[str, Mapping[str, str]]


def _named(name: str, **labels: str) -> Match:
    return name, labels


@dataclass(frozen=True)
class Vocabulary:
    """For each of our names the engine's, the first that is there counts; values of several label sets (ranks,
    reasons) are added up; of LARGEST_COUNTS the largest counts."""

    path: str
    port: int
    model_labels: tuple[str, ...]
    gauges: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    counters: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    ttft: tuple[str, ...] = ()


_VLLM = Vocabulary(
    path="/metrics",
    port=8000,
    model_labels=("model_name",),
    gauges={
        gpu.RUNNING: (_named("vllm:num_requests_running"),),
        gpu.WAITING: (_named("vllm:num_requests_waiting"),),
        gpu.KV_CACHE_USE: (_named("vllm:kv_cache_usage_perc"), _named("vllm:gpu_cache_usage_perc")),
        gpu.PREFIX_HIT_RATE: (_named("vllm:gpu_prefix_cache_hit_rate"),),
    },
    counters={
        gpu.PREEMPTIONS: (_named("vllm:num_preemptions_total"),),
        gpu.PREFIX_QUERIES: (_named("vllm:prefix_cache_queries_total"), _named("vllm:gpu_prefix_cache_queries_total")),
        gpu.PREFIX_HITS: (_named("vllm:prefix_cache_hits_total"), _named("vllm:gpu_prefix_cache_hits_total")),
        gpu.PROMPT_TOKENS: (_named("vllm:prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("vllm:generation_tokens_total"),),
        gpu.REQUESTS: (_named("vllm:request_success_total"),),
    },
    ttft=("vllm:time_to_first_token_seconds",),
)

VOCABULARIES: dict[str, Vocabulary] = {
    "vllm": _VLLM,
    "djl": Vocabulary(_VLLM.path, 8080, _VLLM.model_labels, _VLLM.gauges, _VLLM.counters, _VLLM.ttft),
    "sglang": Vocabulary(
        path="/metrics",
        port=30000,
        model_labels=("model_name",),
        gauges={
            gpu.RUNNING: (_named("sglang:num_running_reqs"),),
            gpu.WAITING: (_named("sglang:num_queue_reqs"),),
            gpu.KV_CACHE_USE: (_named("sglang:token_usage"),),
            gpu.PREFIX_HIT_RATE: (_named("sglang:cache_hit_rate"),),
            gpu.TOKENS_PER_S: (_named("sglang:gen_throughput"),),
        },
        counters={
            gpu.PROMPT_TOKENS: (_named("sglang:prompt_tokens_total"),),
            gpu.GENERATED_TOKENS: (_named("sglang:generation_tokens_total"),),
            gpu.REQUESTS: (_named("sglang:num_requests_total"),),
        },
        ttft=("sglang:time_to_first_token_seconds",),
    ),
    "tgi": Vocabulary(
        path="/metrics",
        port=8080,
        model_labels=(),
        gauges={
            gpu.WAITING: (_named("tgi_queue_size"),),
            gpu.BATCH_SIZE: (_named("tgi_batch_current_size"),),
        },
        counters={
            gpu.PROMPT_TOKENS: (_named("tgi_request_input_length_sum"),),
            gpu.GENERATED_TOKENS: (_named("tgi_request_generated_tokens_sum"),),
            gpu.REQUESTS: (_named("tgi_request_success"), _named("tgi_request_success_total")),
        },
    ),
    "triton": Vocabulary(
        path="/metrics",
        port=8002,
        model_labels=("model",),
        gauges={
            gpu.RUNNING: (_named("nv_trt_llm_request_metrics", request_type="active"),),
            gpu.WAITING: (
                _named("nv_trt_llm_request_metrics", request_type="waiting"),
                _named("nv_inference_pending_request_count"),
            ),
            gpu.KV_CACHE_USE: (_named("nv_trt_llm_kv_cache_block_metrics", kv_cache_block_type="fraction"),),
        },
        counters={gpu.REQUESTS: (_named("nv_inference_request_success"),)},
    ),
    "llama.cpp": Vocabulary(
        path="/metrics",
        port=8080,
        model_labels=(),
        gauges={
            gpu.RUNNING: (_named("llamacpp:requests_processing"),),
            gpu.WAITING: (_named("llamacpp:requests_deferred"),),
            gpu.KV_CACHE_USE: (_named("llamacpp:kv_cache_usage_ratio"),),
            gpu.TOKENS_PER_S: (_named("llamacpp:predicted_tokens_seconds"),),
        },
        counters={
            gpu.PROMPT_TOKENS: (_named("llamacpp:prompt_tokens_total"),),
            gpu.GENERATED_TOKENS: (_named("llamacpp:tokens_predicted_total"),),
        },
    ),
}
# Of several ranks of one engine the fullest cache matters; a sum of shares would mean nothing.
LARGEST_COUNTS = frozenset({gpu.KV_CACHE_USE, gpu.PREFIX_HIT_RATE})


def read(engine: str, endpoint: str) -> EngineReading:
    """What the engine at `endpoint` (host:port) says now. Never raises; an engine that does not answer is not up."""
    url = f"http://{endpoint}{VOCABULARIES[engine].path}"
    try:
        with _OPENER.open(url, timeout=TIMEOUT_S) as response:
            text = response.read(MOST_BYTES).decode("utf-8", "replace")
    except HTTPError as error:
        return EngineReading(engine, endpoint, False, reason=f"HTTP {error.code}")
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        return EngineReading(engine, endpoint, False, reason=type(getattr(error, "reason", error)).__name__)
    return parse(engine, endpoint, text)


def parse(engine: str, endpoint: str, text: str) -> EngineReading:
    """The reading in an exposition text. What is not Prometheus text at all is an engine that is not up."""
    vocabulary = VOCABULARIES[engine]
    try:
        samples = _samples(vocabulary, text)
    except ValueError as error:
        return EngineReading(engine, endpoint, False, reason=f"not Prometheus text: {str(error)[:100]}")
    if not samples:
        return EngineReading(engine, endpoint, False, reason=f"none of {engine}'s metrics in the answer")
    return EngineReading(
        engine,
        endpoint,
        True,
        model=_model(vocabulary, samples),
        gauges=_values(vocabulary.gauges, samples),
        counters=_values(vocabulary.counters, samples),
        ttft=_histogram(vocabulary.ttft, samples),
    )


def _samples(vocabulary: Vocabulary, text: str) -> list[PrometheusSample]:
    """Only the lines with a name we know are parsed: the rest of an engine's text is most of it."""
    wanted = {
        name for table in (vocabulary.gauges, vocabulary.counters) for names in table.values() for name, _ in names
    }
    histogram_names = tuple(f"{name}_{part}" for name in vocabulary.ttft for part in ("bucket", "sum"))
    prefixes = tuple(sorted(wanted)) + histogram_names
    lines = [line for line in text.splitlines() if line.startswith(prefixes)]
    families = text_string_to_metric_families("\n".join(lines) + "\n")
    found = (sample for family in families for sample in family.samples)
    return [one for one in found if one.name in wanted or one.name in histogram_names]


def _model(vocabulary: Vocabulary, samples: Iterable[PrometheusSample]) -> str | None:
    """The one model that all lines are about; None for several."""
    found = {one.labels[label] for one in samples for label in vocabulary.model_labels if one.labels.get(label)}
    return found.pop()[:200] if len(found) == 1 else None


def _values(table: Mapping[str, tuple[Match, ...]], samples: list[PrometheusSample]) -> dict[str, float]:
    found: dict[str, float] = {}
    for ours, theirs in table.items():
        for name, labels in theirs:
            values = [
                one.value
                for one in samples
                if one.name == name
                and math.isfinite(one.value)
                and all(one.labels.get(key) == value for key, value in labels.items())
            ]
            if values:
                found[ours] = max(values) if ours in LARGEST_COUNTS else sum(values)
                break
    return found


def _histogram(names: tuple[str, ...], samples: list[PrometheusSample]) -> Histogram | None:
    for name in names:
        below: dict[float, float] = {}
        for one in samples:
            if one.name == f"{name}_bucket" and math.isfinite(one.value):
                bound = float(one.labels.get("le", "nan"))
                below[bound] = below.get(bound, 0.0) + one.value
        bounds = sorted(bound for bound in below if math.isfinite(bound))
        if bounds and math.inf in below and len(bounds) < MOST_BUCKETS:
            totals = [below[bound] for bound in bounds] + [below[math.inf]]
            steps = [after - before for before, after in zip([0.0, *totals[:-1]], totals, strict=True)]
            total = sum(one.value for one in samples if one.name == f"{name}_sum" and math.isfinite(one.value))
            return Histogram(tuple(bounds), tuple(max(0, round(step)) for step in steps), total)
    return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An engine's metrics are where they are; a redirect would take the agent to another host."""

    def redirect_request(self, *_arguments: object) -> None:
        return None


# Engines are on this host or its network: no proxy from the environment.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
