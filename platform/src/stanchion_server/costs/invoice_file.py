"""What stands in a provider's bill as CSV: day, model, dollars and, where told, tokens. Pure.

Headings are read without regard to case and punctuation, so that exports can be taken as they are; `ALIASES` is the
list. Every bad row is named by its line with what to write instead. No amount is taken for dollars that the file says
is something else, under whatever heading.

Where the headings are from, all read 2026-11-26: OpenAI's cost export and the cost export of Anthropic's console, the
head lines in public programs that read them (aiecon, axigate-finops; the vendors document none); AWS Cost and Usage
Report, legacy and 2.0 (docs.aws.amazon.com/cur); FOCUS 1.2 of AWS, Azure and Google (focus.finops.org's column names);
Azure's own cost details (the head line in a program that reads it; learn.microsoft.com, cost and usage details schemas
of Enterprise, Customer and Partner Agreements and of pay-as-you-go, read 2026-11-27: `BillingCurrencyCode` and
`PreTaxCost` with `Currency` are theirs); Google's BigQuery export (its standard schema).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from stanchion_server.kernel.errors import SenderError

MOST_BYTES = 4 << 20
MOST_ROWS = 50_000
MOST_LINES = 10_000
MOST_NAMED = 10
MOST_USD = Decimal(10) ** 9
MOST_TOKENS = 10**15
EARLIEST, LATEST = date(2015, 1, 1), date(2199, 12, 31)
PLACES = Decimal("0.000000000001")

ALIASES: Mapping[str, tuple[str, ...]] = {
    "day": ("day", "date", "usage_date", "usage_date_utc", "start_time_iso", "start_time", "start_date",
            "usage_start_date", "line_item_usage_start_date", "lineitem_usagestartdate", "chargeperiodstart",
            "usage_start_time", "timestamp"),
    "model": ("model", "model_name", "model_id", "line_item", "sku", "usage_type", "line_item_usage_type",
              "lineitem_usagetype", "metername", "sku_description", "skumeter", "chargedescription", "description"),
    "usd": ("usd", "cost_usd", "amount_usd", "amount_value", "cost_in_usd", "costinusd", "total_usd", "amount", "cost",
            "unblended_cost", "line_item_unblended_cost", "lineitem_unblendedcost", "costinbillingcurrency",
            "billedcost", "pretaxcost"),
    "currency": ("currency", "amount_currency", "currency_code", "line_item_currency_code", "lineitem_currencycode",
                 "billingcurrency", "billingcurrencycode"),
    "input_tokens": ("input_tokens", "prompt_tokens", "usage_input_tokens"),
    "cached_input_tokens": ("cached_input_tokens", "input_cached_tokens", "cache_read_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens", "usage_output_tokens"),
}  # fmt: skip
"""Per column the headings it is found under, the surest first. day, model and usd must be there."""
NEEDED = ("day", "model", "usd")
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Billed:
    """What was billed for a model on a day (UTC). Tokens are None where no row told them; the cached ones are a part of
    `input_tokens`."""

    day: date
    model: str
    usd: Decimal
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """A line per day and model, in order; `left_out` says of rows that are sums of others where they stand."""

    lines: tuple[Billed, ...]
    left_out: tuple[str, ...] = ()


def read(raw: bytes) -> Bill:
    """SenderError for a file that cannot be one, or with all its bad lines."""
    text = _text(raw)
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter)
    columns = _columns(rows[0][1] if rows else [])
    found: dict[tuple[date, str], Billed] = {}
    problems: list[str] = []
    sums = _Sums(columns, delimiter)
    for line, row in rows[1:]:
        if not any(cell.strip() for cell in row) or _says_nothing(row, columns) or sums.holds(line, row):
            continue
        try:
            billed = _billed(row, columns, delimiter)
            key = (billed.day, billed.model)
            found[key] = _together(found[key], billed) if key in found else billed
            sums.add(billed.usd)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    _check(found, problems)
    return Bill(tuple(found[key] for key in sorted(found)), tuple(sums.left_out))


class _Sums:
    """Rows that add up others: such a row is no model's day, and counted it would double the bill. Known by a word in
    the cell of the day or the model, or in the first one where either is empty. Where more than the word stands there,
    or there is no day, the amount must be that of the rows above."""

    def __init__(self, columns: Mapping[str, int], delimiter: str) -> None:
        self._columns, self._delimiter = columns, delimiter
        self._rows = 0
        self._above = self._since_subtotal = Decimal(0)
        self.left_out: list[str] = []

    def add(self, usd: Decimal) -> None:
        self._rows += 1
        self._above += usd
        self._since_subtotal += usd

    def holds(self, line: int, row: Sequence[str]) -> bool:
        day, model, amount = (self._cell(row, name) for name in NEEDED)
        first = row[0].strip() if not (day and model) else ""
        told = [cell for cell in (model, day, first) if _SUM.search(cell)]
        is_named = any(_SUM.fullmatch(cell) for cell in told)
        if not is_named and not (self._adds_up(amount) and (told or not day)):
            return False
        self._since_subtotal = Decimal(0)
        self.left_out.append(f"Line {line} ({(told or [first])[0][:40] or 'no name'}, {amount[:40] or 'no amount'})")
        return True

    def _cell(self, row: Sequence[str], name: str) -> str:
        place = self._columns[name]
        return row[place].strip() if place < len(row) else ""

    def _adds_up(self, amount: str) -> bool:
        try:
            return bool(self._rows) and _usd(amount, self._delimiter) in (self._above, self._since_subtotal)
        except ValueError:
            return False


_SUM = re.compile(r"\b(grand|sub|overall)?[ _-]?(totals?|sums?|summe|gesamt)\b:?", re.IGNORECASE)


def _check(found: Mapping[Any, Billed], problems: Sequence[str]) -> None:
    if problems:
        more = f" And {len(problems) - MOST_NAMED} more." if len(problems) > MOST_NAMED else ""
        told = " ".join(f"{one[0].upper()}{one[1:]}." for one in problems[:MOST_NAMED])
        raise SenderError("bad_rows", f"Nothing was imported. {told}{more}")
    if not found:
        raise SenderError("no_rows", "The file has headings and no rows: export a time range with usage.")
    if len(found) > MOST_LINES:
        raise SenderError("too_many_lines", f"More than {MOST_LINES} days and models. Import a shorter time range.")


def _text(raw: bytes) -> str:
    if len(raw) > MOST_BYTES:
        raise SenderError(
            "too_large", f"The file is larger than {MOST_BYTES >> 20} MiB. Import a month at a time.", 413
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SenderError("bad_encoding", f"Line {line} is not UTF-8. Save the file as CSV UTF-8.") from error
    if "\0" in text:
        raise SenderError("bad_file", "The file holds NUL bytes: it is no CSV. Export it as CSV, not as a workbook.")
    return text


def _delimiter(text: str) -> str:
    head = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t", key=head.count)


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows with the numbers of the lines on which they end; the first holds the headings."""
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if row or rows:
                rows.append((reader.line_num, row))
            if len(rows) > MOST_ROWS + 1:
                raise SenderError("too_many_rows", f"More than {MOST_ROWS} rows. Import a shorter time range.", 413)
    except csv.Error as error:
        raise SenderError("bad_file", f"Line {reader.line_num} is not readable as CSV: {error}.") from error
    return rows


def _columns(head: Sequence[str]) -> dict[str, int]:
    """Column numbers by name; of several headings for one column the surest counts. Headings with “currency” in them
    that are no column of ours stand under themselves."""
    places: dict[str, int] = {}
    for place, heading in enumerate(head):
        places.setdefault(_squeezed(heading), place)
    found: dict[str, int] = {}
    for name, aliases in ALIASES.items():
        known = [places[key] for alias in aliases if (key := _squeezed(alias)) in places]
        if known:
            found[name] = known[0]
    _check_needed(head, found)
    if _squeezed(head[found["usd"]]) == "costinusd" or ("costusd" in places and "cost" in places):
        found.pop("currency", None)  # Azure's is that of the other column
        return found
    mapped = found.values()
    others = {name: place for name, place in places.items() if "currency" in name and place not in mapped}
    if _squeezed(head[found["usd"]]).endswith("currency") and "currency" not in found and not others:
        raise SenderError(
            "no_currency", f"“{head[found['usd']].strip()[:40]}” may be in any currency and no column says which:"
            " export the column of the currency too, or convert the amounts and call the column usd.",
        )  # fmt: skip
    return found | {f"currency {name[:40]}": place for name, place in others.items()}


def _squeezed(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", heading.lower())


def _check_needed(head: Sequence[str], found: Mapping[str, int]) -> None:
    missing = [name for name in NEEDED if name not in found]
    if missing:
        ways = "; ".join(f"{name}: {', '.join(ALIASES[name][:4])} …" for name in missing)
        given = ", ".join(heading.strip()[:30] for heading in head[:12]) or "nothing"
        raise SenderError("missing_columns", f"No column for {', '.join(missing)}. Headings are: {given}. Use {ways}")


def _says_nothing(row: Sequence[str], columns: Mapping[str, int]) -> bool:
    """OpenAI's export has a row for each day without costs: the day and nothing else."""
    others = (place for name, place in columns.items() if name != "day")
    return not any(row[place].strip() for place in others if place < len(row))


def _billed(row: Sequence[str], columns: Mapping[str, int], delimiter: str) -> Billed:
    """Raises ValueError with the rest of the sentence “line 3: …”."""
    cells = {name: row[place].strip() if place < len(row) else "" for name, place in columns.items()}
    for name in cells:
        if name.startswith("currency") and _is_foreign(name, cells):
            raise ValueError(f"the currency is {cells[name][:10]!r}; convert the amounts to USD first")
    if len(cells["model"]) > 200:
        raise ValueError("the model has more than 200 characters; shorten it")
    tokens = {name: _count(name, cells.get(name, ""), delimiter) for name in TOKENS}
    model = cells["model"].partition(",")[0].strip()
    if not model:
        raise ValueError("the model is empty; write one, or “other”; an export must be grouped by model or line item")
    return Billed(_day(cells["day"]), model, _usd(cells["usd"], delimiter), **tokens)


def _is_foreign(name: str, cells: Mapping[str, str]) -> bool:
    """Numbers are amounts or rates in that currency, not its name. A price list's may be another than the bill's."""
    told = cells[name]
    if name.startswith("currency pricing") and cells.get("currency"):
        return False
    is_number = name != "currency" and re.fullmatch(r"[-+0-9.,eE ]*", told) is not None
    return told.upper() not in ("", "USD") and not is_number


def _day(text: str) -> date:
    """A date, a time (its day in UTC), or seconds since 1970."""
    remedy = "write it like 2026-11-25; take a row of totals out"
    try:
        if re.fullmatch(r"[0-9]{9,11}", text):
            found = datetime.fromtimestamp(int(text), UTC).date()
        else:
            moment = datetime.fromisoformat(text.removesuffix(" UTC"))  # as BigQuery writes times
            found = (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"the day {text[:40]!r} is not readable; {remedy}") from None
    if not EARLIEST <= found <= LATEST:
        raise ValueError(f"the day {text[:40]!r} is before {EARLIEST:%Y} or after {LATEST:%Y}; {remedy}")
    return found


def _usd(text: str, delimiter: str) -> Decimal:
    plain = text.replace("$", "").replace(" ", "")
    if delimiter == "," and _GROUPS.fullmatch(plain):
        plain = plain.replace(",", "")
    if "," in plain:
        raise ValueError(
            f"the amount {text[:40]!r} has a comma; write dollars with a point and no thousands, like 1234.56"
        )
    try:
        found = Decimal(plain) if plain.isascii() and "_" not in plain else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found) > MOST_USD or len(found.as_tuple().digits) > 40:
        raise ValueError(f"the amount {text[:40]!r} is not readable; write dollars like 12.34")
    return found.quantize(PLACES) if found else Decimal(0)


_GROUPS = re.compile(r"-?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]*)?")
"""Thousands in a cell of a comma-separated file. Where the cells are parted by something else, a comma is as likely the
decimal one of another locale: 1,234 would be a thousandfold of what was billed."""


def _count(name: str, text: str, delimiter: str) -> int | None:
    """Spreadsheets write 1000.0; a point before three digits may part thousands."""
    if not text:
        return None
    plain = text.replace(",", "") if delimiter == "," and _GROUPS.fullmatch(text) else text
    plain = re.sub(r"\.00?$", "", plain)
    if not re.fullmatch(r"[0-9]{1,16}", plain) or int(plain) > MOST_TOKENS:
        raise ValueError(f"{name} is {text[:40]!r}; write a whole number without separators, or leave it empty")
    return int(plain)


def _together(one: Billed, other: Billed) -> Billed:
    """Rows of one day and model; one may tell the input alone, the next the output. Raises ValueError as `_billed`."""
    tokens = {name: _sum(getattr(one, name), getattr(other, name)) for name in TOKENS}
    for name, count in tokens.items():
        if (count or 0) > MOST_TOKENS:
            raise ValueError(f"{name} of {one.model[:40]!r} on {one.day} add up to more than {MOST_TOKENS}; correct it")
    return Billed(one.day, one.model, one.usd + other.usd, **tokens)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
