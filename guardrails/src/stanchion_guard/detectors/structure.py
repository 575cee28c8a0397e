"""Whether a text has the form that was asked for: JSON by schema, or one of a few plain formats."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import re2

from stanchion_guard.detectors import Tier
from stanchion_guard.json_values import check_schema, compile_schema, parse, repair
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

LONGEST = 200_000
_REPAIRED = 0.6


class JsonSchema:
    """Score 1 = not JSON or against the schema, 0.6 = right after repair (the replacement)."""

    name = "json_schema"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"schema": {"type": "object"}},
        "additionalProperties": False,
    }
    labels = ("invalid_json", "repaired_json", "against_schema")
    threshold = 0.5
    blind_to = "Right form with wrong content; `format` keywords are not enforced; faults past 50 are not listed."

    def __init__(self, schema: Mapping[str, Any] | None = None) -> None:
        self._validator = compile_schema(schema or {})

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw
        if len(text) > LONGEST:
            whole = Finding(self.name, "invalid_json", 1.0, part, 0, len(text), f"longer than {LONGEST} characters")
            return Detection(1.0, (whole,))
        try:
            value, places = parse(text)
        except ValueError as error:
            return self._mended(text, part, str(error))
        faults = check_schema(self._validator, value, places, text)
        findings = [Finding(self.name, "against_schema", 1.0, part, f.start, f.end, f.reason) for f in faults]
        return Detection(1.0 if findings else 0.0, tuple(findings))

    def _mended(self, text: str, part: int, why: str) -> Detection:
        better = repair(text)
        if better is None:
            return Detection(1.0, (Finding(self.name, "invalid_json", 1.0, part, 0, len(text), f"not JSON: {why}"),))
        value, places = parse(better)
        if check_schema(self._validator, value, places, better):
            reason = "not JSON, and against the schema after repair"
            return Detection(1.0, (Finding(self.name, "against_schema", 1.0, part, 0, len(text), reason),))
        finding = Finding(self.name, "repaired_json", _REPAIRED, part, 0, len(text), f"JSON only after repair: {why}")
        return Detection(_REPAIRED, (finding,), replacements={0: better})


def _integer(text: str) -> str | None:
    return None if text.lstrip("+-").isdecimal() and text.isascii() and len(text) < 400 else "not a whole number"


def _number(text: str) -> str | None:
    try:
        return None if text.isascii() and "_" not in text and math.isfinite(float(text)) else "not a finite number"
    except ValueError:
        return "not a number"


def _date(text: str) -> str | None:
    try:
        date.fromisoformat(text)
    except ValueError:
        return "not a date as 2026-11-23"
    return None


def _datetime(text: str) -> str | None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "not an ISO 8601 date and time"
    return None


def _email(text: str) -> str | None:
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    good = (
        bool(at and local)
        and len(text) <= 254
        and len(labels) > 1
        and not any(c.isspace() or c in "<>,;@" for c in local)
    )
    good = good and all(
        label and label.replace("-", "a").isalnum() and label[0] != "-" != label[-1] for label in labels
    )
    return None if good else "not an e-mail address"


def _url(text: str) -> str | None:
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    return None if good and not any(c.isspace() for c in text) else "not an http or https address"


def _ip(text: str) -> str | None:
    try:
        ip_address(text)
    except ValueError:
        return "not an IP address"
    return None


def _boolean(text: str) -> str | None:
    return None if text.lower() in ("true", "false", "yes", "no") else "not true, false, yes or no"


def _csv(text: str) -> str | None:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error:
        return "not CSV: a quote is not closed or a field is too long"
    if len(rows) < 2 or len(rows[0]) < 2:
        return "not CSV: fewer than two rows or columns"
    bad = next((i for i, row in enumerate(rows, 1) if len(row) != len(rows[0])), None)
    return None if bad is None else f"row {bad} has another number of columns than the first"


def _markdown_table(text: str) -> str | None:
    rows = [_cells(line) for line in text.splitlines() if "|" in line]
    if len(rows) < 3 or not all(cell.strip().strip(":").replace("-", "") == "" and "-" in cell for cell in rows[1]):
        return "not a Markdown table: header, rule and a row are needed"
    bad = next((i for i, row in enumerate(rows, 1) if len(row) != len(rows[0])), None)
    return None if bad is None else f"row {bad} has another number of cells than the header"


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").replace("\\|", "").split("|")


def _xml(text: str) -> str | None:
    """Well-formed without a document type: entities are never expanded, because none can be declared."""
    from xml.parsers import expat

    if "<!DOCTYPE" in text.upper().replace(" ", "") or "<!ENTITY" in text.upper():
        return "XML with a document type is refused"
    try:
        expat.ParserCreate().Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        return f"not well-formed XML in line {error.lineno}"
    return None


_TYPES: dict[str, Callable[[str], str | None]] = {
    "integer": _integer, "number": _number, "date": _date, "datetime": _datetime, "email": _email, "url": _url,
    "ip": _ip, "boolean": _boolean, "csv": _csv, "markdown_table": _markdown_table, "xml": _xml,
}  # fmt: skip
FormatType = Literal[
    "integer",
    "number",
    "date",
    "datetime",
    "email",
    "url",
    "ip",
    "boolean",
    "csv",
    "markdown_table",
    "xml",
    "enum",
    "regex",
]


class Format:
    """Score 1 = the text, blanks around it aside, is not of the type. `values` for enum, `pattern` (RE2) for regex."""

    name = "format"
    version = "1"
    tier: Tier = "light"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"enum": [*_TYPES, "enum", "regex"]},
            "values": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "pattern": {"type": "string"},
        },
        "required": ["type"],
        "additionalProperties": False,
    }
    labels = ("wrong_format",)
    threshold = 0.5
    blind_to = "Right form with wrong content; an e-mail address or URL that does not exist."

    def __init__(self, type: FormatType, values: Sequence[str] | None = None, pattern: str | None = None) -> None:  # noqa: A002
        if (type == "enum") != (values is not None) or (type == "regex") != (pattern is not None):
            raise ValueError(
                "format: values belong to the type enum, a pattern to the type regex, and both are needed there"
            )
        self._judge = _TYPES.get(type) or (_enum(values) if values is not None else _regex(pattern or ""))

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        text = reading.raw.strip()
        why = self._judge(text) if len(text) <= LONGEST else f"longer than {LONGEST} characters"
        if why is None:
            return Detection(0.0)
        return Detection(1.0, (Finding(self.name, "wrong_format", 1.0, part, 0, len(reading.raw), why),))


def _enum(values: Sequence[str]) -> Callable[[str], str | None]:
    allowed = frozenset(values)
    return lambda text: None if text in allowed else "not one of the values allowed"


def _regex(pattern: str) -> Callable[[str], str | None]:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(f"format: RE2 cannot run the pattern: {error}") from None
    return lambda text: None if compiled.fullmatch(text) else "does not match the pattern"
