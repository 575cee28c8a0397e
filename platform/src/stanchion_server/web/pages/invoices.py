"""What a provider billed, held against what was computed: which part is price, which volume, which nobody saw."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import urlencode

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from stanchion_server.costs import invoice_file, invoices
from stanchion_server.costs.invoices import Reconciliation
from stanchion_server.costs.reconciling import Line, Tolerance
from stanchion_server.kernel.errors import SenderError
from stanchion_server.web.pages import callfilters, formats
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.tiles import Tile

MOST_SHOWN = 500


@require_http_methods(["GET", "POST"])
@project_page
def bills(visit: Visit) -> HttpResponse:
    """The invoices, and a new one by POST."""
    refusal, status = "", 200
    if visit.request.method == "POST":
        visit.require_admin()
        given = visit.request.POST
        try:
            name, provider = given.get("name", "").strip(), given.get("provider", "").strip()
            made = invoices.add(visit.project, name, provider, _file(visit), visit.who)
        except SenderError as error:
            refusal, status = error.message, error.http_status
        else:
            row = made.invoice
            told = (f"“{row.name}” was imported: {row.line_count} lines, each a model’s day.", *made.notes)
            messages.success(visit.request, " ".join(told))
            return redirect("invoice", visit.project.slug, row.pk)
    return visit.render(
        "pages/invoices.html", "invoices", status, rows=invoices.invoices(visit.project.pk), refusal=refusal,
        providers=invoices.providers(visit.project.pk), given=visit.request.POST,
        aliases=[(name, invoice_file.ALIASES[name]) for name in invoice_file.ALIASES], needed=invoice_file.NEEDED,
        most_mib=invoice_file.MOST_BYTES >> 20,
    )  # fmt: skip


def _file(visit: Visit) -> bytes:
    found = visit.request.FILES.get("file")
    if not isinstance(found, UploadedFile):
        raise SenderError("no_file", "Choose the CSV file to import.")
    raw: bytes = found.read(invoice_file.MOST_BYTES + 1)
    return raw


@require_GET
@project_page
def bill(visit: Visit, number: int) -> HttpResponse:
    found = invoices.reconcile(visit.project.pk, number, _tolerance(visit.request.GET.get("percent", "")))
    is_all = visit.request.GET.get("show") == "all"
    lines = [line for line in found.lines if is_all or not line.is_within]
    ranked = sorted(lines, key=lambda line: (-abs(line.difference_usd), line.day, line.model))
    return visit.render(
        "pages/invoice.html", "invoices", found=found, row=found.invoice, tiles=_tiles(found), is_all=is_all,
        lines=[(line, _link(found, line)) for line in ranked[:MOST_SHOWN]], left_out=max(0, len(ranked) - MOST_SHOWN),
        percent=f"{(found.tolerance.ratio * 100).normalize():f}", ratio=f"{found.tolerance.ratio:f}",
    )  # fmt: skip


def _tolerance(percent: str) -> Tolerance:
    if not percent.strip():
        return Tolerance()
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", percent.strip()) or Decimal(percent.strip()) > 100:
        raise SenderError(
            "bad_tolerance", f"The tolerance {percent[:20]!r} is no percentage: write 0 to 100, like 1.5."
        )
    return Tolerance(ratio=Decimal(percent.strip()) / 100)


def _link(found: Reconciliation, line: Line) -> str:
    """A query for the calls list, which asks for one model; empty where none was recorded, or several names."""
    if len(line.seen_models) != 1:
        return ""
    day, model = f"{line.day:%Y-%m-%d}", line.seen_models[0] or callfilters.NONE
    asked = {"from": f"{day}T00:00:00Z", "to": f"{line.day + invoices.DAY:%Y-%m-%d}T00:00:00Z", "model": model}
    return urlencode(asked | ({"provider": found.invoice.provider} if found.invoice.provider else {}))


def _tiles(found: Reconciliation) -> list[Tile]:
    totals = found.totals
    outside = f"{formats.count(totals.lines_outside)} of {formats.count(len(found.lines))} lines outside tolerance"
    return [
        Tile("Billed", formats.usd(totals.billed_usd), title=formats.usd_exact(totals.billed_usd)),
        Tile("Computed", formats.usd(totals.computed_usd), _unpriced(totals.unpriced_calls)),
        Tile(
            "Difference",
            formats.signed_usd(totals.difference_usd),
            outside,
            title=formats.usd_exact(totals.difference_usd),
        ),
        Tile("Price", formats.signed_usd(totals.price_usd), "billed tokens at another price"),
        Tile("Volume", formats.signed_usd(totals.volume_usd), "other tokens than recorded"),
        Tile("Unseen", formats.signed_usd(totals.unseen_usd), "billed, never recorded"),
        Tile("Unbilled", formats.signed_usd(totals.unbilled_usd), "recorded, not billed"),
        Tile("Unexplained", formats.signed_usd(totals.unexplained_usd), "no tokens or no price to tell"),
    ]


def _unpriced(calls: int) -> str:
    return f"without {formats.count(calls)} calls of no known price" if calls else ""


@require_POST
@project_page
def delete_bill(visit: Visit, number: int) -> HttpResponse:
    visit.require_admin()
    name = invoices.delete(visit.project.pk, number)
    messages.success(visit.request, f"“{name}” was deleted.")
    return redirect("invoices", visit.project.slug)
