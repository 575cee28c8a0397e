"""LiteLLM's generic guardrail: golden requests, and the gateway's own client code."""

from __future__ import annotations

from typing import Any

import pytest

from kit.client_envs import run_app
from kit.compat import Compat, clean_caches, compat, decisions
from kit.guarding import CANARY, document, policy_in_force
from stanchion_server.tenants.models import Scope

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
PATH = "/litellm/beta/litellm_basic_guardrail_api"
CALL = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": '{"to": "a.b@example.org"}'}}
MASKING = """policy: chat
version: 1
defaults: {when_late: block, when_failed: block}
rules:
  - {id: pii, stages: [input, output, tool_call], detector: pii, action: redact}
"""


def golden(*texts: str, kind: str = "request", **more: Any) -> dict[str, Any]:
    return {
        "input_type": kind, "texts": list(texts), "images": None, "tools": None, "tool_calls": None,
        "structured_messages": None, "request_data": {"user_api_key_end_user_id": "u-1"}, "request_headers": None,
        "litellm_call_id": "c", "litellm_trace_id": "5f0c1d8e-58b8-4c57-a1ad-0a2f43b0c5c5", "litellm_version": "1",
        "model": "gpt-4o-mini", "additional_provider_specific_params": {"policy": "chat"}, **more,
    }  # fmt: skip


def shop_with(*documents: str) -> Compat:
    shop = compat()
    policy_in_force(shop.project, "chat", *documents)
    return shop


def ask(shop: Compat, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    response = shop.post(PATH, body, **headers)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def test_a_harmless_text_passes_and_the_decision_belongs_to_the_gateways_trace() -> None:
    shop = shop_with(document())
    answer = ask(shop, golden("hello", "there"))
    assert (answer["action"], answer["texts"]) == ("NONE", ["hello", "there"])
    assert "stream_holdback_chars" not in answer
    [row] = decisions(shop.project)
    assert (row.source, row.trace_id.hex) == ("litellm", "5f0c1d8e58b84c57a1ad0a2f43b0c5c5")


def test_a_forbidden_text_is_blocked_with_the_policys_message() -> None:
    answer = ask(shop_with(document()), golden(CANARY))
    assert (answer["action"], answer["blocked_reason"]) == ("BLOCKED", "That cannot be said here.")


def test_masked_texts_come_back_at_their_places() -> None:
    answer = ask(shop_with(MASKING), golden("one", "mail a.b@example.org"))
    assert (answer["action"], answer["texts"]) == ("GUARDRAIL_INTERVENED", ["one", "mail [EMAIL]"])


def test_a_secret_in_a_tool_call_blocks_because_the_format_cannot_carry_the_mask() -> None:
    answer = ask(shop_with(MASKING), golden("ok", kind="response", tool_calls=[CALL]))
    assert answer["action"] == "BLOCKED"
    assert "tool call" in answer["blocked_reason"]


def test_the_roles_of_the_messages_choose_the_stage() -> None:
    rules = document().replace("[input, output, retrieved, tool_call, tool_result]", "[tool_result]")
    shop = shop_with(rules)
    rows = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "tool", "content": CANARY}]
    assert ask(shop, golden("hi", CANARY, structured_messages=rows))["action"] == "BLOCKED"
    assert ask(shop, golden("hi", CANARY))["action"] == "NONE"


def test_a_stream_is_told_how_much_to_hold_back_so_that_no_half_of_a_number_is_shown() -> None:
    text = "This is a first sentence, and it is quite long, so it can go. " * 12 + "Mail ann.lee@exam"
    answer = ask(shop_with(MASKING), golden(text, kind="response"))
    [held] = answer["stream_holdback_chars"]
    assert len("ann.lee@exam") <= held < len(text)
    assert "ann.lee" not in answer["texts"][0][:-held]


def test_the_header_goes_before_parameters_that_the_gateways_users_can_add() -> None:
    shop = shop_with(document())
    loose = golden(CANARY, additional_provider_specific_params={"policy": "observe"})
    assert ask(shop, loose)["action"] == "NONE"
    assert ask(shop, loose, **{"x-stanchion-policy": "chat"})["action"] == "BLOCKED"


def test_what_was_not_looked_at_is_named() -> None:
    shop = shop_with(document())
    answer = ask(shop, golden("a", images=["data:"], tools=[{"type": "function"}]))
    assert answer["stanchion"]["not_checked"] == ["images", "tools"]
    assert answer["stanchion"]["coverage"]["complete"] is False
    assert ask(shop, golden(images=["data:"]))["stanchion"]["not_checked"] == ["images"]


CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": CANARY}}


@pytest.mark.parametrize(
    "row",
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**CALL, "function": {"name": "f", "arguments": CANARY}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [CUSTOM]},
        {"role": "tool", "tool_call_id": "c1", "content": CANARY},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": CANARY}]},
        {"role": "assistant", "content": "fine", "reasoning_content": CANARY},
    ],
)
def test_what_the_messages_hold_beside_the_texts_is_judged(row: dict[str, Any]) -> None:
    shop = shop_with(document())
    answer = ask(shop, golden("hi", structured_messages=[{"role": "user", "content": "hi"}, row]))
    assert (answer["action"], answer["texts"]) == ("BLOCKED", ["hi"])


def test_a_custom_tool_call_is_judged_and_no_refusal() -> None:
    shop = shop_with(document())
    assert ask(shop, golden("hi", kind="response", tool_calls=[CUSTOM]))["action"] == "BLOCKED"
    fine = {**CUSTOM, "custom": {"name": "sh", "input": "ls"}}
    answer = ask(shop, golden("hi", kind="response", tool_calls=[fine]))
    assert (answer["action"], answer["stanchion"]["coverage"]["complete"]) == ("NONE", True)


def test_what_the_messages_repeat_is_judged_once_and_what_cannot_be_read_is_named() -> None:
    shop = shop_with(document())
    rows = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "a"}}]},
        {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "ok"}, 5,
    ]  # fmt: skip
    answer = ask(shop, golden("hi", "", "ok", tool_calls=[CALL], structured_messages=rows))
    assert (answer["action"], answer["texts"]) == ("NONE", ["hi", "", "ok"])
    assert answer["stanchion"]["not_checked"] == ["image_url", "structured_messages"]
    assert decisions(shop.project)[0].characters == len("hiok") + len(CALL["function"]["arguments"])  # type: ignore[index]


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", {}, golden("a", kind="both"), golden("a", tool_calls=5), golden("a", tool_calls=[5]),
        golden("a", tool_calls=[{"function": {"name": 5}}]), golden() | {"texts": "a"}, golden() | {"texts": [1]},
        golden() | {"input_type": []},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(body: Any) -> None:
    response = shop_with(document()).post(PATH, body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_body")


@pytest.mark.parametrize(
    "odd",
    [
        {"structured_messages": [5, {"role": 4, "content": {}}]}, {"request_data": 5}, {"litellm_trace_id": {"a": 1}},
        {"request_data": {"user_api_key_end_user_id": "a\x00"}}, {"litellm_trace_id": "\x00\ud800"},
        {"additional_provider_specific_params": []},
    ],
)  # fmt: skip
def test_odd_values_beside_the_texts_change_nothing(odd: dict[str, Any]) -> None:
    shop = shop_with(document())
    assert ask(shop, golden(CANARY) | odd, **{"x-stanchion-policy": "chat"})["action"] == "BLOCKED"
    assert len(decisions(shop.project)) == 1


def test_the_key_comes_as_the_gateway_sends_it_and_reaches_its_own_project_only() -> None:
    shop, other = shop_with(document()), compat("Other")
    given = golden(CANARY)
    assert shop.post(PATH, given, authorization="", **{"x-api-key": shop.key}).status_code == 200
    assert other.post(PATH, given).status_code == 404
    assert shop.post(PATH, given, authorization="").status_code == 401
    assert compat("Third", Scope.INGEST).post(PATH, given).status_code == 403


@pytest.mark.clients
@pytest.mark.slow
def test_litellms_own_client_code_obeys_the_answers(live_server: Any) -> None:
    shop = shop_with(MASKING + document().split("rules:\n")[1])
    said = run_app(
        "litellm", "litellm_guardrail_app.py", f"{live_server.url}/compat/litellm", shop.key, CANARY,
        variables={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )  # fmt: skip
    told = [line for line in said.splitlines() if line.startswith("told ")]
    assert told == [
        "told passed ['hello']",
        "told masked ['mail [EMAIL]']",
        "told blocked That cannot be said here.",
        "told held back True",
        "told refused",
    ]
