"""All scorers: what there is, and building those that can run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

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
    judged,
    languages,
    matching,
    plugins,
    second_looks,
    sentiment,
    text_quality,
)
from stanchion_server.quality.scorers.known import Kind, Known, Parameters

__all__ = ["Known", "every", "known", "scorers", "unavailable"]

Settings = Mapping[str, Parameters]
"""Parameters by scorer id."""
NOTHING: Settings = {}

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
    second_looks,
    embedded,
)


def kinds(parameters: Settings) -> tuple[Kind, ...]:
    """ValueError for parameters of the judge that make no sense: they say which rubrics there are."""
    shared = parameters.get(judged.SHARED, {})
    _check_parameters(judged.SHARED, judged.SHARED_PARAMETERS, shared)
    try:
        judges = judged.kinds(parameters)
    except ValueError as problem:
        raise ValueError(f"{judged.SHARED}: {problem}") from problem
    own = (*(kind for module in _MODULES for kind in module.KINDS), *judges)
    return (*own, *plugins.kinds([kind.known.id for kind in own]))


def known(parameters: Settings = NOTHING) -> tuple[Known, ...]:
    """Every scorer there is, whether or not it can run here. With parameters, rubrics of one's own among them, and
    availability with what is stated."""
    return tuple(_stated(kind, parameters) for kind in kinds(parameters))


def _stated(kind: Kind, parameters: Settings) -> Known:
    def why() -> str | None:
        built = _kept(kind, parameters.get(kind.known.id, {}))
        return built if isinstance(built, str) else None

    is_stated = kind.known.id in parameters or (kind.known.family == judged.FAMILY and judged.SHARED in parameters)
    return replace(kind.known, availability=why) if is_stated else kind.known


def scorers(parameters: Settings) -> tuple[Scorer, ...]:
    """Every scorer that can run here, with the parameters stated under its id. Raises ValueError, naming the scorer and
    the remedy, for an id that is not known and for parameters that make no sense."""
    return tuple(built for _, built in _built(parameters) if not isinstance(built, str))


def unavailable(parameters: Settings) -> Mapping[str, str]:
    """Why each of the others cannot run with these parameters, by id."""
    return {one.id: built for one, built in _built(parameters) if isinstance(built, str)}


def every(parameters: Settings) -> tuple[tuple[Known, Scorer | str], ...]:
    """Each scorer with what was built of it, or why it was not. For parameters that were kept: what has become unknown
    or is refused meanwhile, as after an upgrade, costs the one scorer and not the others."""
    try:
        there = kinds(parameters)
    except ValueError:
        there = kinds(NOTHING)
    return tuple((kind.known, _kept(kind, parameters.get(kind.known.id, {}))) for kind in there)


def _kept(kind: Kind, given: Parameters) -> Scorer | str:
    try:
        _check_parameters(kind.known.id, kind.known.parameters, given)
        return _one(kind, given)
    except ValueError as problem:
        return f"not available: its parameters are refused: {problem}"


def _built(parameters: Settings) -> Iterator[tuple[Known, Scorer | str]]:
    there = kinds(parameters)
    names = {kind.known.id for kind in there}
    for name in parameters:
        if name not in names:
            raise ValueError(f"there is no scorer '{name}'; there are {', '.join(sorted(names))}")
    for kind in there:
        given = parameters.get(kind.known.id, {})
        _check_parameters(kind.known.id, kind.known.parameters, given)
        yield kind.known, _one(kind, given)


def _check_parameters(name: str, schema: Parameters, given: Parameters) -> None:
    for path, sentence, _ in faults(dict(given), schema):
        where = ".".join(map(str, path))
        raise ValueError(f"{name}: {where + ': ' if where else ''}{sentence}")


def _one(kind: Kind, given: Parameters) -> Scorer | str:
    try:
        return kind.make(kind.known, given)
    except (Unavailable, DetectorUnavailable) as problem:
        return str(problem)
    except ValueError as problem:
        raise ValueError(f"{kind.known.id}: {problem}") from problem
