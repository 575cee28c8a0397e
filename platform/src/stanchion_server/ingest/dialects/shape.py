"""What a dialect declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stanchion_server.ingest.records import SpanKind

Reader = Callable[[Any], Any]


class Rank(IntEnum):
    """Which vocabulary wins a field that several told; lower wins."""

    OWN = 0
    GEN2 = 10
    GEN1 = 20
    DETECTED = 30
    VENDOR = 40
    GEN0 = 50
    GENERIC = 60


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute that tells one field. `read` gives the field's value, or None where the attribute says nothing."""

    field: str
    key: str
    read: Reader
    rank: Rank | None = None


@dataclass(frozen=True, slots=True)
class Blob:
    """One attribute, often JSON in a text, that tells several fields; `read` gives them by name."""

    key: str
    fields: tuple[str, ...]
    read: Callable[[Any], Mapping[str, Any]]
    rank: Rank | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """One attribute that holds content. `section` is a section of `ingest.messages`, or `any_input`, `any_output`:
    the kind
    of span decides which section those are."""

    section: str
    key: str
    read: Reader
    rank: Rank | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Content flattened over dotted indices: `read` gets the tree rebuilt below the prefix (which ends in a dot)."""

    section: str
    prefix: str
    read: Reader
    rank: Rank | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """A client's vocabulary.

    `scopes` are instrumentation scope names (or dotted prefixes of them) and `markers` attribute keys (prefixes
    where they
    end in a dot) that identify it. `kinds` maps attributes whose value names a span kind. `kind_of` decides from
    name and
    attributes before `kinds` is asked. `known` are key prefixes that are understood and stay plain attributes.
    """

    name: str
    rank: Rank = Rank.VENDOR
    scopes: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    blobs: tuple[Blob, ...] = ()
    texts: tuple[Text, ...] = ()
    families: tuple[Family, ...] = ()
    kinds: tuple[tuple[str, Mapping[str, SpanKind]], ...] = ()
    known: tuple[str, ...] = ()
    kind_of: Callable[[str, Mapping[str, Any]], SpanKind | None] | None = None
