"""Reviewed calls as fine-tuning files, over HTTP: the right lines, and nobody else's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from kit import stored
from kit.calls import NOON, call, content_of, trace
from stanchion_server.feedback import services as feedback
from stanchion_server.feedback.ratings import Rating, Source
from stanchion_server.ingest import messages
from stanchion_server.kernel import clock
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.reports import tuning
from stanchion_server.tenants import access, services
from stanchion_server.tenants.models import Membership, Project, Role, User

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/feedback/tuning-examples"
RANGE = {"start": "2026-11-20T00:00:00Z", "end": "2026-11-22T00:00:00Z"}


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    access.forget_everything()
    yield
    access.forget_everything()


def project_of(name: str) -> Project:
    return services.create_project(services.create_organisation(name), name)


@pytest.fixture
def project() -> Project:
    return project_of("Acme")


def keep(project: Project, number: int, question: str = "", answer: str = "", **more: Any) -> Any:
    """A call of trace `number`, its texts where there are some."""
    record = call(trace_id=trace(number), **more)
    system = [messages.text_part("Be brief.")] if question else []
    body = messages.pack(
        {
            "system": system,
            "input": [messages.message("user", [messages.text_part(question)])] if question else [],
            "output": [messages.message("assistant", [messages.text_part(answer)])] if answer else [],
        }
    ).body
    stored.deliver(project.pk, record, contents=(content_of(record, body),) if question or answer else ())
    return record


def rate(project: Project, number: int, name: str, score: float | None, correction: str = "", **more: Any) -> None:
    rating = Rating(
        id=f"{name}-{number}", name=name, score=score, label="", comment="", correction=correction,
        trace_id=trace(number), span_id=None, session_id="", user="", source=Source.API,
        rated_at=NOON + timedelta(minutes=number),
    )  # fmt: skip
    feedback.keep(project.pk, [replace(rating, **more)])


def read(project: Project, scopes: tuple[str, ...] = ("read:content",), **query: str) -> Any:
    key = services.create_key(project, "reader", scopes)
    return Client(headers={"x-api-key": key}).get(ADDRESS, {**RANGE, **query})


def lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_corrections_and_approved_answers_are_lines_and_other_calls_are_counted(project: Project) -> None:
    for number, question in enumerate(("corrected", "approved", "bad", "no words of it"), 1):
        keep(project, number, question, f"answer to {question}")
    keep(project, 5)
    rate(project, 1, "review", 0.0, "what is right")
    rate(project, 2, "review", 1.0)
    rate(project, 3, "review", 0.0)
    rate(project, 5, "review", 1.0)
    rate(project, 6, "review", 1.0)
    answer = read(project)
    assert answer["Content-Disposition"] == 'attachment; filename="stanchion-prompt-completion-all.jsonl"'
    assert lines(answer) == [
        {"prompt": "Be brief.\n\napproved", "completion": "answer to approved"},
        {"prompt": "Be brief.\n\ncorrected", "completion": "what is right"},
    ]
    counted = read(project, **{"as": "counts"}).json()
    assert {name: count for name, count in counted["calls"].items() if count} == {
        "written": 2, "disapproved": 1, "no_prompt": 1}  # fmt: skip
    assert (counted["written"], counted["without_call"], counted["is_cut"]) == (2, 1, False)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ("input", ["input"]),
        ("prompt_completion", ["prompt", "completion"]),
        ("input_output", ["input_text", "output_text"]),
    ],
)
def test_v20_each_shape_has_its_names(project: Project, shape: str, names: list[str]) -> None:
    keep(project, 1, "asked", "answered")
    rate(project, 1, "review", 1.0)
    [line] = lines(read(project, shape=shape))
    assert list(line) == names


def test_the_newest_word_on_a_call_counts_and_the_call_once(project: Project) -> None:
    keep(project, 1, "asked", "answered")
    rate(project, 1, "first", 1.0)
    rate(project, 1, "second", 0.0, "older correction", rated_at=NOON + timedelta(hours=1))
    rate(project, 1, "third", 0.0, "newer correction", rated_at=NOON + timedelta(hours=2))
    rate(project, 1, "comment", None, rated_at=NOON + timedelta(hours=3))
    assert [line["completion"] for line in lines(read(project))] == ["newer correction"]
    rate(project, 1, "fourth", 0.0, rated_at=NOON + timedelta(hours=4))
    assert lines(read(project)) == []


def test_a_word_on_a_step_is_about_the_call_in_it_and_one_on_a_trace_about_its_last_call(project: Project) -> None:
    step = span_id_from_hex("00000000000000aa")
    first = keep(project, 1, "first", "one", span_id=11, parent_span_id=step)
    keep(project, 1, "last", "two", span_id=12, after_s=5)
    rate(project, 1, "step", 1.0, span_id=step)
    assert [line["completion"] for line in lines(read(project))] == ["one"]
    rate(project, 1, "trace", 1.0)
    assert {line["completion"] for line in lines(read(project))} == {"one", "two"}
    rate(project, 1, "span", 0.0, "uno", span_id=first.span_id, rated_at=NOON + timedelta(hours=9))
    assert {line["completion"] for line in lines(read(project))} == {"uno", "two"}


def test_the_file_ends_at_its_limit_and_the_counts_say_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 8):
        keep(project, number, f"q{number}", f"a{number}")
        rate(project, number, "review", 1.0)
    assert [line["completion"] for line in lines(read(project, limit="3"))] == ["a7", "a6", "a5"]
    assert read(project, limit="3", **{"as": "counts"}).json()["is_cut"] is True
    monkeypatch.setattr(tuning, "AT_A_TIME", 2)
    assert [line["completion"] for line in lines(read(project))] == [f"a{n}" for n in range(7, 0, -1)]
    counted = read(project, limit="7", **{"as": "counts"}).json()
    assert (counted["written"], counted["is_cut"]) == (7, False)


def keep_turns(project: Project, number: int, turns: list[messages.Message], answer: str = "answer") -> None:
    record = call(trace_id=trace(number))
    output = [messages.message("assistant", [messages.text_part(answer)])]
    body = messages.pack({"input": turns, "output": output}).body
    stored.deliver(project.pk, record, contents=(content_of(record, body),))


def test_an_answer_from_more_than_the_texts_of_a_line_is_left_out_and_counted(project: Project) -> None:
    asked = messages.message("user", [messages.text_part("How warm is it?")])
    called = {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "weather", "arguments": {}}]}
    result = {"role": "tool", "parts": [{"type": "tool_result", "id": "1", "result": "21 degrees"}]}
    picture = {"role": "user", "parts": [messages.text_part("What is it?"), {"type": "media", "uri": "a.png"}]}
    told = messages.message("system", [messages.text_part("Answer in Kelvin.")])
    for number, turns in enumerate(([asked, called, result], [picture], [asked, told], [asked]), 1):
        keep_turns(project, number, turns)
        rate(project, number, "review", 1.0)
    assert [line["prompt"] for line in lines(read(project))] == ["How warm is it?"]
    assert read(project, **{"as": "counts"}).json()["calls"]["more_than_text"] == 3


def test_a_text_that_is_longer_than_is_read_of_one_is_left_out(project: Project) -> None:
    keep_turns(project, 1, [messages.message("user", [messages.text_part("asked")])], "x" * 100_001)
    rate(project, 1, "review", 1.0)
    assert lines(read(project)) == []
    assert read(project, **{"as": "counts"}).json()["calls"]["truncated"] == 1


def test_ratings_of_one_door_can_be_asked_for_alone(project: Project) -> None:
    for number, source in ((1, Source.API), (2, Source.PAGE)):
        keep(project, number, f"q{number}", f"a{number}")
        rate(project, number, "review", 1.0, source=source)
    assert [line["completion"] for line in lines(read(project, source="page"))] == ["a2"]
    assert read(project, source="post").status_code == 400


def test_only_what_was_rated_in_the_time_is_read(project: Project) -> None:
    keep(project, 1, "asked", "answered")
    rate(project, 1, "review", 1.0)
    assert lines(read(project, start="2026-11-20T12:01:01Z")) == []
    assert len(lines(read(project, start="2026-11-20T12:01:00Z"))) == 1


def test_a_file_of_many_takes_as_many_reads_as_its_hundreds(project: Project) -> None:
    for number in range(1, 31):
        keep(project, number, f"q{number}", f"a{number}")
        rate(project, number, "review", 1.0)
    answer = read(project)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert len(lines(answer)) == 30
    assert len(captured) < 12


def test_who_took_a_file_is_kept_and_told_to_admins_alone(project: Project) -> None:
    for number in (1, 2):
        keep(project, number, f"q{number}", f"a{number}")
        rate(project, number, "review", 1.0)
    read(project, **{"as": "counts"})
    assert len(lines(read(project, shape="input_output", review="approved"))) == 2
    unread = read(project)
    reader = services.create_key(project, "reader", ("read:content",))
    asked_about = Client(headers={"x-api-key": reader}).head("/api/v1/feedback/tuning-examples")
    assert (asked_about.status_code, asked_about["Content-Type"]) == (200, "application/jsonl")

    def taken(scope: str, of: Project = project) -> Any:
        key = services.create_key(of, "auditor", (scope,))
        return Client(headers={"x-api-key": key}).get("/api/v1/feedback/tuning-downloads")

    unfinished, whole = taken("admin").json()["items"]
    assert unread.status_code == 200
    assert (whole["lines"], whole["actor"], unfinished["lines"]) == (2, "API key reader", None)
    assert whole["asked"] == {
        "shape": "input_output", "review": "approved", "source": "", "limit": "10000",
        "start": "2026-11-20T00:00:00+00:00", "end": "2026-11-22T00:00:00+00:00",
    }  # fmt: skip
    assert taken("read:content").status_code == 403
    assert taken("admin", project_of("Other")).json() == {"items": []}


def test_counting_that_takes_too_long_is_refused_with_what_to_narrow(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0, 6)
    monkeypatch.setattr(clock, "monotonic_s", lambda: float(next(seconds)))
    monkeypatch.setattr(tuning, "AT_A_TIME", 1)
    for number in (1, 2, 3):
        keep(project, number, f"q{number}", f"a{number}")
        rate(project, number, "review", 1.0)
    answer = read(project, **{"as": "counts"})
    assert answer.status_code == 422 and "shorter time (`start`, `end`)" in answer.json()["error"]["message"]
    assert len(lines(read(project))) == 3


def test_another_project_and_a_key_without_texts_read_nothing(project: Project) -> None:
    keep(project, 1, "secret question", "secret answer")
    rate(project, 1, "review", 1.0)
    other = project_of("Other")
    rate(other, 1, "review", 1.0, "of another project")
    assert lines(read(other)) == []
    assert read(project, ("read:metrics",)).status_code == 403
    assert read(project, ("ingest",)).status_code == 403
    assert Client().get(ADDRESS, RANGE).status_code == 401


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.ANALYST, 200), (None, 404)])
def test_people_read_by_their_role_and_a_stranger_finds_no_project(
    project: Project, role: Role | None, status: int
) -> None:
    person = User.objects.create_user("jo", password="a long password of hers")
    if role is not None:
        Membership.objects.create(user=person, organisation=project.organisation, role=role)
    client = Client()
    client.force_login(person)
    assert client.get(ADDRESS, {**RANGE, "project": project.slug}).status_code == status


@pytest.mark.parametrize(
    "query", [{"shape": "csv"}, {"review": "bad"}, {"limit": "0"}, {"limit": "10001"}, {"limit": "x"}, {"as": "xml"},
              {"start": "2026-11-23T00:00:00Z"}, {"page": "2"}],
)  # fmt: skip
def test_a_wrong_value_is_named(project: Project, query: dict[str, str]) -> None:
    answer = read(project, **query)
    assert answer.status_code == 400
    assert next(iter(query)) in answer.json()["error"]["message"] or answer.json()["error"]["code"] == "empty_range"
