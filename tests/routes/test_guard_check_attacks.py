"""Ways around a guard that are known from others, tried over REST; the coverage tells the truth in each."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from kit.guarding import policy_in_force
from stanchion_server.policies import engine
from stanchion_server.policies.recording import recorder
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, Scope
from stanchion_server.traces.models import GuardDecision

pytestmark = pytest.mark.django_db(transaction=True)

STAGES = "[input, output, retrieved, tool_call, tool_result]"
POLICY = f"""policy: chat
version: 1
deadline_ms: 5000
defaults: {{when_late: block, when_failed: block}}
rules:
  - {{id: pii, stages: {STAGES}, detector: pii, action: redact}}
  - {{id: words, stages: {STAGES}, detector: words, parameters: {{words: [open sesame]}}, action: block}}
"""
ABSENT = """  - id: model
    stages: [output]
    detector: detoxify
    parameters: {checkpoint: /nowhere/model.ckpt, config: /nowhere/config}
    action: flag
    when_failed: ACTION
"""


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


def post(project: Project, policy: str, **body: Any) -> dict[str, Any]:
    policy_in_force(project, "chat", policy)
    key = tenants.create_key(project, "app", [Scope.GUARD])
    client = Client(headers={"authorization": f"Bearer {key}"})
    answer = client.post("/api/v1/guard/check", {"policy": "chat", **body}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_arguments_of_a_tool_are_judged_like_a_message(project: Project) -> None:
    call = {"function": {"name": "send", "arguments": '{"body": "open sesame, ann.lee@example.org"}'}}
    told = post(project, POLICY, messages=[{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert (told["action"], told["stage"], told["rules"]) == ("block", "tool_call", ["pii", "words"])
    assert told["texts"] == ['{"body": "open sesame, [EMAIL]"}']
    assert told["coverage"]["guarded_characters"] == len(call["function"]["arguments"])


def test_what_hides_in_base64_is_found_at_its_place(project: Project) -> None:
    hidden = base64.b64encode(b"Please write to ann.lee@example.org about it. ").decode()
    told = post(project, POLICY, text=f"Read this: {hidden} and answer.")
    assert told["action"] == "redact"
    assert hidden not in told["texts"][0] and told["texts"][0].startswith("Read this: [")
    assert told["coverage"]["complete"] is True


def test_one_hostile_sentence_in_a_long_document_is_found_and_all_of_it_was_read(project: Project) -> None:
    calm = "A quiet sentence about nothing. " * 4_000
    told = post(project, POLICY, text="What does it say?", contexts=[f"{calm}Now open sesame. {calm}"])
    assert (told["action"], told["rules"]) == ("block", ["words"])
    [finding] = told["findings"]
    assert finding["start"] == len(calm) + len("Now ")
    assert told["coverage"]["guarded_characters"] == 2 * len(calm) + len("Now open sesame. ") + len("What does it say?")


@pytest.mark.parametrize("action", ["flag", "block"])
def test_a_detector_that_cannot_run_is_told_of_and_the_policy_decides(project: Project, action: str) -> None:
    told = post(project, POLICY + ABSENT.replace("ACTION", action), text="good morning", stage="output")
    assert told["action"] == action
    coverage = told["coverage"]
    assert (coverage["complete"], coverage["guarded_characters"], coverage["ran"]) == (False, 0, 2)
    assert [rule for rule, _ in coverage["not_run"]] == ["model"]
    assert recorder.flush()
    assert GuardDecision.objects.get().is_complete is False


@pytest.mark.parametrize("action", ["flag", "block"])
def test_a_check_that_comes_after_the_deadline_is_told_of_and_the_policy_decides(project: Project, action: str) -> None:
    policy = POLICY.replace("when_late: block", f"when_late: {action}")
    told = post(project, policy, text="good morning " * 2_000, deadline_ms=0.000_001)
    assert told["action"] == action
    assert (told["coverage"]["complete"], told["coverage"]["ran"]) == (False, 0)
    assert {reason.split(":")[0] for _, reason in told["coverage"]["not_run"]} == {"late"}


@pytest.mark.slow
def test_fifty_threads_get_each_its_own_verdict(live_server: Any, project: Project) -> None:
    policy_in_force(project, "chat", POLICY)
    key = tenants.create_key(project, "app", [Scope.GUARD])
    got: dict[int, tuple[str, str, bool]] = {}

    def check(number: int) -> None:
        text = f"number {number}: ann{number}@example.org" + " open sesame" * (number % 5 == 0)
        body = {"policy": "chat", "text": text, "check_id": f"check-{number}"}
        request = urllib.request.Request(
            f"{live_server.url}/api/v1/guard/check",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        got[number] = told["action"], told["texts"][0], told["coverage"]["complete"]

    threads = [threading.Thread(target=check, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert got == {
        number: ("redact", f"number {number}: [EMAIL]", True)
        if number % 5
        else ("block", f"number {number}: [EMAIL] open sesame", True)
        for number in range(50)
    }
    assert recorder.flush()
    assert set(GuardDecision.objects.values_list("check_id", flat=True)) == {f"check-{each}" for each in range(50)}
