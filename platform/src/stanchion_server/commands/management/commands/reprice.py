"""Prices stored calls again, after a price was added or corrected."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stanchion_server.costs import services, settle
from stanchion_server.kernel import clock
from stanchion_server.quality import keeping
from stanchion_server.tenants.models import Project


class Command(BaseCommand):
    help = "Price the stored calls of a project again with the current price book, and say what changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--since", required=True, help="first moment, ISO 8601; without an offset it is UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        report = services.reprice(project.pk, _moment(options["since"]), clock.now())
        while settle.run(clock.now(), project_id=project.pk, steps=(keeping.mark,)).is_more:
            pass
        delta = report.after_usd - report.before_usd
        self.stdout.write(
            f"{report.calls} calls looked at, {report.changed} changed, {report.unpriced} still without a price:"
            f" ${report.before_usd:f} before, ${report.after_usd:f} now ({delta:+f})"
        )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--since {text!r} is not an ISO 8601 date or time, such as 2026-11-01.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
