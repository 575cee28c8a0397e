"""Calculators: the list, and one with its form. Values, texts apart, stand in the address: an answer can be sent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET, require_http_methods

from stanchion_server.costs import known
from stanchion_server.costs.calculators import catalogue
from stanchion_server.costs.calculators.fields import MOST_CHARS, Field
from stanchion_server.costs.calculators.results import Result, Table
from stanchion_server.costs.calculators.showing import shown
from stanchion_server.costs.known import Known
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages.frame import Visit, project_page

PLAIN = "plain"
NOT_OURS = ("from", "to", PLAIN, "csrfmiddlewaretoken")


@dataclass(frozen=True, slots=True)
class Asked:
    """A field with what stands in it."""

    field: Field
    value: str
    is_known: bool

    @property
    def is_wide(self) -> bool:
        return self.field.kind in ("rows", "text")


@dataclass(frozen=True, slots=True)
class ShownTable:
    title: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[tuple[str, bool], ...], ...]


@require_GET
@project_page
def calculators(visit: Visit) -> HttpResponse:
    groups = [(group, list(found)) for group, found in groupby(catalogue.ALL, key=lambda one: one.group)]
    return visit.render("pages/calculators.html", "calculators", groups=groups)


@require_http_methods(["GET", "POST"])
@project_page
def calculator(visit: Visit, name: str) -> HttpResponse:
    """Without values of its own the form takes what the project's traffic and prices say, where that is asked for.
    Texts come by POST: addresses are logged, and end at some length. A link that holds texts is answered all the
    same."""
    one = catalogue.find(name)
    query = visit.request.POST if visit.request.method == "POST" else visit.request.GET
    given = {name: query.get(name, "") for name in query if name not in NOT_OURS}
    found = None if given or PLAIN in visit.request.GET else _known(visit)
    used = _fitting(one.fields, found) if found else {}
    result, refusal = None, ""
    try:
        result = catalogue.ask(name, given or {**_examples(one.fields), **used}).result
    except SenderError as error:
        refusal = error.message
    asked = [Asked(field, _value(field, given, used), field.name in used) for field in one.fields]
    return visit.render(
        "pages/calculator.html", "calculators", 400 if refusal else 200, calculator=one, asked=asked, refusal=refusal,
        lines=[(row, shown(row.value, row.unit)) for row in result.lines] if result else [],
        tables=_tables(result) if result else [], notes=result.notes if result else (), known=found if used else None,
        has_text=any(field.kind == "text" for field in one.fields), most_characters=MOST_CHARS,
        share_query=_without_texts(one.fields, given) if visit.request.method == "POST" else "",
        others=[other for other in catalogue.ALL if other.group == one.group and other is not one],
    )  # fmt: skip


def _without_texts(fields: tuple[Field, ...], given: Mapping[str, str]) -> str:
    """Empty where there is nothing but texts."""
    names = [field.name for field in fields if field.kind != "text"]
    return urlencode({name: given[name] for name in names if given.get(name)})


def _known(visit: Visit) -> Known | None:
    return known.known(visit.project.pk, clock.now())


def _fitting(fields: tuple[Field, ...], found: Known) -> dict[str, str]:
    """What the project says, as far as a field asks for it and takes it."""
    fitting = {}
    for field in fields:
        value = found.values.get(field.name)
        if value is not None and _is_readable(field, value):
            fitting[field.name] = value
    return fitting


def _is_readable(field: Field, value: str) -> bool:
    try:
        field.read(value)
    except SenderError:
        return False
    return True


def _value(field: Field, given: dict[str, str], used: dict[str, str]) -> str:
    """What was sent, or is taken instead of it; before that, what the project says, the default or the example."""
    if given:
        return given.get(field.name, "").strip()[:MOST_CHARS] or field.default or ""
    return used.get(field.name) or field.default or field.example


def _examples(fields: tuple[Field, ...]) -> dict[str, str]:
    return {field.name: field.example for field in fields if field.example}


def _tables(result: Result) -> list[ShownTable]:
    return [_table(table) for table in result.tables]


def _table(table: Table) -> ShownTable:
    """Columns of numbers stand to the right."""
    are_numbers = [any(not isinstance(row[place], str) for row in table.rows) for place in range(len(table.columns))]
    rows = [
        tuple(
            (shown(cell, unit), is_number) for cell, unit, is_number in zip(row, table.units, are_numbers, strict=True)
        )
        for row in table.rows
    ]
    return ShownTable(table.title, tuple(zip(table.columns, are_numbers, strict=True)), tuple(rows))
