"""Recorded calls for scorers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from stanchion_server.quality.records import CallKey, Example, Result
from stanchion_server.quality.scorers import Scorer, registry

KEY = CallKey(1, UUID(int=1), 1, datetime(2026, 11, 25, 12, tzinfo=UTC))


def call(prompt: str = "", response: str = "", **more: Any) -> Example:
    return Example(KEY, prompt, response, **more)


def scorer(name: str, **parameters: Any) -> Scorer:
    """One scorer of the registry, built with its parameters."""
    return next(one for one in registry.scorers({name: parameters}) if one.id == name)


def judged(name: str, example: Example, **parameters: Any) -> Result | None:
    return scorer(name, **parameters).score([example])[0]


def result(name: str, example: Example, **parameters: Any) -> Result:
    found = judged(name, example, **parameters)
    assert found is not None
    return found
