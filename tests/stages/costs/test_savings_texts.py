"""What recorded texts and people's ratings add to the advice, read from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from kit import exchanges
from kit.exchanges import Exchange
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest.records import CallRecord
from stanchion_server.kernel import clock
from stanchion_server.reports import savings as looking
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BEGIN = NOW - timedelta(days=1)
SECOND = timedelta(seconds=1)
INSTRUCTIONS = "You sort letters of customers into one of the subjects that follow, and say nothing else. " * 15


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def found(project: Project, kind: str) -> list[dict[str, Any]]:
    return [one for one in looking.look(project.pk, NOW).body["findings"] if one["kind"] == kind]


def rate(project: Project, call: CallRecord, number: int, score: float, correction: str = "", **target: Any) -> None:
    at = {"trace_id": call.trace_id, "span_id": None, "session_id": "", **target}
    rating = Rating(
        id=f"r{number}", name="helpful", score=score, label="", comment="", correction=correction, user="u",
        source=Source.API, rated_at=BEGIN + 10 * SECOND, **at,
    )  # fmt: skip
    feedback.keep(project.pk, [rating])


def same_question(project: Project, count: int = 12) -> list[CallRecord]:
    told = [Exchange("How do I get a refund for my parcel?", "Send it back.")] * count
    return exchanges.store(project.pk, told, BEGIN)


def test_an_answer_that_was_rated_well_answers_the_questions_that_came_later(project: Project) -> None:
    calls = same_question(project)
    assert found(project, "approved") == []
    rate(project, calls[0], 1, 1.0)
    (one,) = found(project, "approved")
    assert (one["calls"], one["feature"], one["confidence"]) == (11, "support", "low")
    assert dict(one["figures"])["Approved answers"] == "1, 0 of them written anew by people"


def test_a_bad_rating_takes_the_approval_away_and_a_correction_gives_one(project: Project) -> None:
    calls = same_question(project)
    rate(project, calls[0], 1, 1.0)
    rate(project, calls[0], 2, 0.0, span_id=calls[0].span_id)
    assert found(project, "approved") == []
    rate(project, calls[0], 3, 0.0, correction="Send it back within 30 days.")
    (one,) = found(project, "approved")
    assert dict(one["figures"])["Approved answers"] == "1, 1 of them written anew by people"


def test_what_is_said_of_a_whole_trace_approves_its_last_call_alone(project: Project) -> None:
    trace = uuid4()
    (first,) = exchanges.store(project.pk, [Exchange("Rewrite: refund?", "refund parcel")], BEGIN, trace_id=trace)
    (last,) = exchanges.store(project.pk, [Exchange("How do I get a refund?", "So.")], BEGIN + SECOND, trace_id=trace)
    for asked in ("Rewrite: refund?", "How do I get a refund?"):
        exchanges.store(project.pk, [Exchange(asked, "It is.")] * 6, BEGIN + timedelta(hours=1))
    for number, (score, correction) in enumerate(((1.0, ""), (0.0, "Send it back."))):
        rate(project, last, number, score, correction)
        (one,) = found(project, "approved")
        assert one["calls"] == 6 and dict(one["figures"])["Approved answers"].startswith("1,")
    rate(project, first, 3, 1.0, span_id=first.span_id)
    assert found(project, "approved")[0]["calls"] == 6, "a bad word on the trace is about each of its calls"


def test_ratings_of_another_project_approve_nothing(project: Project) -> None:
    calls = same_question(project)
    rate(tenants.create_project(tenants.create_organisation("Elsewhere"), "Other"), calls[0], 1, 1.0)
    assert found(project, "approved") == []


def test_bursts_of_short_questions_under_one_instruction_share_a_prompt(project: Project) -> None:
    told = [Exchange(f"Letter {number}: it broke.", "damage", INSTRUCTIONS) for number in range(60)]
    exchanges.store(project.pk, told, BEGIN, SECOND, input_tokens=340, output_tokens=2, is_streamed=False)
    (one,) = found(project, "several")
    assert (one["calls"], one["confidence"]) == (60, "low")
    (template,) = looking.look(project.pk, NOW).body["templates"]
    assert template["fixed_ratio"] > 0.9 and template["sampled"] == 40 and Decimal(template["fixed_usd"]) > 0


def test_bursts_of_people_share_none(project: Project) -> None:
    told = [Exchange(f"Letter {number}: it broke.", "damage", INSTRUCTIONS) for number in range(60)]
    exchanges.store(project.pk, told, BEGIN, SECOND, input_tokens=340, user_id="ann")
    assert found(project, "several") == []


def test_prose_beside_shorter_json_is_found(project: Project) -> None:
    prose = [Exchange("Which one?", "It is the second of the three that you named.")] * 30
    exchanges.store(project.pk, prose, BEGIN, output_tokens=188, prompt_name="choose")
    json = [Exchange("Which one?", '{"number": 2}')] * 30
    exchanges.store(project.pk, json, BEGIN, output_tokens=23, prompt_name="choose")
    (one,) = found(project, "format")
    assert one["calls"] == 30 and dict(one["figures"])["as JSON"] == "23, by 30"


def talk(project: Project, session: str, *told: Exchange) -> list[CallRecord]:
    return exchanges.store(project.pk, told, BEGIN, session_id=session, input_tokens=100, output_tokens=50)


def test_conversations_in_which_the_model_asks_back_are_told_with_what_people_rated(project: Project) -> None:
    back = [
        Exchange("Where is my order?", "Which order do you mean?"),
        Exchange("Number 7.", "It comes today.", before=("Where is my order?", "Which order do you mean?")),
    ]
    for number in range(20):
        talk(project, f"back {number}", *back)
        (call,) = talk(
            project, f"straight {number}", Exchange("Where is my order with the number 7?", "It comes today.")
        )
    rate(project, call, 1, 1.0, trace_id=None, session_id="straight 19")
    (one,) = found(project, "asking_back")
    told = dict(one["figures"])
    assert (one["calls"], one["where"]) == (20, {"feature": "support"})
    assert told["Cost of rated conversations for each rated well"].endswith("1 of 1")
    assert "2.0 turns, 20" in told["A conversation in which it asked back"]


def test_long_context_with_short_answers_is_told_with_what_shortening_costs(project: Project) -> None:
    told = [Exchange(f"{number} " + f"page {number} tells of many things. " * 200, "Yes.") for number in range(50)]
    exchanges.store(project.pk, told, BEGIN, input_tokens=3_000, output_tokens=5)
    (one,) = found(project, "condense")
    assert (one["calls"], one["confidence"]) == (50, "low")
    assert any("Length is all that is looked at" in text for text in one["assumptions"])
