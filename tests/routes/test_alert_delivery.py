"""Messages reach receivers that misbehave in every way of the error table: once or twice, never not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core import mail
from django.db import connection

from kit import alerting
from kit.receivers import Receiver, receiving
from stanchion_server.alerts import channel_secrets, channel_services, outgoing, sending
from stanchion_server.alerts.channel_services import Wanted
from stanchion_server.alerts.channels import base
from stanchion_server.alerts.models import Attempt, Channel, Incident, IncidentEvent, Notification, WatchRound
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.routes import watch_delivery
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project, User

pytestmark = pytest.mark.django_db

KEY = "k" * 32


@dataclass
class Scene:
    project: Project
    receiver: Receiver
    incident: Incident
    now: datetime = field(default=alerting.AT)

    def channel(self, kind: str = "slack", name: str = "", fallback: Channel | None = None) -> Channel:
        values = {
            "slack": {"url": f"{self.receiver.url}/services/T0/B0/secretpart"},
            "pagerduty": {"routing_key": KEY},
            "webhook": {"url": f"{self.receiver.url}/hook"},
            "alertmanager": {"url": self.receiver.url},
            "slack_bot": {"token": "xoxb-secret-token", "channel": "C01"},
            "discord": {"url": f"{self.receiver.url}/api/webhooks/1/secretpart"},
            "teams": {"url": f"{self.receiver.url}/workflows/secretpart"},
            "email": {"to": "a@example.org, b@example.org"},
        }[kind]
        wanted = Wanted(name or kind, kind, values, fallback.pk if fallback else None)
        return channel_services.create(self.project, wanted, "ada").channel

    def message(self, channel: Channel, kind: str = "trigger", seq: int = 1, **more: Any) -> Notification:
        body = alerting.facts(kind, incident=self.incident.pk)
        return Notification.objects.create(
            project=self.project, incident=self.incident, channel=channel, seq=seq, kind=kind, body=body,
            next_attempt_at=self.now, created_at=self.now, **more,
        )  # fmt: skip

    def run(self) -> None:
        while watch_delivery.deliver_one():
            pass

    def later(self, **more: float) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def scene(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    organisation = tenants.create_organisation("Acme")
    project = tenants.create_project(organisation, "Shop")
    tenants.create_owner(organisation, "ada", "x" * 12)
    User.objects.filter(username="ada").update(email="ada@example.org")
    with receiving() as receiver:
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        settings.OUTBOUND_TIMEOUT_S = 0.5
        settings.ALERT_ENDPOINTS = {
            "pagerduty_us": f"{receiver.url}/v2/enqueue", "slack_api": f"{receiver.url}/api",
        }  # fmt: skip
        made = Scene(project, receiver, alerting.incident(alerting.rule(project)))
        monkeypatch.setattr(clock, "now", lambda: made.now)
        yield made


def state(row: Notification) -> str:
    row.refresh_from_db()
    return row.state


# What the receiver says first, and what must have become of the message, its channel and the attempt. The second
# answer is the receiver's usual one.
HELD, BROKEN = "held", "broken"
TABLE: list[tuple[str, Any, str, str, str]] = [
    ("slack", (200, "ok", {}), "delivered", "delivered", ""),
    ("slack", (200, "invalid_payload", {}), "bad_message", "delivered", ""),
    ("slack", (400, "invalid_blocks", {}), "bad_message", "delivered", ""),
    ("slack", (200, "hello", {}), "transient", "waiting", ""),
    ("slack", (413, "", {}), "bad_message", "delivered", ""),
    ("slack", (429, "", {"Retry-After": "30"}), "throttled", "waiting", HELD),
    ("slack", (429, "", {"Retry-After": format_datetime(alerting.AT + timedelta(seconds=30), usegmt=True)}),
     "throttled", "waiting", HELD),
    ("slack", (500, "rollup_error", {}), "transient", "waiting", ""),
    ("slack", (503, "", {}), "transient", "waiting", ""),
    ("slack", "cut", "transient", "waiting", ""),
    ("slack", "stall", "transient", "waiting", ""),
    ("slack", (302, "", {"Location": "http://169.254.169.254/"}), "broken", "failed", BROKEN),
    ("slack", (401, "", {}), "broken", "failed", BROKEN),
    ("slack", (403, "action_prohibited", {}), "broken", "failed", BROKEN),
    ("slack", (404, "no_service", {}), "broken", "failed", BROKEN),
    ("slack", (410, "channel_is_archived", {}), "broken", "failed", BROKEN),
    ("slack", (400, "invalid_token", {}), "broken", "failed", BROKEN),
    ("pagerduty", (202, '{"status":"success"}', {}), "delivered", "delivered", ""),
    ("pagerduty", (400, '{"errors":["Invalid routing key"]}', {}), "broken", "failed", BROKEN),
    ("pagerduty", (400, '{"errors":["summary is missing"]}', {}), "bad_message", "delivered", ""),
    ("pagerduty", (429, "", {}), "throttled", "waiting", HELD),
    ("pagerduty", (500, "", {}), "transient", "waiting", ""),
    ("pagerduty", "cut", "transient", "waiting", ""),
    ("webhook", (204, "", {}), "delivered", "delivered", ""),
    ("webhook", (410, "", {}), "broken", "failed", BROKEN),
    ("webhook", (502, "", {}), "transient", "waiting", ""),
    ("teams", (202, "", {}), "delivered", "delivered", ""),
    ("discord", (204, "", {}), "delivered", "delivered", ""),
    ("discord", (429, '{"retry_after": 29.5}', {}), "throttled", "waiting", HELD),
    ("alertmanager", (200, "", {}), "delivered", "delivered", ""),
    ("slack_bot", (200, '{"ok":true,"channel":"C01","ts":"1.2"}', {}), "delivered", "delivered", ""),
    ("slack_bot", (200, '{"ok":false,"error":"invalid_auth"}', {}), "broken", "failed", BROKEN),
    ("slack_bot", (200, '{"ok":false,"error":"internal_error"}', {}), "transient", "waiting", ""),
    ("slack_bot", (200, "<html>", {}), "transient", "waiting", ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "outcome", "becomes", "channel_is"), TABLE)
def test_each_answer_does_what_the_table_says(
    scene: Scene, kind: str, answer: Any, outcome: str, becomes: str, channel_is: str
) -> None:
    channel = scene.channel(kind)
    scene.receiver.answers = [answer]
    scene.receiver.usual = (200, '{"ok":true}' if kind == "slack_bot" else "ok", {})
    row = scene.message(channel)
    scene.run()
    assert state(row) == becomes
    first = Attempt.objects.filter(notification=row).earliest("pk")
    assert first.outcome == outcome
    channel.refresh_from_db()
    assert (channel.held_until is not None) == (channel_is == HELD)
    assert (channel.broken_at is not None) == (channel_is == BROKEN)
    if becomes == "waiting":
        if channel_is == HELD:
            assert channel.held_until == scene.now + timedelta(seconds=30 if answer[2] or answer[1] else 60)
        scene.later(seconds=61)
        scene.run()
        assert state(row) == "delivered"
        assert len(scene.receiver.got) == 2


def test_a_held_channel_holds_all_its_messages_and_no_other_channel(scene: Scene) -> None:
    one, other = scene.channel("slack"), scene.channel("webhook")
    scene.receiver.answers = [(429, "", {"Retry-After": "86400"})]
    first, second = scene.message(one), scene.message(one, seq=2)
    third = scene.message(other)
    scene.run()
    assert (state(first), state(second), state(third)) == ("waiting", "waiting", "delivered")
    scene.later(minutes=14, seconds=59)
    scene.run()
    assert state(first) == "waiting"
    scene.later(seconds=2)
    scene.run()
    assert (state(first), state(second)) == ("delivered", "delivered")


def test_a_receiver_that_stalls_keeps_one_worker_and_not_the_others(scene: Scene) -> None:
    slow, other = scene.channel("slack"), scene.channel("webhook")
    rows = [scene.message(slow), scene.message(slow, seq=2), scene.message(other)]
    Notification.objects.filter(pk=rows[1].pk).update(incident=alerting.incident(scene.incident.rule, "b"))
    held = outgoing.claim(scene.now)
    assert held is not None and held.id == rows[0].pk
    scene.run()
    assert [state(row) for row in rows] == ["waiting", "waiting", "delivered"]
    scene.later(seconds=outgoing.LEASE.total_seconds() + 1)
    scene.run()
    assert [state(row) for row in rows] == ["delivered"] * 3


def test_a_resolve_never_overtakes_its_trigger(scene: Scene) -> None:
    channel = scene.channel("pagerduty")
    scene.receiver.answers = ["stall"]
    trigger, resolve = scene.message(channel), scene.message(channel, "resolve", 2)
    scene.run()
    assert (state(trigger), state(resolve)) == ("waiting", "waiting")
    scene.later(seconds=7)
    scene.run()
    assert [got.json["event_action"] for got in scene.receiver.got] == ["trigger", "trigger", "resolve"]
    assert len({got.json["dedup_key"] for got in scene.receiver.got}) == 1


def test_waits_grow_and_after_an_hour_the_fallback_and_the_timeline_hear_of_it(scene: Scene) -> None:
    fallback = scene.channel("webhook", "second")
    channel = scene.channel("slack", fallback=fallback)
    scene.receiver.answers = [(500, "", {})] * 50
    row = scene.message(channel)
    waits = []
    while state(row) == "waiting":
        scene.run()
        row.refresh_from_db()
        if row.state == "waiting":
            waits.append((row.next_attempt_at - scene.now).total_seconds())
            scene.receiver.answers = [(500, "", {})] * 50
            scene.now = row.next_attempt_at
        else:
            scene.receiver.answers = []
    planned = [5, 15, 60, 120, 300, 600, 600, 600, 600, 600, 600]
    assert all(0.8 * plan <= wait <= 1.2 * plan for wait, plan in zip(waits, planned, strict=False)), waits
    assert state(row) == "failed"
    scene.later(seconds=3_600)
    scene.run()
    copy = Notification.objects.get(copy_of=row)
    assert (copy.channel, copy.kind) == (fallback, "trigger")
    assert IncidentEvent.objects.filter(incident=scene.incident, kind="delivery").exists()
    channel.refresh_from_db()
    assert channel.broken_at is None


def test_a_broken_channel_keeps_its_messages_tells_owners_and_sends_again_when_enabled(
    scene: Scene, django_capture_on_commit_callbacks: Any
) -> None:
    channel = scene.channel("slack")
    scene.receiver.answers = [(404, "no_service", {})]
    with django_capture_on_commit_callbacks(execute=True):
        trigger, resolve = scene.message(channel), scene.message(channel, "resolve", 2)
        scene.run()
    assert (state(trigger), state(resolve)) == ("failed", "failed")
    assert len(scene.receiver.got) == 1, "a broken channel was called again"
    assert any("is broken" in one.subject and one.to == ["ada@example.org"] for one in mail.outbox)
    assert not any("secretpart" in one.body + one.subject for one in mail.outbox)
    with pytest.raises(SenderError, match="Enable it first"):
        channel_services.resend(scene.project.pk, trigger.pk)
    channel_services.enable(scene.project.pk, channel.pk, "ada")
    channel_services.resend(scene.project.pk, trigger.pk)
    channel_services.resend(scene.project.pk, resolve.pk)
    scene.run()
    assert (state(trigger), state(resolve)) == ("delivered", "delivered")


def test_what_a_fallback_was_told_of_it_also_hears_the_end_of(scene: Scene) -> None:
    fallback = scene.channel("pagerduty")
    channel = scene.channel("slack", fallback=fallback)
    scene.receiver.answers = [(400, "invalid_blocks", {}), (400, "no_text", {})]
    trigger = scene.message(channel)
    scene.run()
    assert state(trigger) == "failed"
    resolve = scene.message(channel, "resolve", 2)
    scene.run()
    assert state(resolve) == "delivered"
    assert [one.kind for one in Notification.objects.filter(channel=fallback).order_by("seq")] == ["trigger", "resolve"]
    assert set(Notification.objects.values_list("state", flat=True)) == {"failed", "delivered"}


def test_a_message_that_was_overtaken_is_not_sent_again(scene: Scene) -> None:
    channel = scene.channel("pagerduty")
    scene.receiver.answers = [(400, "bad", {}), (400, "bad", {})]
    trigger = scene.message(channel)
    scene.run()
    scene.message(channel, "resolve", 2)
    scene.run()
    with pytest.raises(SenderError, match="later message"):
        channel_services.resend(scene.project.pk, trigger.pk)


def test_an_address_inside_breaks_the_channel_with_the_reason(scene: Scene, settings: Any) -> None:
    channel = scene.channel("webhook")
    settings.OUTBOUND_ALLOW = []
    row = scene.message(channel)
    moved = {**(channel_secrets.opened(channel) or {}), "url": "http://localhost:80/hook"}
    Channel.objects.filter(pk=channel.pk).update(secrets=channel_secrets.sealed(moved))
    scene.run()
    assert state(row) == "failed"
    channel.refresh_from_db()
    assert "not public: loopback" in channel.broken_reason
    assert scene.receiver.got == []
    with pytest.raises(SenderError, match="not public"):
        channel_services.create(
            scene.project, Wanted("inside", "webhook", {"url": "http://169.254.169.254/latest"}), "ada"
        )


def test_a_worker_that_dies_between_send_and_commit_leaves_a_second_delivery_and_an_unknown_attempt(
    scene: Scene,
) -> None:
    channel = scene.channel("pagerduty")
    row = scene.message(channel)
    claimed = outgoing.claim(scene.now)
    assert claimed is not None
    sending.send(claimed.kind, watch_delivery.message_of(claimed))
    assert outgoing.claim(scene.now) is None, "two workers hold one message"
    scene.later(seconds=outgoing.LEASE.total_seconds() + 1)
    scene.run()
    assert state(row) == "delivered"
    assert list(Attempt.objects.order_by("pk").values_list("outcome", flat=True)) == ["unknown", "delivered"]
    assert len({got.json["dedup_key"] for got in scene.receiver.got}) == 1
    assert Incident.objects.count() == 1


def test_a_slow_worker_whose_lease_ran_out_does_not_undo_what_the_other_did(scene: Scene) -> None:
    row = scene.message(scene.channel("slack"))
    slow = outgoing.claim(scene.now)
    scene.later(minutes=5)
    scene.run()
    assert slow is not None and state(row) == "delivered"
    late = sending.Sent(base.Verdict(base.Outcome.BROKEN, "late"))
    assert outgoing.settle(slow, late, scene.now) is None
    assert state(row) == "delivered"
    assert Channel.objects.get().broken_at is None


def test_a_test_message_takes_the_same_way_and_closes_what_it_opens_at_pagerduty(scene: Scene) -> None:
    for kind in ("slack", "pagerduty", "webhook", "email"):
        channel_services.test(scene.project, scene.channel(kind).pk, "ada")
    scene.run()
    assert set(Notification.objects.values_list("state", flat=True)) == {"delivered"}
    events = [got.json for got in scene.receiver.got if got.path == "/v2/enqueue"]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1
    assert "TEST" in events[0]["payload"]["summary"]
    assert mail.outbox[-1].to == ["a@example.org", "b@example.org"]
    hook = next(got.json for got in scene.receiver.got if got.path == "/hook")
    assert hook["type"] == "alert.test"


def test_a_bot_answers_in_the_thread_and_recolours_the_first_message(scene: Scene) -> None:
    channel = scene.channel("slack_bot")
    scene.receiver.usual = (200, json.dumps({"ok": True, "channel": "C01", "ts": "1700.1"}), {})
    scene.message(channel)
    scene.message(channel, "update", 2)
    scene.message(channel, "resolve", 3)
    scene.run()
    calls = [(got.path, got.json.get("thread_ts"), got.json.get("ts")) for got in scene.receiver.got]
    assert calls == [
        ("/api/chat.postMessage", None, None), ("/api/chat.postMessage", "1700.1", None),
        ("/api/chat.postMessage", "1700.1", None), ("/api/chat.update", None, "1700.1"),
    ]  # fmt: skip


def test_alertmanager_hears_of_an_open_incident_again_and_of_a_closed_one_not(scene: Scene) -> None:
    channel = scene.channel("alertmanager")
    scene.message(channel)
    scene.run()
    scene.later(minutes=5)
    assert outgoing.repeat(scene.now) == 1
    scene.run()
    assert len(scene.receiver.got) == 2
    Incident.objects.update(resolved_at=scene.now)
    scene.later(minutes=5)
    assert outgoing.repeat(scene.now) == 0


def test_secrets_stay_out_of_the_log_of_deliveries(scene: Scene) -> None:
    scene.receiver.usual = (500, f"at {scene.receiver.url}/services/T0/B0/secretpart" + "x" * 5_000 + "\0", {})
    scene.message(scene.channel("slack"))
    scene.run()
    attempt = Attempt.objects.get()
    assert "secretpart" not in attempt.answer + attempt.text
    assert len(attempt.answer) <= 1_024 and (attempt.status, attempt.latency_ms is not None) == (500, True)


def test_after_ninety_days_the_log_ends_and_what_waits_stays(scene: Scene) -> None:
    channel = scene.channel("slack")
    done, waiting = scene.message(channel), scene.message(channel, seq=2)
    scene.run()
    Notification.objects.filter(pk=waiting.pk).update(state="waiting", finished_at=None)
    scene.later(days=91)
    watch_delivery.expire_deliveries()
    assert list(Notification.objects.values_list("pk", flat=True)) == [waiting.pk]
    assert Attempt.objects.count() == 0 and done.pk


def test_an_archived_channel_passes_on_what_waits(scene: Scene) -> None:
    fallback = scene.channel("webhook")
    channel = scene.channel("slack", fallback=fallback)
    scene.message(channel)
    Channel.objects.filter(pk=channel.pk).update(held_until=scene.now + timedelta(minutes=10))
    channel_services.archive(scene.project.pk, channel.pk, "ada")
    scene.run()
    assert [got.path for got in scene.receiver.got] == ["/hook"]


def test_a_message_written_while_its_channel_is_archived_goes_the_other_way_too(scene: Scene) -> None:
    fallback = scene.channel("webhook")
    channel = scene.channel("slack", fallback=fallback)
    channel_services.archive(scene.project.pk, channel.pk, "ada")
    late = scene.message(channel)
    scene.run()
    assert state(late) == "failed" and [got.path for got in scene.receiver.got] == ["/hook"]


def test_the_outside_watcher_hears_a_beat_only_while_rules_are_evaluated(scene: Scene, settings: Any) -> None:
    settings.ALERT_HEARTBEAT_URL = f"{scene.receiver.url}/beat"
    watch_delivery.beat()
    assert scene.receiver.got == []
    WatchRound.objects.create(scheduled_for=scene.now, started_at=scene.now, finished_at=scene.now)
    watch_delivery.beat()
    assert [got.path for got in scene.receiver.got] == ["/beat"]
    scene.later(minutes=4)
    watch_delivery.beat()
    assert len(scene.receiver.got) == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_several_workers_share_the_messages_and_keep_their_order(scene: Scene) -> None:
    channel = scene.channel("webhook")
    incidents = [alerting.incident(scene.incident.rule, f"g{index}") for index in range(6)]
    for incident in incidents:
        for seq, kind in enumerate(("trigger", "update", "resolve"), 1):
            Notification.objects.create(
                project=scene.project, incident=incident, channel=channel, seq=seq, kind=kind,
                body=alerting.facts(kind, incident=incident.pk), next_attempt_at=scene.now, created_at=scene.now,
            )  # fmt: skip

    def work() -> None:
        try:
            for _ in range(2_000):
                watch_delivery.deliver_one()
                if not Notification.objects.filter(state="waiting").exists():
                    break
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert set(Notification.objects.values_list("state", flat=True)) == {"delivered"}
    for incident in incidents:
        told = [got.json["type"] for got in scene.receiver.got if got.json["data"]["incident"] == incident.pk]
        assert told == ["alert.fired", "alert.updated", "alert.resolved"]
