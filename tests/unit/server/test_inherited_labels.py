"""A call takes the labels it lacks from the spans around it."""

from __future__ import annotations

from stanchion_server.traces.labels import LABELS, Inheritance, LabelledSpan, inherit


def span(parent: int | None, **labels: str) -> LabelledSpan:
    return LabelledSpan(parent, {name: labels.get(name, "") for name in LABELS})


def test_the_nearest_span_that_tells_a_label_wins() -> None:
    spans = {3: span(2), 2: span(1, feature="near"), 1: span(None, feature="far", user_id="ada")}
    found = inherit(3, LABELS, spans)
    assert found == Inheritance({"feature": "near", "user_id": "ada"}, {"feature": 2, "user_id": 1})


def test_a_label_the_call_has_is_not_asked_for() -> None:
    assert inherit(1, ["user_id"], {1: span(None, feature="x")}) == Inheritance({}, {})


def test_a_prompt_version_never_comes_without_its_name() -> None:
    spans = {2: span(1, prompt_version="7"), 1: span(None, prompt_name="greeting", prompt_version="3")}
    assert inherit(2, LABELS, spans).values == {"prompt_name": "greeting", "prompt_version": "3"}
    named_here = inherit(2, LABELS, {2: span(1, prompt_name="a"), 1: span(None, prompt_name="b", prompt_version="3")})
    assert named_here.values == {"prompt_name": "a"}


def test_a_version_is_not_inherited_for_a_name_of_the_calls_own() -> None:
    assert inherit(1, ["prompt_version"], {1: span(None, prompt_name="b", prompt_version="3")}).values == {}


def test_a_missing_parent_and_a_circle_end_the_search() -> None:
    assert inherit(9, LABELS, {1: span(None, feature="x")}) == Inheritance({}, {})
    assert inherit(1, LABELS, {1: span(2), 2: span(1)}) == Inheritance({}, {})
