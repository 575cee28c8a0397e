"""Several questions in one prompt, `Q[1]` to be answered as `A[1]`: whether every question got its answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stanchion_server.costs.calculators.fields import Field, Values
from stanchion_server.costs.calculators.results import Calculator, Result, line, share, table

_MARK = re.compile(r"(?<!\w)(?P<kind>[QA])\[(?P<index>\d{1,6})\][ \t]*:?")
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Batched:
    """`answers` by index, of the questions that the prompt leaves open. An empty answer is lost, too.

    `lost` have none; `unasked` answer what was not asked, or what the prompt itself answers; `repeated` stand twice:
    the first counts.
    """

    answers: Mapping[int, str]
    lost: tuple[int, ...]
    unasked: tuple[int, ...]
    repeated: tuple[int, ...]


def batched(prompt: str, answer: str) -> Batched:
    asked = _parts(prompt)
    solved = {index for kind, index, text in asked if kind == "A" and text}
    wanted = list(dict.fromkeys(index for kind, index, _ in asked if kind == "Q" and index not in solved))
    found: dict[int, str] = {}
    repeated: list[int] = []
    for kind, index, text in _parts(answer):
        if kind == "A" and index in found:
            repeated.append(index)
        elif kind == "A" and text:
            found[index] = text
    return Batched(
        {index: found[index] for index in wanted if index in found},
        tuple(index for index in wanted if index not in found),
        tuple(index for index in found if index not in wanted),
        tuple(dict.fromkeys(repeated)),
    )


def _parts(text: str) -> list[tuple[str, int, str]]:
    """Kind, index and what follows up to the next mark."""
    marks = list(_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        (mark["kind"], int(mark["index"]), text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=False)
    ]


def _check(values: Values) -> Result:
    found = batched(values.text("prompt"), values.text("answer"))
    asked = len(found.answers) + len(found.lost)
    lines = (
        line("lost", "Lost answers", len(found.lost), "", "open questions without an answer"),
        line("lost_ratio", "Of the open questions", share(len(found.lost), asked), "%", "lost / open questions"),
        line("asked", "Open questions", asked, "", "Q[n] of the prompt without an A[n] there"),
        line("unasked", "Answers to what was not asked", len(found.unasked), "", "A[n] without an open Q[n]"),
        line("repeated", "Answered twice", len(found.repeated), "", "the first counts"),
    )
    shown = [(f"A[{index}]", text[:200]) for index, text in found.answers.items()]
    rows = [*shown, *((f"A[{index}]", "lost") for index in found.lost)]
    return Result(lines, (table("Answers", (("Answer", ""), ("Text", "")), *rows[:MOST_SHOWN]),) if rows else ())


BATCHED_ANSWERS = Calculator(
    "batched-answers",
    "Several questions per prompt: lost answers",
    "Batching",
    "Did every question of a prompt get its answer?",
    (
        Field(
            "prompt",
            "Prompt",
            "text",
            "Q[1] I have 2 pens and get 3. How many?\nQ[2] I had 6 and lost 2. How many?\nA[1] 5\nA[2] 4\n"
            "Q[3] I have 5 apples and get 3. How many?\nQ[4] I had 7 and ate 5. How many?",
            hint="questions as Q[1], worked examples as A[1]",
        ),
        Field("answer", "Answer of the model", "text", "A[3] 8\nA[4] 2", hint="answers as A[3]"),
    ),
    _check,
    ("That there is an answer is checked, not that it is right.",),
)
