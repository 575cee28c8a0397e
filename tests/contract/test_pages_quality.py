"""The quality pages: what they say of scores, whom they show texts, and what strangers' text does there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client

from kit import scored, traffic
from kit.scorers import Fake, panel_of
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest.records import CallRecord
from stanchion_server.kernel import clock, db
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality import jobs, keeping, rollups
from stanchion_server.quality.models import ScoreJob, ScorerSetting
from stanchion_server.quality.records import Evidence, Example, Result
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, User

pytestmark = pytest.mark.django_db
BASE = "/p/shop/quality"
BAD = traffic.HOSTILE


@dataclass(frozen=True)
class Shop:
    """ada owns, ann analyses, vera looks, bob is a stranger."""

    project: Project


@pytest.fixture
def shop() -> Iterator[Shop]:
    access.forget_everything()
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    for name, role in (("vera", Role.VIEWER), ("ann", Role.ANALYST)):
        user = User.objects.create_user(name, password="x" * 12)
        Membership.objects.create(user=user, organisation=organisation, role=role)
    tenants.create_owner(tenants.create_organisation("Elsewhere"), "bob", "x" * 12)
    yield Shop(project)
    access.forget_everything()


def client_of(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def page(name: str, address: str) -> str:
    answer = client_of(name).get(address)
    assert answer.status_code == 200, (answer.status_code, address)
    return re.sub(r"\s+", " ", answer.content.decode())


def rude(example: Example) -> Result:
    start = example.response.find("rude")
    if start < 0:
        return Result(0.1, is_flagged=False)
    return Result(0.9, "insult", True, "one insult", (Evidence("response", start, start + 4, "insult", 0.9, "listed"),))


def scored_calls(shop: Shop, *answers: str, name: str = "manners", **values: object) -> list[CallRecord]:
    calls = [scored.asked(answer, **values) for answer in answers]
    scored.deliver(shop.project.pk, *calls)
    scored.score(panel_of(Fake(name, rude)), shop.project.pk)
    rollups.run(clock.now(), shop.project.pk)
    return calls


def address_of(call: CallRecord) -> str:
    return f"{BASE}/calls/{call.trace_id.hex}/{span_id_to_hex(call.span_id)}"


def quarantined(shop: Shop) -> ScoreJob:
    def breaks(example: Example) -> Result:
        raise OSError("never told")

    scored.deliver(shop.project.pk, scored.asked("fine"))
    for attempt in range(jobs.MAX_ATTEMPTS):
        later = clock.now() + (attempt + 1) * 20 * scored.LATER
        scored.score(panel_of(Fake("breaks", breaks)), shop.project.pk, at=later)
    [job] = scored.open_jobs(shop.project.pk)
    return job


def test_a_project_without_scores_is_told_what_to_do(shop: Shop) -> None:
    assert "No call of this range has been scored yet" in page("vera", BASE)
    assert "No score in this range" in page("vera", f"{BASE}/scorers/toxicity_response")
    assert "Nothing is in quarantine" in page("vera", f"{BASE}/queue")


def test_the_overview_counts_scores_and_flags_with_their_intervals(shop: Shop) -> None:
    scored_calls(shop, "rude answer", "kind answer", "kind too", "kind again")
    text = page("vera", BASE)
    assert f"{BASE}/scorers/manners" in text
    assert "25 %" in text and "0.300" in text
    assert "0.85 to 0.90: 1" in text or "0.90 to 0.95: 1" in text


def test_what_nobody_has_set_up_is_not_counted_as_left_out(shop: Shop) -> None:
    scored_calls(shop, "kind answer")
    with transaction.atomic(), db.raw_cursor() as cursor:
        lost = [keeping.Unscored("judge_helpfulness", "unavailable", 300, "nobody wants it"),
                keeping.Unscored("manners", "unavailable", 4, "its file is gone"),
                keeping.Unscored("toxicity_prompt", "shed", 2)]  # fmt: skip
        keeping.count(cursor, shop.project.pk, lost, clock.now())
    text = page("vera", BASE)
    assert '<dd class="value warn">6</dd>' in text
    assert "its file is gone" in text and "left out under load" in text and "nobody wants it" not in text
    rest = text.split('id="absent"')[1]
    assert rest.count("no judge is stated: give") == 1, "the judges have one remedy and stand in one line"


def test_what_could_be_scored_once_is_told_as_left_out_under_every_filter(shop: Shop) -> None:
    scored_calls(shop, "kind answer", name="judge_helpfulness", feature="support")
    scored_calls(shop, "kind answer", feature="search")
    with transaction.atomic(), db.raw_cursor() as cursor:
        lost = [keeping.Unscored("judge_helpfulness", "unavailable", 7, "its key is gone")]
        keeping.count(cursor, shop.project.pk, lost, clock.now())
    for filters in ("", "?feature=support", "?feature=search"):
        assert '<dd class="value warn">7</dd>' in page("vera", BASE + filters), filters


def test_filters_narrow_to_calls_with_that_value_and_say_so(shop: Shop) -> None:
    scored_calls(shop, "rude answer", feature="support")
    scored_calls(shop, "kind answer", feature="search")
    text = page("vera", f"{BASE}?feature=search")
    assert "Feature: search" in text and "0.100" in text and "0.900" not in text
    assert "No score matches these filters" in page("vera", f"{BASE}?feature=nothing")


def test_a_scorer_shows_where_scores_differ_and_leads_to_the_worst_call(shop: Shop) -> None:
    name = "toxicity_response"  # low is good, as the registry knows
    [bad] = scored_calls(shop, "rude answer", name=name, feature="support", model="small")
    [good] = scored_calls(shop, "kind answer", name=name, feature="search", model="large")
    text = page("ann", f"{BASE}/scorers/{name}?by=model")
    assert text.index(">small<") < text.index(">large<")
    assert text.index(address_of(bad)) < text.index(address_of(good)) and "rude answer" in text
    assert "rude answer" not in page("vera", f"{BASE}/scorers/{name}")


def test_a_version_is_never_mixed_with_another(shop: Shop) -> None:
    scored_calls(shop, "rude answer")
    scored.deliver(shop.project.pk, scored.asked("another"))
    scored.score(panel_of(Fake("manners", lambda _: Result(0.2), version="2")), shop.project.pk)
    rollups.run(clock.now(), shop.project.pk)
    text = page("ann", f"{BASE}/scorers/manners?version=1")
    assert "0.900" in text and "Version 2" in text
    assert client_of("ann").get(f"{BASE}/scorers/manners?version=9").status_code == 404


def test_evidence_is_marked_in_the_answer_for_those_who_may_read_it(shop: Shop) -> None:
    [call] = scored_calls(shop, "a rude answer")
    text = page("ann", f"{address_of(call)}?scorer=manners")
    assert re.search(r'a <mark class="d1" title="insult">rude</mark><span class="tag">insult</span> answer', text)
    seen = page("vera", address_of(call))
    assert "0.900" in seen and "rude" not in seen and "one insult" not in seen


def test_a_call_whose_texts_are_gone_still_has_its_scores(shop: Shop) -> None:
    from stanchion_server.traces.models import Content

    [call] = scored_calls(shop, "a rude answer")
    Content.objects.filter(project_id=shop.project.pk).delete()
    text = page("ann", address_of(call))
    assert "not stored any more" in text and "0.900" in text


def test_scores_stand_on_the_trace_of_their_call(shop: Shop) -> None:
    [call] = scored_calls(shop, "a rude answer")
    span = f"/p/shop/traces/{call.trace_id.hex}/{span_id_to_hex(call.span_id)}"
    assert f"{address_of(call)}?scorer=manners" in page("vera", span)


def test_a_rule_is_kept_by_an_admin_alone_and_shown(shop: Shop) -> None:
    said = {"scorer": "toxicity_response", "feature": "", "state": "on", "sample_percent": "25", "threshold": "0.8"}
    assert client_of("ann").post("/p/shop/settings/scorers", said).status_code == 403
    assert client_of("ada").post("/p/shop/settings/scorers", said).status_code == 302
    row = ScorerSetting.objects.get(project=shop.project)
    assert (row.sample_ratio, row.threshold, row.changed_by) == (0.25, 0.8, "ada")
    assert "25 %" in page("vera", "/p/shop/settings/scorers")
    client_of("ada").post("/p/shop/settings/scorers", {**said, "state": "usual"})
    assert not ScorerSetting.objects.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"sample_percent": "250"}, "100"), ({"threshold": "x"}, "number"), ({"scorer": "none"}, "no scorer")],
)
def test_a_rule_that_makes_no_sense_says_why(shop: Shop, change: dict[str, str], message: str) -> None:
    said = {"scorer": "toxicity_response", "state": "on", **change}
    answer = client_of("ada").post("/p/shop/settings/scorers", said)
    assert answer.status_code == 400 and message in answer.content.decode()
    assert not ScorerSetting.objects.exists()


def test_a_judge_is_stated_as_json_and_its_rubrics_become_scorers(shop: Shop) -> None:
    said = {"scorer": "llm_judge", "state": "on", "parameters": '{"base_url": "http://127.0.0.1:9/v1", "model": "m",'
            ' "rubrics": ["helpfulness", {"name": "tone", "criteria": "Is it kind?"}]}'}  # fmt: skip
    assert client_of("ada").post("/p/shop/settings/scorers", said).status_code == 302
    text = page("ada", "/p/shop/settings/scorers")
    assert "judge_tone" in text and "Judge: tone" in text
    helpful = text[text.index("judge_helpfulness") :][:400]
    assert "no judge is stated" not in helpful
    assert "127.0.0.1:9" not in page("vera", "/p/shop/settings/scorers")
    share = {"scorer": "judge_tone", "state": "on", "sample_percent": "50", "threshold": ""}
    assert client_of("ada").post("/p/shop/settings/scorers", share).status_code == 302
    for wrong, message in (("[1]", "JSON object"), ('{"rubrics": ["no"]}', "no rubric"), ("{", "valid JSON")):
        answer = client_of("ada").post("/p/shop/settings/scorers", {**said, "parameters": wrong})
        assert answer.status_code == 400 and message in answer.content.decode()
    assert ScorerSetting.objects.get(scorer="llm_judge").parameters["model"] == "m"


def test_a_judge_carries_its_agreement_with_people(shop: Shop) -> None:
    calls = scored_calls(shop, *["rude answer", "kind answer"] * 16, name="judge_coherence")
    assert "not enough data" not in page("ann", f"{BASE}/scorers/toxicity_response")
    rate(shop, calls[:10], "coherence")
    assert "not enough data" in page("ann", f"{BASE}/scorers/judge_coherence")
    rate(shop, calls[10:], "judge_coherence")
    assert 'badge ok">calibrated' in page("ann", f"{BASE}/scorers/judge_coherence")


def rate(shop: Shop, calls: list[CallRecord], name: str) -> None:
    now = clock.now()
    feedback.keep(shop.project.pk, [
        Rating(uuid4().hex, name, 0.9 if "rude" in call.output_preview else 0.1, "", "", "", call.trace_id,
               call.span_id, "", "ada", Source.API, now)
        for call in calls
    ])  # fmt: skip


def test_a_quarantined_job_says_what_failed_and_is_tried_again_or_discarded(shop: Shop) -> None:
    job = quarantined(shop)
    place = f"{BASE}/queue/{job.trace_id.hex}/{span_id_to_hex(job.span_id)}"
    text = page("vera", f"{BASE}/queue")
    assert "OSError" in text and "never told" not in text and "Discard" not in text
    assert client_of("ann").post(place, {"lane": "fast", "do": "discard"}).status_code == 403
    assert client_of("ada").post(place, {"lane": "fast", "do": "burn"}).status_code == 400
    answer = client_of("ada").post(place, {"lane": "fast", "do": "retry"}, follow=True)
    assert "tried again" in answer.content.decode()
    assert scored.open_jobs(shop.project.pk)[0].state == ScoreJob.State.OPEN
    answer = client_of("ada").post(place, {"lane": "fast", "do": "discard"}, follow=True)
    assert "not in quarantine any more" in answer.content.decode()


def test_strangers_text_stays_text(shop: Shop) -> None:
    def odd(example: Example) -> Result:
        return Result(0.9, BAD[:90], True, BAD, (Evidence("response", 0, len(example.response), BAD, 0.9, BAD),))

    call = scored.asked(BAD, question=BAD, feature=BAD, model=BAD, release=BAD, provider=BAD)
    scored.deliver(shop.project.pk, call)
    scored.score(panel_of(Fake("odd", odd)), shop.project.pk)
    rollups.run(clock.now(), shop.project.pk)
    for address in (BASE, f"{BASE}/scorers/odd", f"{BASE}/scorers/odd?by=release", f"{address_of(call)}?scorer=odd"):
        answer = client_of("ann").get(address)
        assert answer.status_code == 200
        for forbidden in ("<script>alert", "<img src=x", "\u202e"):
            assert forbidden not in answer.content.decode(), address


@pytest.mark.parametrize(
    "query", ["?by=user_id", "?from=tomorrow", "?feature=" + "x" * 1001], ids=["dimension", "time", "long"]
)
def test_an_address_that_cannot_be_read_says_what_to_write(shop: Shop, query: str) -> None:
    answer = client_of("vera").get(f"{BASE}/scorers/toxicity_response{query}")
    assert answer.status_code == 400 and "That does not work" in answer.content.decode()


def test_nothing_of_it_exists_for_a_stranger_or_for_what_is_not_there(shop: Shop) -> None:
    [call] = scored_calls(shop, "a rude answer")
    for address in (BASE, f"{BASE}/queue", f"{BASE}/scorers/manners", address_of(call), "/p/shop/settings/scorers"):
        assert client_of("bob").get(address).status_code == 404, address
    for address in (f"{BASE}/scorers/nobody", f"{BASE}/calls/{'0' * 32}/{'0' * 16}", f"{BASE}/calls/x/y"):
        assert client_of("ada").get(address).status_code == 404, address


def test_a_range_is_scored_again_by_an_admin_alone(shop: Shop) -> None:
    scored_calls(shop, "rude answer", name="toxicity_response")
    address = f"{BASE}/scorers/toxicity_response/again?from=now-1h&to=now"
    assert client_of("ann").post(address).status_code == 403
    answer = client_of("ada").post(address, follow=True)
    assert "1 calls are scored again" in answer.content.decode()
    assert client_of("ada").post(f"{BASE}/scorers/nobody/again").status_code in (400, 404)
