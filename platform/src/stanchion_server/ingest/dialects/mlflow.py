"""MLflow tracing: every value is JSON, also plain texts, which arrive in quotes."""

from __future__ import annotations

from stanchion_server.ingest.dialects.kinds import NAMES
from stanchion_server.ingest.dialects.openinference import PARAMETER_FIELDS, read_parameters
from stanchion_server.ingest.dialects.otel_genai import tool_list
from stanchion_server.ingest.dialects.readers import cost, member, provider, text
from stanchion_server.ingest.dialects.shape import Blob, Dialect, Key, Rank, Text
from stanchion_server.ingest.dialects.usage import FIELDS, read_usage

DIALECT = Dialect(
    name="mlflow",
    scopes=("mlflow",),
    markers=("mlflow.",),
    keys=(
        Key("request_model", "mlflow.llm.model", text),
        Key("provider", "mlflow.llm.provider", provider),
        Key("provider", "mlflow.message.format", provider, Rank.GENERIC),
        Key("client_cost_usd", "mlflow.llm.cost", member("total_cost", cost)),
        Key("session_id", "mlflow.trace.session", text),
        Key("user_id", "mlflow.trace.user", text),
    ),
    blobs=(
        Blob("mlflow.chat.tokenUsage", FIELDS, read_usage),
        Blob("mlflow.spanInputs", PARAMETER_FIELDS, read_parameters, Rank.GENERIC),
    ),
    texts=(
        Text("any_input", "mlflow.spanInputs", lambda value: value),
        Text("any_output", "mlflow.spanOutputs", lambda value: value),
        Text("tools", "mlflow.chat.tools", tool_list),
    ),
    kinds=(("mlflow.spanType", NAMES),),
    known=("mlflow.",),
)
