"""`Guard`: a policy that judges. One guard serves all threads and event loops; it keeps nothing of a text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import cast

from stanchion_guard import streaming, verdicts, wrapping
from stanchion_guard.examine import Answer, Clock, Examination, Plan
from stanchion_guard.policy import Policy
from stanchion_guard.policy_compile import background_parts
from stanchion_guard.pool import Pool
from stanchion_guard.records import Part, Stage, Subject, Verdict
from stanchion_guard.redaction import Mask, Vault
from stanchion_guard.warming import warm

LONG_TEXT = 20_000
"""Characters beyond which even cheap checks are taken off an event loop: some 5 ms of work."""


class Guard:
    """Runs a policy.

    `clock` gives monotonic nanoseconds. `hash_key` is the secret of `redact: {mode: hash}`, which needs one: without a
    key, the hash of a phone number is undone by trying them all. `workers` threads run expensive checks; one left
    behind at a deadline keeps its thread until it returns.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        hash_key: bytes | None = None,
        clock: Clock = time.perf_counter_ns,
        workers: int = 2,
    ) -> None:
        if policy.redact == "hash" and not hash_key:
            raise ValueError("the policy masks by hash: give the guard a `hash_key` of at least 16 random bytes")
        self.policy, self.clock = policy, clock
        self.plan = Plan.of(policy)
        self.pool = Pool(workers)
        self._hash_key = hash_key
        self._has_heavy = any(probe.heavy and probe.detector for probe in policy.probes)
        warm(probe.detector for probe in policy.probes if probe.detector is not None)

    def check(
        self,
        text: str,
        stage: Stage = "input",
        *,
        role: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        language: str | None = None,
        query: str | None = None,
        context: Iterable[str] = (),
        vault: Vault | None = None,
        deadline_ms: float | None = None,
    ) -> Verdict:
        """Judges one text, which is part 0 of the verdict.

        `query` (the question it answers) and `context` (documents it should rest on) are what it is measured against;
        they are not judged themselves: `judge` judges a whole exchange.
        """
        part = Part(stage, text, role, name, kind, language)
        subject = Subject((part, *background_parts(query, context)))
        return self.judge(subject, judged=(0,), vault=vault, deadline_ms=deadline_ms)

    async def acheck(
        self,
        text: str,
        stage: Stage = "input",
        *,
        role: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        language: str | None = None,
        query: str | None = None,
        context: Iterable[str] = (),
        vault: Vault | None = None,
        deadline_ms: float | None = None,
    ) -> Verdict:
        """`check` for an event loop, which goes on while expensive checks and long texts are worked on."""
        part = Part(stage, text, role, name, kind, language)
        subject = Subject((part, *background_parts(query, context)))
        return await self.ajudge(subject, judged=(0,), vault=vault, deadline_ms=deadline_ms)

    def judge(
        self,
        subject: Subject,
        *,
        judged: Sequence[int] | None = None,
        vault: Vault | None = None,
        deadline_ms: float | None = None,
    ) -> Verdict:
        """Judges an exchange: all its parts, or those whose indexes are given, the others being what they are measured
        against. The sooner of `deadline_ms` and the policy's own deadline counts, from now. Raises TypeError and
        ValueError as `Subject.refuse_nonsense`, ValueError for a deadline that is no finite number."""
        subject.refuse_nonsense(judged)
        started = self.clock()
        examination = self.examination(self.plan, subject, judged, self.deadline(started, deadline_ms))
        self.run(examination)
        return verdicts.verdict(examination, self.mask(vault), started)

    async def ajudge(
        self,
        subject: Subject,
        *,
        judged: Sequence[int] | None = None,
        vault: Vault | None = None,
        deadline_ms: float | None = None,
    ) -> Verdict:
        """`judge` for an event loop."""
        subject.refuse_nonsense(judged)
        if not self._has_heavy and _is_long(subject):
            return await asyncio.to_thread(self.judge, subject, judged=judged, vault=vault, deadline_ms=deadline_ms)
        started = self.clock()
        examination = self.examination(self.plan, subject, judged, self.deadline(started, deadline_ms))
        await self.arun(examination)
        if _is_long(subject):
            return await asyncio.to_thread(verdicts.verdict, examination, self.mask(vault), started)
        return verdicts.verdict(examination, self.mask(vault), started)

    def stream(
        self,
        stage: Stage = "output",
        *,
        query: str | None = None,
        context: Iterable[str] = (),
        vault: Vault | None = None,
    ) -> streaming.Stream:
        """A text that arrives in pieces: see `streaming.Stream`."""
        background = background_parts(query, context)
        Subject((Part(stage, ""), *background)).refuse_nonsense()
        return streaming.Stream(self, stage, background, vault)

    def wrap(
        self, chunks: Iterable[str], stage: Stage = "output", *, query: str | None = None, context: Iterable[str] = ()
    ) -> wrapping.Wrapped:
        """Iterates over what of `chunks` may be shown. Ends early where the policy blocks; `.verdict` says so."""
        return wrapping.Wrapped(self.stream(stage, query=query, context=context), chunks)

    def awrap(
        self,
        chunks: AsyncIterable[str],
        stage: Stage = "output",
        *,
        query: str | None = None,
        context: Iterable[str] = (),
    ) -> wrapping.AsyncWrapped:
        """`wrap` for an asynchronous source."""
        return wrapping.AsyncWrapped(self.stream(stage, query=query, context=context), chunks)

    def deadline(self, started: int, deadline_ms: float | None = None) -> int | None:
        _refuse_no_time(deadline_ms)
        stated = [limit for limit in (deadline_ms, self.policy.deadline_ms) if limit is not None]
        return started + int(min(stated) * 1e6) if stated else None

    def mask(self, vault: Vault | None) -> Mask:
        if self.policy.redact == "token" and vault is None:
            vault = Vault()
        return Mask(self.policy.redact, vault, self._hash_key)

    def examination(
        self, plan: Plan, subject: Subject, judged: Sequence[int] | None, deadline_ns: int | None
    ) -> Examination:
        return Examination(plan, subject, judged, deadline_ns, self.clock, self.pool)

    def run(self, examination: Examination) -> None:
        """Brings an examination to its end, waiting in this thread."""
        while (futures := examination.advance()) is not None:
            if futures:
                wait(futures, examination.remaining_s())

    async def arun(self, examination: Examination) -> None:
        """Brings an examination to its end without holding up the event loop: long texts are worked on in a thread."""
        is_long = _is_long(examination.subject)
        while True:
            futures = await asyncio.to_thread(examination.advance) if is_long else examination.advance()
            if futures is None:
                return
            if futures:
                await _finished(futures, examination.remaining_s())


def _is_long(subject: Subject) -> bool:
    return sum(len(part.text) for part in subject.parts) > LONG_TEXT


def _refuse_no_time(deadline_ms: object) -> None:
    if deadline_ms is None:
        return
    is_number = isinstance(deadline_ms, int | float) and not isinstance(deadline_ms, bool)
    if not is_number or not math.isfinite(cast(float, deadline_ms)):
        remedy = "give milliseconds as a finite number, or None for the policy's own"
        raise ValueError(f"`deadline_ms` is {str(deadline_ms)[:40]!r}: {remedy}")


async def _finished(futures: list[Future[Answer]], timeout_s: float | None) -> None:
    """Waits for futures of other threads. What is late is cancelled, else it would call a loop that may be gone."""
    waiting = [asyncio.wrap_future(future) for future in futures]
    await asyncio.wait(waiting, timeout=timeout_s)
    for each in waiting:
        if not each.done():
            each.cancel()
