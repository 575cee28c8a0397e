"""The demo against a live server: a small history through the real clients, the SDK and the OTLP door."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import resolve

from kit import traffic
from stanchion_demo import books, catalogue, storyline
from stanchion_demo.notebook import Notes
from stanchion_demo.steps import Kind, ModelCall
from stanchion_server.commands import up
from stanchion_server.costs import invoices, selectors_budgets, selectors_headroom
from stanchion_server.costs import selectors as prices
from stanchion_server.costs.models import SavingsReport
from stanchion_server.costs.reconciling import Tolerance
from stanchion_server.feedback.models import Rating
from stanchion_server.policies.models import Backtest, DecisionReview, Policy
from stanchion_server.tenants.models import ApiKey, Project
from stanchion_server.traces import partitions
from stanchion_server.traces.models import GuardDecision, LlmCall, Span

ROOT = Path(__file__).resolve().parents[2]
SCALE = "0.04"
SOURCES = os.pathsep.join(str(ROOT / name / "src") for name in ("platform", "collectors", "guardrails"))


def tell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The demo as a process, to the end of its history."""
    command = [sys.executable, "-P", "-m", "stanchion_demo", "--folder", str(folder), "--scale", SCALE]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES}
    return subprocess.run(
        [*command, "--history-only", *arguments], env=env, capture_output=True, text=True, check=False, timeout=400
    )


@dataclass(frozen=True)
class Demo:
    folder: Path
    project_id: int

    @property
    def conversations(self) -> list[storyline.Conversation]:
        notes = Notes(**json.loads((self.folder / "demo-story.json").read_text()))
        return list(storyline.history(notes.story))

    def calls(self) -> list[LlmCall]:
        return list(LlmCall.objects.filter(project_id=self.project_id))


@pytest.fixture
def demo(live_server: Any, tmp_path: Path, settings: Any) -> Demo:
    settings.PUBLIC_URL = live_server.url
    partitions.forget()
    prices.forget()
    call_command("bootstrap", "--file", str(tmp_path / "bootstrap.json"), "--demo-file", str(tmp_path / "demo.json"))
    return Demo(tmp_path, Project.objects.get(is_demo=True).pk)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_history_is_stored_as_it_was_planned_and_once(demo: Demo) -> None:
    done = tell(demo.folder)
    assert done.returncode == 0, done.stderr
    planned = demo.conversations
    stored = demo.calls()

    expected = Counter({(each.app.feature, each.release, each.environment): 0 for each in planned})
    for each in planned:
        expected[each.app.feature, each.release, each.environment] += each.calls
    assert Counter((call.feature, call.release, call.environment) for call in stored) == expected

    sessions = {each.session: each.calls for each in planned if each.user}
    assert Counter(call.session_id for call in stored if call.session_id) == sessions
    users = {call.user_id for call in stored if call.user_id}
    assert len(users) == len({each.user for each in planned if each.user})
    assert not any(name.startswith("customer-") for name in users)

    chats = [step for each in planned for turn in each.turns for step in turn.steps if isinstance(step, ModelCall)]
    failures = {429: "429", 500: "500", 408: "openai.APITimeoutError"}
    said = Counter(call.error_type.replace("anthropic.", "openai.") for call in stored if call.error_type)
    assert said == Counter(failures[chat.failure] for chat in chats if chat.failure)
    assert sum(call.input_tokens or 0 for call in stored if call.operation == "chat") == sum(
        chat.usage.input_tokens for chat in chats if not chat.failure
    )
    assert Counter(call.provider for call in stored if call.operation == "chat") == Counter(
        chat.provider for chat in chats
    )
    streamed = [call for call in stored if call.is_streamed and not call.error_type]
    assert len(streamed) == sum(chat.is_streamed and not chat.failure for chat in chats)
    assert all(call.time_to_first_token_ms for call in streamed)
    assert all(call.cost_usd is not None for call in stored if not call.error_type)
    assert_the_books_are_kept(demo)


def assert_the_books_are_kept(demo: Demo) -> None:
    now = datetime.now(UTC)
    traffic.settle_all(now)
    traffic.count_peaks(now)
    found = {one.reading.name: one for one in selectors_budgets.standings(demo.project_id, now)}
    assert set(found) == {"Ticket summaries", "Everything", "Staging"} and found["Staging"].budget.is_hard_stop
    headroom = selectors_headroom.readings(demo.project_id, selectors_headroom.limits(demo.project_id), now)
    assert [(one.provider, one.model) for one in headroom] == [
        (limit["provider"], limit.get("model", ""))
        for limit in sorted(books.LIMITS, key=lambda limit: limit["provider"])
    ]
    assert SavingsReport.objects.get(project_id=demo.project_id).state == "queued"
    (bill,) = invoices.invoices(demo.project_id)
    sums = invoices.reconcile(demo.project_id, bill.pk, Tolerance(Decimal("0.01"), Decimal("0.01"))).totals
    (replay,) = Backtest.objects.filter(policy__project_id=demo.project_id)
    assert (replay.number, replay.baseline, replay.features) == (3, 2, ["support-bot"])
    assert sums.price_usd > 0 and sums.unseen_usd == books.UNSEEN[-1] and sums.unbilled_usd < 0


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_ratings_and_times_are_those_of_the_past(demo: Demo) -> None:
    tell(demo.folder)
    planned = demo.conversations
    given = sorted(
        (turn.rating.score, turn.rating.comment, turn.rating.correction)
        for each in planned
        for turn in each.turns
        if turn.rating is not None
    )
    ratings = Rating.objects.filter(project_id=demo.project_id)
    assert sorted((rating.score, rating.comment, rating.correction) for rating in ratings) == given
    starts = sorted(call.start_time for call in demo.calls())
    assert abs((starts[0] - min(each.at for each in planned)).total_seconds()) < 1
    assert starts[-1] < datetime.now(UTC)
    assert sorted(chat.latency_s for each in planned for turn in each.turns for chat in turn.steps
                  if isinstance(chat, ModelCall)) == pytest.approx(
        sorted(call.duration_ns / 1e9 for call in demo.calls() if call.operation == "chat"), abs=1e-3)  # fmt: skip


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_second_start_adds_no_history_and_one_that_broke_off_is_told_again_without_doubles(demo: Demo) -> None:
    tell(demo.folder)
    spans = Span.objects.filter(project_id=demo.project_id).count()
    ratings = Rating.objects.filter(project_id=demo.project_id).count()
    assert spans

    second = tell(demo.folder)
    assert second.returncode == 0
    assert "told" not in second.stdout
    assert Span.objects.filter(project_id=demo.project_id).count() == spans

    notes = demo.folder / "demo-story.json"
    notes.write_text(json.dumps({**json.loads(notes.read_text()), "is_history_told": False}))
    assert "told" in tell(demo.folder).stdout
    assert Span.objects.filter(project_id=demo.project_id).count() == spans
    assert Rating.objects.filter(project_id=demo.project_id).count() == ratings


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_support_bots_guard_judged_what_was_said_except_in_the_planted_outage(demo: Demo) -> None:
    assert tell(demo.folder).returncode == 0
    found = GuardDecision.objects.filter(project_id=demo.project_id)
    spoken = [each for each in demo.conversations if each.app is catalogue.SUPPORT]
    guarded = {each.session for each in spoken if Kind.GUARD_OUTAGE not in each.planted}
    assert {row.session_id for row in found} == guarded
    assert {row.feature for row in found} == {"support-bot"} and {row.source for row in found} == {"sdk"}
    modes = {(row.policy_version, row.mode) for row in found}
    assert {("1", "live"), ("2", "shadow"), ("2", "live"), ("3", "shadow")} <= modes
    turns = sum(len(each.turns) for each in spoken if each.session in guarded)
    judged = [row for row in found if row.mode != "shadow"]
    assert 2 * turns <= len(judged) <= 3 * turns
    late = {each.session for each in spoken if Kind.GUARD_LATE in each.planted}
    assert late <= {row.session_id for row in judged if not row.is_complete}
    policy = Policy.objects.get(project_id=demo.project_id)
    assert (policy.name, policy.live, policy.shadow, policy.versions.count()) == ("support-bot", 2, 3, 3)
    assert DecisionReview.objects.filter(project_id=demo.project_id).exists()


@pytest.mark.django_db
def test_the_demo_has_a_project_and_a_key_of_its_own_made_once(tmp_path: Path) -> None:
    files = ["--file", str(tmp_path / "bootstrap.json"), "--demo-file", str(tmp_path / "demo.json")]
    call_command("bootstrap", *files)
    call_command("bootstrap", *files)
    assert Project.objects.filter(is_demo=True).count() == 1
    assert Project.objects.filter(is_demo=False).count() == 1
    demo = Project.objects.get(is_demo=True)
    keys = ApiKey.objects.filter(project=demo).order_by("name")
    assert [(key.name, "admin" in key.scopes) for key in keys] == [("Demo office", True), ("Demo traffic", False)]
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600


def test_the_page_that_the_server_names_is_there() -> None:
    assert resolve(up.demo_path("birchwood-demo")).url_name == "overview"


def test_without_the_providers_clients_the_start_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    assert up.main(["--demo", "--data-dir", str(tmp_path / "data")]) == 1
    assert "--demo needs anthropic. Run script/environment demo" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_folder_without_a_key_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    done = tell(tmp_path)
    assert done.returncode == 1
    assert "does not name a server and a key" in done.stderr
    assert "Traceback" not in done.stderr
