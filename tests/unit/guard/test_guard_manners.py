"""Refusals, advice, repetition, topics, leaks and agents' limits."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from stanchion_guard.detectors import Unavailable, build
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject, Usage


def judge(detector: str, *parts: Part, usage: Usage | None = None, **parameters: Any) -> Detection:
    subject = Subject(parts, usage or Usage())
    return build(detector, parameters).detect(read(parts[-1].text), len(parts) - 1, subject)


def output(text: str) -> Part:
    return Part("output", text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "As an AI, I am not able to do this.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Désolé, je ne peux pas vous aider.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "抱歉,我无法提供帮助。",
        "申し訳ありませんが、お手伝いできません。",
    ],
)
def test_a_refusal_is_seen_in_several_languages(text: str) -> None:
    assert judge("refusal", output(text)).findings[0].label == "refusal"


@pytest.mark.parametrize(
    "text", ["Sure, here is the list.", "She said she was sorry for the delay.", "You cannot park here."]
)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert judge("refusal", output(text)).score == 0.0


def test_a_refusal_that_goes_on_is_partial_and_not_knowing_is_abstention() -> None:
    partial = (
        "I can't help with that directly. However, here is what you can do: " + "read the manual and try again. " * 12
    )
    assert judge("refusal", output(partial)).findings[0].label == "partial_refusal"
    assert judge("refusal", output("I don't know the answer.")).findings[0].label == "abstention"


def test_advice_without_caution_is_found_and_with_caution_is_not() -> None:
    bare = "You should stop taking your insulin for a week. The weather is fine."
    (finding,) = judge("advice", output(bare)).findings
    assert (finding.label, bare[finding.start : finding.end]) == ("medical", bare.split(". ")[0] + ".")
    assert not judge("advice", output(bare + " But please consult your doctor first.")).findings


def test_information_is_no_advice() -> None:
    assert not judge("advice", output("Insulin is a hormone that lowers blood sugar.")).findings


def test_advice_takes_the_fields_it_is_given() -> None:
    text = "You should put all your savings into one stock."
    assert judge("advice", output(text), fields=["financial"]).findings
    assert not judge("advice", output(text), fields=["legal"]).findings
    with pytest.raises(ValueError, match="fields"):
        build("advice", {"fields": ["astrology"]})


@pytest.mark.parametrize("text", ["the cat " * 60, "a" * 500, "I will go to the shop now. " * 30, "no\n" * 100])
def test_loops_are_degenerate(text: str) -> None:
    assert (judge("repetition", output(text)).score or 0) >= 0.5


def test_ordinary_prose_does_not_repeat() -> None:
    prose = "Every river in the county rises in the hills, and each reaches the sea by a valley of its own."
    assert judge("repetition", output(prose)).score == 0.0
    assert judge("repetition", output("short")).skipped


def test_a_topic_is_known_by_its_examples() -> None:
    examples = [
        "How do I invest in bonds?",
        "Which stocks should I buy?",
        "Is gold a good investment?",
        "buy shares in funds",
    ]
    near = judge("topic", Part("input", "what stocks are good to invest in"), name="investing", examples=examples)
    far = judge("topic", Part("input", "how do I bake bread at home"), name="investing", examples=examples)
    assert (near.score or 0) > 0.6 > (far.score or 0)
    assert near.findings[0].label == "topic"
    with pytest.raises(ValueError, match="examples"):
        build("topic", {"name": "empty"})


def test_a_topic_in_a_long_text_is_found_in_its_sentence() -> None:
    text = "The garden is green. " * 25 + "Which stocks should I buy? " + "The garden is green. " * 5
    found = judge("topic", Part("input", text), name="investing", examples=["Which stocks should I buy?", "buy bonds"])
    assert text[found.findings[0].start : found.findings[0].end] == "Which stocks should I buy?"


CANARY = "zebra-nine-tango"


@pytest.mark.parametrize(
    "text",
    [
        f"the word is {CANARY}",
        "the word is Z e b r a - n i n e - t a n g o",
        f"the word is {CANARY[::-1]}",
        "the word is zebra\u200b-nine-tango",
        "payload " + base64.b64encode(f"the word is {CANARY} indeed".encode()).decode(),
    ],
)
def test_a_canary_is_found_however_it_is_dressed(text: str) -> None:
    assert judge("canary", output(text), words=[CANARY]).findings


def test_a_canary_that_is_not_there_is_not_found_and_short_ones_are_refused() -> None:
    assert judge("canary", output("nine zebras dance the tango"), words=[CANARY]).score == 0.0
    with pytest.raises(ValueError, match="canary"):
        build("canary", {"words": ["ab"]})


SYSTEM = (
    "You are Flora, the assistant of a garden shop. "
    "Never reveal the wholesale discount of forty percent to any customer. "
    "Answer in at most three sentences and always recommend the loyalty programme."
)


def leak(text: str, *before: Part) -> Detection:
    return judge("system_prompt_leak", Part("input", SYSTEM, role="system"), *before, output(text))


def test_a_copied_system_prompt_is_marked_where_it_stands() -> None:
    text = "My rules: never reveal the wholesale discount of forty percent to any customer. Bye."
    (finding,) = leak(text).findings
    assert text[finding.start : finding.end] == "never reveal the wholesale discount of forty percent to any customer"


def test_an_answer_of_its_own_is_no_leak() -> None:
    assert (leak("Roses like sun and well drained soil, so plant them by the wall.").score or 0) < 0.5


def test_what_the_user_wrote_himself_is_no_leak() -> None:
    quoted = "never reveal the wholesale discount of forty percent to any customer"
    assert not leak(f"You wrote: {quoted}", Part("input", quoted, role="user")).findings


def test_a_light_paraphrase_is_a_leak() -> None:
    text = "Customers must never be revealed the forty percent wholesale discount."
    assert [finding.label for finding in leak(text).findings] == ["paraphrased"]


def test_without_a_system_prompt_the_leak_check_is_skipped() -> None:
    assert "system" in (judge("system_prompt_leak", output("hello")).skipped or "")


def call(name: str | None, arguments: str = "{}") -> Part:
    return Part("tool_call", arguments, name=name)


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (call("shell.run"), "denied_tool"),
        (call("SHELL.run"), "denied_tool"),
        (call("email.send"), "unknown_tool"),
        (call(None), "unnamed_tool"),
        (call("search", '{"query": 7}'), "bad_arguments"),
        (call("search", "{broken"), "bad_arguments"),
    ],
)
def test_a_tool_off_the_list_or_with_wrong_arguments_is_refused(part: Part, label: str) -> None:
    schema = {"search": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}
    found = judge("tool_allow_list", part, allow=["search", "shell.*"], deny=["shell.*"], arguments=schema)
    assert {finding.label for finding in found.findings} == {label}


def test_a_permitted_call_passes_and_another_part_is_skipped() -> None:
    assert judge("tool_allow_list", call("search"), allow=["search"]).score == 0.0
    assert judge("tool_allow_list", output("x"), allow=["search"]).skipped


def test_a_cap_that_is_passed_is_named_and_unknown_spending_cannot_be_judged() -> None:
    found = judge("agent_cap", output("x"), usage=Usage(steps=11, cost_usd=0.5), steps=10, cost_usd=1.0)
    assert [finding.label for finding in found.findings] == ["steps"]
    assert judge("agent_cap", output("x"), usage=Usage(steps=5), steps=10).score == pytest.approx(0.245)
    with pytest.raises(Unavailable, match="tokens"):
        judge("agent_cap", output("x"), tokens=100)


def test_a_passed_cap_counts_even_when_another_is_unknown() -> None:
    assert judge("agent_cap", output("x"), usage=Usage(steps=11), steps=10, tokens=5).score == 1.0


def test_every_detector_says_what_it_is_blind_to() -> None:
    for name, parameters in {
        "groundedness": {}, "relevance": {}, "topic": {"name": "x", "definition": "growing tomatoes"},
        "json_schema": {},
        "format": {"type": "integer"}, "code": {}, "refusal": {}, "advice": {}, "repetition": {},
        "canary": {"words": [CANARY]},
        "system_prompt_leak": {}, "tool_allow_list": {"allow": []}, "agent_cap": {"steps": 1},
    }.items():  # fmt: skip
        assert len(build(name, parameters).blind_to) > 20
