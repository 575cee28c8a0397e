"""OpenLLMetry on the openai client; the word `events` switches to messages as log records."""

import app_calls
from app_telemetry import Telemetry
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

telemetry = Telemetry()
OpenAIInstrumentor(use_attributes=not app_calls.option("events")).instrument()
app_calls.openai_calls()
telemetry.flush()
