"""Langfuse's OpenTelemetry attributes. Values of metadata are JSON-quoted; usage_details keeps the provider's own
keys."""

from __future__ import annotations

from stanchion_server.ingest.dialects.kinds import NAMES
from stanchion_server.ingest.dialects.openinference import PARAMETER_FIELDS, read_parameters
from stanchion_server.ingest.dialects.readers import cost, finish_reasons, member, moment_ns, text, texts
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key, Text
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage

_OBSERVATION = "langfuse.observation."
_TRACE = "langfuse.trace."

DIALECT = Dialect(
    name="langfuse",
    scopes=("langfuse-sdk", "langfuse"),
    markers=("langfuse.",),
    keys=(
        Key("request_model", f"{_OBSERVATION}model.name", text),
        Key("response_model", f"{_OBSERVATION}model.name", text),
        Key("client_cost_usd", f"{_OBSERVATION}cost_details", member("total", cost)),
        Key("first_token_at", f"{_OBSERVATION}completion_start_time", moment_ns),
        Key("finish_reasons", f"{_OBSERVATION}metadata.finish_reason", finish_reasons),
        Key("user_id", "langfuse.user.id", text),
        Key("session_id", "langfuse.session.id", text),
        Key("feature", f"{_TRACE}metadata.feature", text),
        Key("feature", f"{_OBSERVATION}metadata.feature", text),
        Key("environment", "langfuse.environment", text),
        Key("release", "langfuse.release", text),
        Key("release", "langfuse.version", text),
        Key("tags", f"{_TRACE}tags", texts),
        Key("prompt_name", f"{_OBSERVATION}prompt.name", text),
        Key("prompt_version", f"{_OBSERVATION}prompt.version", text),
        Key("error_type", f"{_OBSERVATION}metadata.error_type", text),
    ),
    blobs=(
        Blob(f"{_OBSERVATION}usage_details", FIELDS, read_usage),
        Blob(f"{_OBSERVATION}usage", FIELDS, read_usage),
        Blob(f"{_OBSERVATION}model.parameters", PARAMETER_FIELDS, read_parameters),
    ),
    texts=(
        Text("any_input", f"{_OBSERVATION}input", lambda value: value),
        Text("any_output", f"{_OBSERVATION}output", lambda value: value),
        Text("any_input", f"{_TRACE}input", lambda value: value),
        Text("any_output", f"{_TRACE}output", lambda value: value),
    ),
    kinds=((f"{_OBSERVATION}type", NAMES),),
    known=(
        f"{_TRACE}metadata.", f"{_TRACE}name", f"{_TRACE}public", f"{_OBSERVATION}metadata.", "langfuse.internal.",
        f"{_OBSERVATION}level", f"{_OBSERVATION}status_message", "langfuse.as_root", "langfuse.experiment.",
    ),
)  # fmt: skip
