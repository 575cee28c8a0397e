"""opentelemetry-instrumentation-genai-openai, the successor, with the openai package's third major version."""

import app_calls
from app_telemetry import Telemetry
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

telemetry = Telemetry()
OpenAIInstrumentor().instrument()
app_calls.openai_calls()
telemetry.flush()
