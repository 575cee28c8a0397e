"""The Detectors API: golden requests of an orchestrator's clients, by policies and by single detectors."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from kit.compat import Compat, clean_caches, compat, decisions
from kit.guarding import CANARY, document, policy_in_force
from stanchion_server.policies import services
from stanchion_server.tenants.models import Scope

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
BASE = "/detectors/api/v1/text"
CHAT = {"detector-id": "chat"}
PARAMS: dict[str, Any] = {"detector_params": {}}


def shop_with(*documents: str) -> Compat:
    shop = compat()
    policy_in_force(shop.project, "chat", *documents)
    return shop


def ask(shop: Compat, path: str, body: Any, **headers: str) -> Any:
    response = shop.post(f"{BASE}/{path}", body, **(headers or CHAT))
    assert response.status_code == 200, response.content
    return response.json()


def refused(path: str, body: Any, status: int = 422) -> str:
    shop = shop_with()
    response = shop.post(f"{BASE}/{path}", body, **CHAT)
    told = response.json()
    assert (response.status_code, told["code"]) == (status, status), response.content
    assert decisions(shop.project) == []
    return str(told["message"])


def test_each_text_has_a_list_of_its_own_with_offsets_in_characters() -> None:
    shop = shop_with()
    clean, hit = ask(shop, "contents", {"contents": ["good morning", f"🦓 see {CANARY}!"], **PARAMS})
    assert clean == []
    [found] = hit
    assert (found["start"], found["end"], found["text"]) == (6, 6 + len(CANARY), CANARY)
    assert (found["detection_type"], found["detector_id"], found["score"]) == ("canary", "chat", 1.0)
    [row] = decisions(shop.project)
    assert (row.source, row.policy, row.is_complete, row.action) == ("detectors", "chat", True, 5)


def test_action_and_coverage_travel_as_headers() -> None:
    response = shop_with().post(f"{BASE}/contents", {"contents": [CANARY]}, **CHAT)
    assert (response["x-stanchion-action"], response["x-stanchion-coverage"]) == ("block", "complete")


def test_a_detector_of_ours_answers_under_its_own_name_and_is_recorded_as_one() -> None:
    shop = compat()
    [[found]] = ask(shop, "contents", {"contents": ["mail ann.lee@example.org"]}, **{"detector-id": "pii"})
    assert (found["detection"], found["detection_type"], found["text"]) == ("EMAIL", "pii", "ann.lee@example.org")
    [row] = decisions(shop.project)
    assert (row.policy, row.policy_version, row.labels) == ("detector:pii", "", ["EMAIL"])


def test_a_policy_of_the_same_name_hides_the_detector() -> None:
    shop = compat()
    policy_in_force(shop.project, "pii")
    assert ask(shop, "contents", {"contents": ["mail ann.lee@example.org"]}, **{"detector-id": "pii"}) == [[]]


def test_the_enforced_policy_judges_beside_a_detector() -> None:
    shop = shop_with()
    services.enforce(shop.project.pk, policy_in_force(shop.project, "house").pk, "tester")
    [found] = ask(shop, "contents", {"contents": [f"ann.lee@example.org {CANARY}"]}, **{"detector-id": "pii"})
    assert [one["detection_type"] for one in found] == ["pii", "canary"]
    assert {row.policy for row in decisions(shop.project)} == {"detector:pii", "house"}


def test_a_detector_that_needs_parameters_says_so_and_an_unknown_one_is_not_found() -> None:
    shop = compat()
    for name, status in (("pattern", 422), ("nobody-made-it", 404), ("llm_judge", 404), ("../x", 404)):
        response = shop.post(f"{BASE}/contents", {"contents": ["a"]}, **{"detector-id": name})
        assert (response.status_code, response.json()["code"]) == (status, status), name
    assert decisions(shop.project) == []


def test_the_stage_of_texts_is_a_parameter() -> None:
    shop = shop_with(document().replace("[input, output, retrieved, tool_call, tool_result]", "[output]"))
    assert ask(shop, "contents", {"contents": [CANARY]}) == [[]]
    [[found]] = ask(shop, "contents", {"contents": [CANARY], "detector_params": {"stage": "output"}})
    assert found["detection_type"] == "canary"


def test_what_could_not_be_checked_is_no_empty_list() -> None:
    shop = shop_with()
    policy = policy_in_force(shop.project, "shut")
    services.set_switch(shop.project.pk, policy.pk, "block_all", "incident 7", "tester")
    [[found]] = ask(shop, "contents", {"contents": ["good morning"]}, **{"detector-id": "shut"})
    assert (found["detection"], found["start"], found["end"]) == ("not_checked", 0, 12)
    long = shop_with(document() + "size: {max_characters: 5, beyond: block}\n")
    [[cut]] = ask(long, "contents", {"contents": ["good morning"]})
    assert (cut["detection"], cut["score"]) == ("not_checked", 1.0)


def test_a_generated_text_is_judged_with_the_prompt_as_its_question() -> None:
    shop = shop_with()
    body = {"prompt": "What is it?", "generated_text": f"It is {CANARY}", **PARAMS}
    [found] = ask(shop, "generation", body)
    assert (found["detection_type"], found["score"], "start" in found) == ("canary", 1.0, False)
    assert ask(shop, "generation", {**body, "prompt": CANARY, "generated_text": "no"}) == []


@pytest.mark.parametrize("path", ["chat", "context/chat"])
@pytest.mark.parametrize(("field", "who"), [("messages", "role"), ("chat_history", "author")])
def test_both_generations_of_chats_are_read(path: str, field: str, who: str) -> None:
    shop = shop_with()
    history = [{who: "system", "content": CANARY}, {who: "user", "content": "hello"}]
    assert ask(shop, path, {field: history, **PARAMS}) == []
    [found] = ask(shop, path, {field: [*history, {who: "assistant", "content": CANARY}]})
    assert found["detection_type"] == "canary"


def test_parts_and_tool_calls_of_messages_are_judged() -> None:
    shop = shop_with()
    parts = {"role": "user", "content": [{"type": "text", "text": CANARY}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": CANARY}}]}
    for row in (parts, call, {"role": "tool", "content": CANARY}):
        assert ask(shop, "chat", {"messages": [row]}), row


def test_instructions_of_a_developer_are_read_like_those_of_a_system() -> None:
    shop = shop_with()
    rows = [{"role": "developer", "content": CANARY}, {"role": "user", "content": "hello"}]
    assert ask(shop, "chat", {"messages": rows}) == []
    assert decisions(shop.project)[0].characters == len("hello")


def test_tool_definitions_come_along_and_are_told_as_not_checked() -> None:
    shop = shop_with()
    body = {
        "messages": [{"role": "user", "content": CANARY}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    for headers in (CHAT, {"detector-id": "pii"}):
        response = shop.post(f"{BASE}/chat", body, **headers)
        assert response.status_code == 200, response.content
        assert (response["x-stanchion-coverage"], response["x-stanchion-not-checked"]) == ("incomplete", "tools")
    response = shop.post(f"{BASE}/chat", {**body, "tools": []}, **CHAT)
    assert response["x-stanchion-coverage"] == "complete"
    assert "x-stanchion-not-checked" not in response


def test_a_custom_tool_call_is_judged() -> None:
    call = {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": CANARY}}]}
    assert ask(shop_with(), "chat", {"messages": [call]})


def test_a_text_and_its_documents_are_judged_in_both_generations() -> None:
    shop = shop_with()
    for body in (
        {"content": CANARY, "context_type": "docs", "context": ["a"]},
        {"prompt": CANARY, "context_type": "chunks", "context": ["a"]},
        {"content": "a", "context_type": "document", "context": ["b", CANARY]},
    ):
        [found] = ask(shop, "context/doc", {**body, **PARAMS})
        assert found["detection_type"] == "canary"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("contents", {}), ("contents", {"contents": []}), ("contents", {"contents": "a"}),
        ("contents", {"contents": ["a", 1]}), ("contents", {"contents": ["a"], "content": "b"}),
        ("contents", {"contents": ["a"], "detector_params": {"threshold": 0.5}}),
        ("contents", {"contents": ["a"], "detector_params": {"stage": "sideways"}}),
        ("contents", {"contents": ["a"], "detector_params": {"stage": {}}}),
        ("contents", {"contents": ["a"], "detector_params": [1]}),
        ("generation", {"prompt": "a"}), ("generation", {"prompt": "a", "generated_text": None}),
        ("chat", {}), ("chat", {"messages": "a"}), ("chat", {"messages": [1]}),
        ("chat", {"messages": [{"role": "narrator", "content": "a"}]}),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
        ("chat", {"messages": [{"role": "user", "content": "a", "images": ["b"]}]}),
        ("chat", {"messages": [{"role": "user", "content": "a", "tool_calls": [{}]}]}),
        ("context/doc", {"content": "a", "context_type": "url", "context": ["https://example.org"]}),
        ("context/doc", {"content": "a", "context_type": {}, "context": []}),
        ("context/doc", {"content": "a", "prompt": "b", "context_type": "docs", "context": []}),
        ("context/doc", {"context_type": "docs", "context": ["a"]}),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_with_a_number_as_code(path: str, body: Any) -> None:
    assert refused(path, body)


def test_the_orchestrator_finds_the_same_at_the_root_with_its_health() -> None:
    shop = shop_with()
    client = Client(headers={"authorization": f"Bearer {shop.key}", **CHAT})
    answer = client.post("/api/v1/text/contents", {"contents": [CANARY]}, content_type="application/json")
    assert answer.json()[0][0]["detection_type"] == "canary"
    assert Client().get("/health").status_code == 200


def test_keys_and_projects_are_kept_apart() -> None:
    shop, other = shop_with(), compat("Other")
    body = {"contents": [CANARY]}
    assert other.post(f"{BASE}/contents", body, **CHAT).status_code == 404
    assert shop.post(f"{BASE}/contents", body, authorization="", **CHAT).status_code == 401
    assert compat("Third", Scope.INGEST).post(f"{BASE}/contents", body, **CHAT).status_code == 403
    assert shop.send("GET", f"{BASE}/contents").status_code == 405
