"""Records what a project hosts itself. A version is never changed: what follows from a new one is split anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from stanchion_server.costs import hours, selectors
from stanchion_server.costs.models import Deployment
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project

MOST_VERSIONS = 500
MOST_LISTED_CARDS = 500
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MATCHES = ("match_provider", "match_model", "match_service", "match_server", "match_attribute")
FIELDS = (
    "name", "effective_from", "is_retired", *MATCHES, "match_value", "hosts", "gpus", "basis", "usd_per_hour", "count",
    "storage_gib", "storage_usd_per_gib_month", "data_gib_per_month", "data_usd_per_gib", "usd_per_kwh", "pue",
    "grid_g_per_kwh", "rec_ratio", "prefill_weight", "cached_weight", "decode_weight", "engine", "engine_version",
    "batching", "parallel_degree", "device_class", "note",
)  # fmt: skip
_NOT_NEGATIVE = (
    "usd_per_hour", "storage_gib", "storage_usd_per_gib_month", "data_gib_per_month", "data_usd_per_gib", "usd_per_kwh",
    "grid_g_per_kwh", "prefill_weight", "cached_weight", "decode_weight",
)  # fmt: skip


def versions(project_id: int, name: str = "") -> list[Deployment]:
    """By name, the newest first; at most MOST_VERSIONS."""
    rows = Deployment.objects.filter(project_id=project_id).order_by("name", "-effective_from")
    return list((rows.filter(name=name) if name else rows)[:MOST_VERSIONS])


def add(project: Project, values: Mapping[str, Any], actor: str) -> Deployment:
    """A version in force from `effective_from` on; hours since then are split anew, as far as calls are kept. Raises
    SenderError that names the field and the remedy."""
    if Deployment.objects.filter(project=project).count() >= MOST_VERSIONS:
        raise SenderError(
            "too_many_deployments", f"A project has at most {MOST_VERSIONS} versions of deployments.", 409
        )
    now = clock.now()
    row = Deployment(project=project, created_at=now, created_by=actor, **values)
    _check(row)
    try:
        with transaction.atomic():
            row.save()
            hours.mark_since(project.pk, row.effective_from, now)
    except IntegrityError as error:
        raise SenderError(
            "deployment_exists", f"effective_from: “{row.name}” has a version from that hour. Choose another.", 409
        ) from error
    selectors.forget()
    return row


def _check(row: Deployment) -> None:
    try:
        row.full_clean(
            exclude=["project", "created_by", "created_at"], validate_unique=False, validate_constraints=False
        )
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise _bad(field, reasons[0]) from error
    for name in _NOT_NEGATIVE:
        value = getattr(row, name)
        if value is not None and value < 0:
            raise _bad(name, f"{value} is negative; 0 or more.")
    _check_time(row)
    _check_match(row)
    if not (row.prefill_weight or row.decode_weight):
        raise _bad("decode_weight", "Either prompts or answers must weigh something.")
    if len(row.hosts) > MOST_LISTED_CARDS or len(row.gpus) > MOST_LISTED_CARDS:
        raise _bad("gpus", f"At most {MOST_LISTED_CARDS}; label the cards with stanchion.deployment instead.")
    if row.pue < 1:
        raise _bad("pue", f"{row.pue} is less than 1: a site draws at least what its cards draw.")
    if not 0 <= row.rec_ratio <= 1:
        raise _bad("rec_ratio", f"{row.rec_ratio} is no share between 0 and 1.")
    if row.parallel_degree < 1:
        raise _bad("parallel_degree", "At least 1.")


def _check_time(row: Deployment) -> None:
    when = row.effective_from.astimezone(UTC)
    if not EARLIEST <= when <= LATEST:
        raise _bad("effective_from", "A time between the years 2000 and 2200.")
    if hours.floor(when) != when:
        raise _bad("effective_from", f"{when:%H:%M:%S} is within an hour; costs are split by full hours (UTC).")


def _check_match(row: Deployment) -> None:
    texts = [getattr(row, name) for name in (*MATCHES, "match_value", "name", "engine", "note")] + row.hosts + row.gpus
    if any("\0" in text for text in texts):
        raise _bad("name", "Texts cannot hold the character NUL.")
    if bool(row.match_attribute) != bool(row.match_value):
        raise _bad("match_value", "An attribute takes a key and a value.")
    if not row.is_retired and not any(getattr(row, name) for name in MATCHES):
        raise _bad("match_model", "Say which calls belong to it: by provider, model, service, server or attribute.")


def _bad(field: str, sentence: str) -> SenderError:
    return SenderError("bad_field", f"{field}: {sentence}")
