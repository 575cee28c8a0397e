"""Which deployment of the project's own served a call. Pure.

Charging a call and splitting a deployment's hour ask the same function, so that no call is paid twice or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Protocol, TypeVar

SERVER, PORT = "server.address", "server.port"


class Version(Protocol):
    """A version of a deployment; `Deployment` has it."""

    @property
    def name(self) -> str: ...
    @property
    def effective_from(self) -> datetime: ...
    @property
    def is_retired(self) -> bool: ...
    @property
    def match_provider(self) -> str: ...
    @property
    def match_model(self) -> str: ...
    @property
    def match_service(self) -> str: ...
    @property
    def match_server(self) -> str: ...
    @property
    def match_attribute(self) -> str: ...
    @property
    def match_value(self) -> str: ...


V = TypeVar("V", bound=Version)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a call says of where it ran: all its names of the model, and its span's attributes, as JSON holds them."""

    provider: str
    models: tuple[str, ...]
    service: str
    attributes: Mapping[str, object] = field(default_factory=dict)


def in_force(versions: Iterable[V], at: datetime) -> list[V]:
    """By name the newest version that began by then, unless it is the end."""
    begun = sorted(
        (one for one in versions if one.effective_from <= at), key=lambda one: (one.name, one.effective_from)
    )
    newest = [list(group)[-1] for _name, group in groupby(begun, key=lambda one: one.name)]
    return [one for one in newest if not one.is_retired]


def served_by(deployments: Iterable[V], ran: Ran) -> V | None:
    """Of those in force, the one that names most of the call, the first by name among equals."""
    found = [one for one in deployments if _fits(one, ran)]
    return min(found, key=lambda one: (-len(_named(one)), one.name), default=None)


def wanted(versions: Iterable[Version]) -> list[tuple[str, str]]:
    """Attributes with the values that matching asks for: of all others nothing needs to be known."""
    pairs: set[tuple[str, str]] = set()
    for one in versions:
        if one.match_attribute:
            pairs.add((one.match_attribute, one.match_value))
        if one.match_server:
            host, _colon, port = one.match_server.rpartition(":")
            pairs |= {(SERVER, one.match_server), (SERVER, host), (PORT, port)}
    return sorted(pairs)


def _named(one: Version) -> Sequence[str]:
    told = (one.match_provider, one.match_model, one.match_service, one.match_server, one.match_attribute)
    return [text for text in told if text]


def _fits(one: Version, ran: Ran) -> bool:
    if not _named(one):
        return False
    if one.match_provider and one.match_provider.lower() != ran.provider.lower():
        return False
    if one.match_model and one.match_model.lower() not in {name.lower() for name in ran.models}:
        return False
    if one.match_service and one.match_service != ran.service:
        return False
    if one.match_server and one.match_server not in _servers(ran):
        return False
    return not one.match_attribute or _text(ran.attributes.get(one.match_attribute)) == one.match_value


def _servers(ran: Ran) -> set[str]:
    host, port = _text(ran.attributes.get(SERVER)), _text(ran.attributes.get(PORT))
    return set() if host is None else {host, f"{host}:{port}"}


def _text(value: object) -> str | None:
    """As PostgreSQL writes a value of JSON; lists and objects are no values to match."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    return str(value) if isinstance(value, str | int) else None
