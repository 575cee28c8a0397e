"""Judging in this process: by a policy of the application's own, or by one pulled from the server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from stanchion_guard import load
from stanchion_guard.combining import combined

from ..settings import from_environment
from ..startup import running
from .bundles import Entry, Turn, own
from .judging import NO_SERVER, Ask, Judgement, Lane, Unanswered
from .lanes import lane_of
from .pulling import Pulled
from .shapes import Part, Stage, Subject, Verdict


class InProcess:
    def entries(self) -> tuple[Entry, ...]:
        """Raises Unanswered while there are none."""
        raise NotImplementedError

    def refresh(self) -> bool:
        return True

    def judge(self, ask: Ask) -> list[Judgement]:
        return [turn.judge(ask) for turn in self._turns(ask.key)]

    def lanes(self, stage: Stage, background: tuple[Part, ...], ask: Ask) -> list[Lane] | None:
        return [lane_of(turn, stage, background) for turn in self._turns(ask.key)]

    def obeyed(self, subject: Subject, told: list[Judgement]) -> Verdict:
        return combined(subject, [one.verdict for one in told if one.mode != "shadow"])

    def _turns(self, key: str) -> list[Turn]:
        return [turn for entry in self.entries() for turn in entry.turns(key)]


class Local(InProcess):
    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = entries

    def entries(self) -> tuple[Entry, ...]:
        return self._entries


class Later(InProcess):
    """A named policy whose server becomes known with `init` or the environment, maybe after the guard was made."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _pulled(self) -> Pulled | None:
        state = running()
        settings = state.settings if state is not None else from_environment({}, os.environ)
        if settings is None:
            return None
        key = (settings.endpoint, settings.api_key, self._name)
        return _known.get(key) or _known.setdefault(key, Pulled(settings, self._name))

    def entries(self) -> tuple[Entry, ...]:
        found = self._pulled()
        entries = found.entries() if found is not None else None
        if entries is None:
            raise Unanswered(found.reason if found is not None else NO_SERVER)
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
