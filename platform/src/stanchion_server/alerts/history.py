"""Notes who changed what, and tells it again: rules, channels, silences, windows, owners, and deeds on incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stanchion_server.alerts.models import Change, Channel, Incident, MaintenanceWindow, Owner, Rule, Silence
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError

Kind = Change.Kind
Detail = Mapping[str, tuple[Any, Any]]
MOST_LISTED = 100
_THINGS: Mapping[Change.Kind, Any] = {
    Kind.RULE: Rule.objects.filter(archived_at=None), Kind.CHANNEL: Channel.objects.filter(archived_at=None),
    Kind.SILENCE: Silence.objects.all(), Kind.WINDOW: MaintenanceWindow.objects.filter(archived_at=None),
    Kind.OWNER: Owner.objects.all(), Kind.INCIDENT: Incident.objects.all(),
}  # fmt: skip


def note(
    project_id: int, kind: Change.Kind, number: int, name: str, action: str, actor: str, detail: Detail | None = None
) -> None:
    """In the transaction of the deed. `detail` maps what was changed to what it was and is; never a secret."""
    plain = {key: list(values) for key, values in (detail or {}).items()}
    Change.objects.create(
        project_id=project_id, at=clock.now(), actor=actor[:150], kind=kind, number=number, name=name[:200],
        action=action, detail=plain,
    )  # fmt: skip


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Detail:
    """What is not the same, by name; None where one side has no such thing."""
    names = dict.fromkeys((*before, *after))
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def changes(
    project_id: int, kind: str | None = None, number: int | None = None, before: int | None = None,
    limit: int | None = None,
) -> tuple[Change, ...]:  # fmt: skip
    """The newest first; of one kind, of one thing. `before` is the id of the last one seen."""
    rows = Change.objects.filter(project_id=project_id).order_by("-pk")
    if kind is not None:
        rows = rows.filter(kind=kind)
    if number is not None:
        rows = rows.filter(number=number)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return tuple(rows[: min(limit or MOST_LISTED, 1_000)])


def living(project_id: int, rows: Sequence[Change]) -> frozenset[tuple[str, int]]:
    """Kind and number of those things that are still there."""
    found: set[tuple[str, int]] = set()
    for kind, things in _THINGS.items():
        numbers = {row.number for row in rows if row.kind == kind}
        alive = things.filter(project_id=project_id, pk__in=numbers) if numbers else things.none()
        found |= {(kind.value, pk) for pk in alive.values_list("pk", flat=True)}
    return frozenset(found)


def asked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, where they can be asked together: a number names nothing without its kind."""
    if values.get("number") is not None and values.get("kind") is None:
        raise SenderError("bad_number", f"number={values['number']} names nothing by itself. Add kind.")
    return values
