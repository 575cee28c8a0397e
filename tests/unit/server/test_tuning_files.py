"""Published example V20: lines of fine-tuning files, and which reviewed calls become one."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stanchion_server.feedback.ratings import Tone
from stanchion_server.feedback.tuning import SHAPES, Outcome, Pair, Review, Reviewed, decided, line

PAIR = Pair("What is a stanchion?", "A post that holds up a rail.")


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        ("input", {"input": "What is a stanchion?\n\nA post that holds up a rail."}),
        ("prompt_completion", {"prompt": PAIR.prompt, "completion": PAIR.answer}),
        ("input_output", {"input_text": PAIR.prompt, "output_text": PAIR.answer}),
    ],
)
def test_v20_a_pair_is_written_in_each_published_shape(shape: str, written: dict[str, str]) -> None:
    assert json.loads(line(shape, PAIR)) == written
    assert line(shape, PAIR).endswith(b"}\n")


@given(st.text(), st.text(), st.sampled_from(sorted(SHAPES)))
@example("other ends \x85 of \u2028 lines \u2029", "", "input")
def test_v20_whatever_the_texts_hold_a_pair_is_one_line(prompt: str, answer: str, shape: str) -> None:
    written = line(shape, Pair(prompt, answer))
    assert written.count(b"\n") == 1
    assert len(written.decode().splitlines()) == 1
    found = json.loads(written)
    texts = [prompt, answer] if shape != "input" else [f"{prompt}\n\n{answer}"]
    assert list(found.values()) == [text.encode("utf-8", "replace").decode() for text in texts]


def test_half_a_character_of_a_broken_text_does_not_break_the_file() -> None:
    assert json.loads(line("prompt_completion", Pair("a\ud800b", "c"))) == {"prompt": "a?b", "completion": "c"}


def reviewed(correction: str = "", tone: Tone | None = None, **more: object) -> Reviewed:
    return Reviewed(**{"prompt": "Q", "answer": "A", "correction": correction, "tone": tone, **more})  # type: ignore[arg-type]


GOOD, BAD, NEUTRAL = Tone.POSITIVE, Tone.NEGATIVE, Tone.NEUTRAL


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (reviewed(tone=GOOD), Pair("Q", "A")),
        (reviewed("C", BAD), Pair("Q", "C")),
        (reviewed("C", GOOD), Pair("Q", "C")),
        (reviewed("C"), Pair("Q", "C")),
        (reviewed(tone=BAD), Outcome.DISAPPROVED),
        (reviewed(tone=NEUTRAL), Outcome.DISAPPROVED),
        (reviewed(), Outcome.DISAPPROVED),
        (reviewed(tone=GOOD, prompt=" "), Outcome.NO_PROMPT),
        (reviewed(tone=GOOD, answer=""), Outcome.NO_ANSWER),
        (reviewed("C", answer=""), Pair("Q", "C")),
        (reviewed(tone=GOOD, has_tool_calls=True), Outcome.CALLS_TOOLS),
        (reviewed("C", has_tool_calls=True), Pair("Q", "C")),
        (reviewed("C", is_truncated=True), Outcome.TRUNCATED),
        (reviewed(tone=GOOD, is_more_than_text=True), Outcome.MORE_THAN_TEXT),
        (reviewed("C", is_more_than_text=True), Outcome.MORE_THAN_TEXT),
    ],
)
def test_what_becomes_of_a_reviewed_call(call: Reviewed, found: Pair | Outcome) -> None:
    assert decided(call, Review.ALL) == found


def test_corrected_and_approved_calls_can_be_asked_for_apart() -> None:
    corrected, approved = reviewed("C", BAD), reviewed(tone=GOOD)
    assert decided(corrected, Review.CORRECTED) == Pair("Q", "C")
    assert decided(approved, Review.APPROVED) == Pair("Q", "A")
    assert decided(corrected, Review.APPROVED) is decided(approved, Review.CORRECTED) is Outcome.NOT_ASKED
