"""Logfire on the openai client, sending nowhere but to OTEL_EXPORTER_OTLP_ENDPOINT."""

import app_calls
import logfire

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_openai()
app_calls.openai_calls()
logfire.shutdown()
