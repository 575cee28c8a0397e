"""Lines of fine-tuning files out of reviewed calls. Pure.

The shapes are those that *Large Language Model-Based Solutions* (Wiley, 2024) prints: `input` for continued
pre-training, `prompt` and `completion` as Amazon Bedrock took them, `input_text` and `output_text` as Vertex AI's
supervised tuning of PaLM models did. Each line is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from stanchion_server.feedback.ratings import Tone


class Review(Enum):
    """Which reviewed calls: with a corrected answer, with an approved one, or both."""

    CORRECTED = "corrected"
    APPROVED = "approved"
    ALL = "all"


class Outcome(Enum):
    """What became of a reviewed call."""

    WRITTEN = "written"
    NOT_ASKED = "not_asked"
    """It was corrected, and approved ones were asked for, or the other way round."""
    DISAPPROVED = "disapproved"
    """Rated neutral or bad, and nobody said what would have been right."""
    NO_PROMPT = "no_prompt"
    NO_ANSWER = "no_answer"
    CALLS_TOOLS = "calls_tools"
    """The approved answer calls tools, which these shapes have no place for."""
    MORE_THAN_TEXT = "more_than_text"
    """The model was told results of tools or late instructions, or saw images: without them the answer would be learnt
    from nothing."""
    TRUNCATED = "truncated"
    """Its texts were cut when they were stored, or are longer than is read of one."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A call with the newest word on it; `correction` empty where there is none."""

    prompt: str
    answer: str
    correction: str
    tone: Tone | None
    has_tool_calls: bool = False
    is_more_than_text: bool = False
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    prompt: str
    answer: str


SHAPES: Mapping[str, Callable[[Pair], dict[str, str]]] = {
    "input": lambda pair: {"input": f"{pair.prompt}\n\n{pair.answer}"},
    "prompt_completion": lambda pair: {"prompt": pair.prompt, "completion": pair.answer},
    "input_output": lambda pair: {"input_text": pair.prompt, "output_text": pair.answer},
}


_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}


def decided(call: Reviewed, wanted: Review) -> Pair | Outcome:
    """The pair to learn from, or why there is none. A correction outweighs how the answer was rated."""
    if not call.correction and call.tone is not Tone.POSITIVE:
        return Outcome.DISAPPROVED
    if wanted is not Review.ALL and (wanted is Review.CORRECTED) != bool(call.correction):
        return Outcome.NOT_ASKED
    if not call.prompt.strip():
        return Outcome.NO_PROMPT
    if call.is_truncated:
        return Outcome.TRUNCATED
    if call.is_more_than_text:
        return Outcome.MORE_THAN_TEXT
    if call.has_tool_calls and not call.correction:
        return Outcome.CALLS_TOOLS
    answer = call.correction or call.answer
    return Pair(call.prompt, answer) if answer.strip() else Outcome.NO_ANSWER


def line(shape: str, pair: Pair) -> bytes:
    """One line of UTF-8, its end included, also for readers who take Unicode's other line ends for one. Half a
    character of a broken text becomes a question mark."""
    text = json.dumps(SHAPES[shape](pair), ensure_ascii=False).translate(_LINE_ENDS)
    return text.encode("utf-8", "replace") + b"\n"
