"""opentelemetry-instrumentation-openai-v2: older conventions, or newer by OTEL_SEMCONV_STABILITY_OPT_IN."""

import app_calls
from app_telemetry import Telemetry
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

telemetry = Telemetry()
OpenAIInstrumentor().instrument()
app_calls.openai_calls()
telemetry.flush()
