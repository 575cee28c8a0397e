"""Ratings against the real database: kept once, joined to calls when read, gone when their time is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from kit import stored
from kit.calls import NOON, call, trace
from stanchion_server.feedback import retention, selectors, services
from stanchion_server.feedback.models import Rating as Row
from stanchion_server.feedback.ratings import Fate, Rating, Source, Tone
from stanchion_server.feedback.selectors import Rated, RatingFilter, Tally
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import selectors as traces


def rating(rating_id: str = "r", **values: Any) -> Rating:
    said = {
        "name": "helpful", "score": 1.0, "label": "", "comment": "", "correction": "", "trace_id": trace(1),
        "span_id": None, "session_id": "", "user": "", "source": Source.API, "rated_at": NOON,
    }  # fmt: skip
    return Rating(id=rating_id, **{**said, **values})


@pytest.fixture
def project(db: None) -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.fixture
def other(project: Project) -> Project:
    return tenants.create_project(project.organisation, "Other")


def test_the_same_rating_again_changes_nothing(project: Project) -> None:
    assert services.keep(project.pk, [rating(), rating()]) == [Fate.NEW, Fate.SAME]
    [row] = Row.objects.all()
    assert services.keep(project.pk, [rating()]) == [Fate.SAME]
    assert Row.objects.get().received_at == row.received_at


def test_a_later_one_replaces_and_an_earlier_one_does_not(project: Project) -> None:
    later = rating(score=0.0, comment="no", rated_at=NOON + timedelta(seconds=1))
    assert services.keep(project.pk, [later, rating()]) == [Fate.NEW, Fate.OUTDATED]
    latest = rating(score=0.5, rated_at=NOON + timedelta(seconds=2))
    assert services.keep(project.pk, [latest]) == [Fate.REPLACES]
    row = Row.objects.get()
    assert (row.score, row.comment, row.tone) == (0.5, "", Tone.NEUTRAL)


def test_the_same_id_in_another_project_is_another_rating(project: Project, other: Project) -> None:
    services.keep(project.pk, [rating(comment="ours")])
    assert services.keep(other.pk, [rating(comment="theirs", trace_id=trace(9))]) == [Fate.NEW]
    assert [view.comment for view in selectors.ratings(project.pk, RatingFilter()).items] == ["ours"]
    assert [view.comment for view in selectors.ratings(other.pk, RatingFilter()).items] == ["theirs"]
    assert selectors.of_trace(other.pk, trace(1).hex, [])[0] == ()
    assert selectors.by_id(other.pk, ["r"])["r"].comment == "theirs"


def found(project: Project, rated: Rated) -> set[int]:
    also = selectors.call_conditions(project.pk, rated)
    page = traces.calls(project.pk, traces.CallFilter(), also=also)
    return {int(item.span_id, 16) for item in page.items}


@pytest.fixture
def rated_shop(project: Project) -> Project:
    """Trace 1: a rated step around call 11, beside call 12. Trace 2: two calls under one bad rating. Trace 3: nothing.
    Trace 4: good and bad. Trace 5: only a comment. Trace 6 rated in another project, its session in this one."""
    calls = [(1, 11, 10), (1, 12, None), (2, 21, None), (2, 22, 21), (3, 31, None), (4, 41, None), (5, 51, None),
             (6, 61, None)]  # fmt: skip
    stored.deliver(
        project.pk,
        *(
            call(trace_id=trace(number), span_id=span, parent_span_id=parent, session_id=f"s-{number}")
            for number, span, parent in calls
        ),
    )
    services.keep(
        project.pk,
        [
            rating("a", span_id=10),
            rating("b", trace_id=trace(2), score=0.0),
            rating("c", trace_id=trace(4)),
            rating("d", trace_id=trace(4), span_id=41, label="thumbs_down"),
            rating("e", trace_id=trace(5), score=None, comment="hm"),
            rating("f", trace_id=None, session_id="s-6", score=0.0),
            rating("g", trace_id=trace(1), span_id=999),
        ],
    )
    elsewhere = tenants.create_project(project.organisation, "Elsewhere")
    services.keep(elsewhere.pk, [rating("h", trace_id=trace(3)), rating("i", trace_id=trace(6))])
    return project


@pytest.mark.parametrize(
    ("rated", "spans"),
    [
        (Rated.NEGATIVE, {21, 22, 41}),
        (Rated.POSITIVE, {11, 41}),
        (Rated.NEUTRAL, set()),
        (Rated.ANY, {11, 21, 22, 41, 51}),
        (Rated.NONE, {12, 31, 61}),
    ],
)
def test_calls_are_found_by_the_ratings_of_their_trace_span_and_step(
    rated_shop: Project, rated: Rated, spans: set[int]
) -> None:
    assert found(rated_shop, rated) == spans


def test_the_marks_of_a_list_say_the_same_as_its_filter(rated_shop: Project) -> None:
    page = traces.calls(rated_shop.pk, traces.CallFilter())
    marks = {int(span, 16): tally for (_, span), tally in selectors.of_calls(rated_shop.pk, page.items).items()}
    assert marks == {
        11: Tally(positive=1), 21: Tally(negative=1), 22: Tally(negative=1), 41: Tally(1, 1), 51: Tally(other=1),
    }  # fmt: skip
    assert selectors.of_calls(rated_shop.pk, []) == {}


def test_a_sessions_rating_shows_with_the_session_and_on_its_traces(rated_shop: Project) -> None:
    assert selectors.of_sessions(rated_shop.pk, ["s-6", "s-1", ""]) == {"s-6": Tally(negative=1)}
    [view], total = selectors.of_trace(rated_shop.pk, trace(6).hex, ["s-6"])
    assert (view.id, view.trace_id, total) == ("f", None, 1)
    assert selectors.of_trace(rated_shop.pk, trace(3).hex, ["s-3"]) == ((), 0)


def test_a_rating_that_comes_before_its_trace_is_there_when_the_trace_is(project: Project) -> None:
    services.keep(project.pk, [rating(score=0.0)])
    assert found(project, Rated.NEGATIVE) == set()
    stored.deliver(project.pk, call(span_id=5))
    assert found(project, Rated.NEGATIVE) == {5}


def test_lists_page_without_gaps_also_through_equal_times(project: Project) -> None:
    services.keep(project.pk, [rating(f"r{number}") for number in range(7)])
    seen, cursor = [], None
    while True:
        page = selectors.ratings(project.pk, RatingFilter(), cursor, 3)
        seen += [view.id for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"r{number}" for number in range(6, -1, -1)]


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "é", "A" * 500])
def test_a_cursor_of_somebody_elses_is_refused(project: Project, cursor: str) -> None:
    with pytest.raises(SenderError, match="cursor"):
        selectors.ratings(project.pk, RatingFilter(), cursor)


def test_filters_ask_what_they_say(rated_shop: Project) -> None:
    def ids(**values: Any) -> str:
        return "".join(sorted(view.id for view in selectors.ratings(rated_shop.pk, RatingFilter(**values)).items))

    assert ids(trace_id=trace(4).hex) == "cd"
    assert ids(trace_id=trace(4).hex, span_id=f"{41:016x}") == "d"
    assert ids(session_id="s-6") == "f"
    assert ids(label="thumbs_down") == "d"
    assert ids(rated=Rated.NEGATIVE) == "bdf"
    assert ids(end=NOON) == "" and ids(start=NOON) == "abcdefg"
    assert ids(trace_id="nonsense") == ids(span_id="zz") == ids(name="other") == ids(source=Source.SDK) == ""


def test_ratings_go_with_the_telemetry_of_their_day_and_their_texts_before(project: Project, other: Project) -> None:
    Project.objects.filter(pk=project.pk).update(content_retention_days=10)
    ages = {"old": 91, "middle": 11, "new": 9}
    for where in (project, other):
        kept = [
            rating(name, comment="word", correction="word", rated_at=NOON - timedelta(days=days))
            for name, days in ages.items()
        ]
        services.keep(where.pk, kept)
    assert retention.run(NOON) == retention.RetentionReport(deleted_ratings=2, emptied_ratings=1)
    assert retention.run(NOON) == retention.RetentionReport(0, 0)
    left = {(row.project_id, row.rating_id): row.comment + row.correction for row in Row.objects.all()}
    assert left == {
        (project.pk, "middle"): "", (project.pk, "new"): "wordword",
        (other.pk, "middle"): "wordword", (other.pk, "new"): "wordword",
    }  # fmt: skip


def test_a_project_takes_its_ratings_with_it(project: Project) -> None:
    services.keep(project.pk, [rating()])
    project.delete()
    assert Row.objects.count() == 0


@pytest.fixture
def committed(transactional_db: None) -> Iterator[Project]:
    yield tenants.create_project(tenants.create_organisation("Acme"), "Shop")


@pytest.mark.django_db(transaction=True)
def test_many_writers_of_one_id_agree_on_the_last(committed: Project) -> None:
    fates: list[list[Fate]] = []

    def write(number: int) -> None:
        try:
            new = rating(score=number / 10, rated_at=NOON + timedelta(seconds=number))
            fates.append(services.keep(committed.pk, [new, rating(f"own-{number}", trace_id=UUID(int=number + 1))]))
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Row.objects.get(rating_id="r").score == 0.7
    assert Row.objects.count() == 9
    assert sum(fate[0] is Fate.NEW for fate in fates) == 1 and len(fates) == 8
