"""Published example V16: an agent calls a tool that does not exist, then one that does, and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kit import otlp
from stanchion_guard.detectors import build
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject, Usage
from stanchion_server.ingest.records import SpanKind, Status
from stanchion_server.kernel import clock
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Scope
from stanchion_server.traces import selectors

CAP = 5


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


def agent_run(trace_id: str) -> list[dict[str, Any]]:
    """Thought, a call of "Wolfram Alpha" that fails, thought, a call of "Search", thought with the final answer."""
    root, start = otlp.new_span_id(), clock.now_ns() - 60 * 10**9
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "fact-checker"}
    found = [
        otlp.span(
            "invoke_agent fact-checker", trace_id=trace_id, span_id=root, start_ns=start, attributes=agent, kind=1
        )
    ]
    for place, tool in enumerate(("", "Wolfram Alpha", "", "Search", "")):
        where = {"trace_id": trace_id, "parent": root, "start_ns": start + (place + 1) * 10**9}
        if not tool:
            found.append(otlp.llm_span(**where))
            continue
        values = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
        failed = tool != "Search"
        message = f"{tool} is not a valid tool, try one of [Search]." if failed else ""
        found.append(
            otlp.span(f"execute_tool {tool}", attributes=values, kind=1, status=2 * failed, message=message, **where)  # type: ignore[arg-type]
        )
    return found


@pytest.mark.django_db
def test_v16_two_tool_calls_one_of_them_an_error_and_one_final_answer_within_the_cap() -> None:
    project = services.create_project(services.create_organisation("Acme"), "Agents")
    key, trace_id = services.create_key(project, "app", [Scope.INGEST]), otlp.new_trace_id()
    sent = Client(headers={"x-api-key": key}).post(
        "/v1/traces", otlp.as_json(otlp.traces(agent_run(trace_id))), content_type="application/json"
    )
    assert sent.status_code == 200
    found = selectors.trace(project.pk, trace_id)
    assert found is not None
    kinds = [span.kind for span in found.spans]
    assert kinds == [SpanKind.AGENT, SpanKind.LLM, SpanKind.TOOL, SpanKind.LLM, SpanKind.TOOL, SpanKind.LLM]
    tools = [span for span in found.spans if span.kind is SpanKind.TOOL]
    [wrong] = [span for span in tools if span.status is Status.ERROR]
    assert (len(tools), found.errors, found.calls, found.is_incomplete) == (2, 1, 3, False)
    assert "not a valid tool" in wrong.status_message
    last = found.spans[-1].call
    assert last is not None
    assert last.status is not Status.ERROR
    assert is_capped(len(tools)) is False
    assert is_capped(CAP + 1) is True


def is_capped(tool_calls: int) -> bool:
    subject = Subject((Part("output", "done"),), usage=Usage(tool_calls=tool_calls))
    found = build("agent_cap", {"tool_calls": CAP}).detect(read("done"), 0, subject)
    return bool(found.findings)
