"""The guardrails' pages: who may do what, what strangers' text does there, and what a person is told when it fails."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from kit import traffic
from kit.guarding import CANARY, decided, document, policy_in_force, store_decisions
from stanchion_guard.records import Part, Subject
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch
from stanchion_server.kernel import clock
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.policies import backtests, decisions, engine, services
from stanchion_server.policies.models import Backtest, DecisionReview, Policy, PolicyVersion
from stanchion_server.tenants import access
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Membership, Project, Role, User
from stanchion_server.traces import partitions, store
from stanchion_server.traces.models import GuardDecision

pytestmark = pytest.mark.django_db

BASE = "/p/shop/guardrails"
CHAT = f"{BASE}/policies/chat"
BAD = traffic.HOSTILE
HEAD = "policy: chat\nversion: 1\ndefaults: {when_late: block, when_failed: block}\n"


@dataclass(frozen=True)
class Shop:
    """Policy `chat` is live with a word that it blocks. ada owns, ann analyses, vera looks, bob is a stranger."""

    project: Project
    other: Project
    policy: Policy


@pytest.fixture
def shop() -> Iterator[Shop]:
    partitions.forget()
    access.forget_everything()
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    for name, role in (("vera", Role.VIEWER), ("ann", Role.ANALYST)):
        user = User.objects.create_user(name, password="x" * 12)
        Membership.objects.create(user=user, organisation=organisation, role=role)
    elsewhere = tenants.create_organisation("Elsewhere")
    other = tenants.create_project(elsewhere, "Other")
    tenants.create_owner(elsewhere, "bob", "x" * 12)
    yield Shop(project, other, policy_in_force(project))
    engine.forget_everything()
    access.forget_everything()


def client_of(name: str, **more: Any) -> Client:
    client = Client(**more)
    client.force_login(User.objects.get(username=name))
    return client


def page(name: str, address: str) -> str:
    answer = client_of(name).get(address)
    assert answer.status_code == 200, (answer.status_code, address)
    return str(answer.content.decode())


def judged(project: Project, text: str, check_id: str = "c-1", **more: Any) -> GuardDecision:
    """One check by the policy `chat` with its shadows, recorded the way the check API does it."""
    subject = Subject((Part("input", text),))
    values = {"feature": "support", "session_id": "s-1", **more}
    origin = decisions.Origin(check_id, "rest", uuid4(), **values)
    checked = engine.check(project.pk, "chat", subject, key=check_id, manner=engine.Manner())
    found = []
    shadows = [engine.judge_beside(one) for one in checked.shadows]
    for number, one in enumerate((*checked.judged, *shadows), start=1):
        found.append(decisions.record(one, subject, origin, number, clock.now_ns()))
    spans, rows = tuple(one.span for one in found), tuple(one.decision for one in found)
    entry = LedgerEntry(api_key_id=1, signal="traces", client="kit", body_bytes=1, sent=len(spans))
    store.store(project.pk, Batch(spans=spans, decisions=rows), entry)
    return GuardDecision.objects.get(project_id=project.pk, check_id=check_id, span_id=1)


def address_of(row: GuardDecision) -> str:
    return f"{BASE}/decisions/{row.trace_id.hex}/{span_id_to_hex(row.span_id)}"


PAGES = (
    BASE, f"{BASE}/bench", f"{BASE}/decisions", CHAT, f"{CHAT}/versions", f"{CHAT}/force", f"{CHAT}/shadow",
    f"{CHAT}/backtests", f"{CHAT}/effect", f"{CHAT}/effect?version=1", f"{BASE}/policies/default/effect",
)  # fmt: skip
CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    (BASE, {"name": "new", "start": "default"}),
    (CHAT, {"document": "x"}),
    (f"{CHAT}/problems", {"document": "x"}),
    (f"{CHAT}/publish", {"note": "x"}),
    (f"{CHAT}/archive", {"sure": "yes"}),
    (f"{CHAT}/force", {"what": "live", "live": ""}),
    (f"{CHAT}/backtests", {"tested": "draft", "baseline": "1", "window": "1h", "max_calls": 5}),
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("name", ["ada", "ann", "vera"])
def test_every_member_may_look(shop: Shop, address: str, name: str) -> None:
    judged(shop.project, f"hello {CANARY}")
    body = page(name, address)
    assert "Guardrails" in body
    assert " style=" not in body and "<script>" not in body and "onclick" not in body


@pytest.mark.parametrize(("address", "said"), CHANGES)
def test_only_admins_change_a_policy_and_only_with_the_forms_token(
    shop: Shop, address: str, said: dict[str, Any]
) -> None:
    for name in ("ann", "vera"):
        assert client_of(name).post(address, said).status_code == 403, name
    assert client_of("ada", enforce_csrf_checks=True).post(address, said).status_code == 403
    assert client_of("bob").post(address, said).status_code == 404
    assert Client().post(address, said)["Location"].startswith("/login")
    policy = Policy.objects.get()
    assert (policy.live, policy.draft, policy.archived_at) == (1, document(), None)
    assert Backtest.objects.count() == 0


def test_forms_that_change_are_not_shown_to_those_who_may_not(shop: Shop) -> None:
    for address in PAGES:
        forms = re.findall(r'<form[^>]*method="post"[^>]*>', page("vera", address))
        assert {form for form in forms if "/logout" not in form and "/theme" not in form and "/bench" not in form} == (
            set()
        ), address
    assert "readonly" in page("ann", CHAT)


def test_another_tenants_policies_decisions_and_back_tests_do_not_exist_here(shop: Shop) -> None:
    theirs = policy_in_force(shop.other, "theirs", document("their-word"))
    now = clock.now()
    run = backtests.create(theirs, backtests.Wanted(1, None, now - timedelta(hours=1), now), "bob")
    row = judged(shop.project, CANARY)
    ada, bob = client_of("ada"), client_of("bob")
    for address in (f"{BASE}/policies/theirs", f"{CHAT}/backtests/{run.pk}", f"{BASE}/policies/theirs/versions"):
        assert ada.get(address).status_code == 404, address
    assert ada.post(f"{CHAT}/backtests/{run.pk}/cancel").status_code == 404
    assert bob.get(address_of(row)).status_code == 404
    assert bob.get(address_of(row).replace("/shop/", "/other/")).status_code == 404
    said = {"says": "harmless"}
    assert bob.post(address_of(row).replace("/shop/", "/other/") + "/review", said).status_code == 404
    assert "chat" not in page("bob", "/p/other/guardrails/decisions").split("<main")[1]
    tried = ada.post(f"{BASE}/bench", {"which": "theirs:1", "text": "their-word", "stage": "input"})
    assert tried.status_code == 400
    assert "their-word" not in page("ada", f"{BASE}/bench")
    run.refresh_from_db()
    assert run.state == "queued" and DecisionReview.objects.count() == 0


def test_a_policy_is_made_from_a_built_in_one_and_taken_through_to_live(shop: Shop) -> None:
    ada = client_of("ada")
    assert "No policy of your own yet" not in page("ada", BASE)
    made = ada.post(BASE, {"name": "mine", "start": "default"})
    mine = f"{BASE}/policies/mine"
    assert (made.status_code, made["Location"]) == (302, mine)
    body = page("ada", mine)
    assert "policy: &quot;mine&quot;" in body and "No problems" in body and "of its own tests pass" in body
    assert ada.post(f"{mine}/publish", {"note": "the first"})["Location"] == f"{mine}/force"
    assert ada.post(f"{mine}/force", {"what": "live", "live": "1"})["Location"] == f"{mine}/force"
    assert "version 1 live" in page("vera", BASE)
    assert Policy.objects.get(name="mine").live == 1


def test_a_project_without_policies_is_told_how_to_begin(shop: Shop) -> None:
    body = page("bob", "/p/other/guardrails")
    assert "No policy of your own yet" in body
    assert "http://testserver/api/v1/guard/check" in body and "stanchion_sdk.guard(&quot;default&quot;)" in body
    for name in engine.BUILT_IN:
        assert f'value="{name}"' in body


def test_the_snippet_for_rest_gets_a_verdict_as_it_stands(shop: Shop) -> None:
    body = page("ada", BASE)
    code = re.search(r'<code id="code-rest">(.*?)</code>', body, re.S)
    assert code
    sent = re.search(r"-d &#x27;(.*?)&#x27;", code[1])
    assert sent
    key = tenants.create_key(shop.project, "app", ["guard"])
    answer = Client(headers={"authorization": f"Bearer {key}"}).post(
        "/api/v1/guard/check", sent[1].replace("&quot;", '"'), content_type="application/json"
    )
    assert (answer.status_code, answer.json()["policy"]) == (200, "chat")


def test_a_draft_with_a_mistake_is_kept_and_each_problem_stands_with_its_line(shop: Shop) -> None:
    ada = client_of("ada")
    wrong = document().replace("action: block", "action: explode")
    seen = re.search(r'name="seen" value="([^"]+)"', page("ada", CHAT))
    assert seen
    saved = ada.post(CHAT, {"document": wrong.replace("\n", "\r\n"), "seen": seen[1]})
    assert saved["Location"] == CHAT
    assert Policy.objects.get().draft == wrong
    body = page("ada", CHAT)
    assert "1 problem." in body and 'data-line="9"' in body and "action: explode" in body
    refused = ada.post(f"{CHAT}/publish", {"note": ""})
    assert (refused.status_code, "cannot be published" in refused.content.decode()) == (422, True)
    assert PolicyVersion.objects.count() == 1


def test_a_policy_whose_own_tests_fail_is_not_published_and_says_which(shop: Shop) -> None:
    failing = document(tests="tests:\n  - {name: greets, stage: input, text: hello, expect: {action: block}}\n")
    services.save_draft(shop.project.pk, shop.policy.pk, failing, "ada")
    refused = client_of("ada").post(f"{CHAT}/publish", {})
    body = refused.content.decode()
    assert refused.status_code == 422
    assert "1 of its own 1 test fails." in body and "greets: action is allow, expected block" in body


def test_a_draft_that_somebody_else_changed_meanwhile_is_not_lost(shop: Shop) -> None:
    ada = client_of("ada")
    seen = re.search(r'name="seen" value="([^"]+)"', page("ada", CHAT))
    assert seen
    services.save_draft(shop.project.pk, shop.policy.pk, document("by-ann"), "ann")
    answer = ada.post(CHAT, {"document": document("by-ada"), "seen": seen[1]})
    body = answer.content.decode()
    assert answer.status_code == 409
    assert "ann saved another draft" in body and "by-ada" in body
    assert "by-ann" in Policy.objects.get().draft
    again = re.search(r'name="seen" value="([^"]+)"', body)
    assert again
    assert ada.post(CHAT, {"document": document("by-ada"), "seen": again[1]}).status_code == 302
    assert "by-ada" in Policy.objects.get().draft


def test_a_draft_that_is_too_long_is_refused_on_its_page_with_the_text_still_there(shop: Shop) -> None:
    seen = re.search(r'name="seen" value="([^"]+)"', page("ada", CHAT))
    assert seen
    answer = client_of("ada").post(CHAT, {"document": "# long\n" * 80_000, "seen": seen[1]})
    body = answer.content.decode()
    assert answer.status_code == 413
    assert "The draft is not saved. A policy has at most 524,288 characters." in body and body.count("# long") == 80_000
    assert Policy.objects.get().draft == document()


def test_a_range_that_cannot_be_read_is_refused_with_a_way_back_to_the_page(shop: Shop) -> None:
    answer = client_of("vera").get(f"{BASE}?from=soon")
    body = answer.content.decode()
    assert (answer.status_code, f'href="{BASE}">This page without' in body) == (400, True)


def test_what_a_person_types_is_checked_without_being_saved(shop: Shop) -> None:
    answer = client_of("ada").post(f"{CHAT}/problems", {"document": "policy: [", "seen": ""})
    assert answer.status_code == 200 and "problem" in answer.content.decode()
    assert Policy.objects.get().draft == document()


def test_versions_are_compared_line_by_line_as_text(shop: Shop) -> None:
    services.save_draft(shop.project.pk, shop.policy.pk, document("<b>bold</b>"), "ada")
    body = page("vera", f"{CHAT}/versions?left=1&right=draft")
    assert "&lt;b&gt;bold" in body and "<b>bold" not in body and CANARY in body
    assert body.count('class="added"') == 1 and body.count('class="removed"') == 1
    assert "The two texts are the same" in page("vera", f"{CHAT}/versions?left=1&right=1")
    for side in ("7", "x", "-1", "9" * 30, "%00", "١"):
        assert client_of("ada").get(f"{CHAT}/versions?left={side}").status_code == 404, side


def test_rollout_by_the_forms_is_in_the_history_with_its_person(shop: Shop) -> None:
    services.save_draft(shop.project.pk, shop.policy.pk, document("walrus"), "ada")
    services.publish(shop.project.pk, shop.policy.pk, "ada")
    ada = client_of("ada")
    for said in (
        {"what": "shadow", "shadow": "2", "shadow_until": "2099-01-01T10:00"},
        {"what": "canary", "canary": "2", "canary_percent": "25", "canary_until": ""},
        {"what": "switch", "switch": "block_all", "reason": "an incident", "sure": "yes"},
        {"what": "enforce", "is_enforced": "yes"},
        {"what": "live", "live": "2"},
        {"what": "live", "live": "1"},
    ):
        assert ada.post(f"{CHAT}/force", said)["Location"] == f"{CHAT}/force", said
    policy = Policy.objects.get()
    assert (policy.live, policy.shadow, policy.canary, policy.canary_percent) == (1, 2, 2, 25)
    assert (policy.switch, policy.is_enforced) == ("block_all", True)
    body = page("vera", f"{CHAT}/force")
    assert "an incident" in body and "2099-01-01" in body and "blocks everything" in body
    assert "an incident" in page("vera", BASE)
    assert "Roll back to 1" not in page("ada", f"{CHAT}/versions")
    ada.post(f"{CHAT}/force", {"what": "live", "live": "2"})
    assert "Roll back to 1" in page("ada", f"{CHAT}/versions")


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({}, 400, "What shall change"),
        ({"what": "everything"}, 400, "What shall change"),
        ({"what": "live", "live": "x"}, 400, "whole number"),
        ({"what": "live", "live": str(2**31)}, 400, "less than or equal"),
        ({"what": "live", "live": "7"}, 400, "no version 7"),
        ({"what": "canary", "canary": "1", "canary_percent": "101"}, 400, "less than or equal"),
        ({"what": "canary", "canary": "1", "canary_percent": "0"}, 400, "share"),
        ({"what": "shadow", "shadow": "1", "shadow_until": "soon"}, 400, "no time"),
        ({"what": "shadow", "shadow": "1", "shadow_until": "2001-01-01"}, 400, "over already"),
        ({"what": "shadow", "shadow": "1", "shadow_until": "9999-12-31T23:59:59-12:00"}, 400, "no time"),
        ({"what": "switch", "switch": "off", "reason": "because"}, 400, "sure"),
        ({"what": "switch", "switch": "off", "sure": "yes"}, 400, "reason"),
        ({"what": "switch", "switch": "sideways"}, 400, "Switch"),
        ({"what": "enforce", "is_enforced": "maybe"}, 400, "enforced"),
    ],
)
def test_a_rollout_that_makes_no_sense_changes_nothing_and_says_why(
    shop: Shop, said: dict[str, str], status: int, message: str
) -> None:
    answer = client_of("ada").post(f"{CHAT}/force", said)
    assert (answer.status_code, message in answer.content.decode()) == (status, True)
    assert (Policy.objects.get().live, Policy.objects.get().revision) == (1, shop.policy.revision)


@pytest.mark.parametrize("character", ["a", "ж", "木", "🦓"])
def test_the_longest_draft_is_saved_whatever_its_characters(shop: Shop, character: str) -> None:
    assert 'enctype="multipart/form-data"' in page("ada", CHAT)
    longest = character * services.MAX_DOCUMENT_CHARACTERS
    said = {"document": longest, "seen": re.findall(r'name="seen" value="([^"]*)"', page("ada", CHAT))[0]}
    assert client_of("ada").post(CHAT, said).status_code == 302
    assert Policy.objects.get().draft == longest


def test_what_is_too_large_to_be_read_gets_a_page_that_says_so(shop: Shop) -> None:
    answer = client_of("ada").post(CHAT, {"document": "🦓" * 2 * services.MAX_DOCUMENT_CHARACTERS})
    assert (answer.status_code, "larger than 2 MiB" in answer.content.decode()) == (400, True)
    assert "what you wrote is still there" in answer.content.decode()


def test_a_text_that_calls_itself_otherwise_is_told_of_when_it_is_published(shop: Shop) -> None:
    for said, is_told in (
        (document("fern-word-1"), False),
        (document("oak-word-1").replace("policy: chat", "policy: other"), True),
    ):
        services.save_draft(shop.project.pk, shop.policy.pk, said, "ada")
        body = client_of("ada").post(f"{CHAT}/publish", {"note": ""}, follow=True).content.decode()
        assert ("calls itself “other”" in body) is is_told
    assert judged(shop.project, CANARY).policy == "chat"


def test_what_has_ended_is_called_so(shop: Shop) -> None:
    over = clock.now() - timedelta(hours=1)
    Policy.objects.update(canary=1, canary_percent=100, canary_until=over, shadow=1, shadow_until=over)
    for address in (BASE, f"{CHAT}/force"):
        body = page("vera", address)
        assert "canary of version 1 ended" in body and "shadow of version 1 ended" in body, address
        assert "100 %" not in body and "in shadow" not in body, address
    assert f'value="{over:%Y-%m-%d}' not in page("ada", f"{CHAT}/force")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "required"), ({"name": "a b", "start": "default"}, "no policy name"),
        ({"name": "chat", "start": "default"}, "already"), ({"name": "x" * 64, "start": "default"}, "63"),
        ({"name": "ok", "start": "mine"}, "Select a valid choice"), ({"name": "a\0b", "start": "default"}, "Null"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_made_says_why(shop: Shop, said: dict[str, str], message: str) -> None:
    answer = client_of("ada").post(BASE, said)
    assert (answer.status_code, message in answer.content.decode()) == (400, True)
    assert Policy.objects.count() == 1


def test_archiving_asks_to_be_sure(shop: Shop) -> None:
    ada = client_of("ada")
    assert ada.post(f"{CHAT}/archive", {}).status_code == 400
    assert ada.post(f"{CHAT}/archive", {"sure": "yes"})["Location"] == BASE
    assert ada.get(CHAT).status_code == 404


def test_the_bench_marks_what_it_finds_in_the_text_and_records_nothing(shop: Shop) -> None:
    text = f"😀 <b>{CANARY}</b>\r\nsecond line"
    answer = client_of("vera").post(f"{BASE}/bench", {"which": "chat:1", "text": text, "stage": "input"})
    body = answer.content.decode()
    assert answer.status_code == 200
    assert re.search(rf"<mark[^>]*>{CANARY}</mark>", body)
    assert "&lt;b&gt;" in body and "<b>zebra" not in body
    assert "block" in body and "every check ran" in body
    assert not GuardDecision.objects.filter(project_id=shop.project.pk).exists()


def test_the_bench_judges_by_the_unsaved_draft_only_for_those_who_may_write_one(shop: Shop) -> None:
    said = {"which": "chat:draft", "text": "walrus", "stage": "input", "document": document("walrus")}
    assert "<mark" in client_of("ada").post(f"{BASE}/bench", said, headers={"HX-Request": "true"}).content.decode()
    assert "<mark" not in client_of("ann").post(f"{BASE}/bench", said).content.decode()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"text": ""}, "required"), ({"text": "x" * 100_001}, "100000"), ({"stage": "outside"}, "valid choice"),
        ({"which": "nobody:1"}, "no policy"), ({"which": "chat:77"}, "no version"), ({"which": "chat:x"}, "no version"),
        ({"which": "chat:"}, "no version"), ({"text": "a\0b"}, "Null"), ({"which": "chat:" + "9" * 90}, "no version"),
        ({"which": "chat:draft", "document": "rules: ["}, "not judged"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_tried_says_why(shop: Shop, said: dict[str, str], message: str) -> None:
    given = {"which": "chat:1", "text": "hello", "stage": "input", **said}
    answer = client_of("ada").post(f"{BASE}/bench", given)
    assert (answer.status_code, message in answer.content.decode()) == (400, True)
    in_place = client_of("ada").post(f"{BASE}/bench", given, headers={"HX-Request": "true"})
    assert (in_place.status_code, message in in_place.content.decode()) == (200, True)


def test_decisions_are_listed_filtered_and_lead_to_their_trace(shop: Shop) -> None:
    stopped, passed = judged(shop.project, CANARY, "c-1"), judged(shop.project, "hello", "c-2", feature="search")
    body = page("vera", f"{BASE}/decisions")
    assert address_of(stopped) in body and address_of(passed) in body
    assert f"/p/shop/traces/{stopped.trace_id.hex}/" in body
    for query, found, lost in (
        ("action=block", stopped, passed), ("action=allow", passed, stopped), ("feature=search", passed, stopped),
        ("check=c-1", stopped, passed), ("rule=canary", stopped, passed),
        (f"trace={passed.trace_id.hex}", passed, stopped),
    ):  # fmt: skip
        body = page("vera", f"{BASE}/decisions?{query}")
        assert address_of(found) in body and address_of(lost) not in body, query
    assert "No decision matches" in page("vera", f"{BASE}/decisions?policy=nobody")
    assert "No decision matches" in page("vera", f"{BASE}/decisions?incomplete=yes")


@pytest.mark.parametrize(
    "query",
    ["mode=sideways", "action=explode", "incomplete=maybe", "trace=zzz", "label=" + "x" * 401, "cursor=nonsense",
     "limited=maybe", "shadow=maybe", "source=moon", "from=yesterday"],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_says_what_to_write(shop: Shop, query: str) -> None:
    assert client_of("ada").get(f"{BASE}/decisions?{query}").status_code == 400


def test_what_was_judged_beyond_what_was_measured_is_shown_counted_and_filtered(shop: Shop) -> None:
    for address in (f"{CHAT}/effect", address_of(judged(shop.project, "hello"))):
        assert "language de" not in page("vera", address)
    assert "No detector said that it was not measured" in page("vera", f"{CHAT}/effect")
    reason = "language de not covered"
    at = clock.now() - timedelta(minutes=1)
    rows = [decided(at, limits={"canary": reason}, check_id=f"de-{place}") for place in range(2)]
    rows += [decided(at, limits={BAD[:60]: BAD}), decided(at, limits={"canary": reason}, mode="shadow", version="2")]
    store_decisions(shop.project.pk, *rows)
    body = page("vera", f"{CHAT}/effect")
    assert "3 of 4 decisions" in body and "<script>alert" not in body
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', body) if "limited" in link]
    assert links[0].endswith("&policy=chat&shadow=no&limited=yes")
    assert [page("vera", link).count("<tr data-href>") for link in links] == [3, 2, 1]
    first = GuardDecision.objects.get(check_id="de-0")
    found = page("vera", address_of(first))
    assert "Judged beyond what was measured" in found and reason in found and "Not everything was checked" not in found
    assert reason in page("vera", f"/p/shop/traces/{first.trace_id.hex}/{span_id_to_hex(first.span_id)}")
    lost = page("vera", f"{BASE}/decisions?limited=no")
    assert address_of(first) not in lost and "beyond measured" not in lost
    assert "No decision matches" in page("vera", f"{BASE}/decisions?limited-rule=nobody")


def test_the_bench_says_what_no_detector_was_measured_for(shop: Shop) -> None:
    rule = "  - {id: attack, stages: [input], detector: prompt_injection, action: block}"
    text = "Guten Tag, ich habe eine Frage zu meiner Bestellung und hoffe auf eine schnelle Antwort von Ihnen."
    said = {"which": "chat:draft", "stage": "input", "document": f"{HEAD}rules:\n{rule}\n"}
    body = client_of("ada").post(f"{BASE}/bench", {**said, "text": text}).content.decode()
    assert "Judged beyond what was measured" in body and "every check ran" in body
    body = client_of("ada").post(f"{BASE}/bench", {**said, "text": "Where is my parcel, please?"}).content.decode()
    assert "every check ran" in body and "Judged beyond" not in body


def test_long_lists_of_decisions_are_paged_without_loss_or_repetition(shop: Shop) -> None:
    for number in range(53):
        judged(shop.project, "hello", f"c-{number}")
    first = page("ada", f"{BASE}/decisions")
    older = re.search(r'href="(\?[^"]*cursor=[^"]*)"', first)
    assert older
    second = page("ada", f"{BASE}/decisions{older[1].replace('&amp;', '&')}")
    rows = [set(re.findall(rf'href="({BASE}/decisions/[^"?]+)"', body)) for body in (first, second)]
    assert (len(rows[0]), len(rows[1]), rows[0] & rows[1]) == (50, 3, set())


def test_a_decision_is_reviewed_by_analysts_and_changes_the_share_of_false_alarms(shop: Shop) -> None:
    row = judged(shop.project, CANARY)
    assert "no reviews" in page("vera", BASE)
    vera, ann = client_of("vera"), client_of("ann")
    said = {"says": "harmless", "note": "it was <b>a quote</b>"}
    assert vera.post(f"{address_of(row)}/review", said).status_code == 403
    assert client_of("ann", enforce_csrf_checks=True).post(f"{address_of(row)}/review", said).status_code == 403
    assert ann.post(f"{address_of(row)}/review", said)["Location"] == address_of(row)
    assert "&lt;b&gt;a quote" in page("ann", address_of(row))
    assert "a quote" not in page("vera", address_of(row))
    assert "harmless" in page("vera", f"{BASE}/decisions")
    assert "of 1 reviewed" in page("vera", BASE)
    for wrong in (
        {},
        {"says": "splendid"},
        {"says": "harmless", "note": "x" * 1001},
        {"says": "harmless", "note": "\0"},
    ):
        assert ann.post(f"{address_of(row)}/review", wrong).status_code == 400, wrong
    assert DecisionReview.objects.get().is_violation is False


@pytest.mark.parametrize("place", ["zzz/0000000000000001", "1" * 32 + "/0000000000000001", "1" * 32 + "/zz"])
def test_a_decision_that_is_not_stored_is_not_found(shop: Shop, place: str) -> None:
    ada = client_of("ada")
    assert ada.get(f"{BASE}/decisions/{place}").status_code == 404
    assert ada.post(f"{BASE}/decisions/{place}/review", {"says": "harmless"}).status_code == 404


def test_a_decision_stands_on_the_page_of_its_trace(shop: Shop) -> None:
    row = judged(shop.project, CANARY)
    body = page("vera", f"/p/shop/traces/{row.trace_id.hex}/{span_id_to_hex(row.span_id)}")
    assert "Guard decision" in body and address_of(row) in body


def test_strangers_text_in_policies_and_decisions_stays_text(shop: Shop) -> None:
    hostile = document('"zebra"').replace("That cannot be said here.", f'"{BAD[:60]}"'.replace("\u202e", ""))
    services.save_draft(shop.project.pk, shop.policy.pk, "</textarea>" + BAD + "\n" + hostile, BAD[:100])
    services.set_switch(shop.project.pk, shop.policy.pk, "off", BAD, BAD[:100])
    row = judged(shop.project, CANARY, "<script>alert('stanchion')</script>", feature=BAD, session_id=BAD, release=BAD)
    odd = {
        "rule": BAD,
        "detector": [BAD],
        "label": BAD,
        "score": "x",
        "elapsed_us": BAD,
        "start": "<script>alert",
        "triggered": 1,
    }
    GuardDecision.objects.filter(check_id=row.check_id).update(
        labels=[BAD], rules=[BAD], policy=BAD, policy_version=BAD, findings=[odd], checks=[odd], not_run=[[BAD, BAD]],
        limits=[[BAD, BAD]],
        stage=BAD, source=BAD,
    )  # fmt: skip
    addresses = [
        *PAGES,
        address_of(row),
        f"/p/shop/traces/{row.trace_id.hex}/{span_id_to_hex(1)}",
        f"{CHAT}/versions?right=draft",
    ]
    for address in addresses:
        body = page("ada", address)
        assert "<script>alert" not in body, address
        assert "<img" not in body and "<svg onload" not in body, address
    for address in (BASE, address_of(row), f"{BASE}/decisions"):
        assert "\u202e" not in page("ada", address) and "\U000e006f" not in page("ada", address), address


def test_the_shadow_page_counts_where_the_two_differ_and_promotes(shop: Shop) -> None:
    assert "No version is in shadow" in page("ada", f"{CHAT}/shadow")
    services.save_draft(shop.project.pk, shop.policy.pk, document("walrus", "flag"), "ada")
    services.publish(shop.project.pk, shop.policy.pk, "ada")
    services.set_shadow(shop.project.pk, shop.policy.pk, 2, "ada")
    engine.forget_everything()
    for number, text in enumerate((CANARY, CANARY, "walrus", "hello")):
        judged(shop.project, text, f"c-{number}")
    body = page("ada", f"{CHAT}/shadow")
    assert re.search(r'class="num milder">\s*2<', body) and re.search(r'class="num stricter">\s*1<', body)
    assert "check=c-0" in body and "check=c-3" not in body
    assert "Set version 2 live" in body and "Set version 2 live" not in page("ann", f"{CHAT}/shadow")
    for version in ("7", BAD[:100].replace("\u202e", ""), "x" * 300, "%00"):
        assert client_of("ada").get(f"{CHAT}/shadow", {"version": version}).status_code in {200, 400}


def test_a_back_test_is_started_watched_and_cancelled(shop: Shop) -> None:
    ada = client_of("ada")
    said = {"tested": "draft", "baseline": "1", "window": "24h", "features": "a\r\nb\r\n", "max_calls": "100"}
    started = ada.post(f"{CHAT}/backtests", said)
    row = Backtest.objects.get()
    here = f"{CHAT}/backtests/{row.pk}"
    assert (started["Location"], row.features, row.created_by) == (here, ["a", "b"], "ada")
    body = page("vera", here)
    assert 'role="progressbar"' in body and 'hx-trigger="every 2s"' in body
    part = ada.get(here, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and 'id="backtest"' in part
    assert client_of("ann").post(f"{here}/cancel").status_code == 403
    assert ada.post(f"{here}/cancel")["Location"] == here
    body = page("vera", here)
    assert "cancelled" in body and "progressbar" not in body and "hx-trigger" not in body
    assert "was over already" in ada.post(f"{here}/cancel", follow=True).content.decode()


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"tested": "9"}, 404, "no version 9"), ({"tested": "x"}, 400, "no version"), ({"window": "1y"}, 400, "Window"),
        ({"max_calls": "0"}, 400, "greater than"), ({"max_calls": "999999999"}, 400, "less than"),
        ({"baseline": "9"}, 404, "9"),
        ({"features": "\n".join(map(str, range(60)))}, 400, "At most 50"), ({"baseline": "9" * 11}, 400, "no version"),
    ],
)  # fmt: skip
def test_a_back_test_that_makes_no_sense_says_why(shop: Shop, said: dict[str, str], status: int, message: str) -> None:
    given = {"tested": "draft", "baseline": "decided", "window": "1h", "features": "", "max_calls": "10", **said}
    answer = client_of("ada").post(f"{CHAT}/backtests", given)
    assert (answer.status_code, message in answer.content.decode()) == (status, True)
    assert Backtest.objects.count() == 0


def test_a_back_test_of_a_draft_that_does_not_compile_says_which_line(shop: Shop) -> None:
    services.save_draft(
        shop.project.pk, shop.policy.pk, document().replace("detector: canary", "detector: nope"), "ada"
    )
    given = {"tested": "draft", "baseline": "decided", "window": "1h", "max_calls": "10"}
    answer = client_of("ada").post(f"{CHAT}/backtests", given)
    assert (answer.status_code, "line " in answer.content.decode()) == (422, True)


def test_a_report_shows_counts_examples_and_what_reviews_say(shop: Shop) -> None:
    now = clock.now()
    row = backtests.create(shop.policy, backtests.Wanted(1, None, now - timedelta(hours=1), now), "ada")
    example = {"trace_id": UUID(int=5).hex, "span_id": span_id_to_hex(7), "before": "allow", "after": "block",
               "rules": [BAD], "labels": [BAD]}  # fmt: skip
    row.result = {
        "calls": 10, "without_content": 2, "without_baseline": 3, "incomplete": 1, "elapsed_us": 5000, "max_us": 900,
        "matrix": {"allow>block": 4, "allow>allow": 6}, "rules": {BAD: 4}, "labels": {"CANARY": 4},
        "newly_stopped": [example],
        "newly_passed": [], "newly_stopped_count": 4, "newly_passed_count": 0,
        "reviewed": {"caught": 3, "false_alarms": 1},
        "precision": 0.75, "recall": 1.0, "mean_us": 500.0, "mean_before_us": 410.0,
        "rated": {"good_stopped": 2, "bad_passed": 7}, "limited": 2, "limits": {f"{BAD}: language de not covered": 2},
    }  # fmt: skip
    row.state, row.calls_done, row.calls_total = "done", 12, 12
    row.save()
    body = page("vera", f"{CHAT}/backtests/{row.pk}")
    for word in (
        "75 %",
        "0.50 ms",
        f"/p/shop/traces/{example['trace_id']}/{example['span_id']}",
        "3 of 10 calls were not",
        "language de not covered",
        "before 0.41 ms",
        "0 passed; rated bad: 0 stopped, 7 passed",
    ):
        assert word in body, word
    assert "<script>alert" not in body and "no reviews" not in body
    row.result = {**row.result, "reviewed": {}, "precision": None, "recall": None}
    row.save()
    assert "no reviews" in page("vera", f"{CHAT}/backtests/{row.pk}")
    row.result = {name: value for name, value in row.result.items() if name not in ("limited", "limits")}
    row.save()
    assert "No detector said that it was not measured" in page("vera", f"{CHAT}/backtests/{row.pk}")
    assert "done" in page("vera", f"{CHAT}/backtests")
