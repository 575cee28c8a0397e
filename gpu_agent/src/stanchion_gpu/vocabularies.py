"""What serving engines call the things that we have names for.

The names are those of each engine's documentation, read 2026-11-26: vLLM 0.32 and before (docs.vllm.ai, "Production
Metrics"; `gpu_*` are names of versions before 0.10), SGLang (docs.sglang.io, "Production Metrics"), TGI 3
(huggingface.co/docs/text-generation-inference/reference/metrics), Triton (its user guide, "Metrics") with the
TensorRT-LLM backend (its README, "Metrics"), llama.cpp (tools/server/README), DJL Serving (prometheus/README of its
repository; its LMI containers pass on what their vLLM says).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stanchion_wire import gpu

Match = tuple[str, Mapping[str, str]]


def _named(name: str, **labels: str) -> Match:
    return name, labels


@dataclass(frozen=True)
class Vocabulary:
    """For each of our names the engine's, the first that is there counts; values of several label sets (ranks,
    reasons) are added up; of LARGEST_COUNTS the largest counts. `products` are pairs of factors. `cache_labels` name
    the series whose labels hold two factors of the cache's capacity."""

    path: str
    port: int
    model_labels: tuple[str, ...]
    gauges: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    counters: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    histograms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    products: Mapping[str, tuple[Match, Match]] = field(default_factory=dict)
    cache_labels: tuple[str, str, str] | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a line of interest starts with."""
        found = {name for table in (self.gauges, self.counters) for names in table.values() for name, _ in names}
        found |= {name for pair in self.products.values() for name, _ in pair}
        found |= {
            f"{name}_{part}" for names in self.histograms.values() for name in names for part in ("bucket", "sum")
        }
        return tuple(sorted(found | ({self.cache_labels[0]} if self.cache_labels else set())))


# Of several ranks of one engine the fullest cache matters; a sum of shares would mean nothing.
LARGEST_COUNTS = frozenset({gpu.KV_CACHE_USE, gpu.PREFIX_HIT_RATE})

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
    histograms={
        gpu.TTFT: ("vllm:time_to_first_token_seconds",),
        gpu.TIME_PER_TOKEN: ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
        gpu.REQUEST_DURATION: ("vllm:e2e_request_latency_seconds",),
        gpu.QUEUE_DURATION: ("vllm:request_queue_time_seconds",),
    },
    cache_labels=("vllm:cache_config_info", "num_gpu_blocks", "block_size"),
)

_DJL = Vocabulary(
    path="/metrics",
    port=8080,
    model_labels=_VLLM.model_labels,
    gauges={
        **_VLLM.gauges,
        gpu.BATCH_SIZE: (_named("RollingBatchSize"), _named("DynamicBatchSize")),
    },
    counters={
        **_VLLM.counters,
        gpu.REQUESTS: (*_VLLM.counters[gpu.REQUESTS], _named("Response_2XX_total"), _named("Response_2XX")),
    },
    histograms=_VLLM.histograms,
    cache_labels=_VLLM.cache_labels,
)

_SGLANG = Vocabulary(
    path="/metrics",
    port=30000,
    model_labels=("model_name",),
    gauges={
        gpu.RUNNING: (_named("sglang:num_running_reqs"),),
        gpu.WAITING: (_named("sglang:num_queue_reqs"),),
        gpu.KV_CACHE_USE: (_named("sglang:token_usage"),),
        gpu.KV_CACHE_TOKENS: (_named("sglang:num_used_tokens"),),
        gpu.KV_CACHE_CAPACITY: (_named("sglang:max_total_num_tokens"),),
        gpu.PREFIX_HIT_RATE: (_named("sglang:cache_hit_rate"),),
        gpu.TOKENS_PER_S: (_named("sglang:gen_throughput"),),
    },
    counters={
        gpu.PROMPT_TOKENS: (_named("sglang:prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("sglang:generation_tokens_total"),),
        gpu.REQUESTS: (_named("sglang:num_requests_total"),),
    },
    histograms={
        gpu.TTFT: ("sglang:time_to_first_token_seconds",),
        gpu.TIME_PER_TOKEN: ("sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),
        gpu.REQUEST_DURATION: ("sglang:e2e_request_latency_seconds",),
    },
)

_TGI = Vocabulary(
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
    histograms={
        gpu.TIME_PER_TOKEN: ("tgi_request_mean_time_per_token_duration",),
        gpu.REQUEST_DURATION: ("tgi_request_duration",),
        gpu.QUEUE_DURATION: ("tgi_request_queue_duration",),
    },
)

_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"
_TRITON = Vocabulary(
    path="/metrics",
    port=8002,
    model_labels=("model",),
    gauges={
        gpu.RUNNING: (_named("nv_trt_llm_request_metrics", request_type="active"),),
        gpu.WAITING: (
            _named("nv_trt_llm_request_metrics", request_type="waiting"),
            _named("nv_inference_pending_request_count"),
        ),
        gpu.KV_CACHE_USE: (_named(_BLOCKS, kv_cache_block_type="fraction"),),
    },
    counters={gpu.REQUESTS: (_named("nv_inference_request_success"),)},
    products={
        gpu.KV_CACHE_TOKENS: (
            _named(_BLOCKS, kv_cache_block_type="used"),
            _named(_BLOCKS, kv_cache_block_type="tokens_per"),
        ),
        gpu.KV_CACHE_CAPACITY: (
            _named(_BLOCKS, kv_cache_block_type="max"),
            _named(_BLOCKS, kv_cache_block_type="tokens_per"),
        ),
    },
)

_LLAMA_CPP = Vocabulary(
    path="/metrics",
    port=8080,
    model_labels=(),
    gauges={
        gpu.RUNNING: (_named("llamacpp:requests_processing"),),
        gpu.WAITING: (_named("llamacpp:requests_deferred"),),
        gpu.KV_CACHE_USE: (_named("llamacpp:kv_cache_usage_ratio"),),
        gpu.KV_CACHE_TOKENS: (_named("llamacpp:kv_cache_tokens"),),
        gpu.TOKENS_PER_S: (_named("llamacpp:predicted_tokens_seconds"),),
    },
    counters={
        gpu.PROMPT_TOKENS: (_named("llamacpp:prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("llamacpp:tokens_predicted_total"),),
    },
)

VOCABULARIES: dict[str, Vocabulary] = {
    "vllm": _VLLM,
    "djl": _DJL,
    "sglang": _SGLANG,
    "tgi": _TGI,
    "triton": _TRITON,
    "llama.cpp": _LLAMA_CPP,
}
