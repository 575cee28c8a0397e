"""What selectors answer with. Ids are lower-case hex, money is Decimal US dollars, times are aware UTC.

None is "not known": tokens nobody reported, a cost no price covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from stanchion_server.ingest.records import Charge, SpanKind, Status


@dataclass(frozen=True, slots=True)
class CallSummary:
    """One call as lists show it. `hosted_by` is the deployment of the project's own that served it: it costs 0 here,
    and its share of that deployment's hours."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_time: datetime
    duration_ms: float
    kind: SpanKind
    operation: str
    charge: Charge
    status: Status
    error_type: str
    provider: str
    model: str
    dialect: str
    feature: str
    user_id: str
    session_id: str
    environment: str
    release: str
    service: str
    prompt_name: str
    prompt_version: str
    tags: tuple[str, ...]
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    token_source: str
    time_to_first_token_ms: float | None
    is_streamed: bool | None
    cost_usd: Decimal | None
    cost_confidence: str
    cost_reason: str
    hosted_by: str
    input_preview: str
    output_preview: str


@dataclass(frozen=True, slots=True)
class CostExplanation:
    """Which price, which rule, with what confidence; `reason` says why `usd` is None. `client_usd` is what the client
    claimed: evidence, never the charge."""

    usd: Decimal | None
    price: str
    rule: str
    confidence: str
    reason: str
    client_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class MappingView:
    """How the client's vocabulary was read."""

    dialect: str
    scope_name: str
    scope_version: str
    winners: Mapping[str, str]
    unmapped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """Another span that recorded the same provider call."""

    trace_id: str
    span_id: str
    charge: Charge
    dialect: str
    scope_name: str
    scope_version: str
    start_time: datetime
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class SpanContent:
    """The merged texts of a span (keys of `ingest.messages`), with the client's own attributes, events and links."""

    trace_id: str
    span_id: str
    name: str
    status_message: str
    body: Mapping[str, Any]
    is_truncated: bool
    original_bytes: int
    attributes: Mapping[str, Any]
    events: tuple[Any, ...]
    links: tuple[Any, ...]
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallDetail:
    """Everything known of one call. `filled` names fields another record of the call supplied; `primary_*` point at the
    record that is charged, where this one is not."""

    summary: CallSummary
    request_model: str
    response_model: str
    response_id: str
    service_tier: str
    finish_reasons: tuple[str, ...]
    tool_call_count: int
    cache_write_1h_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    tokens_ambiguous: bool
    temperature: float | None
    top_p: float | None
    top_k: float | None
    max_tokens: int | None
    seed: int | None
    parameters: Mapping[str, Any]
    cost: CostExplanation
    mapping: MappingView | None
    primary_trace_id: str | None
    primary_span_id: str | None
    filled: Mapping[str, Any]
    duplicates: tuple[OtherRecord, ...]
    content: SpanContent | None


@dataclass(frozen=True, slots=True)
class SpanNode:
    """One span of a trace, in depth-first order. `offset_ms` counts from the trace's start. `subtree_*` add up this
    span and everything below it, charged calls only; `is_orphan`: its parent is not in the trace (yet).

    Money is known for `subtree_calls - subtree_unpriced_calls` of the calls below.
    """

    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    status: Status
    status_message: str
    service: str
    scope_name: str
    scope_version: str
    start_time: datetime
    offset_ms: float
    duration_ms: float
    depth: int
    is_orphan: bool
    has_content: bool
    call: CallSummary | None
    subtree_spans: int
    subtree_calls: int
    subtree_unpriced_calls: int
    subtree_hosted_calls: int
    subtree_input_tokens: int | None
    subtree_output_tokens: int | None
    subtree_cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class TraceView:
    """A whole trace. `is_incomplete`: no root span, or spans whose parent did not arrive; `missing_parents` names
    those. `is_cut`: there are more spans than the limit, the earliest are shown."""

    trace_id: str
    start_time: datetime
    duration_ms: float
    spans: tuple[SpanNode, ...]
    is_incomplete: bool
    is_cut: bool
    missing_parents: tuple[str, ...]
    calls: int
    unpriced_calls: int
    hosted_calls: int
    errors: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace by its root span, with the charged calls inside it."""

    trace_id: str
    span_id: str
    name: str
    kind: SpanKind
    status: Status
    service: str
    environment: str
    feature: str
    session_id: str
    start_time: datetime
    duration_ms: float
    calls: int
    unpriced_calls: int
    errors: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """From log-bucket histograms: each value is within 1 % (R4)."""

    p50: float
    p66: float
    p75: float
    p80: float
    p90: float
    p95: float
    p98: float
    p99: float
    p100: float


@dataclass(frozen=True, slots=True)
class MetricRow:
    """Sums over the charged calls of one group and one step. `bucket` is None where no step was asked for.

    Tokens are None when no call of the row reported any; `cost_usd` is None when no call of the row has a price, and
    leaves `unpriced_calls` out. The `hosted_calls` were served by deployments of the project's own and cost 0 here:
    their hours are paid. Rates are per second of the row's time span.
    """

    bucket: datetime | None
    group: Mapping[str, str]
    calls: int
    errors: int
    error_ratio: float | None
    unpriced_calls: int
    untokened_calls: int
    hosted_calls: int
    streamed_calls: int
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal | None
    duration_mean_ms: float | None
    duration_ms: Percentiles | None
    ttft_ms: Percentiles | None
    output_tokens_per_s: float | None
    calls_per_s: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """`start` and `end` are what was really covered, rounded outwards to whole minutes. `is_cut`: more groups or steps
    exist than were asked for. `unsettled_minutes` are minutes too many to be read raw, whose newest calls may be
    missing for a few seconds."""

    start: datetime
    end: datetime
    step_s: int | None
    rows: tuple[MetricRow, ...]
    source: str
    is_cut: bool
    unsettled_minutes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: `now` beside the period of equal length before it, one row per step, and the dearest groups."""

    start: datetime
    end: datetime
    step_s: int
    now: MetricRow
    before: MetricRow
    series: tuple[MetricRow, ...]
    top_features: tuple[MetricRow, ...]
    top_models: tuple[MetricRow, ...]


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    calls: int


@dataclass(frozen=True, slots=True)
class RadarClient:
    """How well one client and version is understood. `deprecated_keys` won a field under a name the
    convention has dropped."""

    dialect: str
    scope_name: str
    scope_version: str
    calls: int
    last_seen_at: datetime
    without_model_ratio: float
    without_tokens_ratio: float
    without_price_ratio: float
    unmapped_keys: tuple[FacetValue, ...]
    deprecated_keys: tuple[FacetValue, ...]
