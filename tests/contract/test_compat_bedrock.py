"""Bedrock's ApplyGuardrail: golden requests, and the stock boto3 client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.client_envs import run_app
from kit.compat import Compat, clean_caches, compat, decisions
from kit.guarding import CANARY, document, policy_in_force
from kit.tls import boto_variables, tls_front
from stanchion_server.policies import engine, services
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import bedrock

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
UNITS = {
    "topicPolicyUnits", "contentPolicyUnits", "wordPolicyUnits", "sensitiveInformationPolicyUnits",
    "sensitiveInformationPolicyFreeUnits", "contextualGroundingPolicyUnits",
}  # fmt: skip
MANY = """policy: chat
version: 1
message: Not here.
defaults: {when_late: block, when_failed: block}
rules:
  - {id: mail, stages: [input, output], detector: pii, parameters: {entities: [EMAIL]}, action: redact}
  - {id: ssn, stages: [input, output], detector: pii, parameters: {entities: [US_SSN]}, action: block}
  - {id: order, stages: [input, output], detector: pattern, action: redact,
     parameters: {patterns: [{name: order-id, regex: '[A-Z]{2}-[0-9]{3}'}]}}
  - {id: acme, stages: [input, output], detector: words, parameters: {words: [acme]}, action: flag}
  - {id: advice, stages: [input], detector: topic, threshold: 0.3, action: block,
     parameters: {name: Fiduciary advice, definition: which stocks and funds to buy,
                  examples: [Which stocks should I buy?]}}
  - {id: grounded, stages: [output], detector: groundedness, action: block}
  - {id: relevant, stages: [output], detector: relevance, action: flag}
"""


def text(value: str, *qualifiers: str) -> dict[str, Any]:
    return {"text": {"text": value, **({"qualifiers": list(qualifiers)} if qualifiers else {})}}


def path(identifier: str = "chat", version: str = "") -> str:
    return f"/bedrock/guardrail/{identifier}/version/{version}/apply"


def apply(
    shop: Compat, *blocks: dict[str, Any], source: str = "INPUT", to: str = path(), **more: str
) -> dict[str, Any]:
    response = shop.post(to, {"source": source, "content": list(blocks), **more})
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    assert set(found["usage"]) >= UNITS
    return found


def shop_with(*documents: str) -> Compat:
    shop = compat()
    policy_in_force(shop.project, "chat", *documents)
    return shop


def test_a_harmless_text_is_left_alone_and_covered() -> None:
    shop = shop_with(MANY)
    answer = apply(shop, text("What is the weather?"))
    assert (answer["action"], answer["outputs"]) == ("NONE", [])
    assert answer["guardrailCoverage"] == {"textCharacters": {"guarded": 20, "total": 20}}
    assert answer["usage"]["wordPolicyUnits"] == answer["usage"]["topicPolicyUnits"] == 1
    assert answer["usage"]["contentPolicyUnits"] == 0
    assert {row.source for row in decisions(shop.project)} == {"bedrock"}


def test_masking_returns_every_text_and_says_what_was_masked() -> None:
    answer = apply(shop_with(MANY), text("mail a.b@example.org"), text("order AB-123 of Acme"))
    assert (answer["action"], answer["actionReason"]) == ("GUARDRAIL_INTERVENED", "Guardrail masked.")
    assert [one["text"] for one in answer["outputs"]] == ["mail [EMAIL]", "order [ORDER_ID] of Acme"]
    [found] = answer["assessments"]
    assert found["sensitiveInformationPolicy"] == {
        "piiEntities": [{"match": "a.b@example.org", "action": "ANONYMIZED", "detected": True, "type": "EMAIL"}],
        "regexes": [
            {
                "match": "AB-123", "action": "ANONYMIZED", "detected": True, "name": "order-id",
                "regex": "[A-Z]{2}-[0-9]{3}",
            }
        ],
    }  # fmt: skip
    assert found["wordPolicy"]["customWords"] == [{"match": "Acme", "action": "NONE", "detected": True}]


def test_a_block_answers_with_the_message_and_each_entity_has_its_own_action() -> None:
    answer = apply(shop_with(MANY), text("My SSN is 536-22-1234, mail a.b@example.org"))
    assert (answer["outputs"], answer["actionReason"]) == ([{"text": "Not here."}], "Guardrail blocked.")
    entities = answer["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"]
    assert {one["type"]: one["action"] for one in entities} == {
        "US_SOCIAL_SECURITY_NUMBER": "BLOCKED", "EMAIL": "ANONYMIZED",
    }  # fmt: skip


def test_a_denied_topic_is_told_by_its_name() -> None:
    answer = apply(shop_with(MANY), text("Which stocks should I buy?"))
    topics = answer["assessments"][0]["topicPolicy"]["topics"]
    assert topics == [{"name": "Fiduciary advice", "type": "DENY", "action": "BLOCKED", "detected": True}]


def test_grounding_reads_the_sources_and_the_query_and_counts_as_bedrock_does() -> None:
    blocks = (
        text("Tokyo is the capital of Japan. It has 14 million people.", "grounding_source"),
        text("What is the capital of Japan?", "query"),
    )
    shop = shop_with(MANY)
    wrong = apply(shop, *blocks, text("London was founded by Romans in 43.", "guard_content"), source="OUTPUT")
    filters = {one["type"]: one for one in wrong["assessments"][0]["contextualGroundingPolicy"]["filters"]}
    assert (filters["GROUNDING"]["action"], filters["GROUNDING"]["detected"]) == ("BLOCKED", True)
    assert filters["GROUNDING"]["score"] < filters["GROUNDING"]["threshold"]
    right = apply(shop, *blocks, text("Tokyo is the capital of Japan.", "guard_content"), source="OUTPUT")
    assert right["action"] == "NONE"
    kept = {one["type"]: one for one in right["assessments"][0]["contextualGroundingPolicy"]["filters"]}
    assert kept["GROUNDING"]["score"] > 0.5


def test_the_full_scope_tells_also_what_was_not_found() -> None:
    shop = shop_with(MANY)
    brief = apply(shop, text("hello"))["assessments"][0]
    full = apply(shop, text("hello"), outputScope="FULL")["assessments"][0]
    assert "topicPolicy" not in brief
    assert full["topicPolicy"]["topics"][0]["detected"] is False
    kinds = {one["type"]: one["detected"] for one in full["sensitiveInformationPolicy"]["piiEntities"]}
    assert kinds == {"EMAIL": False, "US_SOCIAL_SECURITY_NUMBER": False}


def test_a_number_pins_a_version_draft_is_the_draft_and_nothing_is_what_is_in_force() -> None:
    shop = shop_with(document("first-word"), document("second-word"))
    [policy] = services.Policy.objects.filter(project=shop.project)
    services.save_draft(shop.project.pk, policy.pk, document("draft-word"), "tester")
    hits = {"": "first-word", "1": "first-word", "2": "second-word", "DRAFT": "draft-word"}
    for version, word in hits.items():
        for given in ("first-word", "second-word", "draft-word"):
            answer = apply(shop, text(given), to=path("chat", version))
            assert (answer["action"] == "GUARDRAIL_INTERVENED") is (given == word), (version, given)
    pinned = apply(shop, text("x"), to=path("chat", "2"))["assessments"][0]["appliedGuardrailDetails"]
    assert (pinned["guardrailVersion"], pinned["guardrailOrigin"]) == ("2", ["REQUEST"])


def test_where_the_engine_of_a_pinned_version_breaks_its_when_failed_decides() -> None:
    def no_time() -> int:
        raise RuntimeError("no time")

    shop = shop_with(document("first-word"))
    [policy] = services.Policy.objects.filter(project=shop.project)
    engine.guard_of(shop.project.pk, policy.pk, 1).clock = no_time
    answer = apply(shop, text("hello"), to=path("chat", "1"))
    assert (answer["action"], answer["outputs"]) == ("GUARDRAIL_INTERVENED", [{"text": "That cannot be said here."}])


def test_a_policy_goes_by_its_name_its_identifier_and_its_arn() -> None:
    shop = shop_with(document())
    [policy] = services.Policy.objects.filter(project=shop.project)
    identifier = bedrock.identifier_of(policy)
    arn = bedrock.arn_of(shop.project.pk, identifier)
    for name in ("chat", identifier, arn, arn.replace("/", "%2F").replace(":", "%3A")):
        assert apply(shop, text(CANARY), to=path(name))["outputs"] == [{"text": "That cannot be said here."}]


def test_a_thrown_switch_and_the_enforced_policy_go_before_a_pinned_version() -> None:
    shop = shop_with(document("first-word"))
    policy_in_force(shop.project, "house", document("house-word").replace("policy: chat", "policy: house"))
    chat, house = services.Policy.objects.filter(project=shop.project).order_by("pk")
    services.enforce(shop.project.pk, house.pk, "tester")
    answer = apply(shop, text("house-word"), to=path("chat", "1"))
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    assert [one["appliedGuardrailDetails"]["guardrailOrigin"] for one in answer["assessments"]] == [
        ["REQUEST"], ["ACCOUNT_ENFORCED"],
    ]  # fmt: skip
    services.set_switch(shop.project.pk, chat.pk, "block_all", "an incident", "tester")
    stopped = apply(shop, text("hello"), to=path("chat", "1"))
    assert stopped["action"] == "GUARDRAIL_INTERVENED"
    assert stopped["outputs"] == [{"text": "This assistant cannot answer at the moment."}]


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "{", {}, {"source": "INPUT"}, {"source": "INPUT", "content": []}, {"source": [], "content": []},
        {"source": "SIDE", "content": [text("a")]}, {"source": "INPUT", "content": [5]},
        {"source": "INPUT", "content": [{"image": {"format": "png", "source": {"bytes": "AA=="}}}]},
        {"source": "INPUT", "content": [text("a", "unheard_of")]}, {"source": "INPUT", "content": [{"text": {}}]},
        {"source": "INPUT", "content": [{"text": {"text": "a", "qualifiers": [{}]}}]},
        {"source": "INPUT", "content": [text("a")], "outputScope": {}},
        {"source": "INPUT", "content": [text("a")], "more": 1},
        {"source": "INPUT", "content": [text("a" * 1_000_001)]}, {"source": "INPUT", "content": [text("a")] * 1001},
    ],
)  # fmt: skip
def test_what_would_go_unchecked_is_refused_in_botocores_shape(body: Any) -> None:
    response = shop_with(document()).post(path(), body)
    assert (response.status_code, list(response.json())) == (400, ["message"])
    assert response["x-amzn-ErrorType"] in ("ValidationException", "ServiceQuotaExceededException")


@pytest.mark.parametrize(
    "identifier", ["nothing", "gr0000000000", "gr99999999999999999", "a%00b", "..", "a b", "%2F", "gr²"]
)
def test_an_identifier_that_names_nothing_is_not_found(identifier: str) -> None:
    response = shop_with(document()).post(path(identifier), {"source": "INPUT", "content": [text("a")]})
    assert (response.status_code, response["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("version", "status"), [("9", 404), ("0", 400), ("latest", 400), ("99999999999", 400), ("²", 400)]
)
def test_a_version_that_is_none_is_refused(version: str, status: int) -> None:
    response = shop_with(document()).post(path("chat", version), {"source": "INPUT", "content": [text("a")]})
    assert response.status_code == status


def test_another_projects_policy_is_not_found_by_name_nor_by_identifier() -> None:
    shop, other = shop_with(document()), compat("Other")
    [policy] = services.Policy.objects.filter(project=shop.project)
    for name in ("chat", bedrock.identifier_of(policy), bedrock.arn_of(shop.project.pk, bedrock.identifier_of(policy))):
        for version in ("", "1", "DRAFT"):
            answer = other.post(path(name, version), {"source": "INPUT", "content": [text("a")]})
            assert answer.status_code == 404


def test_no_key_is_access_denied() -> None:
    shop = shop_with(document())
    for headers in ({"authorization": ""}, {"authorization": "Bearer no"}):
        answer = shop.post(path(), {"source": "INPUT", "content": [text("a")]}, **headers)
        assert (answer.status_code, answer["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    lacking = compat("Other", Scope.INGEST).post(path(), {})
    assert (lacking.status_code, lacking["x-amzn-ErrorType"]) == (403, "AccessDeniedException")


@pytest.mark.clients
@pytest.mark.slow
def test_stock_boto3_reads_the_answer_and_the_refusal(live_server: Any, tmp_path: Path) -> None:
    shop = shop_with(MANY)
    [policy] = services.Policy.objects.filter(project=shop.project)
    arn = bedrock.arn_of(shop.project.pk, bedrock.identifier_of(policy))
    with tls_front(live_server.url, tmp_path) as front:
        said = run_app("many", "bedrock_guardrail_app.py", arn, variables=boto_variables(front, shop.key))
    assert said.splitlines()[-4:] == [
        "masked GUARDRAIL_INTERVENED mail [EMAIL]",
        "entity EMAIL ANONYMIZED",
        "by arn GUARDRAIL_INTERVENED",
        "refused ResourceNotFoundException 404",
    ]
