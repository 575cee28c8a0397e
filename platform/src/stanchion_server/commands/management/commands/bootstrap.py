"""`manage.py bootstrap`: from an empty database to one that a person can sign in to. Safe to run at every start."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction

from stanchion_server.kernel import broker
from stanchion_server.tenants import services
from stanchion_server.tenants.models import Organisation, Project, Scope

ADVISORY_LOCK = 0x5374_616E  # two bootstraps at once must not make two of everything
KEY_SCOPES = (Scope.INGEST, Scope.GUARD)
DEMO_KEY_SCOPES = (Scope.INGEST, Scope.GUARD)
DEMO_PROJECT = "Birchwood demo"


class Command(BaseCommand):
    help = "Migrate, install the local broker's queue functions, and create organisation, project, owner and keys once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, help="write the credentials there (mode 600) instead of printing them")
        parser.add_argument("--demo-file", type=Path, help="make a project for the demo too, and write its key there")
        parser.add_argument("--organisation", default="Default")
        parser.add_argument("--project", default="Default")
        parser.add_argument("--username", default="admin")

    def handle(self, *args: Any, **options: Any) -> None:
        self.path: Path | None = options["file"]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        try:
            call_command("migrate", interactive=False, verbosity=min(1, options["verbosity"] - 1))
            install_queues()
            create_once(options["organisation"], options["project"], options["username"], self.deliver)
            if options["demo_file"] is not None:
                create_demo_once(options["demo_file"])
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
        for path in (self.path, options["demo_file"]):
            if path is not None and path.exists():
                refresh_addresses(path)

    def deliver(self, credentials: dict[str, str]) -> None:
        text = json.dumps(credentials, indent=2) + "\n"
        if self.path is None:
            self.stdout.write(text)
        else:
            write_private(self.path, text)


def install_queues() -> None:
    """The local broker's SQL, once. Its version is pinned by the lock file: the script cannot upgrade itself."""
    if broker.scheme(settings.CELERY_BROKER_URL) != broker.LOCAL:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'")
        if cursor.fetchone() is not None:
            return
    from pgmq.install import install_pgmq_from_sql

    install_pgmq_from_sql(dsn=broker.connection_string(connection.settings_dict))


@transaction.atomic
def create_once(
    organisation_name: str, project_name: str, username: str, deliver: Callable[[dict[str, str]], None]
) -> None:
    """Make the first organisation unless there is one. The credentials are delivered before the commit, never lost."""
    if Organisation.objects.exists():
        return
    organisation = services.create_organisation(organisation_name)
    project = services.create_project(organisation, project_name)
    password = secrets.token_urlsafe(12)
    services.create_owner(organisation, username, password)
    deliver(
        {
            **addresses(),
            "project": project.slug,
            "api_key": services.create_key(project, "First key", KEY_SCOPES),
            "admin_key": services.create_key(project, "Administration", tuple(Scope)),
            "username": username,
            "password": password,
        }
    )


@transaction.atomic
def create_demo_once(path: Path) -> None:
    """Make the demo's project and its keys, unless the file has them. The file is written before the commit."""
    known = json.loads(path.read_text()) if path.exists() else {}
    project = Project.objects.filter(slug=known.get("project"), is_demo=True).first()
    if project is not None and "admin_key" in known:
        return
    if project is None:
        organisation = Organisation.objects.order_by("pk")[0]
        project = services.create_project(organisation, DEMO_PROJECT, is_demo=True)
    keys = {
        "api_key": services.create_key(project, "Demo traffic", DEMO_KEY_SCOPES),
        "admin_key": services.create_key(project, "Demo office", tuple(Scope)),
    }
    write_private(path, json.dumps({**addresses(), "project": project.slug, **keys}, indent=2) + "\n")


def addresses() -> dict[str, str]:
    return {"url": settings.PUBLIC_URL, "otlp_endpoint": settings.PUBLIC_URL}


def refresh_addresses(path: Path) -> None:
    """Keep the file true when the server moves to another port."""
    credentials = json.loads(path.read_text())
    if credentials | addresses() != credentials:
        write_private(path, json.dumps(credentials | addresses(), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; nobody but its owner may read it at any moment."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
