"""Hand-packed COPY bodies say the same as the driver's own binary dumpers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.numeric import DecimalBinaryDumper

from stanchion_server.kernel import copy

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12)


@given(AMOUNTS)
def test_a_decimal_is_packed_as_the_driver_packs_it(amount: Decimal) -> None:
    field = copy.numeric(amount)
    assert int.from_bytes(field[:4], "big") == len(field) - 4
    assert _value(field[4:]) == amount
    assert _value(bytes(DecimalBinaryDumper(Decimal).dump(amount))) == amount


@pytest.mark.parametrize("amount", ["0", "0E-12", "-1", "10000", "0.0001", "0.000126000000", "123456789.000000000001"])
def test_amounts_at_the_edges_of_a_digit_group_keep_their_value(amount: str) -> None:
    assert _value(copy.numeric(Decimal(amount))[4:]) == Decimal(amount)


def test_null_has_the_length_minus_one() -> None:
    for encode in (copy.bigint, copy.uuid, copy.jsonb, copy.numeric, copy.timestamptz, copy.boolean, copy.float8):
        assert encode(None) == b"\xff\xff\xff\xff"


def test_a_time_is_counted_in_microseconds_since_2000() -> None:
    moment = datetime(2000, 1, 2, 0, 0, 1, 5, tzinfo=UTC)
    assert int.from_bytes(copy.timestamptz(moment)[4:], "big") == 86_401_000_005


def test_a_body_frames_each_row_with_its_number_of_columns() -> None:
    body = copy.pack((copy.text, copy.integer), [("a", 1), ("ü", None)])
    assert body.startswith(copy.HEADER)
    assert body.endswith(b"\x00\x02" + b"\x00\x00\x00\x02\xc3\xbc" + copy.NULL + copy.TRAILER)


def _value(data: bytes) -> Decimal:
    groups, weight, sign, _scale = (int.from_bytes(data[i : i + 2], "big", signed=True) for i in (0, 2, 4, 6))
    digits = [int.from_bytes(data[8 + 2 * i : 10 + 2 * i], "big") for i in range(groups)]
    total = sum((Decimal(d) * Decimal(10000) ** (weight - i) for i, d in enumerate(digits)), Decimal(0))
    return -total if sign else total
