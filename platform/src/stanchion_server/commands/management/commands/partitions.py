"""Makes the partitions of the coming days."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from stanchion_server.kernel import clock
from stanchion_server.traces import partitions


class Command(BaseCommand):
    help = "Make the day partitions of the telemetry tables ahead of time; safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=partitions.DAYS_AHEAD, help="how many days ahead")

    def handle(self, *args: Any, **options: Any) -> None:
        partitions.ensure_ahead(clock.now(), options["days"])
        days = partitions.days_of("spans")
        self.stdout.write(f"{len(days)} days have partitions, from {days[0]} to {days[-1]}.")
