"""The anthropic client with its native spans, alone or beside another instrumentation of the same calls.

Words: `openinference` (the native span becomes its child), `openllmetry` (in another trace), `workflow` (all under a
span of ours: siblings), `one_by_one` (each span in its own request, in the order in which they end).
"""

import app_calls
from app_telemetry import Telemetry

telemetry = Telemetry(one_by_one=app_calls.option("one_by_one"))
if app_calls.option("openinference"):
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=telemetry.traces)
if app_calls.option("openllmetry"):
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as OpenLlmetryInstrumentor

    OpenLlmetryInstrumentor().instrument(tracer_provider=telemetry.traces)
if app_calls.option("workflow"):
    with telemetry.traces.get_tracer("app").start_as_current_span("answer a question"):
        app_calls.anthropic_calls()
else:
    app_calls.anthropic_calls()
telemetry.flush()
