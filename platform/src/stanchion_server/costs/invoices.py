"""Providers' bills: imported whole or not at all, and held against what was computed. The project comes first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import IntegrityError, transaction

from stanchion_server.costs import invoice_file, pricing, reconciling, selectors
from stanchion_server.costs.invoice_file import MOST_NAMED, TOKENS, Billed
from stanchion_server.costs.models import Invoice, InvoiceLine
from stanchion_server.costs.pricing import PriceBook
from stanchion_server.costs.reconciling import Computed, Line, Sums, Tolerance
from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Project
from stanchion_server.traces import selectors as traces
from stanchion_server.traces.filters import CallFilter
from stanchion_server.traces.selectors import measures, reading

MOST_INVOICES = 200
MOST_DAYS = 400
MOST_ROWS = 20_000
DAY = timedelta(days=1)
KNOWN_FOR, MOST_LOOKED_BACK = timedelta(days=90), timedelta(days=3_650)
THOUSAND = 1_000


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`lines` by day and model; `totals` are their sums."""

    invoice: Invoice
    tolerance: Tolerance
    totals: Sums
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """`notes` are what to know of it in sentences: rows that were left out, a provider that has no calls so far."""

    invoice: Invoice
    notes: tuple[str, ...]


def invoices(project_id: int) -> list[Invoice]:
    """The newest first."""
    return list(Invoice.objects.filter(project_id=project_id).order_by("-created_at", "-pk")[:MOST_INVOICES])


def invoice(project_id: int, number: int) -> Invoice:
    row = Invoice.objects.filter(project_id=project_id, pk=number).first() if number < 2**63 else None
    if row is None:
        raise SenderError("invoice_not_found", f"Your project has no invoice {number}.", 404)
    return row


def add(project: Project, name: str, provider: str, raw: bytes, actor: str) -> Imported:
    """SenderError names what cannot be imported, line by line; then nothing is kept."""
    bill = invoice_file.read(raw)
    lines = bill.lines
    _check(project, name, provider, lines)
    unheard = _check_provider(project.pk, provider, lines[0].day)
    row = Invoice(
        project=project, name=name, provider=provider, digest=hashlib.sha256(raw).hexdigest(),
        start_day=lines[0].day, end_day=lines[-1].day, line_count=len(lines),
        usd=sum((line.usd for line in lines), Decimal(0)), created_at=clock.now(), created_by=actor,
    )  # fmt: skip
    try:
        with transaction.atomic():
            row.save()
            InvoiceLine.objects.bulk_create([_row(row, line) for line in lines], batch_size=1_000)
    except IntegrityError as error:
        raise SenderError(
            "invoice_exists", "This file was imported already. Delete that invoice first to import it anew.", 409
        ) from error
    return Imported(row, (*_left_out(bill.left_out), *unheard))


def _left_out(rows: tuple[str, ...]) -> tuple[str, ...]:
    if not rows:
        return ()
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return (f"Left out as a sum of other rows: {', '.join(rows[:MOST_NAMED])}{more}.",)


def providers(project_id: int, since: date | None = None) -> tuple[str, ...]:
    """Whom calls of the last 90 days name, or since that day if it is longer ago; the most called first."""
    now = clock.now()
    start = min(now - KNOWN_FOR, _midnight(since)) if since else now - KNOWN_FOR
    found = traces.facets(project_id, max(start, now - MOST_LOOKED_BACK), now).get("provider", ())
    return tuple(str(one.value) for one in found if one.value)


def _check_provider(project_id: int, provider: str, first: date) -> tuple[str, ...]:
    """A bill of a provider that no call names would be unseen from end to end."""
    known = providers(project_id, first) if provider else ()
    if not provider or provider in known:
        return ()
    if known:
        names = ", ".join(f"“{one[:60]}”" for one in known[:MOST_NAMED])
        raise SenderError(
            "unknown_provider", f"provider: no call of your project names “{provider}”. Calls name {names}. Leave it"
            " empty to hold the invoice against all calls.",
        )  # fmt: skip
    return (f"No call of any provider is recorded yet: until calls name “{provider}”, all of it counts as unseen.",)


def _check(project: Project, name: str, provider: str, lines: tuple[Billed, ...]) -> None:
    for field, text, most in (("name", name, 120), ("provider", provider, 60)):
        if len(text) > most or "\0" in text:
            raise SenderError("bad_field", f"{field}: at most {most} characters without NUL.")
    if not name.strip():
        raise SenderError("bad_field", "name: give the invoice a name, such as “OpenAI, November”.")
    days = (lines[-1].day - lines[0].day).days + 1
    if days > MOST_DAYS:
        raise SenderError(
            "too_many_days",
            f"From {lines[0].day} to {lines[-1].day} are {days} days. Import at most {MOST_DAYS} at once.",
        )
    if Invoice.objects.filter(project=project).count() >= MOST_INVOICES:
        raise SenderError("too_many_invoices", f"A project keeps {MOST_INVOICES} invoices. Delete an old one.", 409)


def _row(invoice: Invoice, line: Billed) -> InvoiceLine:
    tokens = {name: getattr(line, name) for name in TOKENS}
    return InvoiceLine(
        project_id=invoice.project_id, invoice=invoice, day=line.day, model=line.model, usd=line.usd, **tokens
    )


def delete(project_id: int, number: int) -> str:
    """Its name."""
    row = invoice(project_id, number)
    row.delete()
    return row.name


def reconcile(project_id: int, number: int, tolerance: Tolerance) -> Reconciliation:
    """As things stand now: calls and prices may have changed since the import."""
    row = invoice(project_id, number)
    billed = [_billed(line) for line in InvoiceLine.objects.filter(project_id=project_id, invoice=row).order_by("day")]
    book = selectors.book(project_id)
    ours = {(one.day, one.model): our_price(one, row.provider, book) for one in billed}
    lines = reconciling.compare(billed, _computed(project_id, row), ours, tolerance)
    return Reconciliation(row, tolerance, reconciling.sums(lines, tolerance), lines)


def _billed(line: InvoiceLine) -> Billed:
    return Billed(line.day, line.model, line.usd, line.input_tokens, line.cached_input_tokens, line.output_tokens)


def _computed(project_id: int, row: Invoice) -> list[Computed]:
    """Charged calls of the invoice's days."""
    start, end = _midnight(row.start_day), _midnight(row.end_day) + DAY
    wanted = CallFilter(provider=row.provider or None)
    plan = measures.plan(project_id, start, end, DAY, ("model",), wanted, histograms=())
    with reading.bounded():
        found = reading.rows(f"{plan.sql} LIMIT {MOST_ROWS + 1}", plan.params)
    if len(found) > MOST_ROWS:
        raise SenderError("too_many_rows", f"That are more than {MOST_ROWS} days and models of calls.", 422)
    rows = [measures.row_of(one, start, end, DAY, ("model",)) for one in found]
    return [
        Computed(
            one.bucket.date(), one.group["model"] or "", one.calls, one.unpriced_calls, one.cost_usd,
            one.input_tokens or 0, one.output_tokens or 0, one.untokened_calls,
        )
        for one in rows
        if one.bucket is not None
    ]  # fmt: skip


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A call of so many tokens, for the price book."""

    start_time: datetime
    provider: str
    request_model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    kind: int = SpanKind.LLM
    response_model: str = ""
    service_tier: str = ""
    token_source: str | None = None
    tokens_ambiguous: bool = False
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None


def our_price(line: Billed, provider: str, book: PriceBook) -> Decimal | None:
    """What the line's tokens cost by the price book, at the prices of short prompts; None where it does not say."""
    output = line.output_tokens
    if output is None and _answers_cost_nothing(line, provider, book):
        output = 0
    if line.input_tokens is None or output is None:
        return None
    cached = min(line.cached_input_tokens or 0, line.input_tokens)
    amounts = {"input_tokens": line.input_tokens - cached, "cached_input_tokens": cached, "output_tokens": output}
    total = Decimal(0)
    for name, count in amounts.items():
        each = _thousand(name, line, provider, book) if count else Decimal(0)
        if each is None:
            return None
        total += each * count / THOUSAND
    return total.quantize(invoice_file.PLACES)


def _answers_cost_nothing(line: Billed, provider: str, book: PriceBook) -> bool:
    """Bills tell no answers of models that give none, such as embeddings: their price has no rate for them, or 0."""
    is_priced = _thousand("input_tokens", line, provider, book) is not None
    return is_priced and not _thousand("output_tokens", line, provider, book)


def _thousand(name: str, line: Billed, provider: str, book: PriceBook) -> Decimal | None:
    """A thousand tokens of one sort: a day's tokens at once would be priced as one long prompt."""
    for model in (line.model, reconciling.canonical(line.model)):
        nothing = _Tokens(_midnight(line.day), provider, model, 0, 0, 0)
        given = {name: THOUSAND} | ({"input_tokens": THOUSAND} if name == "cached_input_tokens" else {})
        with_them = pricing.price(replace(nothing, **given), book).usd  # type: ignore[arg-type] # names of counts
        without = pricing.price(nothing, book).usd
        if with_them is not None and without is not None:
            return with_them - without
    return None
