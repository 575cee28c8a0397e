"""The texts of a span in one form, whatever the client's vocabulary was.

Content is a JSON object; every key is optional:

    system      [part, ...]        the leading system or developer texts, always taken out of `input`
    input       [message, ...]     what the model (or agent, chain) was given
    output      [message, ...]     what it answered, one message for each choice
    tools       [any, ...]         tool definitions as sent
    documents   [{"id"?, "score"?, "content"?, "metadata"?}, ...]   what a retriever or reranker found
    query       "text"             what a retriever was asked
    arguments   any                of a tool call
    result      any                of a tool call
    raw         {key: any}         texts another key already told (kept, so that nothing the client sent is lost)
    events      true               made from per-message log records: `merge` appends such lists, others it only fills

A message is {"role", "parts", "name"?, "finish_reason"?}; role is system, user, assistant or tool. A part is one of

    {"type": "text", "text"}
    {"type": "reasoning", "text"}
    {"type": "tool_call", "id", "name", "arguments"}
    {"type": "tool_result", "id", "result"}
    {"type": "media", "modality"?, "mime_type"?, "uri"?, "file_id"?, "bytes"?}     binary data itself is not kept
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
import zstandard

from stanchion_server.kernel.ids import digest64

MAX_CONTENT_BYTES = 2 * 1024 * 1024
PREVIEW_CHARS = 200
SECTIONS = ("system", "input", "output", "tools", "documents", "query", "arguments", "result")
_LEVEL = 1
_MAX_LOADED_BYTES = 4 * MAX_CONTENT_BYTES
_local = threading.local()

Message = dict[str, Any]
Part = dict[str, Any]
Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Packed:
    """Serialised content: `body` compressed, `digest` and `original_bytes` of the JSON before any cut."""

    body: bytes
    digest: int
    original_bytes: int
    is_truncated: bool


class Stored(Protocol):
    """What `merge` needs to know of a content record, in memory or from the table."""

    @property
    def source(self) -> int: ...
    @property
    def start_time(self) -> datetime: ...
    @property
    def body(self) -> bytes: ...


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def message(role: str, parts: list[Part]) -> Message:
    return {"role": role, "parts": parts}


def arrange(content: Content) -> Content:
    """The content with leading system messages moved from `input` to `system`, and without empty sections."""
    found = content.get("input")
    if found and found[0]["role"] == "system":
        count = next((i for i, item in enumerate(found) if item["role"] != "system"), len(found))
        if not content.get("system"):
            content["system"] = [part for item in found[:count] for part in item["parts"]]
        content["input"] = found[count:]
    return {key: value for key, value in content.items() if value not in (None, "", [], {})}


def pack(content: Content) -> Packed:
    data = to_json(content)
    original, cut = len(data), False
    digest = digest64(data)
    if original > MAX_CONTENT_BYTES:
        data, cut = _shrunk(content), True
    return Packed(_compressor().compress(data), digest, original, cut)


def to_json(value: Any) -> bytes:
    """JSON without NUL and lone surrogates, which Postgres refuses."""
    try:
        data = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return orjson.dumps(clean(value))
    return orjson.dumps(clean(value)) if b"\\u0000" in data else data


def clean(value: Any, depth: int = 0) -> Any:
    """A JSON value from anything a parser may have given: texts mended, odd types as text, at most 64 levels."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else str(value)[:4096] if value.bit_length() < 8192 else None
    if isinstance(value, float):
        return value if abs(value) < 1e308 else None
    if depth > 64:
        return "…"
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, depth + 1) for item in value]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def load(body: bytes) -> Content:
    """The content of one stored record. `body` may be bytes or memoryview; raises ValueError for foreign bytes."""
    try:
        data = _decompressor().decompress(bytes(body), max_output_size=_MAX_LOADED_BYTES)
    except zstandard.ZstdError as error:
        raise ValueError("not a stored content") from error
    content = orjson.loads(data)
    return content if isinstance(content, dict) else {}


def merge(records: Iterable[Stored]) -> Content:
    """One content from all records of a span: the span's own first, then log records by time; each fills gaps only.
    Records made from per-message events continue each other."""
    merged: Content = {}
    appendable: set[str] = set()
    for record in sorted(records, key=lambda item: (item.source, item.start_time)):
        content = load(record.body)
        continues = content.pop("events", False)
        for key, value in content.items():
            if key == "raw":
                merged["raw"] = value | merged.get("raw", {})
            elif key not in merged:
                merged[key] = value
                appendable |= {key} if continues else set()
            elif continues and key in appendable and isinstance(value, list):
                merged[key] = merged[key] + value
    return merged


def input_preview(content: Content) -> str:
    """The start of the last user text; of the query, arguments or last text where there is none."""
    found: Sequence[Message] = content.get("input") or ()
    for item in reversed(found):
        if item["role"] == "user" and (text := first_text(item)):
            return text
    for item in reversed(found):
        if text := first_text(item):
            return text
    return _start(content.get("query") or content.get("arguments"))


def output_preview(content: Content) -> str:
    """The start of the first answer's text, else its tool call as `name(arguments)`."""
    found: Sequence[Message] = content.get("output") or ()
    for item in found:
        if text := first_text(item):
            return text
    for part in (part for item in found for part in item["parts"]):
        if part["type"] == "tool_call":
            return _start(f"{part.get('name') or 'tool'}({_start(part.get('arguments'))})")
    return _start(content.get("result"))


def tool_call_count(content: Content) -> int:
    found: Sequence[Message] = content.get("output") or ()
    return sum(part["type"] == "tool_call" for item in found for part in item["parts"])


def ends_in_tool_call(content: Content) -> bool:
    """Whether the one answer ends by asking for a tool."""
    found: Sequence[Message] = content.get("output") or ()
    return bool(len(found) == 1 and found[0]["parts"] and found[0]["parts"][-1]["type"] == "tool_call")


def finish_reasons(content: Content) -> tuple[str, ...]:
    """Why each answer ended, where it says so."""
    found: Sequence[Message] = content.get("output") or ()
    return tuple(item["finish_reason"] for item in found if item.get("finish_reason"))[:16]


def first_text(item: Message) -> str:
    return next((_start(part["text"]) for part in item["parts"] if part["type"] == "text" and part["text"]), "")


def _start(value: Any) -> str:
    if value is None:
        return ""
    text = value[: PREVIEW_CHARS * 4] if isinstance(value, str) else to_json(value).decode()[: PREVIEW_CHARS * 4]
    return clean_text(text).strip()[:PREVIEW_CHARS]


def _shrunk(content: Content) -> bytes:
    for chars, items in ((262_144, 10_000), (65_536, 2_000), (16_384, 1_000), (2_048, 500), (256, 100), (64, 20)):
        data = to_json(_cut(content, chars, items))
        if len(data) <= MAX_CONTENT_BYTES:
            return data
    return to_json({key: value for key, value in content.items() if key == "events"})


def _cut(value: Any, chars: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else value[:chars] + "…"
    if isinstance(value, list):
        return [_cut(item, chars, items) for item in value[:items]]
    if isinstance(value, dict):
        return {key[:256]: _cut(item, chars, items) for key, item in list(value.items())[:items]}
    return value


def _compressor() -> zstandard.ZstdCompressor:
    """One for each thread: a compressor may not be shared."""
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return _local.compressor  # type: ignore[no-any-return]


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    return _local.decompressor  # type: ignore[no-any-return]
