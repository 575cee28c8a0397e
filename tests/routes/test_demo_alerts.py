"""The troubles of the demo's live story at virtual time: played by the demo's own clients, taken through the door's
flow, settled, scored, summed and judged as the server does it. What alarms, how soon, and when is it over?"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from kit import demo_tape
from kit.demo_tape import Part, Sent
from stanchion_demo import cards, catalogue
from stanchion_demo.machines import Machines
from stanchion_demo.steps import Kind
from stanchion_demo.storyline import LIVE_EPISODES, Episode, Story
from stanchion_server.alerts.models import Incident
from stanchion_server.costs import selectors as prices
from stanchion_server.costs import settle
from stanchion_server.kernel import clock
from stanchion_server.quality.panels import panels
from stanchion_server.routes import scoring, telemetry, watch
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import partitions
from stanchion_server.web.otlp import gate

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
STORY = Story(datetime(2026, 11, 24, 10, tzinfo=UTC))
ROUND, CALM_ROUND = 10 * SECOND, 30 * SECOND
"""As in the product for as long as it matters when something is noticed; for the rest the watcher comes less often."""
BEHIND = 7 * SECOND
"""The scheduler's rounds need not fall on whole ten seconds."""
UNDER_WAY = 3 * SECOND
"""From an application to the sums: the door, and the settling every two seconds."""
LAST_SAMPLE = (cards.LIVE_STEP_S - 1) * SECOND
"""The agents' samples come so long after each step's beginning: the last one right before the agent dies, which makes
its silence as long in coming as it can be."""
PROMISED = 120 * SECOND


class Server:
    """Its flows at a clock of its own; `opened` is when each incident was first there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = STORY.anchor - timedelta(days=1)
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(clock, "now_ns", lambda: int(self.now.timestamp()) * 1_000_000_000)
        project = tenants.create_project(tenants.create_organisation("Birchwood"), "Shop")
        Project.objects.filter(pk=project.pk).update(created_at=self.now)
        self.sender = telemetry.Sender(project.pk, 1, "demo/1", 30)
        self.machines = Machines("", "", STORY, threading.Event())
        self.opened: dict[int, datetime] = {}

    def accept(self, signal: Literal["traces", "metrics"], body: bytes, encoding: Literal["protobuf", "json"]) -> None:
        outcome = telemetry.accept(self.sender, signal, body, encoding, body_bytes=len(body), gate=gate)
        assert not outcome.rejected, outcome.message

    def live(self, tape: list[Sent], part: Part, begins: datetime, *, has_cards: bool = False) -> None:
        """Round after round through the minutes of the part; what was sent before them is there at once."""
        waiting, measured, end = deque(tape), part.begin(STORY) + LAST_SAMPLE, part.end(STORY)
        self.now = part.begin(STORY) + BEHIND
        while self.now < end:
            while waiting and waiting[0].at <= self.now - UNDER_WAY:
                self.accept("traces", waiting.popleft().body, "protobuf")
            while has_cards and measured <= self.now:
                self.accept("metrics", self.machines.body([measured]), "json")
                measured += cards.LIVE_STEP_S * SECOND
            self.round()
            self.now += ROUND if abs(self.now - begins) <= PROMISED + MINUTE else CALM_ROUND

    def round(self) -> None:
        while settle.run(self.now).is_more:
            pass
        scoring.score_fast()
        scoring.sum_scores()
        watch.judge()
        self.opened |= {row.pk: self.now for row in Incident.objects.exclude(pk__in=self.opened)}

    def only_incident(self, rule: str, begins: datetime, ends: datetime) -> None:
        """There was one, in time, and it is over."""
        found = Incident.objects.select_related("rule").order_by("pk")
        assert [(row.rule.name, row.is_flapping) for row in found] == [(rule, False)]
        waited = self.opened[found[0].pk] - begins
        assert timedelta(0) < waited <= PROMISED, f"{rule} came {waited} after the beginning"
        assert found[0].resolved_at is not None and found[0].resolved_at > ends, "it is not over"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    partitions.forget()
    prices.forget()
    yield Server(monkeypatch)
    partitions.forget()
    prices.forget()
    panels.forget()


def episode(kind: Kind) -> Episode:
    return next(one for one in LIVE_EPISODES if one.kind is kind)


def test_looping_agents_raise_one_incident_within_two_minutes_though_they_did_it_yesterday(server: Server) -> None:
    wanted = episode(Kind.COST_SPIKE)
    begins, ends = wanted.window(STORY.anchor)
    yesterday = demo_tape.record(STORY, Part(-1440, 0), catalogue.AGENT, timedelta(hours=1))
    today = demo_tape.record(STORY, Part(0, wanted.to_minute))
    server.live([*yesterday, *today], Part(wanted.from_minute - 1, wanted.to_minute + 14), begins)
    server.only_incident("cost-spike", begins, ends)


def test_a_wave_of_insults_raises_one_incident_within_two_minutes(server: Server) -> None:
    wanted = episode(Kind.TOXICITY_WAVE)
    begins, ends = wanted.window(STORY.anchor)
    tape = demo_tape.record(STORY, Part(wanted.from_minute - 15, wanted.to_minute + 14), catalogue.SUPPORT)
    server.live(tape, Part(wanted.from_minute - 2, wanted.to_minute + 19), begins)
    server.only_incident("toxicity-rate", begins, ends)


def test_a_dead_gpu_agent_raises_one_incident_within_two_minutes(server: Server) -> None:
    begins, ends = (STORY.anchor + minute * MINUTE for minute in (cards.DEAD_FROM_MINUTE, cards.DEAD_TO_MINUTE))
    server.live([], Part(cards.DEAD_FROM_MINUTE - 2, cards.DEAD_TO_MINUTE + 2), begins, has_cards=True)
    server.only_incident("gpu-agent-dead", begins, ends)
