from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.ingest.inflate import MAX_MEMBERS, inflate
from stanchion_server.kernel.errors import SenderError

MIB = 1 << 20
LIMIT = 64 * MIB


def refusal(body: bytes, encoding: str, limit: int = LIMIT) -> tuple[int, str]:
    with pytest.raises(SenderError) as caught:
        inflate(body, encoding, limit)
    return caught.value.http_status, caught.value.code


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
    "": bytes,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(data=st.binary(max_size=2_000))
def test_what_was_packed_comes_out_again(encoding: str, data: bytes) -> None:
    assert inflate(PACKERS[encoding](data), encoding, LIMIT) == data


def test_bare_deflate_streams_are_read_too() -> None:
    assert inflate(raw_deflate(b"spans" * 100), "deflate", LIMIT) == b"spans" * 100


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_every_member_of_a_gzip_file_counts(members: list[bytes]) -> None:
    body = b"".join(gzip.compress(member) for member in members)
    assert inflate(body, "gzip", LIMIT) == b"".join(members)
    assert inflate(body + bytes(100), "gzip", LIMIT) == b"".join(members)
    assert inflate(b"".join(zstandard.compress(member) for member in members), "zstd", LIMIT) == b"".join(members)


def test_members_longer_than_a_chunk_are_joined_without_loss() -> None:
    members = [os.urandom(150_000), os.urandom(70_000), os.urandom(3)]
    assert inflate(b"".join(gzip.compress(m, 1) for m in members), "gzip", LIMIT) == b"".join(members)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_truncated_body_is_a_400_wherever_it_was_cut(encoding: str) -> None:
    body = PACKERS[encoding](os.urandom(500) + b"a" * 500)
    for length in range(1, len(body)):
        status, code = refusal(body[:length], encoding)
        assert (status, code) in {(400, "truncated_body"), (400, "corrupt_body")}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@given(body=st.binary(min_size=1, max_size=200))
def test_noise_is_never_more_than_a_sender_error(encoding: str, body: bytes) -> None:
    try:
        inflate(body, encoding, LIMIT)
    except SenderError as error:
        assert error.http_status in (400, 413)


def test_a_flipped_checksum_is_a_400() -> None:
    body = bytearray(gzip.compress(b"spans" * 100))
    body[-6] ^= 1
    assert refusal(bytes(body), "gzip") == (400, "corrupt_body")


def test_noise_after_the_last_member_is_a_400() -> None:
    assert refusal(gzip.compress(b"spans") + b"noise", "gzip")[0] == 400


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_in_little_memory(encoding: str) -> None:
    body = PACKERS[encoding](bytes(300 * MIB))
    tracemalloc.start()
    try:
        assert refusal(body, encoding)[0] == 413
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT + 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_small_bomb_is_recognised_by_its_ratio_before_it_grows() -> None:
    body = gzip.compress(bytes(3 * MIB))
    tracemalloc.start()
    try:
        assert refusal(body, "gzip") == (413, "compression_ratio")
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()


def test_a_bomb_in_the_second_member_is_found() -> None:
    assert refusal(gzip.compress(b"harmless") + gzip.compress(bytes(5 * MIB)), "gzip")[0] == 413


def test_many_empty_members_cost_no_quadratic_time() -> None:
    body = gzip.compress(b"") * 100_000
    assert refusal(body, "gzip") == (413, "too_many_members")
    assert inflate(gzip.compress(b"a") * (MAX_MEMBERS - 1), "gzip", LIMIT) == b"a" * (MAX_MEMBERS - 1)


def test_the_limit_itself_still_passes_and_one_byte_more_does_not() -> None:
    data = os.urandom(1_000)
    for pack, encoding in ((gzip.compress, "gzip"), (zlib.compress, "deflate"), (zstandard.compress, "zstd")):
        assert inflate(pack(data), encoding, 1_000) == data
        assert refusal(pack(data), encoding, 999) == (413, "too_large")
    assert refusal(data, "", 999) == (413, "too_large")


def test_unknown_and_stacked_encodings_are_a_415() -> None:
    assert refusal(b"", "br") == (415, "unsupported_encoding")
    assert refusal(b"", "gzip, gzip") == (415, "unsupported_encoding")


def test_an_empty_body_is_empty_whatever_it_claims() -> None:
    assert inflate(b"", "", LIMIT) == b""
