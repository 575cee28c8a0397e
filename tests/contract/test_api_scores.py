"""Scores over the API: who reads what, what is asked wrongly, and that no project sees another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from kit import scored
from kit.scorers import Fake, panel_of
from stanchion_server.kernel import clock
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality import jobs, rollups, services
from stanchion_server.quality.models import ScoreJob, ScorerSetting
from stanchion_server.quality.panels import panels
from stanchion_server.quality.records import Evidence, Example, Result
from stanchion_server.quality.sampling import Rule
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db
SECRET = "the judge quotes Ann Lee"


@dataclass(frozen=True)
class Tenant:
    project: Project
    keys: dict[str, str]

    def ask(self, method: str, path: str, key: str = "content", body: Any = None, **query: Any) -> Any:
        client = Client()
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        if body is None:
            return client.generic(method, f"/api/v1/{path}", headers=headers, query_params=query)
        return getattr(client, method.lower())(
            f"/api/v1/{path}", body, content_type="application/json", headers=headers
        )

    def items(self, path: str, key: str = "content", **query: Any) -> list[dict[str, Any]]:
        answer = self.ask("GET", path, key, **query)
        assert answer.status_code == 200, answer.content
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


def tenant(name: str) -> Tenant:
    project = tenants.create_project(tenants.create_organisation(name), name)
    scopes = {"admin": ["admin"], "metrics": ["read:metrics"], "content": ["read:metrics", "read:content"],
              "ingest": ["ingest"]}  # fmt: skip
    return Tenant(project, {label: tenants.create_key(project, label, wanted) for label, wanted in scopes.items()})


@pytest.fixture
def shop() -> Iterator[Tenant]:
    access.forget_everything()
    yield tenant("Shop")
    access.forget_everything()


def rude(example: Example) -> Result:
    score = 0.9 if "rude" in example.response else 0.1
    evidence = (Evidence("response", 0, 4, "insult", score, "a word of the list"),) if score > 0.5 else ()
    return Result(score, "insult" if evidence else "", bool(evidence), SECRET if evidence else "", evidence)


def scored_calls(shop: Tenant, *answers: str, **values: Any) -> None:
    scored.deliver(shop.project.pk, *(scored.asked(answer, **values) for answer in answers))
    scored.score(panel_of(Fake("manners", rude)), shop.project.pk)
    rollups.run(clock.now(), shop.project.pk)


def quarantined(shop: Tenant) -> ScoreJob:
    def breaks(example: Example) -> Result:
        raise OSError("never told")

    scored.deliver(shop.project.pk, scored.asked("fine"))
    for attempt in range(jobs.MAX_ATTEMPTS):
        scored.score(
            panel_of(Fake("breaks", breaks)), shop.project.pk, at=clock.now() + (attempt + 1) * scored.LATER * 20
        )
    [job] = scored.open_jobs(shop.project.pk)
    assert job.state == ScoreJob.State.QUARANTINED
    return job


def test_scores_come_with_evidence_and_are_filtered_by_what_they_say_and_where(shop: Tenant) -> None:
    scored_calls(shop, "rude answer", "kind answer", feature="support")
    scored_calls(shop, "rude again", feature="search")
    assert [one["score"] for one in shop.items("scores", scorer="manners")] == [0.9, 0.1, 0.9]
    [flagged] = shop.items("scores", flagged="true", feature="support")
    assert flagged["evidence"] == [
        {"place": "response", "place_index": 0, "start": 0, "end": 4, "label": "insult", "score": 0.9,
         "reason": "a word of the list"}
    ]  # fmt: skip
    assert (flagged["explanation"], flagged["facts"]["feature"], flagged["source"]) == (SECRET, "support", "worker")
    assert [one["score"] for one in shop.items("scores", trace_id=flagged["trace_id"])] == [0.9]
    assert shop.items("scores", scorer="other") == []


def test_what_a_judge_wrote_is_hidden_from_keys_that_may_not_read_texts(shop: Tenant) -> None:
    scored_calls(shop, "rude answer")
    assert SECRET not in shop.ask("GET", "scores", "metrics").content.decode()
    assert shop.items("scores", "metrics")[0]["explanation"] is None


def test_pages_of_scores_neither_lose_nor_repeat_any(shop: Tenant) -> None:
    scored_calls(shop, *(f"answer {number}" for number in range(5)))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = shop.ask("GET", "scores", limit="2", **cursor).json()
        seen += [one["trace_id"] for one in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert len(seen) == len(set(seen)) == 5


def test_a_distribution_tells_size_spread_and_intervals_by_group(shop: Tenant) -> None:
    scored_calls(shop, "rude one", "kind one", "kind two", "kind three", feature="support")
    scored_calls(shop, "kind", feature="search")
    rows = {row["group"]["feature"]: row for row in shop.items("scores/distributions", "metrics", group_by="feature")}
    support = rows["support"]
    assert (support["scores"], support["flagged"], support["flagged_ratio"]) == (4, 1, 0.25)
    assert support["mean"] == pytest.approx(0.3)
    low, high = support["flagged_interval"]
    assert 0 < low < 0.25 < high < 1
    assert sum(support["histogram"]) == 4
    assert rows["search"]["mean_interval"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"group_by": "user_id"}, "unknown_group"),
        ({"step": "7s"}, "bad_step"),
        ({"start": "now-3h", "end": "now-4h"}, "empty_range"),
        ({"colour": "red"}, "unknown_parameter"),
        ({"group_by": "feature,model,release"}, "too_many_groups"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_what_is_wrong(shop: Tenant, query: dict[str, str], code: str) -> None:
    answer = shop.ask("GET", "scores/distributions", **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_scorers_say_what_they_are_and_whether_they_can_run(shop: Tenant) -> None:
    found = {one["id"]: one for one in shop.items("scorers", "metrics")}
    assert found["toxicity_response"]["direction"] == "low_is_good"
    assert found["toxicity_response"]["unavailable"] is None
    assert found["toxicity_response"]["blind_to"]
    assert found["toxicity_response"]["rules"] == []


def test_a_rule_is_kept_shown_and_taken_back(shop: Tenant) -> None:
    body = {"feature": "support", "sample_ratio": 0.25, "threshold": 0.8}
    answer = shop.ask("PUT", "scorers/toxicity_response/rule", "admin", body)
    assert answer.status_code == 200, answer.content
    shop.ask("PUT", "scorers/toxicity_response/rule", "admin", {"is_on": False})
    rules = {one["id"]: one["rules"] for one in shop.items("scorers")}["toxicity_response"]
    assert rules == [
        {"feature": "", "is_on": False, "sample_ratio": None, "threshold": None},
        {"feature": "support", "is_on": True, "sample_ratio": 0.25, "threshold": 0.8},
    ]
    assert shop.ask("DELETE", "scorers/toxicity_response/rule", "admin").json() == {"removed": True}
    assert ScorerSetting.objects.filter(project=shop.project).count() == 1


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("no_such", {"is_on": True}, 404),
        ("toxicity_response", {"sample_ratio": 1.5}, 400),
        ("toxicity_response", {"threshold": "much"}, 400),
        ("toxicity_response", {"parameters": {"colour": "red"}}, 400),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(shop: Tenant, name: str, body: dict[str, Any], status: int) -> None:
    answer = shop.ask("PUT", f"scorers/{name}/rule", "admin", body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert not ScorerSetting.objects.exists()


def test_only_an_admin_key_changes_rules_and_quarantine(shop: Tenant) -> None:
    assert shop.ask("PUT", "scorers/toxicity_response/rule", "content", {"is_on": False}).status_code == 403
    assert shop.ask("POST", "scoring/quarantine", "content", {"do": "discard"}).status_code == 403
    assert shop.ask("GET", "scores", "ingest").status_code == 403


def test_the_queue_tells_what_waits_and_quarantined_jobs_are_tried_again(shop: Tenant) -> None:
    job = quarantined(shop)
    lanes = {one["lane"]: one for one in shop.ask("GET", "scoring/queue").json()["lanes"]}
    assert lanes["fast"]["quarantined_jobs"] == 1
    [told] = shop.items("scoring/quarantine")
    assert "OSError" in told["error"] and "never told" not in told["error"]
    place = {"trace_id": job.trace_id.hex, "span_id": span_id_to_hex(job.span_id)}
    assert shop.ask("POST", "scoring/quarantine", "admin", {"do": "retry", **place}).json() == {"jobs": 1}
    assert shop.items("scoring/quarantine") == []
    assert scored.open_jobs(shop.project.pk)[0].state == ScoreJob.State.OPEN


def test_half_a_job_is_no_job(shop: Tenant) -> None:
    answer = shop.ask("POST", "scoring/quarantine", "admin", {"do": "discard", "trace_id": "a" * 32})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_job")


def test_no_project_sees_or_changes_anything_of_another(shop: Tenant) -> None:
    other = tenant("Elsewhere")
    scored_calls(shop, "rude answer")
    quarantined(shop)
    services.set_rule(shop.project.pk, "toxicity_response", "", Rule(is_on=False), "ada")
    [score] = shop.items("scores")
    assert other.items("scores") == [] == other.items("scores/distributions") == other.items("scoring/quarantine")
    assert other.items("scores", trace_id=score["trace_id"]) == []
    assert all(one["rules"] == [] for one in other.items("scorers"))
    assert other.ask("POST", "scoring/quarantine", "admin", {"do": "discard"}).json() == {"jobs": 0}
    assert len(shop.items("scoring/quarantine")) == 1


def test_a_judge_once_stated_has_its_rubrics_as_scorers_and_says_what_it_lacks(
    shop: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANCHION_GUARD_JUDGES", "https://llm.example/v1=")
    tone = {"name": "tone", "scale": "0-1", "criteria": "0: cruel. 1: kind."}
    stated = {"base_url": "https://llm.example/v1", "model": "small", "rubrics": ["honesty", tone]}
    kept = shop.ask("PUT", "scorers/llm_judge/rule", "admin", {"parameters": stated})
    assert kept.status_code == 200, kept.content
    absent = {one["id"]: one["unavailable"] for one in shop.items("scorers", "admin")}
    assert (absent["judge_honesty"], absent["judge_tone"]) == (None, None)
    assert "no judge is stated" in absent["judge_coherence"]
    assert shop.ask("PUT", "scorers/judge_tone/rule", "admin", {"sample_ratio": 0.5}).status_code == 200
    refused = shop.ask("PUT", "scorers/llm_judge/rule", "admin", {"parameters": stated | {"rubrics": ["kindness"]}})
    assert refused.status_code == 400
    assert "there is no rubric 'kindness'" in refused.content.decode()
    monkeypatch.setenv("STANCHION_GUARD_JUDGES", "")
    panels.forget()
    absent = {one["id"]: one["unavailable"] for one in shop.items("scorers", "admin")}
    assert "STANCHION_GUARD_JUDGES" in absent["judge_honesty"]
    panels.forget()


def test_scores_of_others_are_kept_once_and_each_is_answered(shop: Tenant) -> None:
    call = scored.asked("fine", feature="support")
    scored.deliver(shop.project.pk, call)
    place = {"trace_id": call.trace_id.hex, "span_id": span_id_to_hex(call.span_id)}
    sent = [
        {**place, "name": "faithfulness", "value": 4, "range": [1, 5], "label": "good", "reason": SECRET},
        {**place, "name": "faithfulness", "value": 4, "range": [1, 5], "label": "good"},
        {**place, "name": "faithfulness", "value": 0.1},
        {**place, "name": "tone", "value": 7},
        {**place, "name": "tone", "value": 0.5, "span_id": "0" * 16},
        "nonsense",
    ]
    answer = shop.ask("POST", "scores", "ingest", sent)
    assert answer.status_code == 200, answer.content
    told = [(one["status"], one.get("error", {}).get("code")) for one in answer.json()["items"]]
    assert told == [
        ("stored", None), ("stored", None), ("rejected", "score_exists"), ("rejected", "out_of_range"),
        ("rejected", "no_such_call"), ("rejected", "bad_item"),
    ]  # fmt: skip
    [kept] = shop.items("scores", scorer="faithfulness")
    assert (kept["score"], kept["source"], kept["explanation"]) == (0.75, "api", SECRET)
    assert kept["facts"]["feature"] == "support"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "tone", "value": 0.5, "trace_id": "a" * 32, "span_id": "b" * 16}, 404, "no_such_call"),
        ({"name": "tone", "value": 0.5, "trace_id": "x", "span_id": "b" * 16}, 400, "bad_trace_id"),
        ([], 400, "too_many_items"),
        ([{}] * 501, 400, "too_many_items"),
    ],
)
def test_a_score_that_cannot_be_kept_says_why(shop: Tenant, body: Any, status: int, code: str) -> None:
    answer = shop.ask("POST", "scores", "ingest", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert shop.ask("POST", "scores", "metrics", body).status_code == 403


def test_recorded_calls_are_scored_again_and_the_wish_is_cancelled(shop: Tenant) -> None:
    scored_calls(shop, "rude answer", "kind answer")
    now = clock.now()
    window = {"window_start": (now - 100 * scored.LATER).isoformat(), "window_end": now.isoformat()}
    answer = shop.ask("POST", "scoring/rescorings", "admin", {"scorers": ["toxicity_response"], **window})
    assert answer.status_code == 201, answer.content
    assert (answer.json()["calls_total"], answer.json()["state"]) == (2, "running")
    number = answer.json()["id"]
    assert tenant("Elsewhere").ask("DELETE", f"scoring/rescorings/{number}", "admin").status_code == 404
    assert shop.ask("DELETE", f"scoring/rescorings/{number}", "admin").json()["state"] == "cancelled"
    assert [one["id"] for one in shop.items("scoring/rescorings")] == [number]
    wrong = shop.ask("POST", "scoring/rescorings", "admin", {"scorers": ["nobody"], **window})
    assert wrong.status_code in (400, 404) and "nobody" in wrong.json()["error"]["message"]


def test_open_gaps_of_guards_are_listed(shop: Tenant) -> None:
    assert shop.items("guard/gaps", "metrics") == []
    assert shop.items("guard/gaps", "metrics", start="now-1d") == []
