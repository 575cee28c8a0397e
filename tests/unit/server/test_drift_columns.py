"""Which rows a column is made of: users by slice, scores of one version, a reference that is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from stanchion_server.drift import columns, sides, users
from stanchion_server.drift.records import CallKey, Side

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def side(count: int, first: int = 0, **values: object) -> Side:
    plain = Side(
        keys=tuple(CallKey(UUID(int=first + place), place, NOON) for place in range(count)),
        units=tuple(f"s{first + place}" for place in range(count)),
        numbers={"latency_ms": [float(place) for place in range(count)]},
        labels={"model": ["a"] * count},
        words={"prompt": [("parcel", "late")] * count},
        scores={},
        counted=count,
    )
    return replace(plain, **values)  # type: ignore[arg-type]


def test_a_user_is_new_when_not_seen_in_as_many_slices_before() -> None:
    rows = [
        ("old", 0, 1),
        ("old", 3, 1),
        ("fresh", 0, 1),
        ("back", 0, 1),
        ("back", 7, 1),
        ("then", 1, 1),
        ("then", 8, 1),
    ]
    new = users.columns(rows, 7)[1]
    told = dict(zip(["old", "fresh", "back", "then"], new.values, strict=True))
    assert told == {"old": "returning", "fresh": "new", "back": "new", "then": "new"}
    assert list(new.is_current) == [True, True, True, False]


def test_slices_that_the_reference_does_not_hold_whole_are_left_out() -> None:
    calls = users.columns([("a", 0, 3), ("a", 2, 5), ("a", 3, 9)], 2)[0]
    assert list(calls.values) == [3.0, 5.0]


def test_a_reference_of_one_slice_tells_nothing_of_users() -> None:
    assert users.columns([("a", 0, 3), ("a", 1, 5)], 1) == ()


def test_of_several_versions_the_one_that_both_windows_know_is_compared() -> None:
    before = side(4, scores={("tox", "1"): [0.1, 0.2, 0.3, 0.4], ("tox", "2"): [0.9, None, None, None]})
    now = side(3, 10, scores={("tox", "1"): [0.5, None, None], ("tox", "2"): [0.8, 0.8, 0.8]})
    assert sides.joined(before, now).scores["tox"] in (
        [0.1, 0.2, 0.3, 0.4, 0.5, None, None],
        [0.9, None, None, None, 0.8, 0.8, 0.8],
    )
    alone = sides.joined(before, side(3, 10, scores={("tox", "2"): [0.8, 0.8, 0.8]}))
    assert alone.scores["tox"] == [0.9, None, None, None, 0.8, 0.8, 0.8]


def test_what_only_one_window_knows_is_unknown_in_the_other() -> None:
    sample = sides.joined(side(2), side(1, 10, labels={"model": ["b"], "release": ["2"]}))
    assert sample.labels == {"model": ["a", "a", "b"], "release": [None, None, "2"]}


def test_a_kept_reference_comes_back_with_hashes_for_words() -> None:
    before = side(3, scores={("tox", "1"): [0.5, None, 0.25]})
    kept = sides.pack(before)
    again = sides.unpack(kept)
    assert (again.keys, again.numbers, again.labels, again.scores) == (
        before.keys,
        before.numbers,
        before.labels,
        before.scores,
    )
    current, known = sides.with_hashed_words(side(1, 10))
    assert list(again.words["prompt"][0]) == list(current.words["prompt"][0])
    assert sorted(known.values()) == ["late", "parcel"]


def test_only_wanted_columns_are_made_and_unknown_names_are_told() -> None:
    sample = sides.joined(side(30), side(30, 100))
    prepared = columns.prepare(sample, (), ("latency_ms", "topic"), np.random.default_rng(0))
    assert [column.name for column in prepared.columns] == ["latency_ms", "topic"]
    assert columns.is_known("score:anything") and not columns.is_known("score:") and not columns.is_known("nonsense")
