"""Changes to policies. Each is one transaction that writes its event, and grows the revision when it changes what is in
force. Version rows are never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.db import IntegrityError, transaction
from django.db.models import Max

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, selectors
from stanchion_server.policies.models import DecisionReview, Policy, PolicyEvent, PolicyVersion, Switch
from stanchion_server.tenants.models import Project
from stanchion_server.traces.models import GuardDecision

MAX_DOCUMENT_CHARACTERS = 512 * 1024
MAX_POLICIES = 200
_EVER = datetime(2000, 1, 1, tzinfo=UTC)


@transaction.atomic
def create(project: Project, name: str, document: str, actor: str, description: str = "", request: str = "") -> Policy:
    """A policy with a draft. `request` names what asked for it: the same again gives the policy that it made. Raises
    SenderError when the name is taken or is none, or the draft is too long."""
    if made := _made_by(project.pk, "created", request):
        return made.policy
    if not engine.is_name(name):
        raise SenderError(
            "bad_name", f"“{name[:80]}” is no policy name: letters, digits, `_`, `.`, `-`, at most 63.", 400
        )
    _check_length(document)
    if Policy.objects.filter(project=project, archived_at=None).count() >= MAX_POLICIES:
        raise SenderError("too_many_policies", f"A project has at most {MAX_POLICIES} policies. Archive some.", 409)
    now = clock.now()
    try:
        with transaction.atomic():
            policy = Policy.objects.create(
                project=project, name=name, description=description[:400], draft=document,
                draft_changed_at=now, draft_changed_by=actor, created_at=now,
            )  # fmt: skip
    except IntegrityError as error:
        raise SenderError(
            "name_taken", f"The project has a policy “{name}” already. Choose another name.", 409
        ) from error
    _note(policy, actor, "created", **_named(request))
    return policy


@transaction.atomic
def save_draft(project_id: int, policy_id: int, document: str, actor: str, description: str | None = None) -> Policy:
    """Any text may be a draft, even one that does not compile; only a policy that does can be published. None leaves
    the description as it is."""
    _check_length(document)
    policy = _locked(project_id, policy_id)
    policy.draft, policy.draft_changed_at, policy.draft_changed_by = document, clock.now(), actor
    if description is not None:
        policy.description = description[:400]
    policy.save(update_fields=["draft", "draft_changed_at", "draft_changed_by", "description"])
    return policy


@transaction.atomic
def publish(project_id: int, policy_id: int, actor: str, note: str = "", request: str = "") -> PolicyVersion:
    """The draft as the next version; the same text as the newest version makes none and returns that. `request` as for
    `create`. Raises SenderError with every problem when the draft does not compile or has rules that look at nothing,
    and with every case when its own tests fail."""
    policy = _locked(project_id, policy_id)
    if made := _made_by(project_id, "published", request):
        return made.policy.versions.get(number=made.detail["number"])
    compiled = engine.compile_draft(policy.draft)
    if failures := engine.failing_cases(compiled):
        raise SenderError("policy_tests_fail", "The policy's own tests fail: " + "; ".join(failures[:20]), 422)
    newest = policy.versions.order_by("-number").first()
    if newest and newest.digest == compiled.content_hash:
        return newest
    version = PolicyVersion.objects.create(
        project_id=project_id, policy=policy, number=_next_number(policy), document=policy.draft,
        digest=compiled.content_hash, note=note[:400], created_at=clock.now(), created_by=actor,
    )  # fmt: skip
    _note(policy, actor, "published", number=version.number, **_named(request))
    return version


def set_live(project_id: int, policy_id: int, number: int | None, actor: str) -> Policy:
    """None takes the policy out of force. Rolling back is the same with an older number. Raises SenderError 409 where
    an enforced policy would judge nothing any more."""
    return _change(project_id, policy_id, actor, "live", {"live": number})


def set_shadow(
    project_id: int, policy_id: int, number: int | None, actor: str, until: datetime | None = None
) -> Policy:
    changes = {"shadow": number, "shadow_until": _to_come(until) if number is not None else None}
    return _change(project_id, policy_id, actor, "shadow", changes)


def set_canary(
    project_id: int, policy_id: int, number: int | None, percent: int, actor: str, until: datetime | None = None
) -> Policy:
    if not 0 <= percent <= 100:
        raise SenderError("bad_percent", f"A canary's share is 0 to 100 percent, not {percent}.", 400)
    changes = {"canary": number, "canary_percent": percent, "canary_until": _to_come(until)}
    if number is None:
        changes = {"canary": None, "canary_percent": 0, "canary_until": None}
    return _change(project_id, policy_id, actor, "canary", changes)


def set_switch(project_id: int, policy_id: int, switch: str, reason: str, actor: str) -> Policy:
    if switch not in Switch.values:
        raise SenderError("bad_switch", f"A switch is {', '.join(Switch.values)}, not “{switch[:40]}”.", 400)
    return _change(project_id, policy_id, actor, "switch", {"switch": switch, "switch_reason": reason[:400]})


def enforce(project_id: int, policy_id: int, actor: str) -> Policy:
    """Makes this the one policy that judges every check of the project; another one loses that place."""
    with transaction.atomic():
        _one_at_a_time(project_id)
        for other in Policy.objects.select_for_update().filter(project_id=project_id, is_enforced=True):
            if other.pk != policy_id:
                _apply(other, actor, "enforce", {"is_enforced": False})
        return _change(project_id, policy_id, actor, "enforce", {"is_enforced": True})


def release(project_id: int, policy_id: int, actor: str) -> Policy:
    return _change(project_id, policy_id, actor, "enforce", {"is_enforced": False})


@transaction.atomic
def roll_out(project_id: int, policy_id: int, wanted: Mapping[str, Any], actor: str) -> Policy:
    """Several of the changes above at once, all or none; only what is named in `wanted` changes."""
    if "is_enforced" in wanted:
        _one_at_a_time(project_id)
    policy = _locked(project_id, policy_id)
    if wanted.get("is_enforced") is False:
        policy = release(project_id, policy_id, actor)
    if "live" in wanted:
        policy = set_live(project_id, policy_id, wanted["live"], actor)
    if "shadow" in wanted or "shadow_until" in wanted:
        until = _until(wanted, "shadow", policy.shadow_until)
        policy = set_shadow(project_id, policy_id, wanted.get("shadow", policy.shadow), actor, until)
    if any(name.startswith("canary") for name in wanted):
        percent = wanted.get("canary_percent", policy.canary_percent)
        until = _until(wanted, "canary", policy.canary_until)
        policy = set_canary(project_id, policy_id, wanted.get("canary", policy.canary), percent, actor, until)
    if "switch" in wanted:
        policy = set_switch(project_id, policy_id, wanted["switch"], wanted.get("reason", ""), actor)
    if wanted.get("is_enforced"):
        policy = enforce(project_id, policy_id, actor)
    return policy


def archive(project_id: int, policy_id: int, actor: str) -> Policy:
    """Out of force and out of the lists; versions and decisions stay readable. Another policy may take its name."""
    gone = {"live": None, "shadow": None, "canary": None, "canary_percent": 0, "is_enforced": False}
    return _change(project_id, policy_id, actor, "archive", {**gone, "archived_at": clock.now()})


def review_decision(
    project_id: int, check_id: str, is_violation: bool, actor: str, note: str = ""
) -> selectors.DecisionView:
    """The newest word of a person on a check replaces the older one. Raises SenderError 404 for an unknown check."""
    if not check_id:
        raise SenderError("no_check_id", "The decision carries no check id, so no review could be told from others.")
    wanted = selectors.DecisionFilter(start=_EVER, end=clock.now() + timedelta(days=2), check_id=check_id)
    found = selectors.decisions(project_id, wanted, limit=1).items
    if not found:
        raise SenderError("not_found", f"The project has no check “{check_id[:80]}”, or not any more.", 404)
    rows = GuardDecision.objects.filter(project_id=project_id, check_id=check_id)
    values = {
        "is_violation": is_violation,
        "note": note[:1000],
        "text_digest": rows.values_list("text_digest", flat=True).first(),
        "reviewed_at": clock.now(),
        "reviewed_by": actor,
    }
    DecisionReview.objects.update_or_create(project_id=project_id, check_id=check_id, defaults=values)
    return selectors.decisions(project_id, wanted, limit=1).items[0]


@transaction.atomic
def _change(project_id: int, policy_id: int, actor: str, action: str, changes: Mapping[str, Any]) -> Policy:
    policy = _locked(project_id, policy_id)
    for role in ("live", "shadow", "canary"):
        if (number := changes.get(role)) is not None and not policy.versions.filter(number=number).exists():
            raise SenderError(
                "no_such_version", f"Policy “{policy.name}” has no version {number}. Publish it first.", 404
            )
    _enforced_judges(policy, changes)
    return _apply(policy, actor, action, changes)


def _apply(policy: Policy, actor: str, action: str, changes: Mapping[str, Any]) -> Policy:
    before = {name: getattr(policy, name) for name in changes}
    if before == dict(changes):
        return policy
    for name, value in changes.items():
        setattr(policy, name, value)
    policy.revision += 1
    policy.save(update_fields=[*changes, "revision"])
    _note(policy, actor, action, before=_plain(before), after=_plain(changes))
    project_id, name = policy.project_id, policy.name
    transaction.on_commit(lambda: engine.forget(project_id, name))
    return policy


def _next_number(policy: Policy) -> int:
    """Decisions tell a policy by its name, so numbers go on where an archived one of the same name ended."""
    rows = PolicyVersion.objects.filter(project_id=policy.project_id, policy__name=policy.name)
    return 1 + (rows.aggregate(last=Max("number"))["last"] or 0)


def _made_by(project_id: int, action: str, request: str) -> PolicyEvent | None:
    """What the same request made before, of a policy that is still there."""
    rows = PolicyEvent.objects.filter(project_id=project_id, action=action, policy__archived_at=None)
    return rows.filter(detail__request=request).select_related("policy").first() if request else None


def _named(request: str) -> dict[str, str]:
    return {"request": request} if request else {}


def _enforced_judges(policy: Policy, changes: Mapping[str, Any]) -> None:
    """An enforced policy without a live version would let everything pass, and look as if it did not."""
    live, is_enforced = changes.get("live", policy.live), changes.get("is_enforced", policy.is_enforced)
    if live is not None or not is_enforced:
        return
    if "live" in changes:
        remedy = "End its enforcement first, or set another version live."
    else:
        remedy = "Set a version live first."
    raise SenderError("enforced_without_live", f"“{policy.name}” would be enforced and judge nothing. {remedy}", 409)


def _until(wanted: Mapping[str, Any], role: str, before: datetime | None) -> datetime | None:
    """The end of what ran before is none of a version that is named anew."""
    return cast(datetime | None, wanted.get(f"{role}_until", None if role in wanted else before))


def _to_come(until: datetime | None) -> datetime | None:
    if until is not None and until <= clock.now():
        moment = until.astimezone(UTC)
        raise SenderError(
            "bad_time", f"{moment:%Y-%m-%d %H:%M} UTC is over already: choose a time to come, or none for no end.", 400
        )
    return until


def _one_at_a_time(project_id: int) -> None:
    """Who changes the enforced policy waits here for others who do, before locking any policy."""
    Project.objects.select_for_update().filter(pk=project_id).first()


def _locked(project_id: int, policy_id: int) -> Policy:
    policy = Policy.objects.select_for_update().filter(project_id=project_id, pk=policy_id, archived_at=None).first()
    if policy is None:
        raise SenderError("policy_not_found", f"The project has no policy {policy_id}.", 404)
    return policy


def _check_length(document: str) -> None:
    if len(document) > MAX_DOCUMENT_CHARACTERS:
        raise SenderError("policy_too_long", f"A policy has at most {MAX_DOCUMENT_CHARACTERS:,} characters.", 413)


def _note(policy: Policy, actor: str, action: str, **detail: object) -> None:
    PolicyEvent.objects.create(
        project_id=policy.project_id, policy=policy, at=clock.now(), actor=actor, action=action, detail=detail
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
