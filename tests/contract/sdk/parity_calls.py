"""The calls of the parity app: the same four questions to every provider, through its real client or a framework."""

import os
from collections.abc import Callable
from typing import Any

import app_calls

GEMINI_MODEL = "gemini-2.5-flash"
BEDROCK_MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PARAMETERS = {"temperature": 0.2, "max_tokens": 64}


def _question(scenario: str) -> str:
    return app_calls.TOOL_QUESTION if scenario.endswith("tools") else app_calls.QUESTION


def openai() -> Callable[[str], Any]:
    from openai import OpenAI

    client = OpenAI(max_retries=0)
    return lambda scenario: app_calls.openai_call(client, scenario)


def anthropic() -> Callable[[str], Any]:
    from anthropic import Anthropic

    client = Anthropic(max_retries=0)
    return lambda scenario: app_calls.anthropic_call(client, scenario)


def gemini() -> Callable[[str], Any]:
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=os.environ["GEMINI_BASE_URL"]))
    declared = types.FunctionDeclaration(
        name="get_weather", description="The weather now.", parameters_json_schema=app_calls.SCHEMA
    )

    def call(scenario: str) -> None:
        tools = [types.Tool(function_declarations=[declared])] if scenario.endswith("tools") else None
        config = types.GenerateContentConfig(
            system_instruction=app_calls.SYSTEM, temperature=0.2, max_output_tokens=64, tools=tools
        )
        wanted = {"model": GEMINI_MODEL, "contents": _question(scenario), "config": config}
        if scenario.startswith("stream"):
            list(client.models.generate_content_stream(**wanted))
        else:
            client.models.generate_content(**wanted)

    return call


def bedrock() -> Callable[[str], Any]:
    import boto3

    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    client = boto3.client("bedrock-runtime", endpoint_url=os.environ["BEDROCK_URL"], **keys)
    tool = {"name": "get_weather", "description": "The weather now.", "inputSchema": {"json": app_calls.SCHEMA}}

    def call(scenario: str) -> None:
        wanted = {
            "modelId": BEDROCK_MODEL,
            "messages": [{"role": "user", "content": [{"text": _question(scenario)}]}],
            "system": [{"text": app_calls.SYSTEM}],
            "inferenceConfig": {"maxTokens": 64, "temperature": 0.2},
        }
        if scenario.endswith("tools"):
            wanted["toolConfig"] = {"tools": [{"toolSpec": tool}]}
        if scenario.startswith("stream"):
            list(client.converse_stream(**wanted)["stream"])
        else:
            client.converse(**wanted)

    return call


def langchain() -> Callable[[str], Any]:
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    prompt = ChatPromptTemplate.from_messages([("system", app_calls.SYSTEM), ("user", "{question}")])
    model = ChatOpenAI(model=app_calls.OPENAI_MODEL, stream_usage=True, max_retries=0, **PARAMETERS)

    def call(scenario: str) -> None:
        chain = prompt | (model.bind_tools(app_calls.OPENAI_TOOLS) if scenario.endswith("tools") else model)
        question = {"question": _question(scenario)}
        if scenario.startswith("stream"):
            list(chain.stream(question))
        else:
            chain.invoke(question)

    return call


def litellm() -> Callable[[str], Any]:
    import litellm as library

    def call(scenario: str) -> None:
        messages = [
            {"role": "system", "content": app_calls.SYSTEM},
            {"role": "user", "content": _question(scenario)},
        ]
        wanted: dict[str, Any] = {"model": f"openai/{app_calls.OPENAI_MODEL}", "messages": messages, **PARAMETERS}
        if scenario.endswith("tools"):
            wanted["tools"] = app_calls.OPENAI_TOOLS
        if scenario.startswith("stream"):
            list(library.completion(**wanted, stream=True, stream_options={"include_usage": True}))
        else:
            library.completion(**wanted)

    return call


def llama_index() -> Callable[[str], Any]:
    from llama_index.core.llms import ChatMessage
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai import OpenAI

    def get_weather(city: str) -> str:
        """The weather now."""
        return city

    tool = FunctionTool.from_defaults(get_weather)
    common = {"model": app_calls.OPENAI_MODEL, "api_base": os.environ["OPENAI_BASE_URL"], "max_retries": 0}
    whole = OpenAI(**common, **PARAMETERS)
    streamed = OpenAI(**common, **PARAMETERS, additional_kwargs={"stream_options": {"include_usage": True}})

    def call(scenario: str) -> None:
        asked = [
            ChatMessage(role="system", content=app_calls.SYSTEM),
            ChatMessage(role="user", content=_question(scenario)),
        ]
        if scenario == "plain":
            whole.chat(asked)
        elif scenario == "stream":
            list(streamed.stream_chat(asked))
        elif scenario == "tools":
            whole.chat_with_tools([tool], chat_history=asked)
        else:
            list(streamed.stream_chat_with_tools([tool], chat_history=asked))

    return call


def langgraph() -> Callable[[str], Any]:
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph

    model = ChatOpenAI(model=app_calls.OPENAI_MODEL, stream_usage=True, max_retries=0, **PARAMETERS)

    def call(scenario: str) -> None:
        bound = model.bind_tools(app_calls.OPENAI_TOOLS) if scenario.endswith("tools") else model
        graph = StateGraph(MessagesState)
        graph.add_node("ask", lambda state: {"messages": [bound.invoke(state["messages"])]})
        graph.add_edge(START, "ask")
        graph.add_edge("ask", END)
        state = {"messages": [("system", app_calls.SYSTEM), ("user", _question(scenario))]}
        if scenario.startswith("stream"):
            list(graph.compile().stream(state, stream_mode="messages"))
        else:
            graph.compile().invoke(state)

    return call


def pydantic_ai() -> Callable[[str], Any]:
    import asyncio

    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel

    model = OpenAIChatModel(app_calls.OPENAI_MODEL)
    agent = Agent(model, system_prompt=app_calls.SYSTEM, model_settings=PARAMETERS)

    async def streamed(question: str) -> None:
        async with agent.run_stream(question) as result:
            await result.get_output()

    def call(scenario: str) -> None:
        if scenario.startswith("stream"):
            asyncio.run(streamed(_question(scenario)))
        else:
            agent.run_sync(_question(scenario))

    return call


def openai_agents() -> Callable[[str], Any]:
    from agents import Agent, ModelSettings, Runner, set_tracing_disabled

    set_tracing_disabled(True)
    settings = ModelSettings(**PARAMETERS)
    agent = Agent(name="a", instructions=app_calls.SYSTEM, model=app_calls.OPENAI_MODEL, model_settings=settings)
    return lambda scenario: Runner.run_sync(agent, _question(scenario))
