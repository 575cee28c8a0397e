"""Drops what is older than it may be."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from stanchion_server.feedback import retention as ratings
from stanchion_server.kernel import clock
from stanchion_server.traces import retention


class Command(BaseCommand):
    help = "Drop telemetry older than --days, and prompts and answers older than each project keeps them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=retention.KEEP_DAYS, help="days of telemetry to keep")

    def handle(self, *args: Any, **options: Any) -> None:
        now, days = clock.now(), options["days"]
        report, rated = retention.run(now, days), ratings.run(now, days)
        for name in report.dropped_partitions:
            self.stdout.write(f"dropped {name}")
        self.stdout.write(f"deleted {report.deleted_contents} contents and {report.deleted_rollups} sums")
        self.stdout.write(f"deleted {rated.deleted_ratings} ratings and the texts of {rated.emptied_ratings}")
