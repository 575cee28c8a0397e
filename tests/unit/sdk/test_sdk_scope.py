from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import TracerProvider

import stanchion_sdk as stanchion
from stanchion_sdk import scope, startup
from stanchion_sdk.testing import MemoryExporter, recording


@pytest.fixture
def recorded() -> Iterator[MemoryExporter]:
    with recording() as memory:
        yield memory


def call(name: str = "m") -> None:
    stanchion.record_call(provider="p", model=name)


def features(memory: MemoryExporter) -> list[object]:
    return [span.attributes.get("stanchion.feature") for span in memory.calls]


def test_labels_reach_calls_inside_and_only_those(recorded: MemoryExporter) -> None:
    with stanchion.feature("search"), stanchion.session("s1"), stanchion.prompt("greet", 3):
        call()
    call()
    inside, outside = recorded.calls
    assert inside.attributes["stanchion.feature"] == "search"
    assert inside.attributes["stanchion.session"] == "s1"
    assert (inside.attributes["stanchion.prompt.name"], inside.attributes["stanchion.prompt.version"]) == ("greet", "3")
    assert not any(key.startswith("stanchion.") for key in outside.attributes)


def test_the_inner_feature_wins_and_tags_add_up(recorded: MemoryExporter) -> None:
    with stanchion.feature("outer"), stanchion.tags("a", "b"):
        with stanchion.feature("inner"), stanchion.tags("b", "c"):
            call()
        call()
    assert features(recorded) == ["inner", "outer"]
    assert recorded.calls[0].attributes["stanchion.tags"] == ("a", "b", "c")


def test_a_user_is_sent_as_a_keyed_hash_that_differs_between_projects() -> None:
    hashes = []
    for key in ("stn_one", "stn_one", "stn_two"):
        with recording(api_key=key) as memory:
            with stanchion.user("ann@example.org"):
                call()
            hashes.append(memory.calls[0].attributes["stanchion.user"])
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 16 and int(hashes[0], 16) >= 0


def test_decorators_label_functions_coroutines_and_both_kinds_of_generators(recorded: MemoryExporter) -> None:
    @stanchion.feature("f")
    def plain() -> None:
        call()

    @stanchion.feature("f")
    async def coroutine() -> None:
        await asyncio.sleep(0)
        call()

    @stanchion.feature("f")
    def generator() -> Iterator[int]:
        call()
        yield 1
        call()

    @stanchion.feature("f")
    async def async_generator() -> AsyncIterator[int]:
        call()
        yield 1
        await asyncio.sleep(0)
        call()

    async def everything() -> None:
        await coroutine()
        async for _ in async_generator():
            call("between")

    plain()
    for _ in generator():
        call("between")
    asyncio.run(everything())
    call("between")
    labelled = [span.attributes.get("stanchion.feature") for span in recorded.calls if span.name == "chat m"]
    between = [span.attributes.get("stanchion.feature") for span in recorded.calls if span.name == "chat between"]
    assert labelled == ["f"] * 6
    assert between == [None] * 3


def test_a_decorated_generator_keeps_its_labels_when_consumed_in_another_thread(recorded: MemoryExporter) -> None:
    @stanchion.feature("stream")
    def generator() -> Iterator[int]:
        yield 1
        call()

    made = generator()
    next(made)
    thread = threading.Thread(target=lambda: list(made))
    thread.start()
    thread.join()
    assert features(recorded) == ["stream"]


def test_concurrent_tasks_do_not_see_each_others_labels(recorded: MemoryExporter) -> None:
    @stanchion.feature("shared")
    async def work(name: str) -> None:
        with stanchion.session(name):
            await asyncio.sleep(0)
            call(name)
            await asyncio.sleep(0)
            call(name)

    async def everything() -> None:
        await asyncio.gather(*(work(f"t{number}") for number in range(20)))

    asyncio.run(everything())
    assert len(recorded.calls) == 40
    assert all(
        span.attributes["gen_ai.request.model"] == span.attributes["stanchion.session"] for span in recorded.calls
    )


def test_one_scope_object_serves_many_threads_at_once(recorded: MemoryExporter) -> None:
    shared = stanchion.feature("shared")
    barrier = threading.Barrier(4)

    def work() -> None:
        with shared:
            barrier.wait(5)
            call()
            barrier.wait(5)
        call("after")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert [span.attributes.get("stanchion.feature") for span in recorded.calls if span.name == "chat m"] == [
        "shared"
    ] * 4
    after = [span.attributes.get("stanchion.feature") for span in recorded.calls if span.name == "chat after"]
    assert after == [None] * 4


def test_propagate_carries_labels_and_the_parent_span_into_a_pool(recorded: MemoryExporter) -> None:
    tracer = startup.running().recorder.tracer  # type: ignore[union-attr]
    with ThreadPoolExecutor(1) as pool, stanchion.feature("batch"), tracer.start_as_current_span("parent"):
        pool.submit(stanchion.propagate(call), "carried").result()
        pool.submit(call, "lost").result()
    carried, lost, parent = recorded.spans
    assert (carried.attributes["stanchion.feature"], carried.parent_id) == ("batch", parent.span_id)
    assert ("stanchion.feature" in lost.attributes, lost.parent_id) == (False, None)


def test_propagate_keeps_the_context_of_a_generator_that_outlives_it(recorded: MemoryExporter) -> None:
    def generator() -> Iterator[int]:
        call()
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        call()
        yield 1

    with stanchion.feature("answer"):
        outliving, outliving_async = stanchion.propagate(generator()), stanchion.propagate(async_generator())

    async def consume() -> None:
        async for _ in outliving_async:
            call("between")

    assert list(outliving) == [1]
    asyncio.run(consume())
    assert features(recorded) == ["answer", "answer", None]


def test_third_party_spans_get_the_labels_too(recorded: MemoryExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    memory = MemoryExporter()
    from stanchion_sdk.processor import StanchionProcessor

    provider.add_span_processor(StanchionProcessor(startup.running().delivery))  # type: ignore[union-attr]
    provider.add_span_processor(memory)
    with stanchion.feature("f"), provider.get_tracer("someone.else").start_as_current_span("theirs"):
        pass
    assert memory.spans[0].attributes["stanchion.feature"] == "f"


def test_a_context_left_in_another_context_makes_no_noise(
    recorded: MemoryExporter, caplog: pytest.LogCaptureFixture
) -> None:
    def dependency() -> Iterator[None]:
        with stanchion.feature("f"):
            yield

    import contextvars

    made = dependency()
    contextvars.copy_context().run(next, made)
    contextvars.copy_context().run(made.close)
    assert caplog.records == []


def test_labels_of_hostile_objects_do_not_raise(recorded: MemoryExporter) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with stanchion.feature(Hostile()), stanchion.user(Hostile()), stanchion.tags(Hostile(), "\ud800"):
        call()
    assert features(recorded) == ["Hostile"]


def test_what_the_block_raises_comes_out_unchanged(recorded: MemoryExporter) -> None:
    with pytest.raises(KeyError, match="x"), stanchion.feature("f"):
        raise KeyError("x")
    assert dict(scope.current_labels()) == {}


def test_the_current_trace_id_is_handed_out_for_feedback(recorded: MemoryExporter) -> None:
    assert stanchion.current_trace_id() is None
    tracer = startup.running().recorder.tracer  # type: ignore[union-attr]
    with tracer.start_as_current_span("request"):
        inside = stanchion.current_trace_id()
    assert inside == recorded.spans[0].trace_id
