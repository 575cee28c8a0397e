"""Providers' bills, and how they differ from what was computed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from django.http import HttpResponse
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs import invoice_file, invoices
from stanchion_server.costs.invoices import Reconciliation
from stanchion_server.costs.models import Invoice
from stanchion_server.costs.reconciling import Line, Sums, Tolerance
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.web.api import base, parameters, shapes, tables
from stanchion_server.web.api.parameters import Parameter


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """A bill as it was imported. `provider` is whose calls it is held against; empty for all."""

    id: int
    name: str
    provider: str
    start_day: str
    end_day: str
    line_count: int
    usd: Decimal
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class ImportedView(InvoiceView):
    """`notes` are what to know of the import: rows of sums that were left out, a provider without calls so far."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BilledLine:
    """One model's day. `difference_usd` is billed less computed, and the sum of the five after it: another price than
    ours, other tokens than recorded, no such call recorded, recorded but not billed, or not known which."""

    day: str
    model: str
    billed_usd: Decimal | None
    computed_usd: Decimal | None
    difference_usd: Decimal
    price_usd: Decimal
    volume_usd: Decimal
    unseen_usd: Decimal
    unbilled_usd: Decimal
    unexplained_usd: Decimal
    is_within: bool
    billed_input_tokens: int | None
    billed_output_tokens: int | None
    seen_input_tokens: int | None
    seen_output_tokens: int | None
    calls: int
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """An invoice held against the calls and prices of this moment. The lines add up to `totals`."""

    invoice: InvoiceView
    tolerance_ratio: Decimal
    tolerance_usd: Decimal
    totals: Sums
    items: tuple[BilledLine, ...]


class CsvParser(BaseParser):
    media_type = "text/csv"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> dict[str, bytes]:
        return {"csv": stream.read(invoice_file.MOST_BYTES + 1)}


class Invoices(base.Resource):
    """The newest first, at most two hundred to a project."""

    write_scopes = (Scope.ADMIN,)
    parser_classes = (CsvParser,)
    known = (
        Parameter("name", parameters.text, "What the invoice is called; needed with POST."),
        Parameter("provider", parameters.text, "Whose calls it is held against, as calls name it. Default: all."),
    )

    @base.described(
        "list_invoices", "Invoices as they were imported", shapes.list_schema(InvoiceView), known, tag="costs"
    )
    def get(self, request: Request) -> Response:
        found = [_view(row) for row in invoices.invoices(self.asker.project_id)]
        wanted = [one for one in found if all(getattr(one, name) == value for name, value in self.values.items())]
        return self.answer({"items": wanted})

    @base.described(
        "import_invoice", "Imports a CSV, whole or not at all", shapes.schema_of(ImportedView), known, tag="costs",
        status=201, request={"text/csv": {"type": "string"}},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """`day`, `model` and `usd` are needed; the documentation has all headings that are understood."""
        if "name" not in self.values:
            raise SenderError("name_needed", "Add `?name=…` to the address: what the invoice is called.")
        project = Project.objects.get(pk=self.asker.project_id)
        raw = request.data["csv"] if isinstance(request.data, dict) and "csv" in request.data else b""
        made = invoices.add(project, self.values["name"], self.values.get("provider", ""), raw, self.asker.actor)
        return Response(shapes.plain(ImportedView(**_told(made.invoice), notes=made.notes)), status=201)


class OneInvoice(base.Resource):
    write_scopes = (Scope.ADMIN,)
    known = (
        Parameter("tolerance_ratio", parameters.money, "Share of the bill that may differ. Default: 0.01."),
        Parameter("tolerance_usd", parameters.money, "Dollars that may differ. Default: 0.01."),
        tables.AS,
    )

    @base.described(
        "read_invoice", "An invoice against what was computed", shapes.schema_of(Reconciled), known, "number",
        tag="costs",
    )  # fmt: skip
    def get(self, request: Request, number: int) -> Response | HttpResponse:
        found = invoices.reconcile(self.asker.project_id, number, tolerance(self.values))
        if self.values.get("as") == "csv":
            return _csv(found)
        return self.answer(_reconciled(found))

    @base.described("delete_invoice", "Forgotten with its lines", {}, (), "number", tag="costs", status=204)
    def delete(self, request: Request, number: int) -> Response:
        invoices.delete(self.asker.project_id, number)
        return Response(status=204)


def tolerance(values: dict[str, Any]) -> Tolerance:
    """SenderError for a negative one."""
    usual = Tolerance()
    found = Tolerance(values.get("tolerance_ratio", usual.ratio), values.get("tolerance_usd", usual.usd))
    if found.ratio < 0 or found.usd < 0:
        raise SenderError("bad_parameter", "A tolerance is 0 or more.")
    return found


def _view(row: Invoice) -> InvoiceView:
    return InvoiceView(**_told(row))


def _told(row: Invoice) -> dict[str, Any]:
    return {field.name: _text(getattr(row, field.name)) for field in dataclasses.fields(InvoiceView)}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _line(line: Line) -> BilledLine:
    return BilledLine(**{field.name: _text(getattr(line, field.name)) for field in dataclasses.fields(BilledLine)})


def _reconciled(found: Reconciliation) -> Reconciled:
    lines = tuple(_line(line) for line in found.lines)
    return Reconciled(_view(found.invoice), found.tolerance.ratio, found.tolerance.usd, found.totals, lines)


def _csv(found: Reconciliation) -> HttpResponse:
    columns = [field.name for field in dataclasses.fields(BilledLine)]
    plain = [shapes.plain(_line(line)) for line in found.lines]
    return tables.table(columns, [[row[one] for one in columns] for row in plain], f"invoice-{found.invoice.pk}")
