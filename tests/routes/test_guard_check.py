"""POST /api/v1/guard/check: the verdict, whose it is, and what is recorded of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kit.guarding import CANARY, document, policy_in_force
from stanchion_guard.records import Part, Subject
from stanchion_server.policies import engine, recording, services
from stanchion_server.policies.decisions import Origin
from stanchion_server.policies.recording import recorder
from stanchion_server.policies.shadowing import shadower
from stanchion_server.routes import guard_check, guard_version
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import GuardDecision, Span

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    engine.forget_everything()
    yield
    recorder.flush()
    access.forget_everything()
    engine.forget_everything()


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def post(project: Project, body: Any, *, scope: Scope = Scope.GUARD) -> Any:
    key = tenants.create_key(project, "app", [scope])
    return Client(headers={"authorization": f"Bearer {key}", "user-agent": "shop/1.0 (linux)"}).post(
        "/api/v1/guard/check", body, content_type="application/json"
    )


DEFAULTS = "defaults: {when_late: block, when_failed: block}\n"


def recorded() -> list[GuardDecision]:
    shadower.flush()
    assert recorder.flush()
    return list(GuardDecision.objects.order_by("policy", "mode"))


def test_a_text_that_breaks_a_rule_is_blocked_and_the_finding_names_its_place(project: Project) -> None:
    policy_in_force(project)
    answer = post(project, {"policy": "chat", "text": f"see {CANARY}!", "stage": "output"}).json()
    assert (answer["action"], answer["message"]) == ("block", "That cannot be said here.")
    assert (answer["policy"], answer["policy_version"], answer["mode"]) == ("chat", "1", "live")
    [finding] = answer["findings"]
    assert (finding["detector"], finding["start"], finding["end"]) == ("canary", 4, 4 + len(CANARY))
    assert answer["coverage"]["complete"] is True


def test_a_harmless_text_is_allowed_with_proof_that_it_was_checked(project: Project) -> None:
    policy_in_force(project)
    answer = post(project, {"policy": "chat", "text": "good morning", "stage": "input"}).json()
    assert answer["action"] == "allow"
    assert (answer["coverage"]["total_characters"], answer["coverage"]["guarded_characters"]) == (12, 12)
    assert [check["outcome"] for check in answer["checks"]] == ["ran"]


def test_a_language_that_a_detector_was_not_measured_in_is_told_and_recorded_and_is_no_gap(project: Project) -> None:
    rule = "  - {id: attack, stages: [input], detector: prompt_injection, action: block}"
    policy_in_force(project, "chat", f"policy: chat\nversion: 1\n{DEFAULTS}rules:\n{rule}\n")
    text = "Guten Tag, ich habe eine Frage zu meiner Bestellung und hoffe auf eine schnelle Antwort von Ihnen."
    answer = post(project, {"policy": "chat", "text": text, "stage": "input"}).json()
    assert answer["coverage"]["limits"] == [["attack", "language de not covered"]]
    assert (answer["action"], answer["coverage"]["complete"], answer["coverage"]["not_run"]) == ("allow", True, [])
    [row] = recorded()
    assert (row.is_complete, row.not_run) == (True, None)
    assert row.limits == [["attack", "language de not covered"]]
    assert (row.checks[0]["outcome"], row.checks[0]["reason"]) == ("ran", "language de not covered")
    reader = Client(headers={"authorization": f"Bearer {tenants.create_key(project, 'r', [Scope.READ_METRICS])}"})
    for query, size in (("limited=true", 1), ("limited=false", 0), ("limited_rule=attack&limited_reason=x", 0)):
        items = reader.get(f"/api/v1/decisions?{query}").json()["items"]
        assert [one["limits"] for one in items] == [[["attack", "language de not covered"]]] * size, query
    assert reader.get("/api/v1/decisions/effects").json()["items"][0]["limited"] == 1


def test_every_check_is_recorded_with_its_span_in_the_callers_trace(project: Project) -> None:
    policy_in_force(project)
    trace_id = uuid.uuid4().hex
    body = {"policy": "chat", "text": CANARY, "trace_id": trace_id, "span_id": "00000000000000ff", "feature": "search",
            "session_id": "s-1", "check_id": "c-1"}  # fmt: skip
    assert post(project, body).status_code == 200
    [row] = recorded()
    assert (row.check_id, row.trace_id.hex, row.parent_span_id, row.feature) == ("c-1", trace_id, 255, "search")
    assert (row.source, row.mode, row.rules, row.session_id) == ("rest", "live", ["canary"], "s-1")
    span = Span.objects.get(trace_id=row.trace_id, span_id=row.span_id)
    assert CANARY not in str(span.attributes)


def test_messages_tool_calls_and_contexts_are_all_judged(project: Project) -> None:
    policy_in_force(project)
    for body in (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": CANARY}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": CANARY}}]}]},
        {"tool_calls": [{"name": "f", "arguments": {"to": CANARY}}]},
        {"tool_results": [{"name": "f", "content": CANARY}]},
        {"contexts": ["fine", {"text": CANARY, "kind": "email"}], "text": "fine"},
        {"parts": [{"stage": "retrieved", "text": CANARY}]},
        {"text": "fine", "response": CANARY},
    ):
        assert post(project, {"policy": "chat", **body}).json()["action"] == "block", body


def test_tool_calls_and_results_inside_a_messages_content_are_judged_and_what_nobody_reads_is_told(
    project: Project,
) -> None:
    policy_in_force(project)
    shot = {"type": "image", "source": {"data": "AAAA"}}
    said = {"type": "text", "text": "good morning"}
    for block in (
        {"type": "tool_use", "id": "1", "name": "send", "input": {"to": CANARY}},
        {"type": "tool_result", "tool_use_id": "1", "content": CANARY},
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": CANARY}, shot]},
    ):
        body = {"policy": "chat", "messages": [{"role": "user", "content": [said, block]}]}
        assert post(project, body).json()["action"] == "block", block
    old = {"role": "assistant", "function_call": {"name": "send", "arguments": CANARY}}
    assert post(project, {"policy": "chat", "messages": [old]}).json()["action"] == "block"
    seen = {"type": "image_url", "image_url": {"url": "data:"}}
    told = post(project, {"policy": "chat", "messages": [{"role": "user", "content": [said, seen]}]}).json()
    assert (told["action"], told["coverage"]["complete"]) == ("allow", False)
    assert told["coverage"]["not_run"] == [["client", "image_url: no check reads it"]]
    assert [row.is_complete for row in recorded()][-1] is False


FUNCTION = {"name": "send", "arguments": CANARY}
MESSAGES: list[dict[str, Any]] = [
    {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": CANARY}}]},
    {"role": "assistant", "content": "fine", "reasoning_content": CANARY},
    {"role": "user", "text": CANARY},
    {"role": "user", "content": "fine", "note_to_all": CANARY},
    {"type": "function_call", "call_id": "1", **FUNCTION},
    {"type": "custom_tool_call", "name": "sh", "input": CANARY},
    {"type": "function_call_output", "call_id": "1", "output": CANARY},
    {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": CANARY}]},
    {"type": "mcp_call", "name": "f", "arguments": "{}", "output": CANARY},
    {"type": "local_shell_call", "action": {"command": ["echo", CANARY]}},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": CANARY}]},
    {"role": "user", "parts": [{"text": CANARY}]},
    {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"to": CANARY}}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": CANARY}}}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": CANARY}]},
    {"role": "assistant", "content": [{"type": "mcp_tool_use", "name": "f", "input": {"to": CANARY}}]},
    {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": CANARY}}]},
    {
        "role": "user",
        "content": [{"type": "search_result", "title": "t", "content": [{"type": "text", "text": CANARY}]}],
    },
    {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"json": {"a": CANARY}}]}}]},
    {"type": "ai", "data": {"content": "", "tool_calls": [{"name": "f", "args": {"to": CANARY}, "type": "tool_call"}]}},
    {"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"], "kwargs": {"content": CANARY}},
]
BODIES: list[dict[str, Any]] = [
    *({"messages": [{"role": "user", "content": "fine"}, row]} for row in MESSAGES),
    {"tool_calls": [{"id": "1", "type": "function", "function": FUNCTION}]},
    {"tool_calls": [{"type": "custom", "custom": {"name": "sh", "input": CANARY}}]},
    {"tool_calls": [{"type": "tool_use", "name": "send", "input": {"to": CANARY}}]},
    {"tool_calls": [{"functionCall": {"name": "send", "args": {"to": CANARY}}}]},
    {"tool_calls": [{"name": "send", "arguments": {}, "because": CANARY}]},
    *({"tool_results": [{"name": "f", key: CANARY}]} for key in ("result", "output", "content", "text", "said")),
    {"tool_results": [{"functionResponse": {"name": "f", "response": {"result": CANARY}}}]},
    {"tool_results": [{"name": "f", "content": [{"type": "order", "note": CANARY}]}]},
    *({"contexts": [{key: CANARY}], "text": "fine"} for key in ("content", "page_content", "text", "pageContent")),
    {"contexts": [{"content": [{"type": "text", "text": CANARY}], "score": 0.5}]},
    {"contexts": [{"text": "fine", "title": CANARY}]},
]


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_every_shape_in_which_clients_send_texts_is_judged(project: Project, body: dict[str, Any]) -> None:
    policy_in_force(project)
    assert post(project, {"policy": "chat", **body}).json()["action"] == "block"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"messages": [{"role": "user", "content": "fine", "extra": {"a": ["b"]}}]}, "extra"),
        ({"messages": [{"role": "user", "parts": [{"text": "a"}, {"inlineData": {"data": "AA"}}]}]}, "inlineData"),
        ({"messages": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "1"}]}, "item_reference"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram", "at": "x"}]}], "text": "a"}, "hologram"),
        ({"tool_calls": [{"name": "send", "arguments": {}, "plan": {"to": "me"}}]}, "plan"),
        ({"tool_results": [{"name": "f", "content": "a", "artifact": {"to": "me"}}]}, "artifact"),
        ({"contexts": [{"page_content": "a", "metadata": {"source": "b"}}]}, "metadata"),
    ],
)
def test_what_cannot_be_read_leaves_the_coverage_incomplete(project: Project, body: dict[str, Any], name: str) -> None:
    policy_in_force(project)
    told = post(project, {"policy": "chat", **body}).json()
    assert (told["action"], told["coverage"]["complete"]) == ("allow", False)
    assert told["coverage"]["not_run"] == [["client", f"{name}: no check reads it"]]


def test_what_holds_no_text_leaves_the_coverage_complete(project: Project) -> None:
    policy_in_force(project)
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None, "tool_calls": [
            {"id": "1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "b"},
        {"id": "1", "type": "message", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "c", "annotations": [], "logprobs": []}]},
        {"id": "1", "type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "d", "signature": "x"}]},
    ]  # fmt: skip
    told = post(project, {"policy": "chat", "messages": messages}).json()
    assert (told["action"], told["coverage"]["complete"], told["coverage"]["not_run"]) == ("allow", True, [])
    assert told["texts"] == ["a", "{}", "b", "c", "d"]


def test_the_texts_of_a_message_are_one_part_before_its_tool_calls(project: Project) -> None:
    policy_in_force(project)
    row = {"role": "assistant", "content": [{"type": "text", "text": "a"}, "b"], "tool_calls": [{"function": FUNCTION}]}
    assert post(project, {"policy": "chat", "messages": [row]}).json()["texts"][:1] == ["a\nb"]


def test_the_question_is_background_and_not_judged(project: Project) -> None:
    policy_in_force(project)
    answer = post(project, {"policy": "chat", "query": CANARY, "response": "fine"}).json()
    assert answer["action"] == "allow"


def test_a_shadow_is_recorded_beside_and_changes_nothing(project: Project) -> None:
    policy = policy_in_force(project, "chat", document("other-word-1", "flag"), document())
    services.set_shadow(project.pk, policy.pk, 2, "tester")
    assert post(project, {"policy": "chat", "text": CANARY}).json()["action"] == "allow"
    live, shadow = recorded()
    assert (live.mode, live.policy_version, live.action) == ("live", "1", 0)
    assert (shadow.mode, shadow.policy_version, shadow.action) == ("shadow", "2", 5)
    assert live.check_id == shadow.check_id


def test_an_enforced_policy_judges_whatever_was_asked_for(project: Project) -> None:
    policy_in_force(project, "mild", document("other-word-1", "flag"))
    strict = policy_in_force(project, "strict-house", document())
    services.enforce(project.pk, strict.pk, "tester")
    answer = post(project, {"policy": "mild", "text": CANARY}).json()
    assert (answer["action"], answer["policy"]) == ("block", "strict-house")
    assert {row.policy for row in recorded()} == {"mild", "strict-house"}


def test_the_masks_of_the_policy_asked_for_and_of_the_enforced_one_are_both_put_on(project: Project) -> None:
    own = policy_in_force(project, "mild", document("other-word-1", "redact"), document("other-word-2", "redact"))
    house = policy_in_force(project, "house", document(action="redact"))
    services.enforce(project.pk, house.pk, "tester")
    answer = post(project, {"policy": "mild", "text": f"{CANARY} and other-word-1"}).json()
    assert answer["texts"] == ["[CANARY] and [CANARY]"]
    assert len(answer["findings"]) == 2
    subject, origin = Subject((Part("input", f"{CANARY} and other-word-2"),)), Origin("c", "rest", uuid.uuid4())
    caller = guard_check.Caller(project.pk, 0, "tests")
    pinned = guard_version.check(caller, own, "2", subject, origin, engine.Manner())
    assert pinned.verdict.texts == ("[CANARY] and [CANARY]",)


def test_of_parts_those_are_judged_whose_numbers_are_given(project: Project) -> None:
    policy_in_force(project)
    parts = [{"stage": "input", "text": CANARY}, {"stage": "output", "text": "fine"}]
    asked = {"policy": "chat", "parts": parts}
    told = post(project, {**asked, "judged": [1]}).json()
    assert (told["action"], told["coverage"]["total_characters"]) == ("allow", 4)
    assert post(project, {**asked, "judged": [0]}).json()["action"] == "block"
    for wrong in ([2], [-1], [True], ["0"]):
        refused = post(project, {**asked, "judged": wrong})
        assert (refused.status_code, "from 0 to 1" in refused.content.decode()) == (400, True)
    assert post(project, {"text": "a", "judged": [0]}).status_code == 400


def test_a_switched_off_policy_says_that_nothing_ran(project: Project) -> None:
    policy = policy_in_force(project)
    services.set_switch(project.pk, policy.pk, "off", "blocks everybody", "tester")
    answer = post(project, {"policy": "chat", "text": CANARY}).json()
    assert answer["action"] == "allow"
    assert answer["coverage"]["complete"] is False
    assert "blocks everybody" in answer["coverage"]["not_run"][0][1]
    assert recorded()[0].is_complete is False


def test_block_all_blocks_even_good_morning(project: Project) -> None:
    policy = policy_in_force(project)
    services.set_switch(project.pk, policy.pk, "block_all", "incident 7", "tester")
    answer = post(project, {"policy": "chat", "text": "good morning"}).json()
    assert (answer["action"], answer["message"]) == ("block", "This assistant cannot answer at the moment.")
    assert "incident 7" in answer["coverage"]["not_run"][0][1]


def test_rolling_back_is_obeyed_at_once(project: Project) -> None:
    policy = policy_in_force(project, "chat", document("other-word-1"), document())
    services.set_live(project.pk, policy.pk, 2, "tester")
    assert post(project, {"policy": "chat", "text": CANARY}).json()["action"] == "block"
    services.set_live(project.pk, policy.pk, 1, "tester")
    assert post(project, {"policy": "chat", "text": CANARY}).json()["action"] == "allow"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 400, "bad_body"),
        ({}, 400, "nothing_to_check"),
        ({"text": 7}, 400, "bad_body"),
        ({"text": "a", "stage": "sideways"}, 400, "bad_body"),
        ({"text": "a", "colour": "red"}, 400, "unknown_field"),
        ({"text": "a", "policy": "nobody-made-it"}, 404, "policy_not_found"),
        ({"text": "a", "trace_id": "xyz"}, 400, "bad_body"),
        ({"text": "a", "deadline_ms": -1}, 400, "bad_body"),
        ({"text": "a" * 1_000_001}, 413, "too_large"),
        ({"messages": ["a"]}, 400, "bad_body"),
        ({"messages": [{"role": "user", "content": 7}]}, 400, "bad_body"),
        ({"tool_calls": {"a": 1}}, 400, "bad_body"),
        ({"text": "a", "usage": {"steps": "many"}}, 400, "bad_body"),
        ({"text": None}, 400, "nothing_to_check"),
        ({"parts": [{"stage": "input"}]}, 400, "bad_body"),
        ({"parts": [{"stage": "input", "text": None}]}, 400, "bad_body"),
        ({"parts": [{"stage": "input", "text": "a", "tex": "b"}]}, 400, "unknown_field"),
        ({"contexts": [{"name": "a"}], "text": "a"}, 400, "bad_body"),
        ({"tool_calls": [{"id": "1"}]}, 400, "bad_body"),
        ({"tool_results": [{}]}, 400, "bad_body"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, 400, "bad_body"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy(project: Project, body: Any, status: int, code: str) -> None:
    policy_in_force(project)
    answer = post(project, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_warm_check_asks_the_database_nothing(project: Project, django_assert_num_queries: Any) -> None:
    policy_in_force(project)
    key = tenants.create_key(project, "app", [Scope.GUARD])
    client, body = Client(headers={"x-api-key": key}), {"policy": "chat", "text": CANARY}
    assert client.post("/api/v1/guard/check", body, content_type="application/json").status_code == 200
    with django_assert_num_queries(0):
        assert client.post("/api/v1/guard/check", body, content_type="application/json").status_code == 200


def test_a_body_beyond_eight_mebibytes_is_refused_unread(project: Project) -> None:
    key = tenants.create_key(project, "app", [Scope.GUARD])
    answer = Client(headers={"x-api-key": key}).post(
        "/api/v1/guard/check", b" " * ((8 << 20) + 1), content_type="application/json"
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_refusal_that_quotes_half_a_character_is_still_an_answer(project: Project) -> None:
    answer = post(project, '{"\\ud800": 1}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_field")


def test_a_policy_whose_name_no_policy_can_have_is_not_found(project: Project) -> None:
    key = tenants.create_key(project, "app", [Scope.READ_METRICS])
    answer = Client(headers={"authorization": f"Bearer {key}"}).get("/api/v1/policies/a%00b")
    assert answer.status_code == 404


def test_hostile_characters_come_back_whole(project: Project) -> None:
    policy_in_force(project)
    body = f'{{"policy": "chat", "text": "a\\u0000\\ud800 {CANARY}", "feature": "f\\u0000", "check_id": "\\ud800"}}'
    key = tenants.create_key(project, "app", [Scope.GUARD])
    answer = Client(headers={"x-api-key": key}).post("/api/v1/guard/check", body, content_type="application/json")
    assert answer.status_code == 200
    assert answer.json()["findings"][0]["start"] == 4
    assert len(recorded()) == 1


def test_a_key_without_the_scope_is_refused(project: Project) -> None:
    policy_in_force(project)
    answer = post(project, {"policy": "chat", "text": "a"}, scope=Scope.INGEST)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_scope")


def test_another_projects_policy_does_not_exist(project: Project) -> None:
    other = tenants.create_project(tenants.create_organisation("Other"), "Other")
    policy_in_force(other, "secret-policy")
    assert post(project, {"policy": "secret-policy", "text": "a"}).status_code == 404


def test_an_error_nobody_foresaw_leaves_the_writer_at_work(
    project: Project, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any
) -> None:
    policy_in_force(project)
    monkeypatch.setattr(recording, "RETRY_S", 0.01)
    recorder.flush()
    failed = threading.Event()
    monkeypatch.setattr(recording.log, "error", lambda *_: failed.set())
    assert post(project, {"policy": "chat", "text": CANARY}).status_code == 200
    with django_db_blocker.block():
        assert failed.wait(10)
    assert any(GuardDecision.objects.exists() or pause.wait(0.05) for pause in [threading.Event()] * 200)
