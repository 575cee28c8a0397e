"""Numbers with a country code are valid where `phonenumbers` says so."""

from __future__ import annotations

import random
from collections.abc import Iterator

import phonenumbers
from hypothesis import example, given
from hypothesis import strategies as st

from stanchion_guard.identifiers.numbering import valid, valid_abroad

CODES = sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@given(st.sampled_from(CODES), st.text("0123456789", max_size=13))
@example("44", "2079460958")
@example("44", "02079460958")
@example("44", "1481256789")
@example("1", "4155552671")
@example("1", "8765550123")
@example("39", "0236618300")
@example("54", "91123456789")
@example("800", "12345678")
@example("7", "7012345678")
def test_any_digits_behind_a_country_code(code: str, rest: str) -> None:
    assert valid_abroad(code + rest) == valid(f"+{code}{rest}", None)


@given(st.text("0123456789", max_size=18))
@example("")
@example("0442079460958")
def test_any_digits(digits: str) -> None:
    assert valid_abroad(digits) == valid(f"+{digits}", None)


def test_numbers_close_to_examples_of_every_region_and_kind() -> None:
    """One digit changed, left out or put in: of thousands of numbers, most at the edge of a plan."""
    chance = random.Random(11)
    told = [(number, valid_abroad(number)) for example in _examples() for number in _variants(example, chance)]
    assert [number for number, found in told if found != valid(f"+{number}", None)] == []
    assert sum(found for _, found in told) > len(told) / 4
    assert len(told) > 2_000


def _examples() -> Iterator[str]:
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        kinds = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)
        for kind in (*kinds, phonenumbers.PhoneNumberType.TOLL_FREE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                yield phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]


def _variants(digits: str, chance: random.Random) -> Iterator[str]:
    yield digits
    for _ in range(3):
        at, digit = chance.randrange(1, len(digits)), chance.choice("0123456789")
        yield digits[:at] + chance.choice((digit + digits[at + 1 :], digits[at + 1 :], digit + digits[at:]))
