"""`manage.py up`: everything on one machine. manage.py starts it before Django is set up; this entry is for `help`."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandParser

from stanchion_server.commands import up


class Command(BaseCommand):
    help = "Run PostgreSQL, web, worker and beat under one supervisor."

    def add_arguments(self, parser: CommandParser) -> None:
        up.add_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        raise SystemExit(up.main(argv[2:]))
