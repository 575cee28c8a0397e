"""Streams as iterators: what may be shown of a source of chunks."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from stanchion_guard.records import Verdict
from stanchion_guard.streaming import Stream


class Wrapped:
    """Iterate once. Ends when the source does, or where the policy blocks; `verdict` is there afterwards."""

    def __init__(self, stream: Stream, chunks: Iterable[str]) -> None:
        self.stream, self._chunks = stream, chunks

    @property
    def verdict(self) -> Verdict | None:
        return self.stream.verdict

    def __iter__(self) -> Iterator[str]:
        for chunk in self._chunks:
            released = self.stream.feed(chunk)
            if released.text:
                yield released.text
            if released.blocked:
                break
        rest = self.stream.finish().text
        if rest:
            yield rest


class AsyncWrapped:
    """`Wrapped` for an asynchronous source."""

    def __init__(self, stream: Stream, chunks: AsyncIterable[str]) -> None:
        self.stream, self._chunks = stream, chunks

    @property
    def verdict(self) -> Verdict | None:
        return self.stream.verdict

    async def __aiter__(self) -> AsyncIterator[str]:
        async for chunk in self._chunks:
            released = await self.stream.afeed(chunk)
            if released.text:
                yield released.text
            if released.blocked:
                break
        rest = (await self.stream.afinish()).text
        if rest:
            yield rest
