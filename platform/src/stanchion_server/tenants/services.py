"""Makes organisations, projects, people and keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import models, transaction
from django.utils.text import slugify

from stanchion_server.kernel import clock
from stanchion_server.tenants import access, keys
from stanchion_server.tenants.models import ApiKey, Membership, Organisation, Project, Role, Scope, User

MAX_SLUG_LENGTH = 60


def create_organisation(name: str) -> Organisation:
    return Organisation.objects.create(name=name, slug=_free_slug(Organisation, name))


def create_project(organisation: Organisation, name: str, *, is_demo: bool = False) -> Project:
    """A project with a slug that no other project has, so that addresses need no organisation."""
    return Project.objects.create(organisation=organisation, name=name, slug=_free_slug(Project, name), is_demo=is_demo)


@transaction.atomic
def create_owner(organisation: Organisation, username: str, password: str) -> User:
    """A person who may do everything in the organisation."""
    user = User.objects.create_user(username=username, password=password)
    Membership.objects.create(user=user, organisation=organisation, role=Role.OWNER)
    return user


def create_key(
    project: Project,
    name: str,
    scopes: Iterable[str],
    *,
    environment: str = "live",
    expires_at: datetime | None = None,
) -> str:
    """The full text of a new key: it cannot be read again. Unknown scopes raise ValueError."""
    wanted = [Scope(scope).value for scope in scopes]
    key = keys.make_key(environment)
    ApiKey.objects.create(
        project=project,
        name=name,
        key_id=key.key_id,
        secret_sha256=keys.digest(key.secret),
        scopes=wanted,
        expires_at=expires_at,
    )
    return str(key)


def revoke_key(key: ApiKey) -> None:
    """The key stops working at once in this process and within 30 s in others. A second time keeps the first date."""
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
    access.forget(key.key_id)


def _free_slug(model: type[models.Model], name: str) -> str:
    base = slugify(name)[: MAX_SLUG_LENGTH - 8] or "default"
    taken = set(model._default_manager.filter(slug__startswith=base).values_list("slug", flat=True))
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug
