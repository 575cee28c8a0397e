"""`AppGuard`: verdicts in the application's process, each told to the server as a guardrail span."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from opentelemetry import trace

from stanchion_guard import Part, Subject, Verdict, load, summary
from stanchion_guard.records import Stage
from stanchion_wire.decisions import SCOPE, Decision, to_attributes

from .. import attributes as names
from .. import safety, scope
from ..settings import from_environment
from ..startup import running
from .bundles import Entry, Judgement, obeyed, own, unjudged
from .pulling import Pulled


class Source(Protocol):
    reason: str

    def entries(self) -> tuple[Entry, ...] | None: ...

    def refresh(self) -> bool: ...


class Local:
    reason = ""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = entries

    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    def refresh(self) -> bool:
        return True


class Later:
    """A named policy whose server becomes known with `init` or the environment, maybe after the guard was made."""

    reason = "no server is known: call init() or set STANCHION_ENDPOINT"

    def __init__(self, name: str) -> None:
        self._name = name

    def _pulled(self) -> Pulled | None:
        state = running()
        settings = state.settings if state is not None else from_environment({}, os.environ)
        if settings is None:
            return None
        key = (settings.endpoint, settings.api_key, self._name)
        found = _known.get(key) or _known.setdefault(key, Pulled(settings, self._name))
        self.reason = found.reason
        return found

    def entries(self) -> tuple[Entry, ...] | None:
        found = self._pulled()
        entries = found.entries() if found is not None else None
        self.reason = found.reason if found is not None else self.reason
        return entries

    def refresh(self) -> bool:
        found = self._pulled()
        return found.refresh() if found is not None else False


_known: dict[tuple[str, str, str], Pulled] = {}


def local(policy: str | PathLike[str] | Mapping[str, Any]) -> Local:
    data = policy if isinstance(policy, Mapping) else Path(policy).read_text("utf-8")
    return Local(own(load(data), os.urandom(32)))


def pulled(name: str) -> Later:
    return Later(name)


class AppGuard:
    """For all threads and event loops. Never raises into the application but for arguments of the wrong type."""

    def __init__(self, source: Source, name: str, when_unavailable: str) -> None:
        self._source, self._name, self._when_unavailable = source, name, when_unavailable

    def check(
        self, text: str, stage: Stage = "input", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Verdict:
        """Judges one text; `query` and `context` are what it is measured against."""
        if not isinstance(text, str):
            raise TypeError(f"the text is a {type(text).__name__}, not a str")
        asked = (Part("input", query),) if query else ()
        documents = tuple(Part("retrieved", document) for document in context)
        return self.judge(Subject((Part(stage, text), *asked, *documents)), judged=(0,))

    async def acheck(
        self, text: str, stage: Stage = "input", *, query: str | None = None, context: Iterable[str] = ()
    ) -> Verdict:
        """`check` for an event loop, which goes on meanwhile."""
        return await asyncio.to_thread(self.check, text, stage, query=query, context=tuple(context))

    def judge(self, subject: Subject, *, judged: tuple[int, ...] | None = None) -> Verdict:
        """Judges an exchange: all its parts, or those whose indexes are given."""
        check_id = uuid.uuid4().hex
        key = str(scope.current_labels().get(names.SESSION) or check_id)
        try:
            told = self._judged(subject, judged, key)
        except Exception as error:
            safety.note("guard", error)
            told = [self._unjudged(subject, f"failed: {type(error).__name__}")]
        for one in told:
            _record(one, subject, check_id)
        return obeyed(subject, told)

    async def ajudge(self, subject: Subject, *, judged: tuple[int, ...] | None = None) -> Verdict:
        return await asyncio.to_thread(self.judge, subject, judged=judged)

    def refresh(self) -> bool:
        """Asks the server for the policy now, which else happens every ten seconds; whether it answered."""
        return self._source.refresh()

    def _judged(self, subject: Subject, judged: tuple[int, ...] | None, key: str) -> list[Judgement]:
        entries = self._source.entries()
        if entries is None:
            return [self._unjudged(subject, self._source.reason)]
        return [one for entry in entries for one in entry.judge(subject, judged, key)]

    def _unjudged(self, subject: Subject, reason: str) -> Judgement:
        return Judgement("live", unjudged(subject, self._name or "local", self._when_unavailable, reason))


def _record(one: Judgement, subject: Subject, check_id: str) -> None:
    """A guardrail span below the current one. It holds no text; in mode "off" no digest of one either."""
    try:
        told = summary.of(one.verdict, subject)
        state = running()
        if state is not None and state.settings.content == "off":
            told["text_digest"] = None
        decision = Decision(check_id=check_id, mode=one.mode, source="sdk", **told)
        tracer = trace.get_tracer(SCOPE)
        tracer.start_span(f"guard {decision.policy}", attributes=to_attributes(decision)).end()
    except Exception as error:
        safety.note("guard span", error)
