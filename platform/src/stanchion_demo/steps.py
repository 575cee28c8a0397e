"""What one conversation does, step by step, before anybody does it: pure data, with a note of what was planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Message = Mapping[str, Any]


class Kind(StrEnum):
    """What a person looking for trouble should find. Never sent as telemetry."""

    TOXIC_INPUT = "toxic_input"
    TOXIC_OUTPUT = "toxic_output"
    PII_INPUT = "pii_input"
    PII_OUTPUT = "pii_output"
    SECRET_INPUT = "secret_input"  # noqa: S105 - a kind, not a secret
    INJECTION_DIRECT = "injection_direct"
    INJECTION_DOCUMENT = "injection_document"
    UNGROUNDED = "ungrounded"
    REFUSAL = "refusal"
    RATE_LIMITED = "rate_limited"
    TIMED_OUT = "timed_out"
    SERVER_ERROR = "server_error"
    COST_SPIKE = "cost_spike"
    TOXICITY_WAVE = "toxicity_wave"
    PROVIDER_INCIDENT = "provider_incident"
    SLOW_RELEASE = "slow_release"
    RECALL_TOPIC = "recall_topic"
    OTHER_LANGUAGE = "other_language"
    RATED_UP = "rated_up"
    RATED_DOWN = "rated_down"
    CORRECTED = "corrected"
    GUARD_OUTAGE = "guard_outage"
    GUARD_LATE = "guard_late"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens without overlap: the input is `fresh + cached + written`, `reasoning` is part of `output`."""

    fresh_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def input_tokens(self) -> int:
        return self.fresh_tokens + self.cached_tokens + self.written_tokens


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a provider. `failure` is an HTTP status, or 408 for a client that gave up waiting.

    `api` is chat, responses or messages; `answer` a text, or empty where `tool_name` is called with `tool_arguments`.
    """

    api: str
    provider: str
    model: str
    system: str
    messages: Sequence[Message]
    usage: Usage
    latency_s: float
    answer: str = ""
    tool_name: str = ""
    tool_arguments: Mapping[str, Any] = field(default_factory=dict)
    offers_tools: bool = False
    first_token_s: float | None = None
    failure: int = 0
    prompt_name: str = ""
    prompt_version: str = ""
    temperature: float | None = None

    @property
    def is_streamed(self) -> bool:
        return self.first_token_s is not None


@dataclass(frozen=True, slots=True)
class Embedding:
    model: str
    texts: Sequence[str]
    latency_s: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    query: str
    documents: Sequence[Mapping[str, Any]]
    latency_s: float


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    arguments: Mapping[str, Any]
    result: Any
    latency_s: float


Step = ModelCall | Embedding | Retrieval | ToolUse


@dataclass(frozen=True, slots=True)
class Rating:
    """What the person said about a turn, `after_s` after its end."""

    score: float
    label: str
    after_s: float
    comment: str = ""
    correction: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One trace: what happens between a person's message and the answer, or one run of a job."""

    pause_s: float
    steps: Sequence[Step]
    rating: Rating | None = None


@dataclass(frozen=True, slots=True)
class App:
    """A deployed service. `root` names the span around a turn, `is_agent` says what kind it is."""

    service: str
    feature: str
    root: str
    is_agent: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """`number` is unique in a story and seeds its ids. An empty `user` is a job's."""

    number: int
    at: datetime
    app: App
    release: str
    environment: str
    session: str
    user: str
    turns: Sequence[Turn]
    planted: frozenset[Kind]
    tags: Sequence[str] = ()

    @property
    def calls(self) -> int:
        """How many model calls and embeddings it makes."""
        return sum(isinstance(step, ModelCall | Embedding) for turn in self.turns for step in turn.steps)
