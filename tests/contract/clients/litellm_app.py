"""LiteLLM with its own OpenTelemetry callback."""

import time

import app_calls
import litellm

litellm.callbacks = ["otel"]
for scenario in app_calls.scenarios():
    with_tools = scenario.endswith("tools")
    wanted = {
        "model": f"openai/{app_calls.OPENAI_MODEL}",
        "messages": [
            {"role": "system", "content": app_calls.SYSTEM},
            {"role": "user", "content": app_calls.TOOL_QUESTION if with_tools else app_calls.QUESTION},
        ],
        "max_tokens": 64,
        "temperature": 0.2,
        **({"tools": app_calls.OPENAI_TOOLS} if with_tools else {}),
    }
    if scenario.startswith("stream"):
        for _chunk in litellm.completion(**wanted, stream=True, stream_options={"include_usage": True}):
            pass
    else:
        litellm.completion(**wanted)
time.sleep(1)  # its callbacks run in a thread that offers no way to wait for it
from opentelemetry import trace  # noqa: E402 - litellm has set the provider by now

trace.get_tracer_provider().force_flush()
