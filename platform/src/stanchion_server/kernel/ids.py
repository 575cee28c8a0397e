"""Digests that stand for values in the database: stable across processes, versions and machines."""

from __future__ import annotations

import hashlib


def digest64(data: bytes) -> int:
    """BLAKE2b-64 of the bytes as a signed 64-bit integer, the form a Postgres bigint holds."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def span_id_to_hex(span_id: int) -> str:
    """The 16 lower-case hex digits clients know a span by."""
    return (span_id & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big").hex()


def span_id_from_hex(text: str) -> int:
    """Inverse of `span_id_to_hex`; raises ValueError for anything but 16 hex digits."""
    if len(text) != 16:
        raise ValueError(f"a span id has 16 hex digits, got {len(text)}")
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)
