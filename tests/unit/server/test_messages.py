"""Canonical content: one form for all providers, bounded, clean, and merged without overwriting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stanchion_server.ingest import messages
from stanchion_server.ingest.dialects.chat import read_input, read_messages, read_output

CALL = {"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"id": 1}}


@dataclass(frozen=True)
class Record:
    source: int
    start_time: datetime
    body: bytes


def record(content, source=0, second=0):
    start = datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=second)
    return Record(source, start, messages.pack(content).body)


def said(role, text):
    return {"role": role, "parts": [{"type": "text", "text": text}]}


@pytest.mark.parametrize(
    "given",
    [
        [{"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "lookup",
        "arguments": '{"id": 1}'}}]}],
        [{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "lookup", "input": {"id": 1}}]}],
        [{"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "lookup",
        "args": {"id": 1}}]}],
        [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "lookup", "arguments": {"id": 1}}]}],
        [{"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": '{"id": 1}'}],
        {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "lookup",
        "args": {"id": 1}}}]}}]},
        {"choices": [{"message": {"tool_calls": [{"id": "c1", "function": {"name": "lookup",
        "arguments": '{"id": 1}'}}]}}]},
        [{"kind": "response", "parts": [{"part_kind": "tool-call", "tool_name": "lookup", "args": {"id": 1},
        "tool_call_id": "c1"}]}],
    ],
)  # fmt: skip
def test_tool_calls_of_every_provider_are_one_part(given):
    (found,) = read_output(given)
    assert found["role"] == "assistant" and found["parts"] == [CALL]


@pytest.mark.parametrize(
    "given",
    [
        "Hi",
        [{"role": "user", "content": "Hi"}],
        '[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]',
        {"messages": [{"role": "human", "content": "Hi"}]},
        "[{'role': 'user', 'content': 'Hi'}]",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        [[{"id": ["langchain", "HumanMessage"], "kwargs": {"content": "Hi", "type": "human"}}]],
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
        {"prompt": "Hi"},
    ],
)  # fmt: skip
def test_user_texts_of_every_provider_are_one_message(given):
    assert read_input(given) == [said("user", "Hi")]


def test_tool_results_and_reasoning_have_parts_of_their_own():
    found = read_input([
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text",
        "text": "43"}]}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ok"}]},
    ])  # fmt: skip
    assert found[0]["parts"] == [{"type": "tool_result", "id": "c1", "result": "42"}]
    assert found[1]["parts"] == [{"type": "tool_result", "id": "c2", "result": "43"}]
    assert found[2]["parts"] == [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "ok"}]


def test_binary_data_is_measured_and_links_are_kept():
    data = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    link = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    parts = read_input([{"role": "user", "content": [data, link]}])[0]["parts"]
    assert parts[0]["bytes"] == 5022 and "uri" not in parts[0]
    assert parts[1]["uri"] == "https://example.com/a.png"


def test_leading_system_messages_move_to_system():
    arranged = messages.arrange({"input": [said("system", "Be brief."), said("user", "Hi")]})
    assert arranged == {"system": [{"type": "text", "text": "Be brief."}], "input": [said("user", "Hi")]}


def test_what_is_packed_is_loaded_again():
    content = {"input": [said("user", "é😀")], "result": {"a": None}}
    packed = messages.pack(content)
    assert messages.load(packed.body) == content and not packed.is_truncated
    assert messages.pack(content).digest == packed.digest


def test_content_beyond_two_mebibytes_is_cut_and_marked():
    packed = messages.pack({"input": [said("user", "x" * 3_000_000)], "output": [said("assistant", "short")]})
    assert packed.is_truncated and packed.original_bytes > 3_000_000
    content = messages.load(packed.body)
    assert content["output"] == [said("assistant", "short")]
    assert len(messages.to_json(content)) <= messages.MAX_CONTENT_BYTES


def test_foreign_bytes_are_refused():
    with pytest.raises(ValueError, match="not a stored content"):
        messages.load(b"nonsense")


def test_merging_fills_gaps_only_and_prefers_the_span():
    late_span = record({"input": [said("user", "span")]}, source=0, second=9)
    log = record({"input": [said("user", "log")], "output": [said("assistant", "log")]}, source=1)
    for order in ([late_span, log], [log, late_span]):
        assert messages.merge(order) == {"input": [said("user", "span")], "output": [said("assistant", "log")]}


def test_merging_appends_per_message_events_in_the_order_of_time():
    first = record({"events": True, "input": [said("user", "1")]}, source=1, second=1)
    second = record(
        {"events": True, "input": [said("user", "2")], "output": [said("assistant", "3")]}, source=1, second=2
    )
    merged = messages.merge([second, first])
    assert merged == {"input": [said("user", "1"), said("user", "2")], "output": [said("assistant", "3")]}


def test_previews_are_the_last_question_and_the_first_answer():
    content = {
        "input": [said("user", "first"), said("user", "last" * 100)],
        "output": [{"role": "assistant", "parts": [CALL]}],
    }
    assert messages.input_preview(content) == ("last" * 100)[:200]
    assert messages.output_preview(content) == 'lookup({"id":1})'
    assert messages.tool_call_count(content) == 1


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["role", "content", "parts", "type", "text", "tool_calls", "function", "message", "choices",
        "kwargs",
                         "messages", "id", "input", "output", "name", "arguments", "part_kind", "image_url",
                         "source", "finish_reason"]),
        inner | st.sampled_from(["user", "text", "tool_use", "thinking", "image_url", "tool_result"]),
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_anything_becomes_messages_that_can_be_packed_and_previewed(tree):
    found = read_messages(tree, "user")
    content = messages.arrange({"input": found, "output": read_output(tree)})
    for item in found:
        assert item["role"] in ("system", "user", "assistant", "tool")
        assert all(isinstance(part["type"], str) for part in item["parts"])
    messages.input_preview(content), messages.output_preview(content), messages.tool_call_count(content)
    assert b"\\u0000" not in messages.to_json(messages.load(messages.pack(content).body))
