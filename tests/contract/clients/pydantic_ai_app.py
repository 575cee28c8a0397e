"""A pydantic-ai agent: one question whole, one streamed. Each run is an agent span over the model call."""

import app_calls
import logfire
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_pydantic_ai()
model = OpenAIChatModel(app_calls.OPENAI_MODEL)
agent = Agent(model, system_prompt=app_calls.SYSTEM, model_settings={"max_tokens": 64, "temperature": 0.2})


async def streamed() -> None:
    async with agent.run_stream(app_calls.QUESTION) as result:
        await result.get_output()


for scenario in app_calls.scenarios():
    if scenario == "plain":
        agent.run_sync(app_calls.QUESTION)
    elif scenario == "stream":
        import asyncio

        asyncio.run(streamed())
logfire.shutdown()
