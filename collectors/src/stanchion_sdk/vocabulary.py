"""Which attributes of the dialects that we know carry content, and which carry names, kinds and ids.

The dialects: OpenTelemetry's GenAI conventions, OpenInference, OpenLLMetry, Langfuse, LangSmith, Logfire, MLflow,
Vercel's AI SDK, and OpenTelemetry's general conventions (1.39) for HTTP, databases and messaging.
"""

from __future__ import annotations

_CONTENT_STARTS = (
    "gen_ai.input", "gen_ai.output", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.prompt", "gen_ai.completion", "gen_ai.content",
    "gen_ai.retrieval", "input.value", "output.value", "llm.input_messages", "llm.output_messages", "llm.prompts",
    "llm.completions", "llm.invocation_parameters", "llm.tools", "retrieval.documents", "embedding.text",
    "embedding.embeddings", "embedding.vector", "traceloop.entity.input", "traceloop.entity.output", "tool.parameters",
    "request_data", "response_data", "langfuse.observation.input", "langfuse.observation.output",
    "langfuse.trace.input", "langfuse.trace.output", "exception.message", "exception.stacktrace", "all_messages_events",
    "pydantic_ai.all_messages", "final_result", "mlflow.spanInputs", "mlflow.spanOutputs",
    "anthropic.tool_result.content",
)  # fmt: skip
_NAME_STARTS = (
    "stanchion.", "service.", "telemetry.", "deployment.", "host.", "os.", "process.runtime.", "k8s.", "cloud.",
    "server.", "network.", "net.", "openinference.", "gen_ai.usage.", "messaging.operation", "http.request.method",
    "http.response.status",
)  # fmt: skip
_NAMES = frozenset([
    "rpc.system", "rpc.service", "rpc.method", "code.function", "code.function.name", "code.filepath", "code.file.path",
    "code.namespace", "container.id", "container.name", "container.image.name", "otel.scope.name", "otel.status_code",
    "http.method", "http.route", "http.scheme", "http.flavor", "http.status_code", "url.scheme", "db.system",
    "db.system.name", "db.name", "db.namespace", "db.operation", "db.operation.name", "db.collection.name",
    "messaging.system", "messaging.destination.name", "thread.name", "error.type", "exception.type",
    "exception.escaped", "event.name", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.system",
    "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id", "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason", "gen_ai.response.status", "gen_ai.response.service_tier",
    "gen_ai.request.encoding_formats", "gen_ai.request.reasoning_effort", "gen_ai.request.reasoning.level",
    "gen_ai.openai.request.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.token.type",
    "gen_ai.agent.name", "gen_ai.agent.id", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.tool.call.id",
    "gen_ai.conversation.id", "gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.output.type", "gen_ai.model",
    "gen_ai.application_name", "gen_ai.environment", "gen_ai.sdk.version", "gen_ai.user", "gen_ai.request.user",
    "openai.api.type", "openai.request.service_tier", "openai.response.service_tier",
    "openai.response.system_fingerprint", "anthropic.message.stop_reason", "anthropic.request.service_tier",
    "anthropic.response.service_tier", "llm.model", "llm.model_name", "llm.provider", "llm.system", "llm.vendor",
    "llm.operation", "llm.request.model", "llm.request.type", "llm.response.model", "llm.response.id",
    "llm.response.finish_reason", "llm.response.stop_reason", "llm.finish_reason", "llm.response_id",
    "llm.response_model", "llm.prompt_template.version", "llm.usage", "llm.user", "llm.user_id",
    "embedding.model_name", "reranker.model_name", "tool.name", "agent.name", "session.id", "user.id", "enduser.id",
    "enduser.pseudo.id", "thread.id", "conversation.id", "traceloop.span.kind", "traceloop.workflow.name",
    "traceloop.entity.name", "traceloop.entity.path", "traceloop.prompt.key", "traceloop.prompt.version",
    "traceloop.association.properties.feature", "langfuse.observation.type", "langfuse.observation.model.name",
    "langfuse.observation.usage_details", "langfuse.observation.cost_details", "langfuse.observation.level",
    "langfuse.observation.prompt.name", "langfuse.observation.prompt.version", "langfuse.trace.name",
    "langfuse.trace.metadata.feature", "langfuse.observation.metadata.feature", "langfuse.session.id",
    "langfuse.user.id", "langfuse.release", "langfuse.environment", "langfuse.version", "langsmith.span.kind",
    "langsmith.metadata.feature", "logfire.span_type", "mlflow.spanType", "mlflow.chat.tokenUsage",
    "mlflow.llm.model", "mlflow.llm.provider", "mlflow.llm.cost", "mlflow.trace.session", "mlflow.trace.user",
    "ai.model.id", "ai.model.provider", "ai.operationId", "ai.response.id", "ai.response.model",
    "ai.response.finishReason", "ai.finishReason", "ai.telemetry.functionId", "ai.telemetry.metadata.feature",
    "operation.name", "resource.name", "span.kind", "span.type", "response.id", "response.model", "model", "reason",
    "app.feature",
])  # fmt: skip


def is_content(key: str) -> bool:
    """Whether an attribute carries what people or models wrote."""
    return key.startswith(_CONTENT_STARTS) and key not in _NAMES


def is_name(key: str) -> bool:
    """Whether the strings under this key are names, kinds or ids, which may leave also where texts may not."""
    return key in _NAMES or key.startswith(_NAME_STARTS)
