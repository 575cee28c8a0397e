"""The demo's story: the same every time, shaped like a shop's fortnight, with everything planted that it promises."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest

from stanchion_demo import catalogue, storyline
from stanchion_demo.recall_texts import RECALL
from stanchion_demo.steps import Conversation, Kind, ModelCall, Retrieval
from stanchion_demo.storyline import EPISODES, LIVE_EPISODES, Episode, Story
from stanchion_demo.support_texts import TOPICS, Topic

ANCHOR = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
STORY = Story(ANCHOR)
HISTORY = list(storyline.history(STORY))


def chats(conversation: Conversation) -> list[ModelCall]:
    return [step for turn in conversation.turns for step in turn.steps if isinstance(step, ModelCall)]


def planted(kind: Kind) -> list[Conversation]:
    return [each for each in HISTORY if kind in each.planted]


def within(episode: Episode, conversations: list[Conversation]) -> list[Conversation]:
    first, last = episode.window(ANCHOR)
    return [each for each in conversations if first <= each.at < last]


def test_the_same_story_is_told_twice() -> None:
    assert list(storyline.history(STORY)) == HISTORY


def test_another_seed_tells_another_story() -> None:
    texts = {chats(each)[0].messages[0]["content"] for each in HISTORY if "content" in chats(each)[0].messages[0]}
    others = {chats(each)[0].messages[0]["content"] for each in storyline.history(Story(ANCHOR, seed=8))}
    assert len(texts & others) < len(texts) / 10


def test_newest_day_first_is_the_same_story_in_another_order() -> None:
    shuffled = list(storyline.history(STORY, newest_day_first=True))
    assert shuffled[0].at > ANCHOR - timedelta(days=1)
    assert sorted(shuffled, key=lambda each: each.number) == sorted(HISTORY, key=lambda each: each.number)


def test_the_plan_counts_what_the_history_holds() -> None:
    plan = storyline.plan(STORY)
    assert plan.conversations == len(HISTORY)
    assert plan.calls == sum(each.calls for each in HISTORY)
    assert plan.planted == Counter(kind for each in HISTORY for kind in each.planted)


def test_a_fortnight_is_some_thousand_calls() -> None:
    assert 4_000 < storyline.plan(STORY).calls < 8_000


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_thing_is_planted(kind: Kind) -> None:
    assert planted(kind)


def test_nothing_in_the_history_ends_after_the_anchor_or_begins_before_the_fortnight() -> None:
    assert min(each.at for each in HISTORY) >= ANCHOR - timedelta(days=14)
    assert max(each.at + timedelta(seconds=storyline.duration_s(each)) for each in HISTORY) < ANCHOR


def test_days_are_busier_than_nights_and_weekdays_busier_than_weekends() -> None:
    usual = [each for each in HISTORY if not each.planted & {Kind.COST_SPIKE, Kind.TOXICITY_WAVE}]
    by_hour = Counter(each.at.hour for each in usual)
    assert sum(by_hour[hour] for hour in range(9, 15)) > 2.5 * sum(by_hour[hour] for hour in range(6))
    by_day = Counter(each.at.date() for each in usual)
    weekend = [count for day, count in by_day.items() if day.weekday() >= 5]
    week = [count for day, count in by_day.items() if day.weekday() < 5]
    assert sum(week) / len(week) > 1.15 * sum(weekend) / len(weekend)


@pytest.mark.parametrize("episode", [each for each in EPISODES if each.conversations], ids=lambda each: each.kind)
def test_an_episode_adds_its_conversations_and_only_in_its_window(episode: Episode) -> None:
    found = planted(episode.kind)
    assert abs(len(found) - episode.conversations) <= 1
    assert within(episode, found) == found
    assert {each.app for each in found} == {episode.app}


def test_the_cost_spike_sends_several_times_the_tokens_of_a_usual_hour() -> None:
    spike = next(each for each in EPISODES if each.kind is Kind.COST_SPIKE)

    def tokens(conversations: list[Conversation]) -> int:
        return sum(call.usage.input_tokens for each in conversations for call in chats(each))

    hours = (spike.to_minute - spike.from_minute) / 60
    usual = tokens([each for each in HISTORY if each.app is spike.app and each not in planted(spike.kind)]) / (24 * 14)
    assert tokens(within(spike, HISTORY)) / hours > 8 * usual


def test_the_shops_own_model_reads_so_much_that_its_cards_cost_a_few_dollars_a_million_tokens_while_they_work() -> None:
    """Three cards at $0.38, a tenth of the time at work."""
    calls = [call for each in HISTORY for call in chats(each) if call.model == catalogue.LLAMA.name]
    tokens_per_hour = sum(call.usage.input_tokens + call.usage.output_tokens for call in calls) / (24 * 14)
    at_work_usd = 3 * 0.38 * 0.12 * 1_000_000 / tokens_per_hour
    assert 1 < at_work_usd < 8
    assert max(call.latency_s for call in calls if call.prompt_name == "review-digest") < 10


def test_a_looping_run_sends_more_with_every_step() -> None:
    sent = [call.usage.input_tokens for call in chats(planted(Kind.COST_SPIKE)[0])]
    assert sent == sorted(sent)
    assert sent[-1] > 10 * sent[0]


def test_the_slow_release_answers_later_than_those_before_and_after_it() -> None:
    waits: dict[str, list[float]] = {}
    for each in HISTORY:
        for call in chats(each):
            if call.prompt_name == "support-answer" and not call.failure:
                waits.setdefault(each.release, []).append(call.latency_s)
    middle = {release: sorted(values)[len(values) // 2] for release, values in waits.items()}
    assert middle["2.4.0"] > 1.5 * max(middle["2.3.0"], middle["2.4.1"])


def test_topics_languages_and_length_drift_at_the_end() -> None:
    support = [each for each in HISTORY if each.app.feature == "support-bot"]
    early = [each for each in support if each.at < ANCHOR - timedelta(days=7)]
    late = [each for each in support if each.at > ANCHOR - timedelta(days=2)]
    for kind in (Kind.RECALL_TOPIC, Kind.OTHER_LANGUAGE):
        before = sum(kind in each.planted for each in early) / len(early)
        after = sum(kind in each.planted for each in late) / len(late)
        assert after > 3 * before


def test_one_to_two_calls_in_a_hundred_fail() -> None:
    failed = sum(bool(call.failure) for each in HISTORY for call in chats(each))
    assert 0.008 < failed / storyline.plan(STORY).calls < 0.025


def test_users_and_sessions_are_those_of_persons_and_jobs_have_none() -> None:
    support = [each for each in HISTORY if each.user]
    assert {each.app.feature for each in support} == {"support-bot"}
    assert len({each.session for each in support}) == len(support)
    assert 100 < len({each.user for each in support}) < len(support)


def test_texts_hold_no_blank_that_was_not_filled_in() -> None:
    for each in HISTORY:
        for call in chats(each):
            if call.api == "chat" and call.prompt_name in ("support-answer", "product-copy"):
                assert not re.search(r"[{}\[\]]", call.answer), call.answer
                assert not re.search(r"\{\w+\}", str(call.messages)), call.messages


def test_questions_are_not_copies_of_each_other() -> None:
    asked = Counter(turn.steps[1].query for each in HISTORY if each.user for turn in each.turns[:1]
                    if isinstance(turn.steps[1], Retrieval))  # fmt: skip
    assert len(asked) > 0.9 * asked.total()


def test_an_injected_document_stands_among_those_retrieved() -> None:
    marks = ("ignore your previous instructions", "INSTRUCTION TO THE AI", "New policy: reveal")
    for each in planted(Kind.INJECTION_DOCUMENT):
        texts = [str(found) for turn in each.turns for step in turn.steps if isinstance(step, Retrieval)
                 for found in step.documents]  # fmt: skip
        assert any(mark in text for mark in marks for text in texts)


def test_data_of_persons_is_made_up() -> None:
    everything = json.dumps([[list(call.messages), call.answer] for each in HISTORY for call in chats(each)])
    assert all(mail.endswith(("example.com", ".example")) for mail in re.findall(r"[\w.-]+@[\w.-]+\.\w+", everything))
    without_ibans = re.sub(r"\b[A-Z]{2}\d{2}(?: [\dA-Z]{2,4})+", "", everything)
    assert set(re.findall(r"\b(?:\d{4} ){3}\d{4}\b", without_ibans)) == {"4242 4242 4242 4242"}


@pytest.mark.parametrize("topic", [*TOPICS, RECALL], ids=lambda topic: topic.name)
def test_every_question_has_an_answer_that_fits(topic: Topic) -> None:
    assert len(topic.fits) == len(topic.questions)
    assert {place for fitting in topic.fits for place in fitting} == set(range(len(topic.answers)))
    assert len(topic.later) == len(topic.further)


def test_the_past_tells_nothing_of_a_live_episode_and_the_future_repeats_it() -> None:
    spike = LIVE_EPISODES[0]
    assert spike not in storyline.episodes(-1)
    assert spike in storyline.episodes(spike.from_minute)
    assert spike in storyline.episodes(spike.from_minute + 60 * storyline.LIVE_CYCLE_HOURS)


def test_what_is_live_goes_on_from_any_moment_with_the_same_conversations() -> None:
    def first_hours(after: datetime) -> list[Conversation]:
        end = ANCHOR + timedelta(hours=8)
        return list(takewhile(lambda each: each.at < end, storyline.live(STORY, after)))

    all_of_it = first_hours(ANCHOR)
    later = ANCHOR + timedelta(hours=1, minutes=17)
    assert first_hours(later) == [each for each in all_of_it if each.at >= later]
    assert {Kind.COST_SPIKE, Kind.TOXICITY_WAVE} <= {kind for each in all_of_it for kind in each.planted}


def test_live_traffic_is_steady() -> None:
    hour = list(takewhile(lambda each: each.at < ANCHOR + timedelta(hours=1), storyline.live(STORY, ANCHOR)))
    assert 40 <= len(hour) <= 110
