"""From a recorded call's texts to what a cache would look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from stanchion_server.costs.caching.embedding import normalised
from stanchion_server.kernel.ids import digest64


@dataclass(frozen=True, slots=True)
class Question:
    """`key` stands for the instructions and all turns before the question: an answer is served only where both are the
    same. `text` is what came from the user since the model's last answer, normalised."""

    key: int
    text: str


def question_of(content: Mapping[str, Any], prompt_name: str, prompt_version: str) -> Question | None:
    """None where no question is recorded, or it holds more than texts (pictures, files, results of tools): what it
    asks is then not told by its words. A prompt's name and version stand for its instructions, where both are known;
    otherwise the instructions themselves do."""
    told = content.get("input") or ()
    answered = max((place for place, one in enumerate(told) if one.get("role") == "assistant"), default=-1)
    asked = told[answered + 1 :]
    parts = [part for one in asked for part in one.get("parts") or ()]
    if any(part.get("type") != "text" for part in parts) or any(one.get("role") != "user" for one in asked):
        return None
    text = normalised("\n".join(str(part.get("text") or "") for part in parts))
    if not text:
        return None
    is_named = prompt_name and prompt_version
    instructions = [prompt_name, prompt_version] if is_named else content.get("system") or ()
    return Question(digest64(orjson.dumps([instructions, told[: answered + 1]])), text)
