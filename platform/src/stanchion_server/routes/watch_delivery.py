"""Delivery: claim -> render -> send -> settle, message by message. A lost wake-up or a killed worker loses nothing."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings

from stanchion_server.alerts import channel_services, facts, outgoing, sending
from stanchion_server.alerts.channels.base import Message
from stanchion_server.alerts.models import WatchRound
from stanchion_server.kernel import clock, http, turns

BUDGET_S = 20.0
SENDERS = 3
"""Messages on their way at a time from one process: as many receivers may stall before the others wait."""
BEAT_MEANS = timedelta(minutes=3)
log = logging.getLogger(__name__)


@shared_task
@turns.at_most(SENDERS)
def deliver() -> None:
    """Every two seconds: messages that are due, until the budget is used up. Several threads share them."""
    deadline_s = clock.monotonic_s() + BUDGET_S
    outgoing.repeat(clock.now())
    while clock.monotonic_s() < deadline_s and deliver_one():
        pass


def deliver_one() -> bool:
    """False when nothing is due."""
    claimed = outgoing.claim(clock.now())
    if claimed is None:
        return False
    outgoing.settle(claimed, sending.send(claimed.kind, message_of(claimed)), clock.now())
    return True


def message_of(claimed: outgoing.Claimed) -> Message:
    return Message(
        id=f"msg_{claimed.project_id}_{claimed.id}", facts=facts.from_json(claimed.body), settings=claimed.settings,
        secrets=claimed.secrets, public_url=settings.PUBLIC_URL, now=clock.now(), endpoints=settings.ALERT_ENDPOINTS,
        thread=claimed.thread, is_minimal=claimed.is_minimal,
    )  # fmt: skip


@shared_task
def beat() -> None:
    """Every minute: tells the operator's outside watcher that rules are evaluated. When they are not, it hears nothing
    and raises the alarm."""
    is_alive = WatchRound.objects.filter(finished_at__gte=clock.now() - BEAT_MEANS).exists()
    if not settings.ALERT_HEARTBEAT_URL or not is_alive:
        return
    try:
        answer = http.client().send("POST", settings.ALERT_HEARTBEAT_URL)
    except (http.Refused, http.Failed) as error:
        log.warning("the heartbeat was not taken: %s", error)
    else:
        if answer.status >= 300:
            log.warning("the heartbeat was answered with HTTP %s", answer.status)


@shared_task
def expire_deliveries() -> None:
    """Every hour: the end of old messages and attempts; channels' secrets under the newest key."""
    outgoing.expire(clock.now())
    channel_services.tend(clock.now())
