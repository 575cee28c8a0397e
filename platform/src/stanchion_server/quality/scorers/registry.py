"""All scorers: what there is, and building those that can run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stanchion_guard.detectors import Unavailable as DetectorUnavailable
from stanchion_guard.schema_check import faults
from stanchion_server.quality.scorers import (
    Scorer,
    Unavailable,
    bias,
    detecting,
    detoxified,
    embedded,
    formats,
    grounded,
    languages,
    matching,
    plugins,
    sentiment,
    text_quality,
)
from stanchion_server.quality.scorers.known import Kind, Known

__all__ = ["Known", "known", "scorers", "unavailable"]

_MODULES = (
    detecting,
    bias,
    grounded,
    formats,
    languages,
    matching,
    sentiment,
    text_quality,
    detoxified,
    embedded,
)


def kinds() -> tuple[Kind, ...]:
    own = tuple(kind for module in _MODULES for kind in module.KINDS)
    return (*own, *plugins.kinds([kind.known.id for kind in own]))


def known() -> tuple[Known, ...]:
    """Every scorer there is, whether or not it can run here."""
    return tuple(kind.known for kind in kinds())


def scorers(parameters: Mapping[str, Mapping[str, Any]]) -> tuple[Scorer, ...]:
    """Every scorer that can run here, with the parameters stated under its id. Raises ValueError, naming the scorer and
    the remedy, for an id that is not known and for parameters that make no sense."""
    return tuple(built for _, built in _built(parameters) if not isinstance(built, str))


def unavailable(parameters: Mapping[str, Mapping[str, Any]]) -> Mapping[str, str]:
    """Why each of the others cannot run with these parameters, by id."""
    return {one.id: built for one, built in _built(parameters) if isinstance(built, str)}


def _built(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Known, Scorer | str]]:
    there = kinds()
    names = {kind.known.id for kind in there}
    for name in parameters:
        if name not in names:
            raise ValueError(f"there is no scorer '{name}'; there are {', '.join(sorted(names))}")
    for kind in there:
        given = parameters.get(kind.known.id, {})
        _check(kind.known, given)
        yield kind.known, _one(kind, given)


def _check(one: Known, given: Mapping[str, Any]) -> None:
    for path, sentence, _ in faults(dict(given), one.parameters):
        where = ".".join(map(str, path))
        raise ValueError(f"{one.id}: {where + ': ' if where else ''}{sentence}")


def _one(kind: Kind, given: Mapping[str, Any]) -> Scorer | str:
    try:
        return kind.make(kind.known, given)
    except (Unavailable, DetectorUnavailable) as problem:
        return str(problem)
    except ValueError as problem:
        raise ValueError(f"{kind.known.id}: {problem}") from problem
