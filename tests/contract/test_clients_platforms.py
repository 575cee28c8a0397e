"""Frameworks and other vendors' SDKs, pointed at our server instead of theirs."""

from __future__ import annotations

import pytest

from kit.contract import OPENAI_COST, Door, Known, check_openai, check_texts
from stanchion_server.ingest.records import Charge

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


# Langfuse tells the model that answered and not the one asked for; of a whole answer it does not tell why it ended.
LANGFUSE = Known(response_id=False, model="gpt-4o-mini-2024-07-18", finish=("stream", "stream_tools"))
LOGFIRE = Known(ttft=(), response_id=False, is_streamed=False)


def test_langchain(live_door: Door) -> None:
    run = live_door.run("many", "langchain_app.py")

    check_openai(run, known=Known(ttft=(), response_id=False, is_streamed=False))
    check_texts(run)


def test_langfuse_with_its_own_path_and_basic_credentials(live_door: Door) -> None:
    keys = {"LANGFUSE_PUBLIC_KEY": "pk-any", "LANGFUSE_SECRET_KEY": live_door.api_key}
    run = live_door.run("many", "langfuse_app.py", LANGFUSE_BASE_URL=live_door.url, **keys)

    check_openai(run, known=LANGFUSE)
    check_texts(run)
    assert not any('"' in call.model + call.user_id for call in run.charged)


def test_logfire_with_the_usage_of_a_stream_on_another_span(live_door: Door) -> None:
    run = live_door.run("many", "logfire_app.py")

    check_openai(run, known=LOGFIRE)
    check_texts(run)


def test_a_pydantic_ai_agent_is_charged_for_its_calls_and_not_for_itself(live_door: Door) -> None:
    run = live_door.run("many", "pydantic_ai_app.py", "plain", "stream")

    check_openai(run, ("plain", "stream"))
    check_texts(run, ("plain", "stream"))
    assert sum(record.charge == Charge.ROLLUP for record in run.records) in (0, 2)
    assert [call.client_cost_usd for call in run.charged] == [OPENAI_COST, OPENAI_COST]


def test_litellm_claims_the_same_cost_as_we_find(live_door: Door) -> None:
    ours = {
        "OTEL_EXPORTER": "otlp_http",
        "OTEL_ENDPOINT": f"{live_door.url}/v1/traces",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    run = live_door.run("litellm", "litellm_app.py", OTEL_HEADERS=f"Authorization=Bearer {live_door.api_key}", **ours)

    check_openai(run, known=Known(ttft=()))
    check_texts(run)
    assert {call.client_cost_usd for call in run.charged} == {OPENAI_COST}
