"""OpenAI's moderations: golden requests, and the stock client."""

from __future__ import annotations

from typing import Any

import pytest

from kit.client_envs import run_app
from kit.compat import Compat, clean_caches, compat, decisions
from kit.guarding import CANARY, policy_in_force
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat.moderations import CATEGORIES, MAX_INPUTS

pytestmark = pytest.mark.django_db(transaction=True)
_caches = pytest.fixture(autouse=True)(clean_caches)
PATH = "/openai/v1/moderations"


def results(shop: Compat, given: Any, **headers: str) -> list[dict[str, Any]]:
    response = shop.post(PATH, {"input": given}, **headers)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def test_every_category_stands_in_all_three_maps_and_none_without_a_detector_is_silent() -> None:
    [result] = results(compat(), "I like trains.")
    for name in ("categories", "category_scores", "category_applied_input_types"):
        assert tuple(result[name]) == CATEGORIES
    assert {"hate/threatening", "sexual/minors", "violence/graphic"} <= set(result["unsupported_categories"])
    for name in result["unsupported_categories"]:
        assert result["category_applied_input_types"][name] == []
    assert result["flagged"] is any(result["categories"].values())


def test_a_text_in_which_nothing_could_be_judged_has_no_supported_category() -> None:
    [result] = results(compat(), "?! …")
    assert tuple(result["unsupported_categories"]) == CATEGORIES
    assert not result["flagged"]


def test_a_list_of_texts_has_a_result_each_and_a_list_of_parts_has_one() -> None:
    shop = compat()
    assert len(results(shop, ["one", "two", ""])) == 3
    assert len(results(shop, [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])) == 1


def test_what_the_policy_blocks_is_flagged_and_recorded() -> None:
    shop = compat()
    policy_in_force(shop.project)
    headers = {"x-stanchion-policy": "chat"}
    hit, miss = results(shop, [f"say {CANARY}", "say hello"], **headers)
    assert (hit["flagged"], hit["stanchion"]["action"]) == (True, "block")
    assert miss["stanchion"]["action"] == "allow"
    assert {row.source for row in decisions(shop.project)} == {"openai"}


def test_the_asked_model_is_told_back() -> None:
    answer = compat().post(PATH, {"input": "a", "model": "text-moderation-stable"}).json()
    assert answer["model"] == "text-moderation-stable"
    assert answer["id"].startswith("modr-")


@pytest.mark.parametrize(
    "body",
    [
        "", "[]", "{", "null", "\x00", "[" * 100_000, {"input": None}, {"input": []}, {"input": [1]}, {"input": 5},
        {"input": [{"type": "image_url", "image_url": {"url": "data:"}}]}, {"input": ["a", {}]},
        {"input": "a", "model": 3}, {"input": [{"type": "text", "text": {}}]},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_the_formats_own_shape(body: Any) -> None:
    response = compat().post(PATH, body)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert set(error) == {"message", "type", "param", "code"}


def test_halves_of_character_pairs_and_nuls_are_judged_like_any_text() -> None:
    assert results(compat(), "\ud800 and \x00 and \u202e")


def test_too_many_inputs_and_too_long_ones_are_refused() -> None:
    shop = compat()
    assert shop.post(PATH, {"input": ["a"] * (MAX_INPUTS + 1)}).status_code == 413
    assert shop.post(PATH, {"input": "a" * 1_000_001}).status_code == 413


def test_a_missing_key_a_wrong_key_and_a_key_without_the_scope_are_told_apart() -> None:
    shop = compat()
    assert shop.post(PATH, {"input": "a"}, authorization="").status_code == 401
    assert shop.post(PATH, {"input": "a"}, authorization="Bearer sk-other").status_code == 401
    refused = compat("Other", Scope.INGEST).post(PATH, {"input": "a"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")
    assert shop.send("GET", PATH).status_code == 405


def test_another_projects_policy_does_not_exist() -> None:
    shop = compat()
    policy_in_force(shop.project)
    headers = {"x-stanchion-policy": "chat"}
    assert compat("Other").post(PATH, {"input": CANARY}, **headers).status_code == 404
    assert shop.post(PATH, {"input": "a"}, **{"x-stanchion-policy": ""}).status_code == 200
    assert shop.post(PATH, {"input": "a"}, **{"x-stanchion-policy": "no such"}).status_code == 404


@pytest.mark.clients
@pytest.mark.slow
@pytest.mark.parametrize("environment", ["openai-v3", "openai-v2"])
def test_the_stock_client_reads_the_answer_and_the_refusal(live_server: Any, environment: str) -> None:
    shop = compat()
    policy_in_force(shop.project)
    base = f"{live_server.url}/compat/openai/v1"
    said = run_app(
        environment, "moderations_app.py", CANARY, variables={"OPENAI_BASE_URL": base, "OPENAI_API_KEY": shop.key}
    )
    assert said.splitlines()[-3:] == ["flagged True", "results 2", "refused AuthenticationError 401"]
