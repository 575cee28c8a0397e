"""The one door: who is asking, and what may they see.

Keys are looked up once in 30 s per process; a revoked key therefore works for at most 30 s longer. Unknown id, wrong
secret, expired and revoked get the same answer, so that nobody learns which keys exist.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError, models

from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError, Unavailable
from stanchion_server.kernel.rate import TokenBuckets
from stanchion_server.tenants import keys
from stanchion_server.tenants.models import ApiKey, Membership, Project, Scope, User

CACHE_SECONDS = 30
CACHE_SIZE = 10_000
LAST_USED_EVERY = timedelta(minutes=1)

MISSING = (
    "No API key came with the request. Send it as `Authorization: Bearer <key>` or `x-api-key: <key>`; "
    "keys are made in the project's settings."
)
MALFORMED = (
    "The API key is not one of ours: a key starts with `stn_` and is checked for typing mistakes. "
    "Copy it again from where it was made."
)
REFUSED = "The API key is not valid: unknown, revoked or expired. Make a new one in the project's settings."


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends with a key, and the limits of the project the key belongs to. `key_id` is the key's primary key."""

    project_id: int
    key_id: int
    key_name: str
    scopes: frozenset[str]
    late_window_days: int
    daily_span_quota: int | None

    def require(self, scope: Scope) -> None:
        """Raises SenderError 403 unless the key has the scope or administers the project."""
        if scope.value not in self.scopes and Scope.ADMIN.value not in self.scopes:
            raise SenderError(
                "missing_scope",
                f"The API key “{self.key_name}” lacks the scope `{scope.value}`. Use a key that has it.",
                403,
            )


@dataclass(frozen=True, slots=True)
class _CachedKey:
    principal: Principal
    secret_sha256: bytes
    expires_at: datetime | None
    read_at_s: float


_cache: OrderedDict[str, _CachedKey] = OrderedDict()
_cache_lock = threading.Lock()
_failures = TokenBuckets(rate_per_s=1.0, burst=20, max_names=10_000)


def authenticate(headers: Mapping[str, str], address: str) -> Principal:
    """The sender of a request with these headers (looked up as `Authorization` and `x-api-key`, so pass Django's
    `request.headers`), coming from this IP address.

    Accepts a bearer token, `x-api-key`, and Basic auth with the key as password or user name (Langfuse style). Raises
    SenderError 401, or Unavailable when the database is away or the address sent too many wrong keys: a valid key from
    there may then be asked to come again, but never loses data to a refusal.
    """
    candidates = list(_candidates(headers))
    if not candidates:
        raise SenderError("missing_key", MISSING, 401)
    for text in candidates:
        key = keys.parse(text)
        if key is not None:
            return _verified(key, address)
    raise SenderError("malformed_key", MALFORMED, 401)


def forget(key_id: str) -> None:
    """Drops a key from this process's cache, for instance after a change of its scopes or project."""
    with _cache_lock:
        _cache.pop(key_id, None)


def forget_everything() -> None:
    """Empties the cache of keys and the table of failures."""
    with _cache_lock:
        _cache.clear()
    _failures.clear()


def projects_for(user: User | AnonymousUser) -> models.QuerySet[Project]:
    """The projects of every organisation the person belongs to, by name."""
    if isinstance(user, AnonymousUser):
        return Project.objects.none()
    return Project.objects.filter(organisation__memberships__user=user).order_by("name", "pk")


def project_for(user: User | AnonymousUser, slug: str) -> Project:
    """The person's project with this slug; SenderError 404 for a missing and for somebody else's project alike."""
    project = projects_for(user).filter(slug=slug).first()
    if project is None:
        raise SenderError("project_not_found", f"You have no project “{slug[:60]}”.", 404)
    return project


def role_in(user: User | AnonymousUser, project: Project) -> str | None:
    """The person's role in the project's organisation; None for a stranger."""
    if isinstance(user, AnonymousUser):
        return None
    found = Membership.objects.filter(user=user, organisation=project.organisation_id)
    return found.values_list("role", flat=True).first()


def _candidates(headers: Mapping[str, str]) -> Iterator[str]:
    value = headers.get("Authorization", "").strip()
    if "%" in value:  # OTEL_EXPORTER_OTLP_HEADERS is percent-encoded, and not every SDK decodes it
        value = unquote(value)
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "basic":
        yield from _basic(rest.strip())
    elif value:
        yield rest.strip() if scheme.lower() == "bearer" else value
    if direct := headers.get("x-api-key", "").strip():
        yield direct


def _basic(encoded: str) -> Iterator[str]:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        yield encoded  # counts as a malformed key
        return
    user, _, password = decoded.partition(":")
    yield password
    yield user


def _verified(key: keys.KeyText, address: str) -> Principal:
    known, is_fresh = _cached(key.key_id), False
    if known is None:
        if not _was_right(key) and not _failures.has_token(address, clock.monotonic_s()):
            raise Unavailable("too_many_failed_keys")
        known = _read(key.key_id)
        is_fresh = True
    is_right = keys.matches(key.secret, known.secret_sha256 if known else bytes(32))
    if known is None or not is_right or (known.expires_at is not None and known.expires_at <= clock.now()):
        _failures.take(address, clock.monotonic_s())
        raise SenderError("invalid_key", REFUSED, 401)
    if is_fresh:
        _note_use(known.principal.key_id)
    return known.principal


def _cached(key_id: str) -> _CachedKey | None:
    with _cache_lock:
        entry = _cache.get(key_id)
        if entry is None or clock.monotonic_s() - entry.read_at_s > CACHE_SECONDS:
            return None
        _cache.move_to_end(key_id)
        return entry


def _was_right(key: keys.KeyText) -> bool:
    """Whether this very key was valid when it was last looked up: its owner is no guesser, whoever else sends wrong
    keys from the same address (everybody behind one proxy does)."""
    with _cache_lock:
        entry = _cache.get(key.key_id)
    return entry is not None and keys.matches(key.secret, entry.secret_sha256)


def _read(key_id: str) -> _CachedKey | None:
    try:
        row = ApiKey.objects.select_related("project").filter(key_id=key_id, revoked_at=None).first()
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("database_away") from error
    if row is None:
        forget(key_id)
        return None
    entry = _CachedKey(_principal(row), bytes(row.secret_sha256), row.expires_at, clock.monotonic_s())
    with _cache_lock:
        _cache[key_id] = entry
        while len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    return entry


def _principal(row: ApiKey) -> Principal:
    return Principal(
        project_id=row.project_id,
        key_id=row.pk,
        key_name=row.name,
        scopes=frozenset(row.scopes),
        late_window_days=row.project.late_window_days,
        daily_span_quota=row.project.daily_span_quota,
    )


def _note_use(key_pk: int) -> None:
    now = clock.now()
    is_old = models.Q(last_used_at=None) | models.Q(last_used_at__lte=now - LAST_USED_EVERY)
    try:
        ApiKey.objects.filter(is_old, pk=key_pk).update(last_used_at=now)
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("database_away") from error
