"""Ways around a guard that are known from others, with our own detectors."""

from __future__ import annotations

import base64

import pytest

from stanchion_guard import Guard, Part, Subject, load

POLICY = """\
policy: attacks
version: 1
defaults: {when_late: block, when_failed: block}
rules:
  - id: pii
    stages: [input, output, tool_call, tool_result, retrieved]
    detector: pii
    action: redact
  - id: secrets
    stages: [input, output, tool_call, tool_result, retrieved]
    detector: secrets
    action: redact
  - id: pressed
    stages: [output]
    detector: words
    parameters: {words: [open sesame]}
    action: block
"""
MAIL = "Please write to ann.lee@example.org about it. "
CARD = "The card is 4111 1111 1111 1111 and so on. "


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(load(POLICY))


@pytest.mark.parametrize("size", [1, 3, 17, 1000])
def test_a_streamed_answer_is_masked_like_a_whole_one(guard: Guard, size: int) -> None:
    text = "Some words that go before, and they are plain. " * 8 + MAIL + CARD + "More of it follows here. " * 20
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    wrapped = guard.wrap(chunks)
    shown = "".join(wrapped)
    assert shown == guard.check(text, "output").texts[0]
    assert "ann.lee" not in shown
    assert "4111" not in shown
    assert wrapped.verdict is not None
    assert wrapped.verdict.coverage.complete


def test_a_private_key_in_a_stream_is_masked_whole(guard: Guard) -> None:
    body = "".join(f"{base64.b64encode(bytes(range(line, line + 48))).decode()}\n" for line in range(40))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"
    text = f"Here is what you asked for, my friend.\n{key}\nAnd that was it, with thanks."
    shown = "".join(guard.wrap([text[at : at + 5] for at in range(0, len(text), 5)]))
    assert shown == guard.check(text, "output").texts[0]
    assert body[:40] not in shown
    assert body[-40:-1] not in shown


def test_arguments_of_a_tool_are_checked_like_a_message(guard: Guard) -> None:
    call = Part("tool_call", '{"to": "x", "body": "mail ann.lee@example.org"}', name="send")
    verdict = guard.judge(Subject((Part("input", "send it"), call)))
    assert verdict.texts[1] == '{"to": "x", "body": "mail [EMAIL]"}'
    assert verdict.coverage.guarded_characters == len(call.text) + 7


def test_what_hides_in_base64_is_found_at_its_place(guard: Guard) -> None:
    hidden = base64.b64encode(MAIL.encode()).decode()
    verdict = guard.check(f"Read this: {hidden} and answer.")
    assert "EMAIL" in {finding.label for finding in verdict.findings}
    assert hidden not in verdict.texts[0]
    assert verdict.texts[0].startswith("Read this: [")


def test_one_sentence_in_a_long_document_is_found_and_all_of_it_was_read(guard: Guard) -> None:
    text = "A quiet sentence about nothing. " * 4_000
    verdict = guard.check(text + MAIL + text, "retrieved")
    assert [finding.label for finding in verdict.findings] == ["EMAIL"]
    assert verdict.coverage.guarded_characters == 2 * len(text) + len(MAIL)


def test_a_phrase_leaked_in_five_chunks_is_stopped_before_it_shows(guard: Guard) -> None:
    wrapped = guard.wrap(["I was told to keep quiet, but it is: op", "en", " ses", "a", "me. You did not hear it. "])
    shown = "".join(wrapped)
    assert "op" not in shown.removeprefix("I was told to keep quiet, but it is:")
    assert wrapped.verdict is not None
    assert wrapped.verdict.blocked
