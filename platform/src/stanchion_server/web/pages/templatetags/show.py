"""Filters that print numbers, times and strangers' text. None of them returns markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.http import QueryDict

from stanchion_server.kernel import clock
from stanchion_server.policies.gaps import Gap
from stanchion_server.web.pages import formats, invisible

register = template.Library()

SPARK_HEIGHT = 20
PAGING = ("cursor", "trail")

register.filter("count", formats.count)
register.filter("compact", formats.compact)
register.filter("usd", formats.usd)
register.filter("signed_usd", formats.signed_usd)
register.filter("usd_exact", formats.usd_exact)
register.filter("duration", formats.duration)
register.filter("percent", formats.percent)
register.filter("size", formats.size)
register.filter("moment", formats.moment)


@register.filter
def plain_number(value: Decimal | None) -> str:
    """With thousands separators and only the decimals it has."""
    return formats.UNKNOWN if value is None else f"{value.normalize():,f}"


@register.filter
def clock_time(value: datetime) -> str:
    return f"{value:%H:%M:%S}"


@register.filter
def microseconds(value: float | None) -> str:
    return formats.duration(None if value is None else value / 1000)


@register.filter
def seconds(value: float | None) -> str:
    return formats.duration(None if value is None else value * 1000)


@register.filter
def iso(value: datetime) -> str:
    return value.isoformat()


@register.filter
def ago(value: datetime | None) -> str:
    return formats.ago(value, clock.now())


@register.filter
def is_over(value: datetime | None) -> bool:
    """None never ends."""
    return value is not None and value <= clock.now()


@register.filter
def reveal(value: object) -> str:
    """Strangers' text on one line, with its invisible characters shown."""
    return invisible.reveal("" if value is None else str(value))


@register.filter
def pieces(value: object) -> list[invisible.Piece]:
    return invisible.pieces("" if value is None else str(value))


@register.filter
def item(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key)


@register.filter
def share_of(part: Decimal | float | None, whole: Decimal | float | None) -> float | None:
    """A ratio for `percent`, None where there is nothing to divide by."""
    return None if part is None or not whole else float(part) / float(whole)


@register.filter
def from_below(height: float) -> str:
    """Where a bar of that height begins in a spark line, measured from above."""
    return f"{SPARK_HEIGHT - height:.1f}"


@register.filter
def closed(groups: Iterable[Sequence[Gap]]) -> list[Sequence[Gap]]:
    return [group for group in groups if not group[0].is_open]


@register.filter
def around(gap: Gap) -> str:
    """The gap's time as a page's range."""
    return f"from={gap.start:%Y-%m-%dT%H:%M:%SZ}&to={gap.end:%Y-%m-%dT%H:%M:%SZ}"


@register.simple_tag
def query(params: QueryDict, **changes: object) -> str:
    """The page's query with some parameters replaced; None drops one. Paging never survives a change of filter."""
    changed = params.copy()
    for gone in PAGING:
        changed.pop(gone, None)
    for name, value in changes.items():
        name = name.rstrip("_")
        if value is None or value == "":
            changed.pop(name, None)
        else:
            changed[name] = str(value)
    return "?" + changed.urlencode()


@register.simple_tag
def query_without(params: QueryDict, name: str) -> str:
    """The page's query without one parameter, at the first page."""
    return _query(params, name, "")


@register.simple_tag
def query_with(params: QueryDict, name: str, value: str) -> str:
    """The page's query with one parameter set, at the first page; set already, it is taken out."""
    return _query(params, name, "" if params.get(name) == value else value)


def _query(params: QueryDict, name: str, value: str) -> str:
    changed = params.copy()
    for gone in (name, *PAGING):
        changed.pop(gone, None)
    if value:
        changed[name] = value
    return "?" + changed.urlencode()
