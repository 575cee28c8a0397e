"""Plays a conversation as its application would: spans, labels, retrieval, tools, and calls through real clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

import stanchion_sdk as stanchion
from stanchion_demo.clock import Clock
from stanchion_demo.provider import Provider
from stanchion_demo.recorder import Pace, SeededIds, paced
from stanchion_demo.steps import Conversation, Embedding, ModelCall, Rating, Retrieval, Step, ToolUse, Turn
from stanchion_sdk.guarding.guards import AppGuard

PROVIDER_ERRORS = (openai.APIError, anthropic.APIError)


@dataclass(frozen=True, slots=True)
class Rated:
    """A rating of the turn `place` of a conversation, given at `time_ns`."""

    rating: Rating
    trace_id: str
    place: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Tracers:
    """Of one service in one release and environment: for its own spans, for what the SDK's hooks record, and for what
    its guard does."""

    own: Tracer
    calls: Tracer
    guard: Tracer


@dataclass(frozen=True, slots=True)
class Stage:
    """What the player needs beside the conversation."""

    provider: Provider
    tracers: Callable[[Conversation], Tracers]
    ids: SeededIds
    seed: str
    rate: Callable[[Rated], None]
    guard: Callable[[Conversation], AppGuard | None]


def play(conversation: Conversation, clock: Clock, stage: Stage) -> list[str]:
    """All turns, one after another; returns their trace ids. Waits on the clock; a provider's refusal ends the turn, as
    it would there."""
    stage.ids.begin(f"{stage.seed}/{conversation.number}")
    actor = _Actor(conversation, clock, stage, stage.tracers(conversation))
    traces: list[str] = []
    for place, turn in enumerate(conversation.turns):
        clock.wait(turn.pause_s)
        trace_id = actor.turn(turn)
        traces.append(trace_id)
        if turn.rating is not None:
            clock.wait(turn.rating.after_s)
            stage.rate(Rated(turn.rating, trace_id, place, clock.now_ns()))
    return traces


class _Actor:
    def __init__(self, conversation: Conversation, clock: Clock, stage: Stage, tracers: Tracers) -> None:
        self._conversation, self._clock, self._stage, self._tracers = conversation, clock, stage, tracers
        self._guard = stage.guard(conversation)
        self._found: Retrieval | None = None

    def turn(self, turn: Turn) -> str:
        """Plays it and returns its trace id."""
        conversation = self._conversation
        with ExitStack() as scopes:
            scopes.enter_context(stanchion.feature(conversation.app.feature))
            if conversation.user:
                scopes.enter_context(stanchion.user(conversation.user))
                scopes.enter_context(stanchion.session(conversation.session))
            if conversation.tags:
                scopes.enter_context(stanchion.tags(*conversation.tags))
            with self._span(conversation.app.root, _root_attributes(conversation), SpanKind.SERVER) as root:
                self._steps(turn, root)
        return f"{root.get_span_context().trace_id:032x}"

    def _steps(self, turn: Turn, root: Span) -> None:
        """A refused call is tried again on another model where the story has one; else the turn fails."""
        for step in turn.steps:
            try:
                self._step(step)
            except PROVIDER_ERRORS as error:
                if step is turn.steps[-1]:
                    root.set_status(StatusCode.ERROR, f"no answer: {type(error).__name__}")

    def _step(self, step: Step) -> None:
        match step:
            case ModelCall():
                self._ask(step)
            case Embedding():
                with paced(self._pace(step.latency_s, None)):
                    self._stage.provider.embed(step, is_past=self._clock.is_past)
            case Retrieval():
                with self._span("search handbook", _retrieval_attributes(step)):
                    self._clock.wait(step.latency_s)
                self._check_found(step)
            case ToolUse():
                with self._span(f"execute_tool {step.name}", _tool_attributes(step)):
                    self._clock.wait(step.latency_s)

    def _ask(self, call: ModelCall) -> None:
        with (
            stanchion.prompt(call.prompt_name, call.prompt_version),
            paced(self._pace(call.latency_s, call.first_token_s)),
        ):
            answer = self._stage.provider.ask(call, is_past=self._clock.is_past)
        self._check_answer(answer)

    def _check_found(self, step: Retrieval) -> None:
        """Question and excerpts. The model is asked meanwhile: a verdict decides what is shown, not what is asked."""
        self._found = step
        if self._guard is not None:
            with paced(self._pace_of_guard()):
                self._guard.check(step.query, "input")
                self._guard.check("\n\n".join(_excerpts(step)), "retrieved")

    def _check_answer(self, answer: str) -> None:
        if self._guard is not None and self._found is not None and answer:
            with paced(self._pace_of_guard()):
                self._guard.check(answer, "output", query=self._found.query, context=_excerpts(self._found))

    def _pace_of_guard(self) -> Pace:
        return Pace(self._tracers.guard, self._clock, 0.0, None)

    def _pace(self, latency_s: float, first_token_s: float | None) -> Pace:
        return Pace(self._tracers.calls, self._clock, latency_s, first_token_s)

    @contextmanager
    def _span(self, name: str, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.INTERNAL) -> Iterator[Span]:
        span = self._tracers.own.start_span(name, None, kind, attributes, start_time=self._clock.now_ns())
        try:
            with trace.use_span(span, end_on_exit=False):
                yield span
        finally:
            span.end(self._clock.now_ns())


def _excerpts(step: Retrieval) -> list[str]:
    return [str(document["content"]) for document in step.documents]


def _root_attributes(conversation: Conversation) -> dict[str, Any]:
    if conversation.app.is_agent:
        return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": conversation.app.feature}
    return {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": conversation.app.root}


def _retrieval_attributes(step: Retrieval) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "handbook",
        "gen_ai.retrieval.query.text": step.query,
        "gen_ai.retrieval.documents": json.dumps(step.documents, ensure_ascii=False),
    }


def _tool_attributes(step: ToolUse) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": step.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": json.dumps(step.arguments, ensure_ascii=False),
        "gen_ai.tool.call.result": json.dumps(step.result, ensure_ascii=False),
    }
