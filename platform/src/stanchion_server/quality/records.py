"""The shapes that travel between the worker, the scorers and the store. All frozen, none knows Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

Place = Literal["prompt", "response", "context"]
Lane = Literal["fast", "slow"]
LANES: tuple[Lane, ...] = ("fast", "slow")
"""Index = the number stored in `score_jobs.lane`."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """One recorded call. `span_id` is signed, as stored."""

    project_id: int
    trace_id: UUID
    span_id: int
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Example:
    """One recorded call as scorers read it.

    `prompt` is what was new: the user's texts after the model's last answer in the history, empty where a tool's result
    was all that was new. `question` is the user's last text, new or not. `history` are the texts before `prompt`.
    `contexts` are the documents and tool results that the model was given, those of the trace's retrievals included.
    `reference` is the answer that a person gave instead (a correction), None where there is none. `expected_format` is
    "json" or a JSON Schema that the request asked for. `not_text` counts what `prompt` and `history` leave out of the
    messages: media, calls of tools, their results, and instructions behind the model's last answer. `facts` holds the
    call's dimensions: feature, provider, model, environment, release, prompt_name, prompt_version, service, user_id and
    session_id.
    """

    key: CallKey
    prompt: str
    response: str
    question: str = ""
    system: str = ""
    history: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    reference: str | None = None
    expected_format: Any = None
    is_error: bool = False
    tool_calls: int = 0
    not_text: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """What the answer is measured against: the new prompt, else the question that the tools were called for."""
        return self.prompt or self.question

    @property
    def characters(self) -> int:
        """Of all texts that a scorer may read."""
        texts = (self.prompt, self.response, self.question, self.system, self.reference or "")
        return sum(map(len, (*texts, *self.history, *self.contexts)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a score is what it is: a range of one text in code points. `place_index` counts contexts, else 0. `reason`
    never quotes the text. A range of (0, 0) speaks of the whole text."""

    place: Place
    start: int
    end: int
    label: str
    score: float | None
    reason: str
    place_index: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """`score` in 0..1, whose direction the scorer states. `label` is the verdict in a word, "" where the number says
    all. `is_flagged` is None where the scorer has no threshold. `reason` may quote nothing of the call but what a judge
    wrote as feedback. Money and tokens are those of every attempt, None when nothing was asked of a model."""

    score: float
    label: str = ""
    is_flagged: bool | None = None
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A result on its way into the table `scores`. `source` is "worker", "api" or "telemetry"."""

    key: CallKey
    scorer: str
    scorer_version: str
    result: Result
    threshold: float | None
    elapsed_us: int
    source: str
    scored_at: datetime
    facts: Mapping[str, str]
