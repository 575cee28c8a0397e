"""Rules as stored, made ready to be judged; kept while they do not change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from stanchion_server.alerts import definitions
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.evaluating import Patience
from stanchion_server.alerts.models import Rule

CACHED = 4_096
_PLAIN = Patience(every=timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Compiled:
    """`definition` is None for a rule that this version does not understand any more; `error` says why."""

    definition: Definition | None
    error: str

    @property
    def patience(self) -> Patience:
        return self.definition.patience if self.definition else _PLAIN


def compiled(rule: Rule) -> Compiled:
    return _compiled(_Key(rule.pk, rule.version, rule))


def written(rule: Rule) -> dict[str, Any]:
    """The rule in its written form, without the names of its channels."""
    return {"name": rule.name, "severity": rule.severity, **rule.definition}


@dataclass(frozen=True, slots=True, eq=False)
class _Key:
    """A rule's version never changes its text, so that the two make the key."""

    pk: int
    version: int
    rule: Rule

    def __hash__(self) -> int:
        return hash((self.pk, self.version))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (self.pk, self.version) == (other.pk, other.version)


@lru_cache(maxsize=CACHED)
def _compiled(key: _Key) -> Compiled:
    definition, problems = definitions.parse(written(key.rule))
    return Compiled(definition, problems[0].message if problems else "")
