"""Span figures for detectors that mark places: right is the same type and an overlap of at least half of the longer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stanchion_guard.detectors import Detector
from stanchion_guard.labelled import Row
from stanchion_guard.reading import read

ALIASES: Mapping[str, str] = {
    "email_address": "email",
    "us_ssn": "ssn",
    "us_driver_license": "driver_license",
    "phone_number": "phone",
    "iban_code": "iban",
    "domain_name": "domain",
    "url": "domain",
    "street_address": "address",
    "zip_code": "postcode",
    "postal_code": "postcode",
    "person": "name",
    "date_time": "date",
}
"""What other label sets call our types. Compared in lower case."""

Span = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class SpanFigures:
    """Counts of one type, and ratios in 0..1 where they have a meaning."""

    labelled: int
    found: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


def _type(name: str) -> str:
    plain = name.lower()
    return ALIASES.get(plain, plain)


def _matches(one: Span, other: Span) -> bool:
    overlap = min(one[2], other[2]) - max(one[1], other[1])
    return one[0] == other[0] and 2 * overlap >= max(one[2] - one[1], other[2] - other[1])


def _figures(labelled: int, found: int, right: int) -> SpanFigures:
    total = labelled + found
    return SpanFigures(
        labelled,
        found,
        right,
        right / found if found else None,
        right / labelled if labelled else None,
        2 * right / total if total else None,
    )


def by_type(detector: Detector, rows: Sequence[Row]) -> dict[str, SpanFigures]:
    """Figures of every type that was labelled or found, and of "all"."""
    labelled: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in rows:
        if row.spans is None:
            continue
        wanted = [(_type(str(span["type"])), int(span["start"]), int(span["end"])) for span in row.spans]
        detection = detector.detect(read(row.subject.parts[row.judged[0]].text), row.judged[0], row.subject)
        labelled.update(span[0] for span in wanted)
        for finding in detection.findings:
            span = (_type(finding.label), finding.start, finding.end)
            found[span[0]] += 1
            match = next((other for other in wanted if _matches(span, other)), None)
            if match is not None:
                wanted.remove(match)
                right[span[0]] += 1
    figures = {name: _figures(labelled[name], found[name], right[name]) for name in sorted(labelled | found)}
    figures["all"] = _figures(labelled.total(), found.total(), right.total())
    return figures
