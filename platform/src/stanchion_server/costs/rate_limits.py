"""Writes of rate limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from stanchion_server.costs import selectors_headroom
from stanchion_server.costs.headroom import DIMENSIONS
from stanchion_server.costs.models import CallPeak, RateLimit
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

FIELDS = ("provider", "model", *DIMENSIONS)


def add(project: Project, values: Mapping[str, Any], actor: str) -> RateLimit:
    """Raises SenderError that names the field and the remedy."""
    if RateLimit.objects.filter(project=project).count() >= selectors_headroom.MOST_LIMITS:
        raise SenderError(
            "too_many_rate_limits",
            f"A project has at most {selectors_headroom.MOST_LIMITS} rate limits. Delete one that no longer holds.",
            409,
        )
    return _save(RateLimit(project=project), values, actor)


@transaction.atomic
def change(project_id: int, number: int, values: Mapping[str, Any], actor: str) -> RateLimit:
    """The fields that are given."""
    row = _held(project_id, number)
    told = (row.provider, row.model)
    row = _save(row, values, actor)
    if (row.provider, row.model) != told:
        CallPeak.objects.filter(project_id=project_id, rate_limit=row).delete()
        RateLimit.objects.filter(pk=row.pk).update(counted_from=None)
    return row


@transaction.atomic
def delete(project_id: int, number: int) -> RateLimit:
    row = _held(project_id, number)
    RateLimit.objects.filter(project_id=project_id, pk=number).delete()
    return row


def _held(project_id: int, number: int) -> RateLimit:
    """Locked first of all: nobody counts peaks for it in the meantime."""
    selectors_headroom.rate_limit(project_id, number)
    return RateLimit.objects.select_for_update().get(project_id=project_id, pk=number)


def _save(row: RateLimit, values: Mapping[str, Any], actor: str) -> RateLimit:
    for name, value in values.items():
        setattr(row, name, value)
    row.changed_at, row.changed_by = clock.now(), actor
    _check(row)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise SenderError(
            "rate_limit_exists", f"model: there are limits for {row} already. Change those.", 409
        ) from error
    return row


def _check(row: RateLimit) -> None:
    try:
        row.full_clean(exclude={"project", "counted_from", "changed_at", "changed_by"}, validate_unique=False,
                       validate_constraints=False)  # fmt: skip
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise SenderError("bad_field", f"{field}: {reasons[0]}") from error
    if "\0" in row.provider + row.model:
        raise SenderError("bad_field", "provider: Texts cannot hold the character NUL.")
    for name in DIMENSIONS:
        limit = getattr(row, name)
        if limit is not None and limit <= 0:
            raise SenderError("bad_field", f"{name}: {limit} is no limit: more than 0, or empty where it is not known.")
    if all(getattr(row, name) is None for name in DIMENSIONS):
        raise SenderError("bad_field", f"{DIMENSIONS[1]}: Say at least one limit of {', '.join(DIMENSIONS)}.")
