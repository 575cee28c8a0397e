"""Bodies that no honest client sends, to every foreign format: refused in its own words, never a failure of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from kit.compat import Compat, clean_caches, compat, decisions

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
DOORS: dict[str, tuple[str, dict[str, Any], Callable[[dict[str, Any]], str]]] = {
    "openai": ("/openai/v1/moderations", {"input": "hello"}, lambda answer: answer["error"]["message"]),
    "litellm": (
        "/litellm/beta/litellm_basic_guardrail_api",
        {"input_type": "request", "texts": ["hello"]},
        lambda answer: answer["error"]["message"],
    ),
    "bedrock": (
        "/bedrock/guardrail/default/version//apply",
        {"source": "INPUT", "content": [{"text": {"text": "hello"}}]},
        lambda answer: answer["message"],
    ),
    "detectors contents": (
        "/detectors/api/v1/text/contents",
        {"contents": ["hello"], "detector_params": {"stage": "input"}},
        lambda answer: answer["message"],
    ),
    "detectors generation": (
        "/detectors/api/v1/text/generation",
        {"prompt": "who?", "generated_text": "hello"},
        lambda answer: answer["message"],
    ),
    "detectors chat": (
        "/detectors/api/v1/text/context/chat",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}], "tool_calls": []}]},
        lambda answer: answer["message"],
    ),
    "detectors doc": (
        "/detectors/api/v1/text/context/doc",
        {"content": "hello", "context_type": "docs", "context": ["there"]},
        lambda answer: answer["message"],
    ),
}
VALUES = (None, True, 0, -1.5, 10**400, "", "\x00", "\ud800", "\u202e" * 50, [], [[]], {}, [None], {"": {"": [{}]}})
doors = pytest.mark.parametrize("name", DOORS)


def twice(honest: dict[str, Any]) -> str:
    key = next(iter(honest))
    return "{" + json.dumps(key) + ": null, " + json.dumps(honest)[1:]


def refused(name: str, body: str | bytes, *, status: int = 400) -> str:
    path, _, message = DOORS[name]
    # The Detectors API knows 422 for all that cannot be read.
    status = 422 if name.startswith("detectors") else status
    shop = compat()
    response = shop.send("POST", path, body)
    assert response.status_code == status, response.content
    assert decisions(shop.project) == []
    return message(response.json())


def places(value: Any) -> list[list[str | int]]:
    """The way to every value inside, the whole left out."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for step, inner in steps for way in ([step], *([step, *more] for more in places(inner)))]


def planted(honest: dict[str, Any], way: list[str | int], value: Any) -> dict[str, Any]:
    body: Any = json.loads(json.dumps(honest))
    inner = body
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return body  # type: ignore[no-any-return]


@doors
def test_the_honest_body_of_this_table_is_taken_and_its_check_recorded_with_what_it_covered(name: str) -> None:
    path, honest, _ = DOORS[name]
    shop = compat()
    assert shop.post(path, honest).status_code == 200
    [row] = decisions(shop.project)
    assert (row.source, row.policy, row.mode) == (name.split()[0], "default", "live")
    assert row.is_complete and row.characters == row.guarded_characters >= len("hello")
    assert row.checks


@doors
def test_a_text_longer_than_the_policy_reads_is_told_as_not_wholly_covered(name: str) -> None:
    """The built-in policy reads 200,000 characters of a part and flags what lies beyond."""
    path, honest, _ = DOORS[name]
    shop = compat()
    body = json.dumps(honest).replace("hello", "hello " * 40_000)
    assert shop.post(path, body).status_code == 200
    [row] = decisions(shop.project)
    assert (row.is_complete, row.action) == (False, 1)
    assert row.guarded_characters < row.characters


@doors
def test_a_key_that_stands_twice_is_refused_by_its_name(name: str) -> None:
    _, honest, _ = DOORS[name]
    assert f"“{next(iter(honest))}” stands twice" in refused(name, twice(honest))


@doors
def test_a_key_that_stands_twice_deep_inside_is_refused_too(name: str) -> None:
    assert "“b” stands twice" in refused(name, '{"a": [{"b": 1, "b": 1}]}')


@doors
@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_json_is_refused(name: str, constant: str) -> None:
    assert constant in refused(name, f'{{"a": {constant}}}')


@doors
@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        b"\xff\xfe{}",
        b'{"a": "\xed\xa0\x80',
        '{"a": ' + "9" * 5_000 + "}",
        "{",
        "null",
        "[]",
        '"text"',
        "1",
    ],
    ids=["lists", "objects", "bytes", "cut", "digits", "open", "null", "list", "text", "number"],
)
def test_what_is_no_object_of_json_is_refused(name: str, body: str | bytes) -> None:
    assert refused(name, body)


@doors
def test_a_text_of_two_million_characters_is_refused_by_its_length(name: str) -> None:
    _, honest, _ = DOORS[name]
    # Bedrock's service model knows no 413: its ValidationException is a 400.
    status = 400 if name == "bedrock" else 413
    told = refused(name, json.dumps(honest).replace("hello", "a" * 2_000_000), status=status)
    assert re.search(r"2,000,00\d characters", told)


@doors
def test_no_value_in_any_place_breaks_the_server(name: str) -> None:
    path, honest, _ = DOORS[name]
    shop: Compat = compat()
    for way in places(honest):
        for value in VALUES:
            response = shop.post(path, planted(honest, way, value))
            assert response.status_code in (200, 400, 404, 413, 422), (way, value, response.content)


def test_a_field_of_a_bedrock_text_that_nobody_judges_is_refused() -> None:
    block = {"text": {"text": "hello", "textt": "judged by nobody"}}
    assert "textt" in refused("bedrock", json.dumps({"source": "INPUT", "content": [block]}))
