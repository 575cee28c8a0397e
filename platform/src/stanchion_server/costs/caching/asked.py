"""From a recorded call's texts to what a cache would look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from stanchion_server.costs.caching.embedding import LONGEST, normalised
from stanchion_server.kernel.ids import digest64


@dataclass(frozen=True, slots=True)
class Question:
    """`text` is the beginning, as long as an embedder is given, of what came from the user since the model's last
    answer, normalised; the whole has so many `characters`. `key` stands for the rest of it, the instructions and all
    turns before: an answer is served only where these are the same, so equal keys and texts are equal questions."""

    key: int
    text: str
    characters: int


def question_of(content: Mapping[str, Any], prompt_name: str, prompt_version: str) -> Question | None:
    """None where no question is recorded, or it holds more than texts (pictures, files, results of tools): what it
    asks is then not told by its words. Instructions are those that were sent: a prompt's name and version stand for
    them only where none are recorded, as what is filled into a prompt differs from call to call."""
    told = content.get("input") or ()
    answered = max((place for place, one in enumerate(told) if one.get("role") == "assistant"), default=-1)
    asked = told[answered + 1 :]
    parts = [part for one in asked for part in one.get("parts") or ()]
    if any(part.get("type") != "text" for part in parts) or any(one.get("role") != "user" for one in asked):
        return None
    text = normalised("\n".join(str(part.get("text") or "") for part in parts))
    if not text:
        return None
    system = content.get("system")
    instructions = {"system": system} if system else {"prompt": [prompt_name, prompt_version]}
    key = digest64(orjson.dumps([instructions, told[: answered + 1], text[LONGEST:]]))
    return Question(key, text[:LONGEST], len(text))
