"""Who is responsible for what: said, changed, taken back. Each is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from stanchion_server.alerts import history
from stanchion_server.alerts.models import Channel, Owner
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

MOST_OWNERS = 500


def owners(project_id: int) -> tuple[Owner, ...]:
    """The project's own first, then by feature and topic."""
    rows = Owner.objects.filter(project_id=project_id).select_related("channel")
    return tuple(rows.order_by("feature", "topic"))


def owner(project_id: int, number: int) -> Owner | None:
    return Owner.objects.filter(project_id=project_id, pk=number).select_related("channel").first()


@transaction.atomic
def add(project: Project, values: Mapping[str, Any], actor: str) -> Owner:
    """`values`: person; feature (empty: the whole project), topic (any) and channel, a number, may be left out."""
    columns = _checked(project.pk, {"feature": "", "topic": Owner.Topic.ANY.value, "channel": None, **values})
    if Owner.objects.filter(project=project).count() >= MOST_OWNERS:
        raise SenderError("too_many_owners", f"A project has at most {MOST_OWNERS} owners. Delete one.", 409)
    row = Owner(project=project, **columns)
    _save(row)
    _note(row, row.pk, "created", actor, history.difference({}, _said(row)))
    return row


@transaction.atomic
def change(project_id: int, number: int, values: Mapping[str, Any], actor: str) -> Owner:
    """What is named is changed."""
    row = _locked(project_id, number)
    before = _said(row)
    for name, value in _checked(project_id, values).items():
        setattr(row, name, value)
    _save(row)
    _note(row, row.pk, "changed", actor, history.difference(before, _said(row)))
    return row


@transaction.atomic
def delete(project_id: int, number: int, actor: str) -> Owner:
    row = _locked(project_id, number)
    row.delete()
    _note(row, number, "deleted", actor)
    row.pk = number
    return row


def _note(row: Owner, number: int, action: str, actor: str, detail: history.Detail | None = None) -> None:
    history.note(row.project_id, history.Kind.OWNER, number, str(row), action, actor, detail)


def _said(row: Owner) -> dict[str, Any]:
    channel = row.channel.name if row.channel is not None else None
    return {"person": row.person, "feature": row.feature or None, "topic": row.topic, "channel": channel}


def _checked(project_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "person" in values:
        found["person"] = _text("person", values["person"], 1, 150)
    if "feature" in values:
        found["feature"] = _text("feature", values["feature"], 0, 200)
    if "topic" in values:
        found["topic"] = _topic(str(values["topic"]))
    if "channel" in values:
        found["channel"] = _channel(project_id, values["channel"])
    return found


def _text(name: str, value: Any, least: int, most: int) -> str:
    text = str(value).strip()
    if not least <= len(text) <= most or not text.isprintable():
        raise SenderError(f"bad_{name}", f"{name} is {text[:80]!r}: it must be {least} to {most} printable characters.")
    return text


def _topic(text: str) -> str:
    if text not in Owner.Topic.values:
        raise SenderError("bad_topic", f"topic is {text[:40]!r}: it must be one of {', '.join(Owner.Topic.values)}.")
    return text


def _channel(project_id: int, number: int | None) -> Channel | None:
    if number is None:
        return None
    found = Channel.objects.filter(project_id=project_id, archived_at=None, pk=number).first()
    if found is None:
        raise SenderError(
            "bad_channel", f"channel is {number}: your project has no such channel. Leave it out, or make one first."
        )
    return found


def _save(row: Owner) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        where = f"The feature “{row.feature}”" if row.feature else "The whole project"
        message = f"{where} has an owner for “{row.get_topic_display().lower()}” already. Change that one."
        raise SenderError("owner_taken", message, 409) from error


def _locked(project_id: int, number: int) -> Owner:
    rows = Owner.objects.select_for_update(of=("self",)).filter(project_id=project_id, pk=number)
    row = rows.select_related("channel").first()
    if row is None:
        raise SenderError("not_found", f"Your project has no owner {number}.", 404)
    return row
