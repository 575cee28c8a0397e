"""Asks a calculator from the shell."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stanchion_server.costs.calculators import catalogue
from stanchion_server.costs.calculators.results import Calculator, Table
from stanchion_server.costs.calculators.showing import shown
from stanchion_server.kernel.errors import SenderError


class Command(BaseCommand):
    help = (
        "Compute cost, memory or capacity: `calculate` lists the calculators, `calculate NAME` takes key=value pairs."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="which calculator; without it they are listed")
        parser.add_argument("values", nargs="*", metavar="key=value", help="what is left out takes its default")
        parser.add_argument("--fields", action="store_true", help="say what the calculator asks for")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._handle(options["name"], options["values"], options["fields"])
        except SenderError as error:
            raise CommandError(error.message) from error

    def _handle(self, name: str | None, values: Sequence[str], is_asked_for_fields: bool) -> None:
        if name is None:
            self._write(f"{one.name:20} {one.question}" for one in catalogue.ALL)
        elif is_asked_for_fields:
            self._write(_fields(catalogue.find(name)))
        else:
            self._write(_answer(catalogue.ask(name, dict(_pair(value) for value in values))))

    def _write(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise CommandError(f"{text!r} is not readable: write key=value.")
    return name, value


def _fields(calculator: Calculator) -> Iterator[str]:
    for field in calculator.fields:
        default = "may be left out" if field.default is None else f"default {field.default!r}"
        yield f"{field.name}: {field.label}; {field.wanted}; {default}"


def _answer(answer: catalogue.Answer) -> Iterator[str]:
    for line in answer.result.lines:
        formula = f"   [{line.formula}]" if line.formula else ""
        yield f"{line.label}: {shown(line.value, line.unit)}{formula}"
    for table in answer.result.tables:
        yield ""
        yield from _table(table)
    notes = (*answer.result.notes, *answer.calculator.assumptions)
    if notes:
        yield ""
    yield from (f"* {note}" for note in notes)


def _table(table: Table) -> Iterator[str]:
    rows = [
        table.columns,
        *([shown(cell, unit) for cell, unit in zip(row, table.units, strict=True)] for row in table.rows),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    yield table.title
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
