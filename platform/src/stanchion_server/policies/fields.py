"""The values of a caller's JSON object, each with its type checked. Every refusal names the value and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stanchion_server.kernel.errors import SenderError

_HALF_PAIRS = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """The text with every half of a character pair replaced, one for one, so that offsets stay as they are."""
    return text if text.isascii() else _HALF_PAIRS.sub("\ufffd", text)


def text_of(row: Mapping[str, Any], name: str, default: str = "") -> str:
    value = row.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise bad(f"`{name}`", "a text")
    return whole(value)


def listed(row: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad(f"`{name}`", "a list")
    return value


def rows(row: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    for index, item in enumerate(listed(row, name)):
        if not isinstance(item, Mapping):
            raise bad(f"`{name}[{index}]`", "an object")
        yield item


def known(row: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    """Refuses a key that is none of `names`, and says which are."""
    if unknown := sorted(str(key) for key in row if key not in names):
        told = f"There is no field “{whole(unknown[0])[:60]}”{where}. Known are: {', '.join(sorted(names))}."
        raise SenderError("unknown_field", told, 400)


def bad(what: str, wanted: str) -> SenderError:
    return SenderError("bad_body", f"{what[:1].upper()}{what[1:]} must be {wanted}.", 400)
