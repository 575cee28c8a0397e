"""Whatever an application hands us, it gets its own results back, soon, and the call is recorded somehow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import stanchion_sdk as stanchion
from stanchion_sdk import recording
from stanchion_sdk.packing import encode
from stanchion_sdk.testing import recording as recorded_calls


class Raises:
    """Raises on whatever is asked of it."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __len__ = __iter__ = __bool__ = __hash__ = __str__  # type: ignore[assignment]


class Recurses:
    def __str__(self) -> str:
        return str(self)

    def __getattr__(self, name: str) -> object:
        return getattr(self, name)

    __repr__ = __str__


class Text(str):
    """A string whose methods lie or fail."""

    def __len__(self) -> int:
        raise RuntimeError("len")

    def encode(self, *_: object, **__: object) -> bytes:
        raise RuntimeError("encode")

    __str__ = __repr__ = __hash__ = __len__  # type: ignore[assignment]


class Dictionary(Mapping[str, Any]):
    def __getitem__(self, key: str) -> object:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        while True:
            yield "key"

    def __len__(self) -> int:
        return 1


class EndlessDictionary(Dictionary):
    def __getitem__(self, key: str) -> object:
        return self


class Model:
    """As pydantic's: dumps itself, and fails."""

    def model_dump(self, **_: object) -> object:
        raise ValueError("the field is not there")


class Nested:
    def model_dump(self, **_: object) -> object:
        return {"again": Nested()}


def cyclic() -> list[object]:
    value: list[object] = []
    value.append({"value": value})
    return value


def deep() -> object:
    value: object = "end"
    for _ in range(5000):
        value = [value]
    return value


def endless() -> Iterator[int]:
    while True:
        yield 1


THINGS: dict[str, Any] = {
    "raises": Raises(), "recurses": Recurses(), "a lying string": Text("hello"), "a failing mapping": Dictionary(),
    "an endless mapping": EndlessDictionary(), "a failing model": Model(), "a model without end": Nested(),
    "a cycle": cyclic(), "very deep": deep(), "a generator": endless(), "bytes": b"\xff\x00", "a surrogate": "\ud800x",
    "a large text": "a" * 100_000_000, "many items": [1] * 3_000_000, "many texts": ["word"] * 500_000,
    "a huge number": 10**5000, "nan": float("nan"), "a set": {1, 2}, "an exception": ValueError("x"), "a type": int,
}  # fmt: skip


@pytest.mark.parametrize("name", THINGS)
@pytest.mark.parametrize("content", ["full", "masked", "off"])
def test_a_prompt_of_any_kind_is_recorded_bounded_and_can_be_sent(name: str, content: str) -> None:
    thing = THINGS[name]
    with recorded_calls(content) as memory:
        given_messages = [{"role": "user", "content": thing}, thing]
        assert stanchion.record_call(provider="p", model="m", input=given_messages, output=thing) is not None
    attributes = memory.calls[0].attributes
    assert sum(len(value) for value in attributes.values() if isinstance(value, str)) < 8 * 1024 * 1024
    for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
        if key in attributes:
            json.loads(attributes[key])


@pytest.mark.parametrize("name", ["raises", "recurses", "a lying string", "a surrogate", "bytes", "a huge number"])
def test_labels_of_any_kind_leave_the_block_alone(name: str) -> None:
    thing = THINGS[name]
    labels = (stanchion.feature(thing), stanchion.user(thing), stanchion.prompt(thing, thing), stanchion.tags(thing))
    with recorded_calls() as memory, labels[0], labels[1], labels[2], labels[3]:
        result = 41 + 1
        stanchion.record_call(provider=thing, model=thing, response_id=thing, attributes={"x": thing})
    assert result == 42 and len(memory.spans) <= 1


def test_an_error_that_cannot_be_printed_ends_its_span() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    with recorded_calls() as memory:
        stanchion.record_call(provider="p", model="m", error=Unprintable())
    assert memory.calls[0].attributes["error.type"].endswith("Unprintable")


def test_the_applications_own_values_are_not_changed_or_used_up() -> None:
    numbers = iter([1, 2, 3])
    messages = [{"role": "user", "content": numbers, "tool_calls": [{"id": 1}]}]
    before = repr(messages)
    with recorded_calls("masked"):
        stanchion.record_call(provider="p", model="m", input=messages)
    assert repr(messages) == before and list(numbers) == [1, 2, 3]


def test_a_large_value_is_cut_where_it_is_large_and_says_so() -> None:
    text = recording.as_json([{"role": "user", "parts": [{"type": "text", "content": "a" * 3_000_000}]}])
    assert len(text) < 1_100_000 and "truncated" in text
    assert json.loads(text)[0]["role"] == "user"


def test_what_is_of_ordinary_size_is_not_touched() -> None:
    value = [{"role": "user", "parts": [{"type": "text", "content": "a" * 900_000}], "n": list(range(1000))}]
    assert json.loads(recording.as_json(value)) == value


def test_a_span_of_another_library_with_lying_strings_does_not_stop_the_others() -> None:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    from stanchion_sdk.packing import Packer
    from stanchion_sdk.settings import Settings

    ended: list[ReadableSpan] = []
    provider = TracerProvider(shutdown_on_exit=False)
    for value in (Text("x"), "y"):
        span = provider.get_tracer("t").start_span("s")
        span.set_attribute("k", value)
        span.end()
        ended.append(span)  # type: ignore[arg-type]
    for content in ("full", "masked"):
        packer = Packer(Settings("u", "u", content=content), {})
        parcels = list(packer.parcels(ended))
        assert sum(parcel.spans for parcel in parcels) + packer.lost == 2 and packer.lost <= 1
    assert encode(ended[1], "full")
