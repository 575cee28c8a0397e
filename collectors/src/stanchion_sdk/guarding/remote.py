"""Judging on the server, for applications without the engine: one request a check, with a deadline."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from stanchion_wire.decisions import ACTIONS

from .. import attributes as names
from .. import scope
from ..settings import Settings, from_environment
from ..startup import running
from ..transport import Answer, Transport
from .judging import NO_SERVER, Ask, Judgement, Lane, Unanswered
from .shapes import Check, Coverage, Finding, Part, Stage, Subject, Verdict

DEADLINE_MS = 1000.0
MOST_IDLE = 8
"""Connections kept for the next checks; more checks at once open more, and close them again."""

Row = TypeVar("Row", Finding, Check)
_LABELS = {"session_id": names.SESSION, "user_id": names.USER, "feature": names.FEATURE}


class Remote:
    """`POST /api/v1/guard/check` for every check. The server records the decision."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: deque[Transport] = deque(maxlen=MOST_IDLE)
        self._pid = os.getpid()

    def __del__(self) -> None:
        for transport in self._idle:
            transport.close()

    def judge(self, ask: Ask) -> list[Judgement]:
        state = running()
        settings = state.settings if state is not None else from_environment({}, os.environ)
        if settings is None:
            raise Unanswered(NO_SERVER)
        deadline_ms = ask.deadline_ms or DEADLINE_MS
        answer = self._asked(settings, self._question(ask, settings, deadline_ms), deadline_ms / 1000)
        if answer.status != 200:
            raise Unanswered(f"the server gave no verdict within {deadline_ms:g} ms ({answer.reason})")
        told = json.loads(answer.body)
        verdict = verdict_of(told)
        if verdict.action not in ACTIONS or len(verdict.texts) != len(ask.subject.parts):
            raise Unanswered("the server's verdict is none that this version understands")
        return [Judgement(str(told["mode"]), verdict, is_recorded=True)]

    def lanes(self, stage: Stage, background: tuple[Part, ...], ask: Ask) -> list[Lane] | None:
        """None: a stream is held back and judged whole."""
        return None

    def obeyed(self, subject: Subject, told: list[Judgement]) -> Verdict:
        """The server has combined its policies' verdicts."""
        return told[0].verdict

    def refresh(self) -> bool:
        """Nothing is kept here."""
        return True

    def _question(self, ask: Ask, settings: Settings, deadline_ms: float) -> bytes:
        labels = scope.current_labels()
        told = {
            "policy": self._name,
            "parts": [
                {name: value for name, value in _row(part).items() if value is not None} for part in ask.subject.parts
            ],
            "usage": {name: value for name, value in _row(ask.subject.usage).items() if value is not None} or None,
            "judged": None if ask.judged is None else list(ask.judged),
            "deadline_ms": min(deadline_ms, 10_000),
            "check_id": ask.check_id,
            "trace_id": scope.current_trace_id(),
            "span_id": scope.current_span_id(),
            "environment": settings.environment or None,
            "release": settings.release or None,
            **{field: labels.get(label) for field, label in _LABELS.items()},
        }
        return json.dumps({name: value for name, value in told.items() if value is not None}).encode("utf-8", "replace")

    def _asked(self, settings: Settings, body: bytes, timeout_s: float) -> Answer:
        transport = self._transport()
        headers = {"Authorization": f"Bearer {settings.api_key}", "Content-Type": "application/json"}
        alarm = threading.Timer(timeout_s, transport.abort)
        alarm.daemon = True
        alarm.start()
        try:
            return transport.post(f"{settings.endpoint}/api/v1/guard/check", body, headers, timeout_s)
        finally:
            alarm.cancel()
            self._put_back(transport)

    def _transport(self) -> Transport:
        if self._pid != os.getpid():  # the parent's connections are the parent's
            self._idle, self._pid = deque(maxlen=MOST_IDLE), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return Transport({"User-Agent": "stanchion_sdk"}, DEADLINE_MS / 1000)

    def _put_back(self, transport: Transport) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(transport)
        else:
            transport.close()


def _row(shape: Any) -> dict[str, Any]:
    return {field.name: getattr(shape, field.name) for field in fields(shape)}


def verdict_of(told: Mapping[str, Any]) -> Verdict:
    """The verdict that the server's answer holds. Raises KeyError, TypeError or ValueError for what is none."""
    coverage = told["coverage"]
    missed, limits = (
        tuple((str(rule), str(reason)) for rule, reason in rows)
        for rows in (coverage["not_run"], coverage.get("limits", ()))
    )
    return Verdict(
        action=told["action"],
        texts=tuple(map(str, told["texts"])),
        findings=tuple(_shape(Finding, row) for row in told["findings"]),
        checks=tuple(_shape(Check, row) for row in told["checks"]),
        coverage=Coverage(
            coverage["total_characters"],
            coverage["guarded_characters"],
            coverage["ran"],
            missed,
            limits,
            tuple((int(part), str(reason)) for part, reason in coverage.get("uncovered", ())),
            int(coverage.get("uncovered_characters", 0)),
        ),
        policy=str(told["policy"]),
        policy_version=str(told["policy_version"]),
        message=told["message"],
        elapsed_us=int(told["elapsed_us"]),
    )


def _shape(shape: type[Row], row: Mapping[str, Any]) -> Row:
    """Of fields that a newer server adds, none is taken."""
    return shape(**{field.name: row[field.name] for field in fields(shape) if field.name in row})
