"""What must not leave the process in masked mode: personal data and secrets, in every text of every span.

Texts that hold JSON are masked leaf by leaf, so that escapes cannot hide an address and the result is still JSON.
In mode "off" no text leaves at all: a string goes out only under a key that is known to carry a name, not a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .patterns import is_card, mask_text, may_match
from .vocabulary import is_content, is_name

MAX_DEPTH = 6
SHORT_CHARS = 48
_JSON_STARTS = frozenset('{[" \t\r\n')

# What joins records of one call and of one person. Masking them would break de-duplication; a provider's id and our
# hash are no one's data, and any other value under the hash's key is masked.
_ID_KEYS = frozenset(["gen_ai.response.id", "service.instance.id"])
_USER_KEY, _USER_HASH = "stanchion.user", re.compile(r"[0-9a-f]{16}")
# Names of parameters and headers whose value is a secret whatever it looks like, without their `-` and `_`.
_SECRET_NAMES = frozenset(["auth", "credentials", "pwd"])
_SECRET_ENDS = (
    "authorization", "cookie", "apikey", "password", "passwd", "passphrase", "secret", "secretkey", "accesskey",
    "privatekey", "connectionstring",
)  # fmt: skip
# Command lines carry keys that no pattern knows.
_NEVER = frozenset(["process.command_args", "process.command_line", "process.command"])


@lru_cache(maxsize=4096)
def _secrecy(key: str) -> int:
    """2: the value is a secret; 1: it is one if it is a text, as "token" also names many counts; 0: it is none."""
    word = key.rpartition(".")[2].lower().replace("_", "").replace("-", "")
    if word in _SECRET_NAMES or word.endswith(_SECRET_ENDS):
        return 2
    return 1 if word.endswith("token") else 0


def mask(value: Any, key: str = "", depth: int = 0) -> Any:
    """A value of the same shape without what must not leave; what is too deep to look at is replaced as a whole."""
    if value is None or isinstance(value, bool):
        return value
    secrecy = _secrecy(key) if len(key) < 200 else 0
    if isinstance(value, str):
        return "[SECRET]" if secrecy and value else _mask_string(value, depth)
    if secrecy == 2:
        return "[SECRET]"
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return "[CARD]" if value > 10**12 and is_card(str(value)) else value
    return "[MASKED]" if depth > MAX_DEPTH else _mask_compound(value, key, depth + 1)


def _mask_compound(value: Any, key: str, depth: int) -> Any:
    if isinstance(value, bytes):
        return mask_text(value.decode("utf-8", "replace")).encode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {_mask_name(name): mask(item, str(name), depth) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [mask(item, key, depth) for item in value]
    return mask_text(str(value))


@lru_cache(maxsize=4096)
def _mask_short(value: str) -> str:
    """Names of attributes, models and hosts, which come again with every span."""
    return mask_text(value)


def _mask_name(name: object) -> str:
    text = name if type(name) is str else str(name)
    return _mask_short(text) if len(text) <= SHORT_CHARS else mask_text(text)


def _mask_string(value: str, depth: int) -> str:
    if type(value) is not str:
        value = str.__str__(value)
    if len(value) <= SHORT_CHARS and value[:1] not in _JSON_STARTS:
        return _mask_short(value)
    if not may_match(value):
        return value
    if depth <= MAX_DEPTH and value.lstrip()[:1] in ("{", "[", '"') and len(value) > 1:
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return mask_text(value)
        return json.dumps(mask(parsed, "", depth + 1), ensure_ascii=False, separators=(",", ":"))
    return mask_text(value)


def _mask_attribute(key: str, value: Any) -> Any:
    if key in _ID_KEYS or (key == _USER_KEY and isinstance(value, str) and _USER_HASH.fullmatch(value)):
        return value
    return mask(value, key)


def mask_attributes(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_mask_name(key): _mask_attribute(key, value) for key, value in (values or {}).items() if key not in _NEVER}


def without_content(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Content mode "off": numbers, and strings under keys that carry names; the rest of both masked."""
    return mask_attributes({key: value for key, value in (values or {}).items() if _may_leave(key, value)})


def _may_leave(key: str, value: Any) -> bool:
    if is_name(key):
        return True
    return isinstance(value, bool | int | float) and not is_content(key)
