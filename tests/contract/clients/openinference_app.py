"""OpenInference on the openai client."""

import app_calls
from app_telemetry import Telemetry
from openinference.instrumentation.openai import OpenAIInstrumentor

telemetry = Telemetry()
OpenAIInstrumentor().instrument(tracer_provider=telemetry.traces)
app_calls.openai_calls()
telemetry.flush()
