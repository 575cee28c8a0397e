"""Undoes the content encoding of a request body without ever holding more than the limit.

A body may grow to `max_bytes`, and beyond 1 MiB to at most 200 times its compressed size: a bomb reaches 1,029 with
gzip and far more with zstandard.
"""

from __future__ import annotations

import zlib

import zstandard

from stanchion_server.kernel.errors import SenderError

MAX_RATIO = 200
RATIO_COUNTS_FROM_BYTES = 1 << 20
MAX_MEMBERS = 1_000
SUPPORTED = ("gzip", "deflate", "zstd", "identity")

_CHUNK_BYTES = 64 << 10
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15


def inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body without its content encoding (a Content-Encoding value; empty means none).

    Raises SenderError 415 for an encoding we do not speak, 413 for too much, 400 for a corrupt or truncated body.
    """
    name = encoding.strip().lower()
    budget = min(max_bytes, max(RATIO_COUNTS_FROM_BYTES, MAX_RATIO * len(body)))
    try:
        if name in ("", "identity"):
            inflated = body
        elif name in ("gzip", "x-gzip"):
            inflated = _gunzip(body, budget)
        elif name == "deflate":
            inflated = _inflate_deflate(body, budget)
        elif name == "zstd":
            inflated = _inflate_zstd(body, budget)
        else:
            raise _unsupported(encoding)
    except (zlib.error, zstandard.ZstdError) as error:
        raise SenderError("corrupt_body", f"The body is not valid {name}: {error}. Send it again.") from error
    if len(inflated) > budget:
        raise _too_large(len(body), budget, max_bytes)
    return inflated


def _gunzip(body: bytes, budget: int) -> bytes:
    """All members of the file, one after the other, within one budget; more than `budget` bytes mean too much."""
    parts: list[bytes] = []
    room, place = budget + 1, 0
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(_GZIP)
        place, room = _drain(stream, body, place, room, parts)
        if room == 0:
            break
        if not stream.eof:
            raise _truncated("gzip")
        if not any(body[place : place + _CHUNK_BYTES]):  # the format allows zero padding after the last member
            break
    else:
        raise SenderError("too_many_members", f"The gzip body has more than {MAX_MEMBERS} members. Send one.", 413)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate_deflate(body: bytes, budget: int) -> bytes:
    """HTTP's deflate is the zlib format, yet some clients send the bare stream."""
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    stream = zlib.decompressobj(_ZLIB if is_zlib else _RAW_DEFLATE)
    parts: list[bytes] = []
    _, room = _drain(stream, body, 0, budget + 1, parts)
    if room > 0 and not stream.eof:
        raise _truncated("deflate")
    return b"".join(parts)


def _drain(stream: zlib._Decompress, body: bytes, place: int, room: int, parts: list[bytes]) -> tuple[int, int]:
    """Feeds one stream from `place` on; returns the place after its end and the room left.

    In chunks, so that what follows the stream's end is copied once and not once per member.
    """
    while place < len(body) and room and not stream.eof:
        pending = body[place : place + _CHUNK_BYTES]
        place += len(pending)
        while pending and room and not stream.eof:
            out = stream.decompress(pending, room)
            parts.append(out)
            room -= len(out)
            pending = stream.unconsumed_tail
    return place - len(stream.unused_data), room


def _inflate_zstd(body: bytes, budget: int) -> bytes:
    """Measured first, then inflated: the one-shot call knows whether the last frame is whole but has no limit, and the
    stream has a limit but ends quietly in the middle of a frame."""
    context = zstandard.ZstdDecompressor(max_window_size=1 << 23)
    size = 0
    with context.stream_reader(body, read_across_frames=True) as reader:
        while chunk := reader.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > budget:
                return bytes(budget + 1)
    parts: list[bytes] = []
    rest = body
    for _ in range(MAX_MEMBERS):
        stream = context.decompressobj()
        parts.append(stream.decompress(rest))
        if not stream.eof:
            raise _truncated("zstd")
        rest = stream.unused_data
        if not rest:
            return b"".join(parts)
    raise SenderError("too_many_members", f"The zstd body has more than {MAX_MEMBERS} frames. Send one.", 413)


def _unsupported(encoding: str) -> SenderError:
    return SenderError(
        "unsupported_encoding",
        f"Content-Encoding “{encoding.strip()[:40]}” is not supported. Use gzip, deflate, zstd or none.",
        415,
    )


def _truncated(name: str) -> SenderError:
    return SenderError("truncated_body", f"The {name} body ends before its end mark. Send it again.")


def _too_large(sent_bytes: int, budget: int, max_bytes: int) -> SenderError:
    if budget < max_bytes:
        return SenderError(
            "compression_ratio",
            f"The body of {sent_bytes} bytes inflates to more than {MAX_RATIO} times its size. Telemetry does not.",
            413,
        )
    return SenderError(
        "too_large",
        f"The body inflates to more than {max_bytes} bytes. Send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).",
        413,
    )
