"""Back-tests against the real database: what is replayed, what it is compared with, and workers that die."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit import stored
from kit.calls import NOON, call, content_of, trace
from kit.guarding import CANARY, document, policy_in_force
from stanchion_guard.records import Part, Subject
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest import messages
from stanchion_server.ingest.ledger import LedgerEntry
from stanchion_server.ingest.records import Batch, CallRecord, SpanKind
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import backtests, decisions, engine, services
from stanchion_server.policies.backtests import Wanted
from stanchion_server.policies.models import Backtest, Policy
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import store

pytestmark = pytest.mark.django_db
END = NOON + timedelta(hours=1)
WINDOW = Wanted(None, None, NOON, END)
DEFAULTS = "defaults: {when_late: block, when_failed: block}\n"


class Clock:
    """Stands still; `ticks` are done one by one, whenever a worker asks how long it has been at it."""

    def __init__(self) -> None:
        self.now, self.monotonic_s, self.ticks = END, 1_000.0, iter(())

    def tick(self) -> float:
        if (done := next(self.ticks, None)) is not None:
            done()
        return self.monotonic_s

    def dies_at_call(self, number: int) -> None:
        """The worker's process ends while it judges this call of its slice, counted from 1."""
        self.ticks = iter([*[None] * number, self._die])

    def _die(self) -> None:
        raise SystemExit

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(clock, "now", lambda: found.now)
    monkeypatch.setattr(clock, "monotonic_s", found.tick)
    return found


@pytest.fixture
def project() -> Iterator[Project]:
    engine.forget_everything()
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    engine.forget_everything()


@pytest.fixture
def policy(project: Project) -> Policy:
    """Version 1 and the draft block the canary word; version 2 is another text that flags it."""
    found = policy_in_force(project, "chat", document(), document(action="flag"))
    return services.save_draft(project.pk, found.pk, document(), "tester")


def recorded(project: Project, *answers: str, first: int = 1, **values: Any) -> list[CallRecord]:
    """One call for each answer, a second apart, each in a trace of its own."""
    calls = []
    for number, answer in enumerate(answers, first):
        row = call(**{"trace_id": trace(number), "after_s": number, **values})
        said = {
            "input": [messages.message("user", [messages.text_part("Good morning?")])],
            "output": [messages.message("assistant", [messages.text_part(answer)])],
        }
        stored.deliver(project.pk, row, contents=(content_of(row, messages.pack(said).body),))
        calls.append(row)
    return calls


def decided(project: Project, row: CallRecord, text: str, parent: int | None = None) -> str:
    """A check in the trace of a call, as it is recorded; answers its id."""
    subject, check_id = Subject((Part("output", text),)), uuid.uuid4().hex
    checked = engine.check(project.pk, "chat", subject, key=check_id, manner=engine.Manner())
    origin = decisions.Origin(check_id, "rest", row.trace_id, parent)
    start_ns = int(row.start_time.timestamp()) * 10**9
    found = [decisions.record(one, subject, origin, uuid.uuid4().int >> 65, start_ns) for one in checked.judged]
    entry = LedgerEntry(api_key_id=1, signal="traces", client="kit", body_bytes=1, sent=len(found))
    batch = Batch(spans=tuple(one.span for one in found), decisions=tuple(one.decision for one in found))
    store.store(project.pk, batch, entry)
    return check_id


def rating(row: CallRecord, score: float) -> Rating:
    return Rating(
        uuid.uuid4().hex, "helpful", score, "", "", "", row.trace_id, row.span_id, "", "u", Source.API, row.start_time
    )


def run(policy: Policy, wanted: Wanted = WINDOW) -> Backtest:
    row = backtests.create(policy, wanted, "tester")
    while backtests.step():
        pass
    row.refresh_from_db()
    return row


def dies(row: Backtest) -> None:
    with pytest.raises(SystemExit):
        backtests.step()
    row.refresh_from_db()


def test_what_would_be_stopped_now_and_was_not_stands_with_its_trace(project: Project, policy: Policy) -> None:
    first, second = recorded(project, "hello", f"see {CANARY}")
    row = run(policy)
    assert (row.state, row.calls_total, row.calls_done) == ("done", 2, 2)
    told = row.result
    assert (told["calls"], told["newly_stopped_count"], told["newly_passed_count"]) == (2, 1, 0)
    [example] = told["newly_stopped"]
    assert (example["trace_id"], example["before"], example["after"]) == (second.trace_id.hex, "allow", "block")
    assert (told["matrix"], told["rules"]) == ({"allow>allow": 1, "allow>block": 1}, {"canary": 1})
    assert (told["without_baseline"], told["mean_before_us"]) == (2, None)
    assert first.trace_id != second.trace_id


def test_what_a_text_judges_beyond_what_was_measured_is_counted_and_is_not_incomplete(
    project: Project, policy: Policy
) -> None:
    rule = "  - {id: attack, stages: [output], detector: toxicity, action: flag}"
    text = f"policy: chat\nversion: 1\n{DEFAULTS}rules:\n{rule}\n"
    policy = services.save_draft(project.pk, policy.pk, text, "tester")
    german = "Guten Tag, ich habe eine Frage zu meiner Bestellung und hoffe auf eine schnelle Antwort von Ihnen."
    recorded(project, german, "Your parcel is on its way and will be with you tomorrow.", german)
    told = run(policy).result
    assert (told["calls"], told["limited"], told["incomplete"]) == (3, 2, 0)
    assert told["limits"] == {"attack: language de not covered": 2}


def test_calls_on_which_the_engine_breaks_are_told_as_incomplete_and_end_no_back_test(
    project: Project, policy: Policy
) -> None:
    def no_time() -> int:
        raise RuntimeError("no time")

    recorded(project, "hello", CANARY)
    engine.guard_of_text(project.pk, policy.draft).clock = no_time
    row = run(policy)
    assert (row.state, row.result["calls"], row.result["incomplete"]) == ("done", 2, 2)


def test_a_version_is_compared_with_what_another_would_have_done(project: Project, policy: Policy) -> None:
    recorded(project, "hello", CANARY)
    told = run(policy, replace(WINDOW, number=2, baseline=1)).result
    assert (told["newly_passed_count"], told["newly_stopped_count"], told["without_baseline"]) == (1, 0, 0)
    assert told["newly_passed"][0]["before"] == "block"
    assert told["mean_us"] > 0 and told["mean_before_us"] > 0
    assert told["matrix"] == {"allow>allow": 1, "block>flag": 1}


def test_what_was_decided_at_the_time_is_the_baseline_by_span_where_it_names_one(
    project: Project, policy: Policy
) -> None:
    """Two calls of one trace: a check that names the first as its parent says nothing of the second."""
    first, second = recorded(project, CANARY, CANARY, trace_id=trace(1))
    decided(project, first, CANARY, parent=first.span_id)
    decided(project, second, "harmless then", parent=second.span_id)
    assert run(policy).result["matrix"] == {"block>block": 1, "allow>block": 1}


def test_a_check_that_names_no_call_counts_for_every_call_of_its_trace(project: Project, policy: Policy) -> None:
    [first] = recorded(project, CANARY)
    decided(project, first, CANARY)
    assert run(policy).result["matrix"] == {"block>block": 1}


def test_a_shadow_of_the_time_is_no_baseline(project: Project, policy: Policy) -> None:
    services.set_live(project.pk, policy.pk, 2, "tester")
    services.set_shadow(project.pk, policy.pk, 1, "tester")
    [first] = recorded(project, CANARY)
    decided(project, first, CANARY)
    assert run(policy).result["matrix"] == {"flag>block": 1}


def test_precision_and_recall_come_from_reviews(project: Project, policy: Policy) -> None:
    rows = recorded(project, CANARY, CANARY, CANARY, "a violation that it misses", "harmless")
    for row, is_violation in zip(rows, (True, True, False, True, False), strict=True):
        services.review_decision(project.pk, decided(project, row, "x"), is_violation, "tester")
    told = run(policy).result
    assert told["reviewed"] == {"caught": 2, "false_alarms": 1, "missed": 1, "passed": 1}
    assert (told["precision"], told["recall"]) == (2 / 3, 2 / 3)


def test_without_reviews_precision_and_recall_are_not_known(project: Project, policy: Policy) -> None:
    recorded(project, CANARY)
    told = run(policy).result
    assert (told["precision"], told["recall"], told["reviewed"]) == (None, None, {})


def test_ratings_are_counted_beside_and_mixed_ones_not_at_all(project: Project, policy: Policy) -> None:
    bad, good, mixed, none = recorded(project, CANARY, CANARY, "hello", "hello")
    feedback.keep(project.pk, [rating(bad, 0.0), rating(good, 1.0), rating(mixed, 0.0), rating(mixed, 1.0)])
    told = run(policy).result
    assert told["rated"] == {"bad_stopped": 1, "good_stopped": 1}
    assert (told["precision"], told["calls"], none.feature) == (None, 4, "")


def test_calls_whose_texts_are_gone_are_counted_apart(project: Project, policy: Policy) -> None:
    stored.deliver(project.pk, call(after_s=1))
    recorded(project, "hello", first=2)
    told = run(policy).result
    assert (told["calls"], told["without_content"]) == (1, 1)


def test_texts_that_were_cut_make_the_call_incomplete(project: Project, policy: Policy) -> None:
    row = call(after_s=1)
    said = {"output": [messages.message("assistant", [messages.text_part("cut he…")])]}
    content = replace(content_of(row, messages.pack(said).body), is_truncated=True)
    stored.deliver(project.pk, row, contents=(content,))
    assert run(policy).result["incomplete"] == 1


def test_the_new_message_of_a_very_long_conversation_is_judged(project: Project, policy: Policy) -> None:
    row = call(after_s=1)
    spoken = [messages.message(("user", "assistant")[n % 2], [messages.text_part(f"m{n}")]) for n in range(600)]
    said = {"input": [*spoken, messages.message("user", [messages.text_part(CANARY)])]}
    stored.deliver(project.pk, row, contents=(content_of(row, messages.pack(said).body),))
    assert run(policy).result["newly_stopped_count"] == 1


def test_only_charged_model_calls_of_the_window_the_features_and_the_project_are_replayed(
    project: Project, policy: Policy
) -> None:
    recorded(project, "in", first=10, feature="search")
    recorded(project, "other feature", first=20, feature="chat")
    recorded(project, "before", first=30, feature="search", after_s=-1)
    recorded(project, "at the end", first=40, feature="search", after_s=3600)
    recorded(project, "no model", first=50, feature="search", kind=SpanKind.EMBEDDING)
    recorded(tenants.create_project(project.organisation, "Other"), "theirs", first=60, feature="search")
    row = run(policy, replace(WINDOW, features=("search",)))
    assert (row.calls_total, row.calls_done, row.result["calls"]) == (1, 1, 1)


def test_no_more_calls_are_replayed_than_wanted_and_the_oldest_first(project: Project, policy: Policy) -> None:
    recorded(project, CANARY, CANARY, "hello")
    row = run(policy, replace(WINDOW, max_calls=2))
    assert (row.state, row.calls_done, row.calls_total, row.result["newly_stopped_count"]) == ("done", 2, 2, 2)


def test_a_worker_that_dies_between_and_inside_slices_counts_each_call_once(
    project: Project, policy: Policy, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 3)
    recorded(project, *[CANARY if number % 2 else "hello" for number in range(8)])
    row = backtests.create(policy, WINDOW, "tester")
    assert backtests.step()
    time.dies_at_call(2)
    dies(row)
    assert (row.state, row.calls_done) == ("running", 3)
    assert not backtests.step(), "the lease of the dead worker holds"
    time.wait(61)
    while backtests.step():
        pass
    row.refresh_from_db()
    assert (row.state, row.calls_done, row.result["calls"]) == ("done", 8, 8)
    assert row.result["matrix"] == {"allow>allow": 4, "allow>block": 4}


def test_a_worker_that_was_only_slow_does_not_count_its_slice_again(
    project: Project, policy: Policy, time: Clock
) -> None:
    """Its lease ran out, another did the work meanwhile, and then it wants to write."""
    recorded(project, "hello", CANARY)
    row = backtests.create(policy, WINDOW, "tester")

    def another_worker() -> None:
        time.wait(61)
        assert backtests.step()

    time.ticks = iter([None, another_worker])
    assert backtests.step()
    row.refresh_from_db()
    assert (row.state, row.calls_done, row.result["calls"]) == ("done", 2, 2)


def test_a_slow_policy_saves_what_it_has_within_its_lease(project: Project, policy: Policy, time: Clock) -> None:
    recorded(project, "a", "b", "c")
    row = backtests.create(policy, WINDOW, "tester")
    passing = [lambda: setattr(time, "monotonic_s", time.monotonic_s + 5) for _ in range(10)]
    time.ticks = iter([None, *passing])
    assert backtests.step()
    row.refresh_from_db()
    assert (row.state, row.calls_done, row.attempts) == ("queued", 1, 0)


def test_three_dead_workers_end_a_back_test_and_the_next_one_has_its_turn_at_once(
    project: Project, policy: Policy, time: Clock
) -> None:
    recorded(project, "hello")
    row = backtests.create(policy, WINDOW, "tester")
    for _attempt in range(3):
        time.dies_at_call(1)
        dies(row)
        time.wait(61)
    other = backtests.create(policy, WINDOW, "tester")
    Backtest.objects.filter(pk=other.pk).update(leased_until=time.now + timedelta(days=1))
    assert backtests.step()
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.state, row.error) == ("failed", "3 workers died after 0 calls")
    assert row.finished_at == time.now
    assert other.state == "done"


def test_a_fault_of_ours_ends_a_back_test_after_three_attempts_with_its_name(project: Project, policy: Policy) -> None:
    broken = call(after_s=1)
    stored.deliver(project.pk, broken, contents=(content_of(broken, b"no content of ours"),))
    row = backtests.create(policy, WINDOW, "tester")
    for _attempt in range(3):
        with pytest.raises(ValueError, match="not a stored content"):
            backtests.step()
    assert not backtests.step()
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "ValueError after 0 calls; see the server's log")


def test_cancelling_while_a_slice_runs_stands(project: Project, policy: Policy, time: Clock) -> None:
    recorded(project, "hello", CANARY)
    row = backtests.create(policy, WINDOW, "tester")
    time.ticks = iter([None, lambda: backtests.cancel(project.pk, row.pk)])
    assert backtests.step()
    assert not backtests.step()
    row.refresh_from_db()
    assert (row.state, row.calls_done, row.result, row.finished_at) == ("cancelled", 0, {}, time.now)
    assert not backtests.cancel(project.pk, row.pk)


def test_another_project_cannot_cancel(project: Project, policy: Policy) -> None:
    row = backtests.create(policy, WINDOW, "tester")
    assert not backtests.cancel(project.pk + 1, row.pk)
    assert Backtest.objects.get().state == "queued"


def test_back_tests_take_turns(project: Project, policy: Policy, time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "SLICE", 1)
    recorded(project, "a", "b")
    rows = [backtests.create(policy, WINDOW, "tester") for _ in range(2)]
    for _slice in range(2):
        time.wait(1)
        assert backtests.step()
    assert [Backtest.objects.get(pk=row.pk).calls_done for row in rows] == [1, 1]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (replace(WINDOW, window_end=NOON), "bad_window"),
        (replace(WINDOW, window_end=NOON - timedelta(days=1)), "bad_window"),
        (replace(WINDOW, window_end=NOON + timedelta(days=90, microseconds=1)), "bad_window"),
        (replace(WINDOW, window_start=datetime.min.replace(tzinfo=NOON.tzinfo)), "bad_window"),
        (replace(WINDOW, max_calls=0), "bad_max_calls"),
        (replace(WINDOW, max_calls=200_001), "bad_max_calls"),
        (replace(WINDOW, number=9), "no_such_version"),
        (replace(WINDOW, baseline=9), "no_such_version"),
    ],
)
def test_a_window_without_sense_is_refused(policy: Policy, wanted: Wanted, code: str) -> None:
    with pytest.raises(SenderError) as refused:
        backtests.create(policy, wanted, "tester")
    assert refused.value.code == code
    assert Backtest.objects.count() == 0


def test_a_window_at_the_edge_of_time_finds_nothing_and_ends(policy: Policy) -> None:
    start = datetime.min.replace(tzinfo=NOON.tzinfo)
    row = run(policy, replace(WINDOW, window_start=start, window_end=start + timedelta(days=1)))
    assert (row.state, row.calls_done, row.result["calls"]) == ("done", 0, 0)


def test_a_sixth_back_test_has_to_wait_until_one_is_over(policy: Policy) -> None:
    rows = [backtests.create(policy, WINDOW, "tester") for _ in range(5)]
    with pytest.raises(SenderError) as refused:
        backtests.create(policy, WINDOW, "tester")
    assert (refused.value.code, refused.value.http_status) == ("too_many_backtests", 409)
    assert backtests.cancel(policy.project_id, rows[0].pk)
    backtests.create(policy, WINDOW, "tester")
