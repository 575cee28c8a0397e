from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_sdk import masking, patterns

PLANTED = {
    "ann.o'neil+x@mail.example.co.uk": "[EMAIL]",
    "4111 1111 1111 1111": "[CARD]",
    "4111-1111-1111-1111": "[CARD]",
    "378282246310005": "[CARD]",
    "DE89 3704 0044 0532 0130 00": "[IBAN]",
    "GB82WEST12345698765432": "[IBAN]",
    "+49 (30) 1234567": "[PHONE]",
    "555-123-4567": "[PHONE]",
    "030 1234567": "[PHONE]",
    "sk-proj-abcdefghijklmnopqrstuvwx": "[SECRET]",
    "sk-ant-api03-abcdefghijklmnopqrstuvwx": "[SECRET]",
    "AKIAIOSFODNN7EXAMPLE": "[SECRET]",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "[SECRET]",
    "xoxb-123456789012-abcdefghijkl": "[SECRET]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "[JWT]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----": "[PRIVATE_KEY]",
}
HARMLESS = [
    "2026-11-23 20:57:33.123456",
    "chatcmpl-8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "1760000000000000000",
    "token usage: 123456 tokens",
    "10.0.12.244:8080",
    "version 1.2.3 of 45,000 rows at 3.14159",
    "4111 1111 1111 1112",
    "GB83WEST12345698765432",
]


@pytest.mark.parametrize(("planted", "kind"), PLANTED.items())
@pytest.mark.parametrize("frame", ["{}", "before {} after", "say:\n{}\n", "('{}',)", "x={};"])
def test_a_planted_value_is_replaced_wherever_it_stands(planted: str, kind: str, frame: str) -> None:
    masked = masking.mask_text(frame.format(planted))
    assert planted not in masked
    assert kind in masked or "[SECRET]" in masked


@pytest.mark.parametrize("planted", PLANTED)
def test_json_hides_nothing_and_stays_json(planted: str) -> None:
    arguments = json.dumps({"to": planted}, ensure_ascii=True)
    messages = json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "arguments": arguments}]}])
    masked = masking.mask(messages, "gen_ai.output.messages")
    found = json.loads(json.loads(masked)[0]["parts"][0]["arguments"])["to"]
    assert planted not in found and found.startswith("[")


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_and_ids_that_are_nothing_of_the_kind_stay(text: str) -> None:
    assert masking.mask_text(text) == text


def test_a_card_beside_other_digits_is_found() -> None:
    assert masking.mask_text("order 55 4111 1111 1111 1111 123") == "order 55 [CARD] 123"


def test_assignments_and_headers_lose_their_value_only() -> None:
    assert masking.mask_text("password=correct-horse") == "password=[SECRET]"
    assert "abcdefgh12345" not in masking.mask_text("Authorization: Bearer abcdefgh12345")
    assert masking.mask_text("postgres://app:hunter22@db/x") == "postgres://app:[SECRET]@db/x"


def test_attributes_named_as_secrets_are_replaced_whatever_they_hold() -> None:
    masked = masking.mask_attributes(
        {"http.request.header.authorization": ["abc"], "http.request.header.cookie": "a=b"}
    )
    assert masked == {"http.request.header.authorization": "[SECRET]", "http.request.header.cookie": "[SECRET]"}


HEADERS = {
    "x-api-key": "abcdef", "X_API_KEY": "abcdef", "authorization": "Token abcdef", "set_cookie": "sid=abcdef",
    "x-amz-security-token": "abcdef", "proxy-authorization": "Digest abcdef", "x-csrf-token": "abcdef",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), HEADERS.items())
@pytest.mark.parametrize("prefix", ["http.request.header.", "http.response.header.", "rpc.request.metadata.", ""])
def test_captured_headers_lose_their_value_in_every_spelling(name: str, value: str, prefix: str) -> None:
    assert "abcdef" not in str(masking.mask_attributes({prefix + name: value, prefix + name + ".list": 1}))
    assert "abcdef" not in str(masking.mask_attributes({prefix + name: (value,)}))


RAW = [
    "headers: {'Authorization': 'Token hunter2hunter2', 'a': 'b'}",
    "[(b'authorization', b'Token hunter2hunter2'), (b'accept', b'*/*')]",
    "[(b'x-api-key', b'hunter2hunter2')]",
    "> Authorization: Negotiate hunter2hunter2\n> Accept: */*",
    "Cookie: theme=dark; session=hunter2hunter2",
    "GET /items?page=2&sig=hunter2hunter2&x=1",
    "https://store/x?X-Amz-Signature=hunter2hunter2",
    '  {"password": "hunter2hunter2"}',
    '{"connection_string": "hunter2hunter2", "pwd": 1}',
    '{"auth": "hunter2hunter2"}',
    '"{\\"pwd\\": \\"hunter2hunter2\\"}"',
]


@pytest.mark.parametrize("text", RAW)
def test_a_secret_without_a_shape_goes_by_the_name_beside_it(text: str) -> None:
    assert "hunter2hunter2" not in masking.mask(text)


@pytest.mark.parametrize(
    "text", ["see {\\u0022a\\u0022: ann\\u0040example.org}", "b'ann\\x40example.org'", "/?m=ann%40example.org&n=1",
             "\ud800 ann@example.org", 'x {"k": "sk\\u002dproj-abcdefghijklmnopqrst"}']
)  # fmt: skip
def test_no_escape_hides_a_value(text: str) -> None:
    masked = masking.mask(text)
    assert "[EMAIL]" in masked or "[SECRET]" in masked


def test_numbers_under_secret_names_go_and_counts_of_tokens_stay() -> None:
    given_json = '{"password": 123456, "token": 17, "max_tokens": 5, "n": 1}'
    assert json.loads(masking.mask(given_json)) == {"password": "[SECRET]", "token": 17, "max_tokens": 5, "n": 1}


def test_what_is_kept_on_a_span_is_not_kept_inside_a_text() -> None:
    inside = '{"stanchion.user": "ann@example.org", "gen_ai.response.id": "4111111111111111"}'
    assert json.loads(masking.mask(inside)) == {"stanchion.user": "[EMAIL]", "gen_ai.response.id": "[CARD]"}
    assert masking.mask_attributes({"stanchion.user": "ann@example.org"}) == {"stanchion.user": "[EMAIL]"}
    assert masking.mask_attributes({"service.name": "ann@example.org"}) == {"service.name": "[EMAIL]"}


def test_command_lines_do_not_leave() -> None:
    assert masking.mask_attributes({"process.command_args": ["app", "--key", "abc"], "process.pid": 1}) == {
        "process.pid": 1
    }


@given(st.text(max_size=30), st.sampled_from([*PLANTED, *RAW]), st.text(max_size=30))
def test_the_quick_look_never_passes_what_a_pattern_would_replace(before: str, planted: str, after: str) -> None:
    for text in (before + planted + after, json.dumps([{before: planted + after}]), json.dumps(json.dumps([planted]))):
        if masking.mask_text(text) != text:
            assert patterns.may_match(text)


def test_ids_that_join_spans_survive() -> None:
    values = {"gen_ai.response.id": "sk-abcdefghijklmnopqrst", "stanchion.user": "4111111111111111"}
    assert masking.mask_attributes(values) == values


def test_nested_and_numeric_values_are_masked_in_their_shape() -> None:
    value = {"cards": [4111111111111111, 12], "ann@example.org": True, "deep": {"mail": "ann@example.org"}, "n": None}
    assert masking.mask(value) == {"cards": ["[CARD]", 12], "[EMAIL]": True, "deep": {"mail": "[EMAIL]"}, "n": None}


def test_off_drops_the_content_of_every_dialect_and_masks_the_rest() -> None:
    kept = masking.without_content({
        "gen_ai.input.messages": "x", "llm.input_messages.0.message.content": "x", "gen_ai.prompt.0.content": "x",
        "traceloop.entity.input": "x", "exception.stacktrace": "x",
        "url.full": "https://a/?q=what+ails+me", "someone.elses": "free text", "list": ["a", "b"],
        "embedding.vector": [0.1, 0.2], "n": 1, "flag": True, "gen_ai.request.model": "m",
        "gen_ai.prompt.name": "greeting", "session.id": "ann@example.org", "gen_ai.usage.details": '{"a":1}',
    })  # fmt: skip
    assert kept == {
        "n": 1, "flag": True, "gen_ai.request.model": "m", "gen_ai.prompt.name": "greeting",
        "session.id": "[EMAIL]", "gen_ai.usage.details": '{"a":1}',
    }  # fmt: skip


HOSTILE = {
    "a run before an at": "a" * 50_000 + "@",
    "token starts": "-eyJ" * 12_000,
    "key starts": "sk-" * 16_000,
    "digits": "4 " * 25_000,
    "account numbers": "AB12" * 12_000,
    "assignments": "token:" * 8_000,
    "cookies": "cookie:" * 7_000,
    "headers": "authorization: a " * 3_000,
    "escapes": "\\u0041" * 8_000,
    "dots": "a@" + "a." * 20_000,
    "plus signs": "+1 " * 16_000,
    "brackets": "[" * 50_000,
}


@pytest.mark.parametrize("engine", ["installed", "re"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_cost_no_more_than_linear_time(text: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "re":
        for name, lines in (("TEXT_PATTERNS", patterns._LINES), ("SMALL_PATTERNS", patterns._SMALL_LINES)):
            compiled = tuple((hints, re.compile(pattern), new) for hints, pattern, new in lines)
            monkeypatch.setattr(patterns, name, compiled)
    began = time.process_time()
    masking.mask(text)
    assert time.process_time() - began < 2.0


@given(st.text(max_size=300))
def test_masking_twice_changes_nothing_more_and_never_raises(text: str) -> None:
    once = masking.mask_text(text)
    assert masking.mask_text(once) == once


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


@given(st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)))
def test_json_in_is_json_out(value: object) -> None:
    masked = masking.mask(json.dumps(value), "x")
    json.loads(masked)
