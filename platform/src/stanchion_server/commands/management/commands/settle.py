"""Settles what new data touched, by hand; in production a worker does it every few seconds."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from stanchion_server.costs import settle
from stanchion_server.kernel import clock
from stanchion_server.quality import keeping


class Command(BaseCommand):
    help = "Decide which records are charged and bring the sums of touched minutes up to date, until nothing is left."

    def handle(self, *args: Any, **options: Any) -> None:
        is_more = True
        while is_more:
            report = settle.run(clock.now(), steps=(keeping.mark,))
            is_more = report.is_more
            self.stdout.write(
                f"settled {report.minutes} minutes, changed {report.changed_calls} calls, {report.duration_s:.2f} s"
            )
