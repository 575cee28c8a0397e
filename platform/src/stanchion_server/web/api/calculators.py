"""Calculators: what each asks for, and its answer with the formulas. Nothing is kept, nothing of a project is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs.calculators import catalogue
from stanchion_server.costs.calculators.fields import Field
from stanchion_server.costs.calculators.results import Calculator, Line, Printed, Table
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.api import base, shapes

MAX_BODY_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class FieldView:
    """`default` is taken where the value is left out, null: it may be left out; `example` then shows
    one. `wanted` says what it must be."""

    name: str
    label: str
    kind: str
    default: str | None
    example: str
    low: Decimal
    high: Decimal
    hint: str
    options: tuple[str, ...]
    wanted: str


@dataclass(frozen=True, slots=True)
class CalculatorView:
    """`printed` are published examples, computed again."""

    name: str
    title: str
    group: str
    question: str
    fields: tuple[FieldView, ...]
    assumptions: tuple[str, ...]
    printed: tuple[Printed, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """`given` are the values that were used. A value of a line or table is a decimal as text, a whole number, a truth
    value, a text, or null where it is not known; the unit % goes with a ratio, 0.5 for 50 %."""

    name: str
    given: Mapping[str, str]
    lines: tuple[Line, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]


VALUES = {
    "type": "object",
    "additionalProperties": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "example": {"input_tokens": 1200, "output_tokens": 300, "input_usd_per_mtok": "3"},
}


class Calculators(base.Resource):
    @base.described("list_calculators", "All calculators", shapes.list_schema(CalculatorView), (), tag="calculators")
    def get(self, request: Request) -> Response:
        return self.answer({"items": [_view(one) for one in catalogue.ALL]})


class OneCalculator(base.Resource):
    @base.described(
        "calculate", "The answer, with formulas and assumptions", shapes.schema_of(AnswerView), (), "name",
        tag="calculators", request={"application/json": VALUES},
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        catalogue.find(name)
        answer = catalogue.ask(name, _texts(_body(request)))
        found = answer.result
        view = AnswerView(
            name, answer.given, found.lines, found.tables, found.notes, answer.calculator.assumptions
        )  # fmt: skip
        return self.answer(view)


def _body(request: Request) -> Any:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        raise SenderError("too_large", f"The body is larger than {MAX_BODY_BYTES >> 10} KiB.", 413)
    return request.data


def _texts(data: Any) -> dict[str, str]:
    if not isinstance(data, dict):
        raise SenderError("bad_body", 'The body must be a JSON object of values, like {"sessions": 100}.')
    return {name: _text(name, value) for name, value in data.items() if value is not None}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SenderError("bad_value", f"{name[:80]} must be a number or a text, not {type(value).__name__}.")
    return value if isinstance(value, str) else repr(value)


def _view(one: Calculator) -> CalculatorView:
    return CalculatorView(
        one.name, one.title, one.group, one.question, tuple(_field(field) for field in one.fields), one.assumptions,
        one.printed,
    )  # fmt: skip


def _field(field: Field) -> FieldView:
    return FieldView(
        field.name, field.label, field.kind, field.default, field.example, field.low, field.high, field.hint,
        field.options, field.wanted,
    )  # fmt: skip
