"""Writes of budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from stanchion_server.costs import selectors_budgets, stops
from stanchion_server.costs.budgeted import Scope
from stanchion_server.costs.models import Budget
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project
from stanchion_server.traces.filters import check_attribute_key

FIELDS = (
    "name", "scope", "scope_key", "scope_value", "period", "limit_usd", "owner", "notify_percents", "is_hard_stop",
)  # fmt: skip
MOST_THRESHOLDS = 10
_OURS = {field.name for field in Budget._meta.fields} - set(FIELDS)
STOPPABLE = (Scope.PROJECT, Scope.FEATURE, Scope.ENVIRONMENT)
"""What a guard check tells of itself."""


def add(project: Project, values: Mapping[str, Any], actor: str) -> Budget:
    """Raises SenderError that names the field and the remedy."""
    if Budget.objects.filter(project=project, archived_at=None).count() >= selectors_budgets.MOST_BUDGETS:
        raise SenderError(
            "too_many_budgets",
            f"A project has at most {selectors_budgets.MOST_BUDGETS} budgets. Delete one that is no longer used.",
            409,
        )
    now = clock.now()
    row = Budget(project=project, created_at=now, created_by=actor, notify_percents=[80, 100])
    return _save(row, values, actor)


@transaction.atomic
def change(project_id: int, number: int, values: Mapping[str, Any], actor: str) -> Budget:
    """The fields that are given. A stop is taken back at once; a worker sets it again where it still holds."""
    selectors_budgets.budget(project_id, number)
    row = Budget.objects.select_for_update().get(project_id=project_id, pk=number)
    return _save(row, values, actor)


def archive(project_id: int, number: int, actor: str) -> None:
    row = selectors_budgets.budget(project_id, number)
    row.archived_at = row.changed_at = clock.now()
    row.changed_by, row.stopped_until = actor, None
    row.save(update_fields=["archived_at", "changed_at", "changed_by", "stopped_until"])
    stops.forget()


def _save(row: Budget, values: Mapping[str, Any], actor: str) -> Budget:
    scope_before = (row.scope, row.scope_key, row.scope_value)
    for name, value in values.items():
        setattr(row, name, value)
    row.changed_at, row.changed_by, row.stopped_until = clock.now(), actor, None
    _check(row)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise SenderError(
            "budget_exists", f"name: there is a budget “{row.name}” already. Choose another name.", 409
        ) from error
    if (row.scope, row.scope_key, row.scope_value) != scope_before:
        row.hours.all().delete()
    stops.forget()
    return row


def _check(row: Budget) -> None:
    try:
        row.full_clean(exclude=_OURS, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise _bad(field, reasons[0]) from error
    if any("\0" in text for text in (row.name, row.owner, row.scope_key, row.scope_value)):
        raise _bad("name", "Texts cannot hold the character NUL.")
    if not row.owner.strip():
        raise _bad("owner", "Somebody must answer for the money: a person or a team.")
    if row.limit_usd <= 0:
        raise _bad("limit_usd", f"{row.limit_usd} is no amount to spend: more than 0.")
    _check_scope(row)
    _check_thresholds(row)


def _check_scope(row: Budget) -> None:
    if row.scope == Scope.PROJECT and (row.scope_key or row.scope_value):
        raise _bad("scope_value", "A budget for the whole project takes no value. Leave it out, or choose a scope.")
    if row.scope == Scope.ATTRIBUTE:
        if not row.scope_value:
            raise _bad("scope_value", "Say which value the attribute must have.")
        check_attribute_key(row.scope_key)
    elif row.scope_key:
        raise _bad("scope_key", "Only a budget by attribute takes an attribute's name.")
    if row.is_hard_stop and row.scope not in STOPPABLE:
        raise _bad("is_hard_stop", "Guard checks do not tell this scope: only a project, a feature or an environment"
                   " can be stopped.")  # fmt: skip
    if row.is_hard_stop and row.scope != Scope.PROJECT and not row.scope_value:
        raise _bad("scope_value", "Name what is to be stopped: checks without a feature or environment never are.")


def _check_thresholds(row: Budget) -> None:
    if len(row.notify_percents) > MOST_THRESHOLDS:
        raise _bad("notify_percents", f"At most {MOST_THRESHOLDS} thresholds.")
    for percent in row.notify_percents:
        if not 1 <= percent <= 1_000:
            raise _bad("notify_percents", f"{percent} is not between 1 and 1000 percent.")
    row.notify_percents = sorted(set(row.notify_percents))


def _bad(field: str, sentence: str) -> SenderError:
    return SenderError("bad_field", f"{field}: {sentence}")
