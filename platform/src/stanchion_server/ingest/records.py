"""The shapes that travel through ingest: wire to raw, raw to canonical, canonical to store.

Everything here is pure data. `decode` makes the Raw shapes from either OTLP encoding; `normalise` makes the canonical
records; `costs.pricing` fills `CallRecord.cost`; `traces.store` writes them.

Attribute values (`AttributeValue`) are what JSON can hold, already clean: no NUL, no lone surrogate, NaN or infinity,
integers inside 64 bit, nesting of at most 16 levels. `decode` promises this for every value that leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, IntFlag, StrEnum
from uuid import UUID

from stanchion_wire.decisions import Decision

AttributeValue = str | int | float | bool | None | list["AttributeValue"] | dict[str, "AttributeValue"]
Attributes = Mapping[str, AttributeValue]


class SpanKind(IntEnum):
    """What a span stands for; stored as a small integer, so numbers are never reused."""

    OTHER = 0
    LLM = 1
    EMBEDDING = 2
    RETRIEVER = 3
    RERANKER = 4
    TOOL = 5
    AGENT = 6
    CHAIN = 7
    GUARDRAIL = 8
    EVALUATOR = 9
    TASK = 10


class Status(IntEnum):
    """OTLP span status codes."""

    UNSET = 0
    OK = 1
    ERROR = 2


class Alteration(IntFlag):
    """What the door had to change in an item it accepted; stored as a bit mask, bits are never reused."""

    NONE = 0
    INVALID_UTF8 = 1
    NUL_REPLACED = 2
    SURROGATE_REPLACED = 4
    NUMBER_DROPPED = 8
    NESTING_CUT = 16
    VALUE_TRUNCATED = 32
    NEGATIVE_DURATION = 64
    CLOCK_SKEW = 128
    SECRET_MASKED = 256
    TOKENS_CORRECTED = 512


class TokenSource(StrEnum):
    REPORTED = "reported"
    TOKENIZER = "tokenizer"
    ESTIMATED = "estimated"


class Charge(IntEnum):
    """Whether a call's tokens and cost count. Only CHARGED calls enter any total."""

    CHARGED = 0
    DUPLICATE = 1
    ROLLUP = 2


class CostConfidence(StrEnum):
    """HIGH: reported tokens and a dated price for this very model. MEDIUM: a price found by an alias or a prefix,
    or a cache bucket the price list does not name. LOW: estimated tokens, or an undecidable token convention."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class RawScope:
    """The instrumentation scope; empty strings where the client sent none."""

    name: str
    version: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class RawResource:
    """A resource. `resource_id` is a stable signed 64-bit digest of the attributes."""

    resource_id: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class RawEvent:
    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class RawLink:
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class RawSpan:
    """One span as the client sent it, with valid ids. Times are Unix nanoseconds. `span_id` is the big-endian value of
    the eight id bytes as a *signed* 64-bit integer, which is how it is stored."""

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    name: str
    otel_kind: int
    start_ns: int
    end_ns: int
    status: Status
    status_message: str
    attributes: dict[str, AttributeValue]
    events: tuple[RawEvent, ...]
    links: tuple[RawLink, ...]
    scope: RawScope
    resource: RawResource
    alterations: Alteration


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log record. `trace_id` and `span_id` are None where the record carries none."""

    trace_id: UUID | None
    span_id: int | None
    time_ns: int
    observed_ns: int
    severity: int
    event_name: str
    body: AttributeValue
    attributes: dict[str, AttributeValue]
    scope: RawScope
    resource: RawResource
    alterations: Alteration


@dataclass(frozen=True, slots=True)
class RawPoint:
    """One metric data point. `value` holds gauges and sums; `histogram` holds explicit-bucket, exponential and summary
    points as JSON. `temporality` is 0 unspecified, 1 delta, 2 cumulative."""

    name: str
    unit: str
    kind: str
    temporality: int
    monotonic: bool
    start_ns: int
    time_ns: int
    value: float | None
    histogram: dict[str, AttributeValue] | None
    attributes: dict[str, AttributeValue]
    scope: RawScope
    resource: RawResource
    alterations: Alteration


@dataclass(frozen=True, slots=True)
class Rejection:
    """Items refused for one reason; `reason` is a stable snake_case code, `detail` a sentence with the remedy."""

    reason: str
    detail: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out of one request: valid items, refused items, and how many items the wire held.

    Promise: `len(spans) + len(logs) + len(points) + sum(r.count for r in rejections) == sent`.
    """

    sent: int
    spans: tuple[RawSpan, ...] = ()
    logs: tuple[RawLog, ...] = ()
    points: tuple[RawPoint, ...] = ()
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyMapping:
    """How one client's vocabulary was read: which key won each canonical field, and which keys nothing understood.

    Equal for all calls of one client and version that carry the same keys, so it is stored once under `mapping_id`
    (a stable signed 64-bit digest of the rest).
    """

    mapping_id: int
    dialect: str
    scope_name: str
    scope_version: str
    winners: Mapping[str, str]
    unmapped: tuple[str, ...]


HOSTED_PRICE = "deployment "
"""How the price of a call begins that a deployment of the project's own served; its name follows."""


@dataclass(frozen=True, slots=True)
class CallCost:
    """The price of one call in US dollars. `usd` is None when it is not known, and `reason` says why.

    `rule` names how tokens were priced (`cached_input_included`, …), `price` which price
    (`genai-prices 0.2.3 openai/gpt-4o-mini`, `override 12`, or `deployment llama`: paid by that deployment's hours).
    """

    usd: Decimal | None
    price: str
    rule: str
    confidence: CostConfidence
    reason: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One model call (kinds LLM, EMBEDDING, RERANKER) or a roll-up that carries usage, as one span reported it.

    Token counts are None when not reported. `input_tokens` is inclusive: it contains `cached_input_tokens` and
    `cache_write_tokens`; `output_tokens` contains `reasoning_tokens`. `cache_write_1h_tokens` is the part of
    `cache_write_tokens` written with a one-hour lifetime. `model` is the name calls are grouped by: the request model
    where there is one (response names carry date suffixes), else the response model. `response_key` is a signed 64-bit
    digest of the response id. `client_cost_usd` is what the client claims: evidence, never a charge.
    `pair_key` is a digest that two records of one call share when neither carries a response id (Logfire's split
    streams), else None.
    """

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    start_time: datetime
    start_ns: int
    duration_ns: int
    kind: SpanKind
    operation: str
    dialect: str
    mapping: KeyMapping
    provider: str
    request_model: str
    response_model: str
    model: str
    response_id: str
    response_key: int | None
    pair_key: int | None
    charge: Charge
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    token_source: TokenSource | None
    tokens_ambiguous: bool
    time_to_first_token_ms: float | None
    is_streamed: bool | None
    service_tier: str
    status: Status
    error_type: str
    finish_reasons: tuple[str, ...]
    feature: str
    user_id: str
    session_id: str
    environment: str
    release: str
    service: str
    prompt_name: str
    prompt_version: str
    tags: tuple[str, ...]
    temperature: float | None
    top_p: float | None
    top_k: float | None
    max_tokens: int | None
    seed: int | None
    parameters: Attributes
    tool_call_count: int
    input_preview: str
    output_preview: str
    client_cost_usd: Decimal | None
    cost: CallCost | None = None


@dataclass(frozen=True, slots=True)
class ContentRecord:
    """The texts of one span, in canonical form (see `ingest.messages`), already serialised and compressed.

    A span may have several (its own attributes, a log record each): readers merge them, filling gaps only, in the order
    span before log, then time. `digest` (signed 64 bit, of the canonical JSON) makes retried deliveries the same row.
    `body` is zstandard-compressed UTF-8 JSON with the keys input, output, system, tools, documents, query, arguments,
    result; `original_bytes` its size before any cut.
    """

    trace_id: UUID
    span_id: int
    start_time: datetime
    digest: int
    source: int
    body: bytes
    original_bytes: int
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One span ready for the store. `attributes` are the client's own, as JSON bytes, without the long texts moved to
    contents (their place holds `{"stanchion.content": true, "bytes": n}`)."""

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    start_time: datetime
    start_ns: int
    duration_ns: int
    kind: SpanKind
    otel_kind: int
    status: Status
    status_message: str
    name: str
    service: str
    environment: str
    feature: str
    session_id: str
    user_id: str
    prompt_name: str
    prompt_version: str
    scope_name: str
    scope_version: str
    resource: RawResource
    attributes_json: bytes
    events_json: bytes | None
    links_json: bytes | None
    alterations: Alteration


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log record ready for the store; `digest` is a signed 64-bit digest of everything the client sent."""

    trace_id: UUID | None
    span_id: int | None
    time: datetime
    digest: int
    severity: int
    event_name: str
    scope_name: str
    resource: RawResource
    body_json: bytes
    attributes_json: bytes
    alterations: Alteration


@dataclass(frozen=True, slots=True)
class PointRecord:
    """One metric point ready for the store; `series_id` digests name, attributes and resource."""

    series_id: int
    name: str
    unit: str
    kind: str
    temporality: int
    start_time: datetime | None
    time: datetime
    value: float | None
    histogram_json: bytes | None
    attributes_json: bytes
    resource: RawResource


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What one guardrail span tells of one policy version's decision; `told` holds no text of anybody's."""

    trace_id: UUID
    span_id: int
    parent_span_id: int | None
    start_time: datetime
    duration_ns: int
    feature: str
    user_id: str
    session_id: str
    environment: str
    release: str
    service: str
    told: Decision


@dataclass(frozen=True, slots=True)
class Batch:
    """What one accepted request writes, in one transaction."""

    spans: tuple[SpanRecord, ...] = ()
    calls: tuple[CallRecord, ...] = ()
    contents: tuple[ContentRecord, ...] = ()
    logs: tuple[LogRecord, ...] = ()
    points: tuple[PointRecord, ...] = ()
    decisions: tuple[DecisionRecord, ...] = ()
    altered: Mapping[str, int] = field(default_factory=dict)
