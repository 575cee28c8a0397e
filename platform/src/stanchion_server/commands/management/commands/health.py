"""`manage.py health`: whether this process's surroundings work; exit status 0 or 1, for container health checks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from kombu import Connection


class Command(BaseCommand):
    help = "Check that the database is migrated and that the broker answers."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM tenants_organisation LIMIT 1")
        except DatabaseError as error:
            raise CommandError(f"The database does not answer or is not migrated: {error}") from error
        try:
            options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
            with Connection(settings.CELERY_BROKER_URL, transport_options=options) as broker_connection:
                broker_connection.ensure_connection(max_retries=1, timeout=5)
        except OSError as error:
            raise CommandError(f"The broker at {settings.CELERY_BROKER_URL.split('@')[-1]} does not answer.") from error
        self.stdout.write("healthy")
