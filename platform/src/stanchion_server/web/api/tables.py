"""Answers as CSV. Empty is what is not known, and no cell starts a formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpResponse

from stanchion_server.web.api import parameters
from stanchion_server.web.api.parameters import Parameter

FORMATS = {"json": "json", "csv": "csv"}
AS = Parameter("as", parameters.one_of(FORMATS), "json (the default) or csv.", options=tuple(FORMATS))
_TEXT_START = ("=", "+", "-", "@", "\t", "\r")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], name: str) -> HttpResponse:
    """A file `stanchion-<name>.csv` of plain values."""
    written = io.StringIO()
    csv.writer(written).writerows([head, *([cell(value) for value in row] for row in rows)])
    answer = HttpResponse(written.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="stanchion-{name}.csv"'
    return answer


def cell(value: Any) -> Any:
    """Empty for what is not known. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_TEXT_START) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()
