"""`manage.py alert_rules export|apply`: a project's alert rules as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from stanchion_server.alerts import services
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project


class Command(BaseCommand):
    help = "Writes a project's alert rules as YAML, or makes them those of a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("export", "apply"))
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("file", nargs="?", type=Path, help="the file to apply")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
        parser.add_argument("--prune", action="store_true", help="archive rules that are not in the file")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        if options["action"] == "export":
            self.stdout.write(services.export(project.pk), ending="")
            return
        if options["file"] is None:
            raise CommandError("apply needs a file.")
        self._apply(project, options)

    def _apply(self, project: Project, options: dict[str, Any]) -> None:
        try:
            text = options["file"].read_text(encoding="utf-8")
            steps, mistakes = services.apply(
                project, text, "manage.py", is_dry_run=options["dry_run"], is_pruning=options["prune"]
            )
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from error
        except SenderError as error:
            raise CommandError(error.message) from error
        if mistakes:
            lines = [f"line {one.line}: {one.message}" if one.line else one.message for one in mistakes]
            raise CommandError("Nothing was changed.\n" + "\n".join(lines))
        for step in steps:
            self.stdout.write(f"{step.action} {step.name}")
