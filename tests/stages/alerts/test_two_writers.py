"""The engine and the senders write messages of one incident at the same time, on connections of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from kit import alerting
from kit.sending import wait_until
from stanchion_server.alerts import channel_services, handover, outbox, services
from stanchion_server.alerts.models import Channel, Incident, Notification
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LATER = alerting.AT + timedelta(minutes=20)
PLAIN: dict[str, Any] = {
    "name": "errors", "watch": {"source": "calls", "measure": "error_ratio"}, "when": {"above": 0.05},
    "channels": ["pager", "phone"], "escalate": [{"after": "15m", "channels": ["desk"]}],
}  # fmt: skip


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def incident(project: Project) -> Incident:
    """Told to pager and phone, whose fallback is the desk; twenty minutes later the desk is to hear of it anyway."""
    desk = alerting.channel(project, "desk")
    for name in ("pager", "phone"):
        alerting.channel(project, name, fallback=desk)
    found = alerting.incident(services.save(project, PLAIN, "ada"))
    for channel in Channel.objects.exclude(name="desk"):
        Notification.objects.create(
            project=project, incident=found, channel=channel, seq=1, kind="trigger", body=alerting.facts(),
            next_attempt_at=alerting.AT, created_at=alerting.AT, attempts=1, leased_until=alerting.AT,
        )  # fmt: skip
    return found


def locked(name: str) -> Notification:
    """As a sender holds a message while it settles what came of it."""
    rows = Notification.objects.select_for_update(of=("self",)).select_related("channel__fallback")
    return rows.get(channel__name=name)


def settle(project: Project) -> None:
    with transaction.atomic():
        outbox.settle(project.pk, LATER)


def fail(name: str) -> None:
    with transaction.atomic():
        handover.fail(locked(name), "HTTP 500", LATER)


def closing(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()


def waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE pg_blocking_pids(pid) @> ARRAY[pg_backend_pid()]")
        return bool(cursor.fetchone()[0])


def at_the_desk() -> list[tuple[int, str, bool]]:
    rows = Notification.objects.filter(channel__name="desk").order_by("seq")
    return [(row.seq, row.kind, row.copy_of_id is not None) for row in rows]


def test_a_message_is_handed_over_while_the_engine_waits_and_the_desk_hears_of_it_once(
    project: Project, incident: Incident
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            row = locked("pager")
            engine = pool.submit(closing, lambda: settle(project))
            wait_until(waits_for_us, 30, "the engine to wait for the message")
            handover.fail(row, "HTTP 500", LATER)
        engine.result(30)
    assert at_the_desk() == [(1, "trigger", True)]


def test_two_messages_are_handed_over_to_one_channel_at_the_same_time(project: Project, incident: Incident) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            handover.fail(locked("pager"), "HTTP 500", LATER)
            other = pool.submit(closing, lambda: fail("phone"))
            wait_until(waits_for_us, 30, "the other sender to wait for this one")
        other.result(30)
    assert at_the_desk() == [(1, "trigger", True), (2, "trigger", True)]
    assert set(Notification.objects.exclude(channel__name="desk").values_list("state", flat=True)) == {"failed"}


def test_the_engine_writes_first_and_nothing_is_handed_over_to_whom_it_has_told(
    project: Project, incident: Incident
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            outbox.settle(project.pk, LATER)
            sender = pool.submit(closing, lambda: fail("pager"))
            wait_until(waits_for_us, 30, "the sender to wait for the engine")
        sender.result(30)
    assert at_the_desk() == [(1, "trigger", False)]


def test_a_channel_is_archived_without_waiting_for_the_sender_that_holds_its_message(
    project: Project, incident: Incident
) -> None:
    pager = Channel.objects.get(name="pager")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        locked("pager")
        archiving = pool.submit(closing, lambda: archive(pager))
        archiving.result(30)
        Channel.objects.filter(pk=pager.pk).update(held_until=LATER)
    pager.refresh_from_db()
    assert pager.archived_at is not None


def archive(channel: Channel) -> None:
    channel_services.archive(channel.project_id, channel.pk, "ada")
