"""Silences: made, previewed, ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from stanchion_server.alerts import history, outbox, quieting
from stanchion_server.alerts.models import Incident, Silence
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

LONGEST = timedelta(days=30)
MOST_MATCHERS = 10


def hidden_by(project_id: int, matchers: Sequence[Mapping[str, str]]) -> tuple[Incident, ...]:
    """The open incidents that a silence with these matchers would keep quiet."""
    wanted = outbox.matchers_of(checked_matchers(matchers))
    rows = Incident.objects.filter(project_id=project_id, resolved_at=None).select_related("rule").order_by("-pk")
    return tuple(
        row for row in rows[:1_000] if all(quieting.matches(wanted, labels) for labels in outbox.labels_of(row))
    )


@transaction.atomic
def silence(
    project: Project, matchers: Sequence[Mapping[str, str]], starts_at: datetime | None, ends_at: datetime,
    reason: str, actor: str,
) -> Silence:  # fmt: skip
    """From now on where no start is named. What waits in the outbox for what it hides is taken back."""
    now = clock.now()
    starts_at = starts_at or now
    if not starts_at < ends_at <= starts_at + LONGEST or ends_at <= now:
        raise SenderError("bad_time", f"A silence ends after it starts and now, and lasts {LONGEST.days} days at most.")
    reason = reason.strip()
    if not reason or len(reason) > 500 or "\0" in reason:
        raise SenderError("bad_reason", "Say why, in 1 to 500 characters.")
    wanted = checked_matchers(matchers)
    if not wanted:
        raise SenderError("bad_matchers", "A silence needs at least one matcher: one without any hides everything.")
    row = Silence.objects.create(
        project=project, matchers=wanted, starts_at=starts_at, ends_at=ends_at, reason=reason, created_at=now,
        created_by=actor,
    )  # fmt: skip
    detail = {"until": (None, f"{ends_at:%Y-%m-%d %H:%M} UTC"), "reason": (None, reason)}
    history.note(project.pk, history.Kind.SILENCE, row.pk, told(wanted), "created", actor, detail)
    outbox.settle(project.pk, now)
    return row


@transaction.atomic
def end_silence(project_id: int, number: int, actor: str) -> Silence:
    """Now, before its time; what it kept quiet is told if it is still true."""
    row = Silence.objects.select_for_update().filter(project_id=project_id, pk=number).first()
    if row is None:
        raise SenderError("not_found", f"Your project has no silence {number}.", 404)
    now = clock.now()
    if row.ends_at > now:
        row.ends_at, row.starts_at, row.ended_by = now, min(row.starts_at, now), actor
        row.save(update_fields=["ends_at", "starts_at", "ended_by"])
        history.note(project_id, history.Kind.SILENCE, row.pk, told(row.matchers), "ended", actor)
        outbox.settle(project_id, now)
    return row


def checked_matchers(matchers: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    if len(matchers) > MOST_MATCHERS:
        raise SenderError("bad_matchers", f"At most {MOST_MATCHERS} matchers.")
    found = []
    for one in matchers:
        label, op, value = (str(one.get(name, "")) for name in ("label", "op", "value"))
        if not label or len(label) > 80 or len(value) > 200 or op not in quieting.OPS or "\0" in label + value:
            raise SenderError(
                "bad_matchers",
                f"A matcher has a label, an op ({', '.join(quieting.OPS)}) and a value, not {one!r:.120}.",
            )
        found.append({"label": label, "op": op, "value": value})
    return found


def told(matchers: Sequence[Mapping[str, str]]) -> str:
    """For people: `feature = refunds, rule = latency`."""
    return ", ".join(str(matcher) for matcher in outbox.matchers_of(matchers)) or "everything"
