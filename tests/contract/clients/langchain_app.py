"""LangChain's chat model, instrumented by OpenInference: whole, streamed, and with a bound tool."""

import app_calls
from app_telemetry import Telemetry
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from openinference.instrumentation.langchain import LangChainInstrumentor

telemetry = Telemetry()
LangChainInstrumentor().instrument(tracer_provider=telemetry.traces)
prompt = ChatPromptTemplate.from_messages([("system", app_calls.SYSTEM), ("user", "{question}")])
model = ChatOpenAI(model=app_calls.OPENAI_MODEL, temperature=0.2, max_tokens=64, stream_usage=True, max_retries=0)
for scenario in app_calls.scenarios():
    with_tools = scenario.endswith("tools")
    chain = prompt | (model.bind_tools(app_calls.OPENAI_TOOLS) if with_tools else model)
    question = {"question": app_calls.TOOL_QUESTION if with_tools else app_calls.QUESTION}
    if scenario.startswith("stream"):
        for _chunk in chain.stream(question):
            pass
    else:
        chain.invoke(question)
telemetry.flush()
