"""Makes and changes channels; tests them; sends again what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from stanchion_server.alerts import channel_secrets, facts, handover, history
from stanchion_server.alerts.channels import KINDS, signing
from stanchion_server.alerts.channels.base import Kind
from stanchion_server.alerts.models import Channel, Notification
from stanchion_server.kernel import addresses, clock, http
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

MOST_CHANNELS = 50
ROTATION = timedelta(hours=24)
State = Notification.State


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person says of a channel. `values` are the kind's settings and secrets by name; `fallback` is an id."""

    name: str
    kind: str
    values: Mapping[str, str] = field(default_factory=dict)
    fallback: int | None = None
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """`shown_once` is a signing secret that was made here, else empty."""

    channel: Channel
    shown_once: str = ""


def create(project: Project, wanted: Wanted, actor: str) -> Made:
    """Raises SenderError for what cannot be."""
    kind = KINDS.get(wanted.kind)
    if kind is None:
        raise SenderError(
            "bad_kind", f"There is no kind of channel {wanted.kind[:40]!r}; take one of {', '.join(KINDS)}."
        )
    if Channel.objects.filter(project=project, archived_at=None).count() >= MOST_CHANNELS:
        raise SenderError("too_many_channels", f"A project has at most {MOST_CHANNELS} channels. Archive one.", 409)
    settings, secrets = _split(kind, wanted.values, {})
    made = ""
    if kind.name == "webhook" and not secrets.get("secret"):
        made = secrets["secret"] = signing.new_secret()
    try:
        with transaction.atomic():
            channel = Channel.objects.create(
                project=project, name=_name(wanted.name), kind=kind.name, settings=settings,
                secrets=channel_secrets.sealed(secrets),
                fallback=_fallback(project.pk, wanted.fallback, None), is_default=wanted.is_default,
                created_at=clock.now(), created_by=actor[:150],
            )  # fmt: skip
            _note(channel, "created", actor, history.difference({}, _said(channel)))
    except IntegrityError as error:
        raise _name_taken(wanted.name) from error
    return Made(channel, made)


@transaction.atomic
def change(project_id: int, number: int, changes: Mapping[str, Any], actor: str) -> Channel:
    """`name`, `is_default`, `fallback` and `values` are changed where they are named; a secret that is not named or
    empty stays as it is, and is missing where it cannot be read."""
    channel = _locked(project_id, number)
    before, held = _said(channel), channel_secrets.opened(channel)
    if "values" in changes:
        _take(channel, changes["values"])
    if "fallback" in changes:
        channel.fallback = _fallback(project_id, changes["fallback"], channel)
    if "name" in changes:
        channel.name = _name(changes["name"])
    channel.is_default = changes.get("is_default", channel.is_default)
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError as error:
        raise _name_taken(channel.name) from error
    entered = _entered(held or {}, channel_secrets.opened(channel) or {})
    _note(channel, "changed", actor, {**history.difference(before, _said(channel)), **entered})
    return channel


def _note(channel: Channel, action: str, actor: str, detail: history.Detail | None = None) -> None:
    history.note(channel.project_id, history.Kind.CHANNEL, channel.pk, channel.name, action, actor, detail)


def _said(channel: Channel) -> dict[str, Any]:
    """What is no secret."""
    fallback = channel.fallback.name if channel.fallback is not None else None
    named = {"name": channel.name, "kind": channel.kind, "fallback": fallback, "is_default": channel.is_default}
    return {**named, **channel.settings}


def _entered(before: Mapping[str, str], after: Mapping[str, str]) -> history.Detail:
    """Which secrets are others than before, not what they are."""
    names = sorted(history.difference(before, after))
    return {"secrets": (None, ", ".join(names))} if names else {}


def _take(channel: Channel, values: Mapping[str, str]) -> None:
    """A channel that broke because its secrets could not be read is whole again once they are entered."""
    opened = channel_secrets.opened(channel)
    held = {**(opened or {}), **channel.settings}
    channel.settings, secrets = _split(KINDS[channel.kind], values, held)
    if channel.kind == "webhook" and "secret" not in secrets:
        raise SenderError(
            "setting_missing",
            "The signing secret cannot be read any more. Enter the one that the receiver checks with; where that is"
            " lost, make a new channel, which shows its secret once.",
        )
    channel.secrets = channel_secrets.sealed(secrets)
    if opened is None:
        channel.broken_at, channel.broken_reason = None, ""


@transaction.atomic
def rotate_secret(project_id: int, number: int, actor: str) -> Made:
    """A new signing secret; the old one signs beside it for a day."""
    channel = _locked(project_id, number)
    if channel.kind != "webhook":
        raise SenderError("no_signature", "Only signed webhooks have a signing secret.", 409)
    held, new = channel_secrets.required(channel), signing.new_secret()
    until = (clock.now() + ROTATION).isoformat()
    turned = {"secret": new, "previous": held["secret"], "previous_until": until}
    channel.secrets = channel_secrets.sealed({**held, **turned})
    channel.save(update_fields=["secrets"])
    _note(channel, "signing secret renewed", actor)
    return Made(channel, new)


@transaction.atomic
def archive(project_id: int, number: int, actor: str) -> Channel:
    """Out of use. What waits for it goes its other way as soon as a sender comes to it."""
    channel = _locked(project_id, number)
    channel.archived_at, channel.is_default, channel.held_until = clock.now(), False, None
    channel.save(update_fields=["archived_at", "is_default", "held_until"])
    _note(channel, "archived", actor)
    return channel


@transaction.atomic
def enable(project_id: int, number: int, actor: str) -> Channel:
    """A broken or held channel is tried again; what failed is sent again only by `resend`."""
    channel = _locked(project_id, number)
    channel_secrets.required(channel)
    channel.broken_at, channel.broken_reason, channel.held_until = None, "", None
    channel.save(update_fields=["broken_at", "broken_reason", "held_until"])
    _note(channel, "enabled again", actor)
    return channel


def tend(now: datetime) -> None:
    """Seals again under the newest key what a fallback key still reads, so that the old key can go; breaks channels
    whose secrets cannot be read, so that somebody hears of it before an incident does not reach them."""
    sealed = Channel.objects.filter(archived_at=None).exclude(secrets={})
    for number in list(sealed.values_list("pk", flat=True)):
        with transaction.atomic():
            row = Channel.objects.select_for_update(of=("self",), no_key=True).select_related("project").get(pk=number)
            if channel_secrets.opened(row) is not None:
                channel_secrets.reseal(row)
            elif row.broken_at is None:
                handover.break_channel(row, channel_secrets.UNREADABLE, now)


def test(project: Project, number: int, actor: str) -> Notification:
    """A test message on the way that every message goes."""
    channel = _found(project.pk, number)
    if channel.broken_at is not None:
        raise SenderError("channel_broken", f"The channel is broken: {channel.broken_reason} Enable it first.", 409)
    channel_secrets.required(channel)
    now = clock.now()
    told = facts.Facts(
        kind="test", incident=0, project=project.slug, project_name=project.name, rule="test", rule_id=0,
        rule_version=0, severity="info", title=f"Test of the channel {channel.name}",
        reason=f"{actor} asked for this message. Nothing is wrong.", dedup_key=f"{project.slug}:test:{channel.pk}",
        labels={}, unit="", value=None, threshold=None, peak=None, samples=None, window_s=None, shown={},
        started_at=now, at=now, incident_path=f"/p/{project.slug}/alerts/channels/{channel.pk}",
    )  # fmt: skip
    return Notification.objects.create(
        project=project, incident=None, channel=channel, seq=1, kind="test", body=facts.to_json(told),
        next_attempt_at=now, created_at=now,
    )  # fmt: skip


@transaction.atomic
def resend(project_id: int, number: int) -> Notification:
    """A failed message, from the start. Refused when a later one of the incident has arrived there: the receiver would
    open again what is over."""
    rows = Notification.objects.select_for_update(of=("self",)).select_related("channel")
    row = rows.filter(project_id=project_id, pk=number).first()
    if row is None:
        raise SenderError("not_found", f"Your project has no delivery {number}.", 404)
    if row.state != State.FAILED:
        raise SenderError("not_failed", f"The message is {row.state}; only a failed one is sent again.", 409)
    if row.channel.archived_at is not None or row.channel.broken_at is not None:
        raise SenderError("channel_broken", "The channel is broken or archived. Enable it first.", 409)
    later = Notification.objects.filter(
        project_id=project_id, incident=row.incident_id, channel=row.channel_id, seq__gt=row.seq, state=State.DELIVERED
    )
    if row.incident_id is not None and later.exists():
        raise SenderError(
            "overtaken", "A later message of this incident has arrived. Sending this one would undo it.", 409
        )
    row.state, row.finished_at, row.first_attempt_at, row.is_minimal = State.WAITING, None, None, False
    row.next_attempt_at = clock.now()
    row.save()
    return row


def _split(kind: Kind, values: Mapping[str, str], held: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets, checked; `held` is what is there already."""
    known = {one.name: one for one in kind.settings}
    if unknown := sorted(set(values) - set(known)):
        raise SenderError("bad_setting", f"{kind.label} has no setting {unknown[0][:60]!r}; it has {', '.join(known)}.")
    said = {name: str(text).strip() for name, text in values.items()}
    for name, text in said.items():
        if len(text) > 2_000 or "\0" in text or not text.isprintable():
            raise SenderError("bad_setting", f"{known[name].label}: at most 2,000 printable characters.")
    full: dict[str, str] = {}
    for name, one in known.items():
        keeps = name not in said or (one.is_secret and not said[name])
        full[name] = str(held.get(name) or one.default) if keeps else said[name]
        if one.is_required and not full[name]:
            raise SenderError("setting_missing", f"{one.label} is missing. {one.help}")
        if one.options and full[name] not in dict(one.options):
            raise SenderError("bad_setting", f"{one.label} is one of {', '.join(dict(one.options))}.")
    if wrong := kind.check(full):
        raise SenderError("bad_setting", wrong)
    _check_address(full)
    kept = {name: text for name, text in held.items() if name not in known and name.startswith("previous")}
    secrets = {name: full[name] for name, one in known.items() if one.is_secret and full[name]}
    return {name: full[name] for name, one in known.items() if not one.is_secret}, {**secrets, **kept}


def _check_address(values: Mapping[str, str]) -> None:
    """What can be said without asking anybody; each connection is checked again."""
    if url := values.get("url"):
        rules = http.client().rules
        try:
            asked = addresses.target(url)
            addresses.check_target(asked, rules)
            if literal := addresses.literal(asked.host):
                addresses.checked(asked, [str(literal)], rules)
        except http.Refused as error:
            raise SenderError("bad_address", str(error)) from error


def _fallback(project_id: int, number: int | None, channel: Channel | None) -> Channel | None:
    if number is None:
        return None
    found = Channel.objects.filter(project_id=project_id, pk=number, archived_at=None).first()
    if found is None or (channel is not None and found.pk == channel.pk):
        raise SenderError("bad_fallback", "The fallback is another channel of the project.")
    return found


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise SenderError("bad_name", "A channel's name has 1 to 80 printable characters.")
    return name


def _name_taken(name: str) -> SenderError:
    return SenderError("name_taken", f"There is a channel called “{name[:80]}”. Choose another name.", 409)


def _found(project_id: int, number: int) -> Channel:
    found = Channel.objects.filter(project_id=project_id, pk=number, archived_at=None).first()
    if found is None:
        raise SenderError("not_found", f"Your project has no channel {number}.", 404)
    return found


def _locked(project_id: int, number: int) -> Channel:
    """So that messages to it can still be written meanwhile."""
    _found(project_id, number)
    return Channel.objects.select_for_update(no_key=True).get(project_id=project_id, pk=number)
