from __future__ import annotations

from typing import Any

from stanchion_server.ingest.messages import message, text_part
from stanchion_server.quality.reading import expected_format, texts_of


def said(role: str, *texts: str) -> dict[str, Any]:
    return message(role, [text_part(text) for text in texts])


def called(name: str) -> dict[str, Any]:
    return message("assistant", [{"type": "tool_call", "id": "1", "name": name, "arguments": {}}])


def test_the_prompt_is_what_was_new_and_the_history_what_was_before() -> None:
    content = {
        "system": [text_part("Be kind.")],
        "input": [said("user", "Hello"), said("assistant", "Hi!"), said("user", "Where is", "my order?")],
        "output": [said("assistant", "It left today.")],
    }
    found = texts_of(content)
    assert (found.system, found.prompt, found.response) == ("Be kind.", "Where is\n\nmy order?", "It left today.")
    assert found.history == ("Hello", "Hi!") and found.question == found.prompt


def test_after_a_tool_call_nothing_is_new_but_the_question_stands() -> None:
    result = message("tool", [{"type": "tool_result", "id": "1", "result": {"state": "shipped"}}])
    content = {
        "input": [said("user", "Where is it?"), called("order"), result],
        "output": [said("assistant", "It left."), said("assistant", "Second choice.")],
    }
    found = texts_of(content)
    assert (found.prompt, found.question, found.response) == ("", "Where is it?", "It left.")
    assert found.contexts == ('{"state": "shipped"}',)


def test_the_contexts_are_documents_and_results_each_once() -> None:
    around = [{"documents": [{"content": "Two days."}, {"content": {"page": 3}}]}, {"result": "Two days."}]
    content = {"documents": [{"id": "kb"}, {"content": "Returns are free."}], "output": [called("a"), called("b")]}
    found = texts_of(content, around)
    assert found.contexts == ("Two days.", '{"page": 3}', "Returns are free.")
    assert found.tool_calls == 2 and found.response == ""


def test_a_call_without_texts_is_empty_and_nothing_breaks() -> None:
    found = texts_of({})
    assert (found.prompt, found.response, found.contexts, found.history) == ("", "", (), ())


def test_the_format_that_a_request_asked_for_is_read_from_each_vocabulary() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert expected_format({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}) == schema
    assert expected_format({"response_format": '{"type": "json_object"}'}) == "json"
    assert expected_format({"output_type": "json"}) == "json"
    assert expected_format({"response_format": "text"}) is None
    assert expected_format({"response_format": "{broken"}) is None
    assert expected_format({}) is None
