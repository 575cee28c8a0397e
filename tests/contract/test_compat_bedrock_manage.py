"""Bedrock's management of guardrails: golden requests, and the stock boto3 client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.client_envs import run_app
from kit.compat import Compat, clean_caches, compat
from kit.guarding import document, policy_in_force
from kit.tls import boto_variables, tls_front
from stanchion_guard.policy import load
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import bedrock_read, bedrock_write

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
ALL = "/bedrock/guardrails"
BOTH = {"inputEnabled": True, "outputEnabled": True}
TOPIC = {
    "name": "Fiduciary advice", "definition": "which stocks to buy", "examples": ["Which stocks should I buy?"],
    "type": "DENY", "inputAction": "BLOCK", "outputAction": "NONE", **BOTH,
}  # fmt: skip
EMAIL = {"type": "EMAIL", "action": "ANONYMIZE", "inputAction": "NONE", "outputAction": "ANONYMIZE", **BOTH}
REGEX = {"name": "order", "description": "of the shop", "pattern": "[A-Z]{2}-[0-9]{3}", "action": "BLOCK"}
FULL: dict[str, Any] = {
    "name": "shop", "description": "of the shop", "clientRequestToken": "0b4f",
    "blockedInputMessaging": "Not in.", "blockedOutputsMessaging": "Not out.",
    "topicPolicyConfig": {"topicsConfig": [TOPIC], "tierConfig": {"tierName": "CLASSIC"}},
    "wordPolicyConfig": {"wordsConfig": [{"text": "acme"}, {"text": "other shop", "inputEnabled": False}]},
    "sensitiveInformationPolicyConfig": {
        "piiEntitiesConfig": [EMAIL, {"type": "AWS_ACCESS_KEY", "action": "BLOCK"}], "regexesConfig": [REGEX],
    },
    "contextualGroundingPolicyConfig": {"filtersConfig": [{"type": "GROUNDING", "threshold": 0.3, "action": "BLOCK"}]},
}  # fmt: skip


def admin() -> Compat:
    return compat("Shop", Scope.ADMIN)


def created(shop: Compat, body: dict[str, Any] | None = None) -> str:
    response = shop.post(ALL, FULL if body is None else body)
    assert response.status_code == 202, response.content
    assert response.json()["version"] == "DRAFT"
    return str(response.json()["guardrailId"])


def read(shop: Compat, identifier: str, query: str = "") -> dict[str, Any]:
    response = shop.send("GET", f"{ALL}/{identifier}{query}")
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def apply(shop: Compat, identifier: str, version: str, text: str, source: str = "INPUT") -> dict[str, Any]:
    body = {"source": source, "content": [{"text": {"text": text}}]}
    response = shop.post(f"/bedrock/guardrail/{identifier}/version/{version}/apply", body)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def test_what_was_configured_is_read_back() -> None:
    shop = admin()
    told = read(shop, created(shop))
    assert (told["name"], told["status"], told["version"]) == ("shop", "READY", "DRAFT")
    assert (told["blockedInputMessaging"], told["blockedOutputsMessaging"]) == ("Not in.", "Not out.")
    assert told["topicPolicy"] == {"topics": [TOPIC]}
    words = {row["text"]: (row["inputEnabled"], row["outputEnabled"]) for row in told["wordPolicy"]["words"]}
    assert words == {"acme": (True, True), "other shop": (False, True)}
    sensitive = told["sensitiveInformationPolicy"]
    kinds = {row["type"]: (row["inputAction"], row["outputAction"]) for row in sensitive["piiEntities"]}
    assert kinds == {"EMAIL": ("NONE", "ANONYMIZE"), "AWS_ACCESS_KEY": ("BLOCK", "BLOCK")}
    assert REGEX.items() <= sensitive["regexes"][0].items()
    [grounding] = told["contextualGroundingPolicy"]["filters"]
    assert grounding == {"type": "GROUNDING", "threshold": 0.3, "action": "BLOCK", "enabled": True}
    assert "statusReasons" not in told


def test_a_created_guardrail_judges_each_direction_as_it_says() -> None:
    shop = admin()
    identifier = created(shop)
    assert apply(shop, identifier, "DRAFT", "of Acme")["outputs"] == [{"text": "Not in."}]
    assert apply(shop, identifier, "DRAFT", "of Acme", "OUTPUT")["outputs"] == [{"text": "Not out."}]
    assert apply(shop, identifier, "DRAFT", "the other shop")["action"] == "NONE"
    assert apply(shop, identifier, "DRAFT", "mail a.b@example.org")["action"] == "NONE"
    masked = apply(shop, identifier, "DRAFT", "mail a.b@example.org", "OUTPUT")
    assert masked["outputs"] == [{"text": "mail [EMAIL]"}]


def test_a_version_stays_as_it_was_when_the_draft_changes() -> None:
    shop = admin()
    identifier = created(shop)
    made = shop.post(f"{ALL}/{identifier}", {"description": "first"})
    assert (made.status_code, made.json()) == (202, {"guardrailId": identifier, "version": "1"})
    changed = FULL | {"wordPolicyConfig": {"wordsConfig": [{"text": "globex"}]}}
    assert shop.send("PUT", f"{ALL}/{identifier}", changed).status_code == 202
    assert apply(shop, identifier, "1", "acme")["action"] == "GUARDRAIL_INTERVENED"
    assert apply(shop, identifier, "DRAFT", "acme")["action"] == "NONE"
    assert read(shop, identifier, "?guardrailVersion=1")["wordPolicy"]["words"][0]["text"] == "acme"
    listed = shop.send("GET", f"{ALL}?guardrailIdentifier={identifier}").json()["guardrails"]
    assert [row["version"] for row in listed] == ["DRAFT", "1"]


def test_lists_come_in_pages_and_a_deleted_guardrail_is_gone() -> None:
    shop = admin()
    for name in ("a", "b", "c"):
        created(shop, FULL | {"name": name})
    first = shop.send("GET", f"{ALL}?maxResults=2").json()
    second = shop.send("GET", f"{ALL}?maxResults=2&nextToken={first['nextToken']}").json()
    assert [row["name"] for row in first["guardrails"] + second["guardrails"]] == ["a", "b", "c"]
    assert shop.send("DELETE", f"{ALL}/b?guardrailVersion=1").status_code == 400
    assert shop.send("DELETE", f"{ALL}/b").status_code == 202
    assert shop.send("GET", f"{ALL}/b").status_code == 404


def test_content_filters_become_detectors_with_the_strengths_thresholds() -> None:
    rows = [{"type": "HATE", "inputStrength": "HIGH", "outputStrength": "NONE"}]
    made = json.loads(bedrock_write.document(FULL | {"contentPolicyConfig": {"filtersConfig": rows}}))
    [rule] = [rule for rule in made["rules"] if rule["detector"] == "toxicity"]
    assert (rule["stages"], rule["threshold"], rule["parameters"]) == (["input"], 0.4, {"labels": ["hate"]})


def test_a_policy_of_ours_tells_what_bedrock_has_no_words_for() -> None:
    policy = load(
        "policy: x\nversion: 1\ndefaults: {when_late: flag, when_failed: flag}\nrules:\n"
        "  - {id: links, stages: [output], detector: links, action: redact}\n"
        "  - {id: pii, stages: [input, retrieved], detector: pii, action: flag,"
        " parameters: {entities: [EMAIL, DE_TAX_ID]}}\n"
    )
    told = bedrock_read.configuration(policy)
    assert [row["type"] for row in told["sensitiveInformationPolicy"]["piiEntities"]] == ["EMAIL"]
    assert len(told["statusReasons"]) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kmsKeyId", "k"), ("tags", [{"key": "a", "value": "b"}]),
        ("crossRegionConfig", {"guardrailProfileIdentifier": "x"}),
        ("automatedReasoningPolicyConfig", {"policies": ["x"]}), ("unheard", 1), ("blockedInputMessaging", ""),
        ("name", "no spaces"), ("name", "x" * 51), ("name", None), ("description", "x" * 201), ("description", 5),
        ("wordPolicyConfig", {"managedWordListsConfig": [{"type": "OTHER"}]}), ("wordPolicyConfig", 5),
        ("wordPolicyConfig", {"wordsConfig": [{"text": "a", "more": 1}]}), ("wordPolicyConfig", {"wordsConfig": [5]}),
        ("wordPolicyConfig", {"wordsConfig": [{"text": "a", "inputAction": "ANONYMIZE"}]}),
        ("wordPolicyConfig", {"x": []}),
        ("wordPolicyConfig", {"wordsConfig": [{"text": "a", "inputEnabled": "yes"}]}),
        ("topicPolicyConfig", {"topicsConfig": [TOPIC], "tierConfig": {"tierName": "STANDARD"}}),
        ("topicPolicyConfig", {"topicsConfig": [TOPIC | {"examples": 5}]}),
        ("topicPolicyConfig", {"topicsConfig": [TOPIC | {"type": []}]}),
        ("sensitiveInformationPolicyConfig", {"regexesConfig": [REGEX | {"pattern": "(?=x)y"}]}),
        ("sensitiveInformationPolicyConfig", {"regexesConfig": [REGEX | {"pattern": "(" * 400}]}),
        ("sensitiveInformationPolicyConfig", {"piiEntitiesConfig": [EMAIL | {"type": "CA_HEALTH_NUMBER"}]}),
        ("sensitiveInformationPolicyConfig", {"piiEntitiesConfig": [EMAIL | {"type": []}]}),
        ("contextualGroundingPolicyConfig", {"filtersConfig": [{"type": "GROUNDING", "threshold": 2}]}),
        ("contentPolicyConfig", {"filtersConfig": [{"type": "HATE", "inputStrength": "HIGH", "outputStrength": "X"}]}),
        ("contentPolicyConfig", {"filtersConfig": [{"type": "HATE", "inputModalities": ["IMAGE"]}]}),
    ],
)  # fmt: skip
def test_a_field_that_has_no_counterpart_or_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    shop = admin()
    response = shop.post(ALL, FULL | {field: value})
    assert (response.status_code, response["x-amzn-ErrorType"]) == (400, "ValidationException"), response.content
    assert shop.send("GET", ALL).json()["guardrails"] == []


def test_a_guardrail_that_checks_nothing_is_refused() -> None:
    empty = {name: FULL[name] for name in ("name", "blockedInputMessaging", "blockedOutputsMessaging")}
    with pytest.raises(SenderError, match="check nothing"):
        bedrock_write.document(empty)


def test_a_name_that_is_taken_is_a_conflict_and_a_name_stays() -> None:
    shop = admin()
    identifier = created(shop)
    again = shop.post(ALL, FULL | {"clientRequestToken": "another"})
    assert (again.status_code, again["x-amzn-ErrorType"]) == (409, "ConflictException")
    assert shop.send("PUT", f"{ALL}/{identifier}", FULL | {"name": "other"}).status_code == 400


def test_a_request_that_is_sent_again_makes_nothing_twice() -> None:
    shop = admin()
    identifier = created(shop)
    assert created(shop) == identifier
    assert shop.post(ALL, FULL | {"description": "not the same"}).status_code == 409
    asked = {"clientRequestToken": "v1"}
    assert shop.post(f"{ALL}/{identifier}", asked).json()["version"] == "1"
    changed = FULL | {"wordPolicyConfig": {"wordsConfig": [{"text": "globex"}]}}
    assert shop.send("PUT", f"{ALL}/{identifier}", changed).status_code == 202
    assert shop.post(f"{ALL}/{identifier}", asked).json()["version"] == "1", "the answer was lost, not the version"
    assert shop.post(f"{ALL}/{identifier}", {"clientRequestToken": "v2"}).json()["version"] == "2"


def test_a_deleted_guardrails_name_is_free_and_version_numbers_go_on() -> None:
    """Decisions name a policy and a version: no two texts may share both."""
    shop = admin()
    first = created(shop)
    assert shop.post(f"{ALL}/{first}", {}).json()["version"] == "1"
    assert shop.send("DELETE", f"{ALL}/{first}").status_code == 202
    second = created(shop)
    assert second != first
    assert shop.post(f"{ALL}/{second}", {}).json()["version"] == "2"
    assert shop.send("GET", f"{ALL}/{first}").status_code == 404
    assert shop.send("DELETE", f"{ALL}/{second}").status_code == 202
    assert created(shop) not in (first, second)


def test_an_update_replaces_the_description() -> None:
    shop = admin()
    identifier = created(shop)
    shop.send("PUT", f"{ALL}/{identifier}", FULL | {"description": "anew"})
    assert read(shop, identifier)["description"] == "anew"
    shop.send("PUT", f"{ALL}/{identifier}", {name: value for name, value in FULL.items() if name != "description"})
    assert "description" not in read(shop, identifier)


def test_the_managed_list_of_profanity_is_ours() -> None:
    shop = admin()
    lists = {"managedWordListsConfig": [{"type": "PROFANITY", "outputEnabled": False}]}
    identifier = created(shop, FULL | {"wordPolicyConfig": lists})
    told = apply(shop, identifier, "DRAFT", "what the F.U.C.K is this")
    assert told["outputs"] == [{"text": "Not in."}]
    [found] = told["assessments"][0]["wordPolicy"]["managedWordLists"]
    assert (found["type"], found["action"]) == ("PROFANITY", "BLOCKED")
    assert apply(shop, identifier, "DRAFT", "what the fuck", "OUTPUT")["action"] == "NONE"
    assert apply(shop, identifier, "DRAFT", "the Scunthorpe cocktail, assessed")["action"] == "NONE"
    [row] = read(shop, identifier)["wordPolicy"]["managedWordLists"]
    assert (row["type"], row["inputEnabled"], row["outputEnabled"]) == ("PROFANITY", True, False)


def test_what_is_in_force_is_not_asked_of_a_guardrail_that_has_nothing_in_force() -> None:
    shop = admin()
    identifier = created(shop)
    answer = shop.post(f"/bedrock/guardrail/{identifier}/version//apply", {
        "source": "INPUT", "content": [{"text": {"text": "acme"}}],
    })  # fmt: skip
    assert (answer.status_code, answer["x-amzn-ErrorType"]) == (400, "ValidationException")


def test_only_an_admins_key_manages_and_only_its_own_project() -> None:
    shop, other = admin(), compat("Other", Scope.ADMIN)
    identifier = created(shop)
    for method, body in (("GET", None), ("PUT", FULL), ("POST", {}), ("DELETE", None)):
        assert other.send(method, f"{ALL}/{identifier}", body).status_code == 404
        assert compat(f"Weak {method}", Scope.GUARD).send(method, f"{ALL}/{identifier}", body).status_code == 403
    assert other.send("GET", ALL).json()["guardrails"] == []
    assert other.send("GET", f"{ALL}?guardrailIdentifier={identifier}").status_code == 404
    for query in ("maxResults=x", "maxResults=0", "nextToken=-1", "nextToken=%C2%B2"):
        assert shop.send("GET", f"{ALL}?{query}").status_code == 400
    assert shop.send("PATCH", ALL).status_code == 400


def test_a_policy_whose_draft_is_no_policy_is_refused_with_the_line() -> None:
    shop = admin()
    policy = policy_in_force(shop.project, "chat", document())
    policy.draft = "nonsense"
    policy.save()
    answer = shop.send("GET", f"{ALL}/chat")
    assert (answer.status_code, answer["x-amzn-ErrorType"]) == (400, "ValidationException")


ENFORCED = "/bedrock/enforcedGuardrailsConfiguration"


def enforce(shop: Compat, identifier: str, version: str = "1", **more: Any) -> Any:
    config = {"guardrailIdentifier": identifier, "guardrailVersion": version, **more}
    return shop.send("PUT", ENFORCED, {"guardrailInferenceConfig": config})


def test_an_enforced_guardrail_judges_what_asks_for_another_until_it_is_released() -> None:
    shop = admin()
    identifier = created(shop)
    assert enforce(shop, identifier).status_code == 404, "there is no version yet"
    assert shop.post(f"{ALL}/{identifier}", {}).status_code == 202
    answer = enforce(shop, identifier, modelEnforcement={"includedModels": ["ALL"], "excludedModels": []})
    assert (answer.status_code, answer.json()["configId"]) == (200, identifier)
    [row] = shop.send("GET", ENFORCED).json()["guardrailsConfig"]
    assert (row["guardrailId"], row["guardrailVersion"], row["owner"]) == (identifier, "1", "ACCOUNT")
    assert apply(shop, "observe", "", "of acme")["action"] == "GUARDRAIL_INTERVENED"
    assert shop.send("DELETE", f"{ENFORCED}/gr0000000000").status_code == 404
    assert shop.send("DELETE", f"{ENFORCED}/{identifier}").status_code == 200
    assert shop.send("GET", ENFORCED).json() == {"guardrailsConfig": []}
    assert apply(shop, "observe", "", "of acme")["action"] == "NONE"


@pytest.mark.parametrize(
    "more",
    [
        {"selectiveContentGuarding": {"messages": "SELECTIVE"}}, {"modelEnforcement": {"includedModels": ["a"]}},
        {"guardrailVersion": "DRAFT"}, {"guardrailVersion": ""}, {"guardrailVersion": 1}, {"inputTags": "HONOR"},
        {"modelEnforcement": [[]]}, {"guardrailIdentifier": None}, {"selectiveContentGuarding": {"system": {}}},
    ],
)  # fmt: skip
def test_what_would_leave_a_part_unjudged_is_not_enforced(more: dict[str, Any]) -> None:
    shop = admin()
    policy = policy_in_force(shop.project)
    answer = enforce(shop, policy.name, **more)
    assert (answer.status_code, answer["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert shop.send("GET", ENFORCED).json() == {"guardrailsConfig": []}


def test_only_an_admins_key_enforces_and_only_in_its_own_project() -> None:
    shop, other = admin(), compat("Other", Scope.ADMIN)
    policy = policy_in_force(shop.project)
    assert enforce(other, policy.name).status_code == 404
    assert enforce(compat("Third"), "default").status_code == 403
    assert enforce(shop, policy.name).status_code == 200
    config_id = shop.send("GET", ENFORCED).json()["guardrailsConfig"][0]["configId"]
    assert other.send("DELETE", f"{ENFORCED}/{config_id}").status_code == 404
    assert other.send("GET", ENFORCED).json() == {"guardrailsConfig": []}


@pytest.mark.clients
@pytest.mark.slow
def test_stock_boto3_makes_changes_versions_applies_and_deletes(live_server: Any, tmp_path: Path) -> None:
    shop = admin()
    with tls_front(live_server.url, tmp_path) as front:
        said = run_app(
            "many", "bedrock_manage_app.py", json.dumps(FULL), variables=boto_variables(front, shop.key)
        )  # fmt: skip
    assert said.splitlines()[-8:] == [
        "created DRAFT", "read READY Not in. ['EMAIL', 'AWS_ACCESS_KEY']", "version 1", "applied GUARDRAIL_INTERVENED",
        "listed ['DRAFT', '1']", "enforced [('1', True)]", "released []", "deleted ResourceNotFoundException",
    ]  # fmt: skip
