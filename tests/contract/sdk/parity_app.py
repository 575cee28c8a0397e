"""One provider's or framework's calls under our SDK, another instrumentation, or both.

Words: who records (`ours`, `otel`, `openinference`, `logfire`, `ours+otel`, ...), what is called (a function of
parity_calls), then scenarios.
"""

import sys
import time
from importlib import import_module

INSTRUMENTATIONS = {
    ("otel", "openai"): "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    ("otel", "gemini"): "opentelemetry.instrumentation.google_genai:GoogleGenAiSdkInstrumentor",
    ("otel", "bedrock"): "opentelemetry.instrumentation.genai.bedrock:BedrockInstrumentor",
    ("openinference", "openai"): "openinference.instrumentation.openai:OpenAIInstrumentor",
    ("openinference", "anthropic"): "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    ("openinference", "gemini"): "openinference.instrumentation.google_genai:GoogleGenAIInstrumentor",
    ("openinference", "bedrock"): "openinference.instrumentation.bedrock:BedrockInstrumentor",
    ("openinference", "langchain"): "openinference.instrumentation.langchain:LangChainInstrumentor",
    ("openinference", "langgraph"): "openinference.instrumentation.langchain:LangChainInstrumentor",
    ("openinference", "llama_index"): "openinference.instrumentation.llama_index:LlamaIndexInstrumentor",
}

recorders, target = sys.argv[1].split("+"), sys.argv[2]
telemetry = None
if "ours" in recorders:
    import stanchion_sdk as stanchion

    assert stanchion.init()
for recorder in recorders:
    if recorder == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, console=False)
        logfire.instrument_pydantic_ai()
    elif recorder == "litellm":
        import litellm

        litellm.callbacks.append("otel")
    elif recorder != "ours":
        if recorders[0] != "ours":
            from app_telemetry import Telemetry

            telemetry = Telemetry()
        module, _, name = INSTRUMENTATIONS[recorder, target].partition(":")
        getattr(import_module(module), name)().instrument()

import app_calls  # noqa: E402
import parity_calls  # noqa: E402

call = getattr(parity_calls, target)()
for scenario in app_calls.scenarios():
    if "ours" in recorders:
        with stanchion.feature(scenario), stanchion.session("s-1"), stanchion.user("u-1"):
            call(scenario)
    else:
        call(scenario)
if target == "litellm":
    time.sleep(1)  # its callbacks run in a thread that offers no way to wait for it
if telemetry is not None:
    telemetry.flush()
if "logfire" in recorders:
    logfire.shutdown()
if recorders == ["litellm"]:
    from opentelemetry import trace

    trace.get_tracer_provider().force_flush()
