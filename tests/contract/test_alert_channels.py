"""What receivers' own libraries say about our messages, and that hostile text stays text in each of them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pagerduty
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from kit import alerting
from stanchion_server.alerts.channels import KINDS, signing, words
from stanchion_server.alerts.channels import pagerduty as ours
from stanchion_server.alerts.channels.base import Mail, Message, Request
from stanchion_server.alerts.facts import Facts, from_json

ROOT = Path(__file__).resolve().parents[2]
SECRET = signing.new_secret()
SECRETS = {"url": "https://hooks.example.org/x", "routing_key": "k" * 32, "secret": SECRET, "token": "xoxb-1"}
SETTINGS = {"channel": "C01", "to": "a@example.org", "region": "us", "format": "standard"}
HOSTILE = (
    "<!channel> <@U123> @everyone @here <https://evil.example|your bank> [click](https://evil.example) "
    "```code``` \x00\x1b[31m \u202egnp.exe\u202c 🔥 שלום & <script>alert(1)</script>\r\nBcc: x@evil.example"
)
GROUPS = tuple({"feature": f"{HOSTILE} {index}", "shown": "7 %"} for index in range(200))


def facts(kind: str = "trigger", **more: Any) -> Facts:
    return from_json(alerting.facts(kind, **more))


def hostile(kind: str = "trigger") -> Facts:
    return facts(
        kind, title=HOSTILE, reason=HOSTILE * 20, rule=HOSTILE, project_name=HOSTILE, owner=HOSTILE, note=HOSTILE,
        labels={"model": "m" * 10_000, HOSTILE: HOSTILE}, members=GROUPS, more_members=7, changes=(HOSTILE,) * 40,
        shown={"value": HOSTILE, "threshold": HOSTILE, "peak": HOSTILE}, acknowledged_by=HOSTILE,
        runbook_url="javascript:alert(1)",
    )  # fmt: skip


def message(told: Facts, **more: Any) -> Message:
    given = {"id": "msg_1_2", "settings": SETTINGS, "secrets": SECRETS, "public_url": "https://stanchion.example.org"}
    return Message(facts=told, now=alerting.AT, **{**given, **more})


def rendered(kind: str, told: Facts, **more: Any) -> Any:
    """What the kind makes of it: the (first) request's JSON, or the mail."""
    made = KINDS[kind].render(message(told, **more))
    return made if isinstance(made, Mail) else json.loads(made[0].body)


def texts(value: Any) -> list[str]:
    """All strings in a JSON value, without addresses."""
    if isinstance(value, dict):
        return [text for key, one in value.items() if key not in ("url", "href", "$schema") for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


SAMPLES = [
    facts("trigger"),
    facts("resolve"),
    facts("update"),
    facts("test", incident=0),
    hostile(),
    hostile("resolve"),
]


@pytest.mark.parametrize("told", SAMPLES)
@pytest.mark.parametrize("is_minimal", [False, True])
def test_slacks_own_models_accept_our_blocks(told: Facts, is_minimal: bool) -> None:
    made = rendered("slack", told, is_minimal=is_minimal)
    total = 0
    for attachment in made.get("attachments", []):
        blocks = Block.parse_all(attachment["blocks"])
        assert len(blocks) == len(attachment["blocks"]) and None not in blocks
        for block in blocks:
            block.validate_json()
        BlockAttachment(blocks=blocks, color=attachment["color"]).validate_json()
        total += sum(map(len, texts(attachment["blocks"])))
    assert total <= 8_000
    assert made["text"]


@pytest.mark.parametrize("kind", ["slack", "slack_bot"])
def test_hostile_text_neither_pings_nor_hides_an_address_in_slack(kind: str) -> None:
    for text in texts(rendered(kind, hostile())):
        assert "\0" not in text and "\u202e" not in text
    made = rendered(kind, hostile())
    plain = [block["text"]["text"] for block in made["attachments"][0]["blocks"] if block["type"] == "header"]
    for text in texts(made):
        if text not in plain:  # plain_text is shown as it is
            assert "<" not in text and ">" not in text
            assert not re.search(r"&(?!amp;|lt;|gt;)", text), "an escape was cut in two"


@pytest.mark.parametrize("told", SAMPLES)
def test_pagerdutys_client_sends_the_same_event(told: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [json.loads(one.body) for one in ours.render(message(told))]
    for event in made:
        sent: list[Any] = []
        client = pagerduty.EventsApiV2Client("k" * 32)
        monkeypatch.setattr(client, "post", lambda path, json, sent=sent, **_: sent.append(json) or _Taken())
        more = {
            name: value for name, value in event.items() if name not in ("routing_key", "event_action", "dedup_key")
        }
        client.send_event(event["event_action"], dedup_key=event["dedup_key"], **more)
        assert {**sent[0], "routing_key": "k" * 32} == event
        if event["event_action"] == "trigger":
            payload = event["payload"]
            assert len(payload["summary"]) <= 1_024 and payload["source"]
            assert payload["severity"] in ("critical", "error", "warning", "info")
            assert datetime.fromisoformat(payload["timestamp"]).tzinfo is not None
        assert len(event["dedup_key"]) <= 255
        assert len(json.dumps(event).encode()) < 512_000


class _Taken:
    status_code = 202
    is_success = True

    def json(self) -> dict[str, str]:
        return {"status": "success", "dedup_key": "x"}


def test_an_event_larger_than_pagerduty_takes_says_that_details_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "MOST_BYTES", 2_000)
    made = rendered("pagerduty", hostile())
    assert made["payload"]["custom_details"] == {"left out": "The event was larger than PagerDuty takes."}


@pytest.mark.parametrize("region", ["us", "eu"])
def test_an_account_in_europe_is_reached_there(region: str) -> None:
    made = ours.render(message(facts(), settings={"region": region}))
    assert made[0].url == ours.ENDPOINTS[region]


@pytest.mark.parametrize("told", SAMPLES)
@pytest.mark.parametrize("form", ["standard", "alertmanager"])
def test_the_standard_webhooks_library_verifies_our_signature(told: Facts, form: str) -> None:
    now = datetime.now(UTC)
    made = dataclasses.replace(message(told, settings={"format": form}), now=now)
    request = KINDS["webhook"].render(made)
    assert not isinstance(request, Mail)
    headers = dict(request[0].headers)
    assert Webhook(SECRET).verify(request[0].body, headers) == json.loads(request[0].body)
    assert len(request[0].body) < 20_000 and headers["webhook-id"] == "msg_1_2"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request[0].body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.new_secret()).verify(request[0].body, headers)


def test_during_a_rotation_receivers_with_either_secret_verify_and_afterwards_only_the_new_one() -> None:
    new, now = signing.new_secret(), datetime.now(UTC)
    for until, is_known in ((now + timedelta(hours=1), True), (now - timedelta(seconds=1), False)):
        secrets = {**SECRETS, "secret": new, "previous": SECRET, "previous_until": until.isoformat()}
        request = KINDS["webhook"].render(dataclasses.replace(message(facts(), secrets=secrets), now=now))
        assert not isinstance(request, Mail)
        body, headers = request[0].body, dict(request[0].headers)
        Webhook(new).verify(body, headers)
        if is_known:
            Webhook(SECRET).verify(body, headers)
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(SECRET).verify(body, headers)


def test_the_receivers_code_on_the_page_verifies_a_real_message_and_refuses_a_forged_one() -> None:
    page = (ROOT / "docs" / "alert-channels.md").read_text()
    code = page.split("```python", 1)[1].split("```", 1)[0]
    names: dict[str, Any] = {}
    exec(code, names)
    now = datetime.now(UTC)
    request = KINDS["webhook"].render(dataclasses.replace(message(facts()), now=now))
    assert isinstance(request, tuple) and isinstance(request[0], Request)
    body, headers = request[0].body, dict(request[0].headers)
    assert names["verified"](body, headers, SECRET)["type"] == "alert.fired"
    old = signing.headers("msg_1_2", now - timedelta(minutes=6), body, [SECRET])
    for wrong_body, wrong in ((body + b" ", headers), (body, old), (body, {**headers, "webhook-signature": "v1,x"})):
        with pytest.raises(ValueError, match=r"signature|old"):
            names["verified"](wrong_body, wrong, SECRET)


@pytest.mark.parametrize("kind", ["teams", "discord"])
def test_no_label_stands_before_an_address_that_it_hides(kind: str) -> None:
    made = rendered(kind, hostile())
    assert not [text for text in texts(made) if "](" in text]
    assert len(json.dumps(made, ensure_ascii=False).encode()) < 28_000
    if kind == "discord":
        assert made["allowed_mentions"] == {"parse": []}
        embed = made["embeds"][0]
        assert len(made["content"]) <= 2_000 and len(embed["title"]) <= 256 and len(embed["description"]) <= 4_096
        assert sum(map(len, texts(made["embeds"]))) <= 6_000


def test_mail_has_one_line_of_subject_and_no_header_of_a_strangers() -> None:
    made = rendered("email", hostile())
    assert isinstance(made, Mail)
    assert "\n" not in made.subject and "\r" not in made.subject and len(made.subject) <= 180
    assert "and 197 more" in made.text and "\0" not in made.text


def test_alertmanager_is_sent_labels_as_it_takes_them_and_an_end() -> None:
    firing, over = rendered("alertmanager", hostile())[0], rendered("alertmanager", facts("resolve"))[0]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and text for name, text in firing["labels"].items())
    assert datetime.fromisoformat(firing["endsAt"]) == alerting.AT + timedelta(minutes=15)
    assert datetime.fromisoformat(over["endsAt"]) == alerting.AT
    assert over["labels"] == rendered("alertmanager", facts())[0]["labels"], "another alert would be closed"


def test_the_body_for_alertmanagers_receivers_has_all_its_names() -> None:
    made = rendered("webhook", facts(), settings={"format": "alertmanager"})
    assert made["version"] == "4" and made["status"] == "firing"
    wanted = {"version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
              "commonAnnotations", "externalURL", "alerts"}  # fmt: skip
    assert wanted == set(made)
    assert {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"} == set(
        made["alerts"][0]
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_buttons_are_plain_links_of_ours_and_a_runbook_that_is_no_web_address_is_left_out(kind: str) -> None:
    made = rendered(kind, hostile())
    assert "javascript:" not in (made.text if isinstance(made, Mail) else json.dumps(made))
    assert all(url.startswith("https://stanchion.example.org/p/shop/") for _, url in words.links(message(hostile())))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_rendering_is_what_it_was(kind: str) -> None:
    """With STANCHION_GOLDEN=write the files are written anew; read the difference."""
    made = KINDS[kind].render(message(hostile(), secrets={**SECRETS, "secret": "whsec_" + "QUFB" * 8}))
    plain = (
        dataclasses.asdict(made)
        if isinstance(made, Mail)
        else [{"url": one.url, "headers": dict(one.headers), "body": json.loads(one.body)} for one in made]
    )
    text = json.dumps(plain, indent=1, ensure_ascii=True, sort_keys=True) + "\n"
    file = Path(__file__).parent / "alert_renderings" / f"{kind}.json"
    if os.environ.get("STANCHION_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text


@given(st.text(max_size=300), st.sampled_from(list(KINDS)), st.sampled_from(["trigger", "resolve", "update", "test"]))
def test_any_text_becomes_a_message(text: str, kind: str, what: str) -> None:
    told = facts(what, title=text, reason=text, labels={text: text}, rule=text, members=({text: text},), note=text)
    for is_minimal in (False, True):
        made = KINDS[kind].render(message(told, is_minimal=is_minimal))
        if not isinstance(made, Mail):
            assert all(json.loads(one.body) is not None for one in made)
