"""What is known of each call, what follows from it, and what a person is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from uuid import UUID

from stanchion_server.ingest.records import Status
from stanchion_server.kernel.ids import digest64

Confidence = Literal["medium", "low"]
ZERO = Decimal(0)


class ModelName(NamedTuple):
    provider: str
    name: str


class PromptName(NamedTuple):
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip() or "no named prompt"


@dataclass(frozen=True, slots=True)
class CallFact:
    """A charged call of a language model. None is not known. `prompt` is empty for calls that name none."""

    trace_id: UUID
    span_id: int
    start_time: datetime
    duration_s: float
    feature: str
    model: ModelName
    service: str
    prompt: PromptName
    session_id: str
    has_user: bool
    is_streamed: bool | None
    status: int
    tool_call_count: int
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    usd: Decimal | None

    @property
    def is_failed(self) -> bool:
        return self.status == Status.ERROR


@dataclass(frozen=True, slots=True)
class Tariff:
    """US dollars per token; `cached_usd` equals `input_usd` where the price list knows no cheaper one."""

    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal
    write_usd: Decimal


@dataclass(frozen=True, slots=True)
class Graded:
    """How one scorer judged a model's calls of one feature: `flagged` of `scored` were beyond its threshold."""

    feature: str
    model: ModelName
    scorer: str
    scored: int
    flagged: int

    @property
    def flagged_ratio(self) -> float:
        return self.flagged / self.scored


@dataclass(frozen=True, slots=True)
class Finding:
    """One way to spend less. `usd` is saved of `spend_usd`, both in the time looked at; `seconds` that people or jobs
    would have waited less, None where that is not known. `calls` are those it would change. `where` are parameters of
    the calls list that lead to them and their neighbours; none lead to all calls that were looked at.

    `days` is the time looked at where it is not that of the calls, `page` where the evidence stands. `shares` is `usd`
    by feature for what is about several, `effect` what it does to single calls, None where nobody has said."""

    kind: str
    feature: str
    subject: str
    usd: Decimal
    spend_usd: Decimal
    seconds: float | None
    calls: int
    confidence: Confidence
    assumptions: tuple[str, ...]
    figures: tuple[tuple[str, str], ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    days: float | None = None
    page: Literal["calls", "hosting"] = "calls"
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    effect: Effect | None = None

    @property
    def id(self) -> str:
        return f"{digest64(repr((self.kind, self.feature, self.subject)).encode()) & (2**63 - 1):x}"


@dataclass(frozen=True, slots=True)
class Swap:
    """Answered calls of `model` with known price and tokens go to `to`."""

    model: ModelName
    to: ModelName


@dataclass(frozen=True, slots=True)
class Cap:
    """Answers of `prompt` end at so many tokens."""

    prompt: PromptName
    tokens: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first so many tokens of this prompt come from the provider's cache in calls soon after another."""

    model: ModelName
    prompt: PromptName
    tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    service: str


@dataclass(frozen=True, slots=True)
class History:
    """Exchanges older than the last two are left out."""


@dataclass(frozen=True, slots=True)
class Served:
    """Calls that a cache of answers serves; the finding's kind says which cache."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed calls are not made."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """`needed` of the deployment's `count` instances run, which saves `usd` in the hours looked at."""

    deployment: str
    needed: int
    count: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Idle:
    """All instances of the deployment are stopped in some hours, which saves `usd` in the hours looked at."""

    deployment: str
    usd: Decimal


Effect = Swap | Cap | Prefix | Batch | History | Served | Failures | Replicas | Idle
