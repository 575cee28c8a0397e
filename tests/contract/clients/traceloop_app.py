"""The Traceloop SDK: its own setup, a workflow around the calls, association properties.

The word `anthropic` changes the provider.
"""

import os

import app_calls
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import workflow

Traceloop.init(
    app_name="contract-app",
    api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],
    api_key=os.environ["STANCHION_KEY"],
    disable_batch=True,
    telemetry_enabled=False,
)


@workflow(name="answer_question")
def answer() -> None:
    Traceloop.set_association_properties({"user_id": "user-1", "session_id": "session-1"})
    if app_calls.option("anthropic"):
        app_calls.anthropic_calls()
    else:
        app_calls.openai_calls()


answer()
