"""Numbering plans of telephone numbers: what `phonenumbers` says of a number is the truth here.

A number with a country code is held against the plans in that package's metadata (9.0.43, November 2026) without the
objects that parsing makes. Whatever may be written with a prefix for calls within its country is left to the package.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

_LONGEST_CODE, _LEAST_DIGITS, _MOST_DIGITS = 3, 2, 17
"""Digits of a country code at most, and of what follows it."""
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager", "uan",
    "voicemail",
)  # fmt: skip


class _Shape(NamedTuple):
    """Numbers of one kind: their lengths, none for all, and the pattern of the whole number, compiled when needed."""

    lengths: frozenset[int]
    pattern: str

    def fits(self, number: str) -> bool:
        return (not self.lengths or len(number) in self.lengths) and bool(_compiled(self.pattern).fullmatch(number))


class _Plan(NamedTuple):
    """A region's: `leading` tells its numbers from those of others with its country code, where they are told so."""

    general: _Shape | None
    kinds: tuple[_Shape, ...]
    leading: str | None
    prefix: str | None

    def holds(self, number: str) -> bool:
        return self.general is not None and self.general.fits(number) and any(one.fits(number) for one in self.kinds)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Some thousand patterns at most: they are all of the package's metadata."""
    return re.compile(pattern)


def valid(number: str, region: str | None) -> bool:
    """Whether it is a number of its country's plan, or of `region`'s where it has no country code."""
    import phonenumbers  # only texts with a candidate pay for the numbering plans

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_valid_number(parsed))


def valid_abroad(digits: str) -> bool:
    """The same of a number that is written with its country code, by the digits behind the plus."""
    for length in range(1, _LONGEST_CODE + 1):
        regions, number = _regions(digits[:length]), digits[length:]
        if regions:
            prefix = _plan(regions[0]).prefix
            if _LEAST_DIGITS <= len(number) <= _MOST_DIGITS and not (prefix and _compiled(prefix).match(number)):
                return _in_one(regions, number)
            break
    return valid(f"+{digits}", None)


def _in_one(regions: tuple[str, ...], number: str) -> bool:
    if len(regions) == 1:
        return _plan(regions[0]).holds(number)
    for region in regions:
        plan = _plan(region)
        if plan.leading is not None:
            if _compiled(plan.leading).match(number):
                return plan.holds(number)
        elif plan.holds(number):
            return True
    return False


@cache
def _regions(code: str) -> tuple[str, ...]:
    """With this country code, the main one first; none where the package has to be asked."""
    import phonenumbers

    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code or 0), ()) if code[:1] != "0" else ()
    return () if phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY in regions else tuple(regions)


@cache
def _plan(region: str) -> _Plan:
    import phonenumbers

    metadata: Any = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    kinds = [kind for kind in _KINDS if kind != "mobile" or not metadata.same_mobile_and_fixed_line_pattern]
    shapes = (_shape(getattr(metadata, kind)) for kind in kinds)
    return _Plan(
        general=_shape(metadata.general_desc),
        kinds=tuple(shape for shape in shapes if shape is not None),
        leading=metadata.leading_digits,
        prefix=metadata.national_prefix_for_parsing,
    )


def _shape(stated: Any) -> _Shape | None:
    if stated is None or not stated.national_number_pattern:
        return None
    return _Shape(frozenset(stated.possible_length), stated.national_number_pattern)
