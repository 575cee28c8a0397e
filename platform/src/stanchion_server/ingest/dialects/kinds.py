"""Words for span kinds, and the kind of a span that names none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stanchion_server.ingest.records import SpanKind

OPERATIONS: Mapping[str, SpanKind] = {
    "chat": SpanKind.LLM, "text_completion": SpanKind.LLM, "generate_content": SpanKind.LLM, "completion": SpanKind.LLM,
    "message": SpanKind.LLM, "image": SpanKind.LLM, "image_generation": SpanKind.LLM, "audio": SpanKind.LLM,
    "responses": SpanKind.LLM, "transcription": SpanKind.LLM, "vision": SpanKind.LLM, "inference": SpanKind.LLM,
    "embeddings": SpanKind.EMBEDDING, "embedding": SpanKind.EMBEDDING,
    "rerank": SpanKind.RERANKER, "reranking": SpanKind.RERANKER,
    "retrieval": SpanKind.RETRIEVER, "retrieve": SpanKind.RETRIEVER, "search": SpanKind.RETRIEVER,
    "execute_tool": SpanKind.TOOL, "tool": SpanKind.TOOL,
    "invoke_agent": SpanKind.AGENT, "create_agent": SpanKind.AGENT, "agent": SpanKind.AGENT, "handoff": SpanKind.AGENT,
    "invoke_workflow": SpanKind.CHAIN, "workflow": SpanKind.CHAIN, "framework": SpanKind.CHAIN, "chain": SpanKind.CHAIN,
    "agent_step": SpanKind.CHAIN, "execute_task": SpanKind.TASK, "plan": SpanKind.TASK, "fetch_response": SpanKind.TASK,
    "run_guardrail": SpanKind.GUARDRAIL, "apply_guardrail": SpanKind.GUARDRAIL, "evaluate": SpanKind.EVALUATOR,
    "search_memory": SpanKind.RETRIEVER, "create_memory": SpanKind.TASK, "update_memory": SpanKind.TASK,
    "delete_memory": SpanKind.TASK, "vectordb": SpanKind.RETRIEVER,
}  # fmt: skip

NAMES: Mapping[str, SpanKind] = {
    "llm": SpanKind.LLM, "generation": SpanKind.LLM, "chat_model": SpanKind.LLM, "chat": SpanKind.LLM,
    "completion": SpanKind.LLM, "prompt": SpanKind.TASK, "embedding": SpanKind.EMBEDDING, "embeddings":
    SpanKind.EMBEDDING,
    "chain": SpanKind.CHAIN, "workflow": SpanKind.CHAIN, "agent": SpanKind.AGENT, "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER, "reranker": SpanKind.RERANKER, "rerank": SpanKind.RERANKER,
    "guardrail": SpanKind.GUARDRAIL, "evaluator": SpanKind.EVALUATOR, "task": SpanKind.TASK, "parser": SpanKind.TASK,
    "decision": SpanKind.TASK, "unknown": SpanKind.OTHER, "span": SpanKind.OTHER, "event": SpanKind.OTHER,
    "memory": SpanKind.TASK, "function": SpanKind.TOOL, "query": SpanKind.CHAIN, "scorer": SpanKind.EVALUATOR,
}  # fmt: skip

_MODEL_KEYS = (
    "gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "llm.request.model", "llm.model", "model",
    "model_name",
    "gen_ai.model",
)  # fmt: skip
_TOKENS = re.compile(r"gen_ai\.|llm\.|(input|output|prompt|completion|total)[._]?tokens?", re.IGNORECASE)
_TEXT_KEYS = (
    "gen_ai.output.messages",
    "gen_ai.input.messages",
    "gen_ai.completion",
    "gen_ai.completion.0.content",
    "gen_ai.prompt",
)


def infer(attributes: Mapping[str, Any]) -> SpanKind:
    """The kind of a span by what it carries, for clients that name no kind."""
    if "gen_ai.tool.name" in attributes or "tool.name" in attributes:
        return SpanKind.TOOL
    has_model = any(key in attributes for key in _MODEL_KEYS)
    if has_model:
        if "embedding.model_name" in attributes or "gen_ai.embeddings.dimension.count" in attributes:
            return SpanKind.EMBEDDING
        is_call = any(key in attributes for key in _TEXT_KEYS) or "gen_ai.response.id" in attributes
        if is_call or any(_TOKENS.search(key) for key in attributes):
            return SpanKind.AGENT if "gen_ai.agent.name" in attributes else SpanKind.LLM
    if "embedding.model_name" in attributes:
        return SpanKind.EMBEDDING
    if "gen_ai.retrieval.query.text" in attributes or "db.vector.query.top_k" in attributes:
        return SpanKind.RETRIEVER
    return _infer_rest(attributes)


def _infer_rest(attributes: Mapping[str, Any]) -> SpanKind:
    if "gen_ai.agent.name" in attributes or "gen_ai.agent.id" in attributes:
        return SpanKind.AGENT
    if "event_loop.cycle_id" in attributes:
        return SpanKind.CHAIN
    if any(key.startswith("retrieval.documents.") for key in attributes):
        return SpanKind.RETRIEVER
    if "gen_ai.system" in attributes and any("usage" in key for key in attributes):
        return SpanKind.LLM
    return SpanKind.OTHER
