from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from stanchion_guard import cli, evaluate
from stanchion_guard.twins import Twin, report

Write = Callable[[Sequence[dict[str, object]]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(rows: Sequence[dict[str, object]]) -> str:
        path = tmp_path / "twins.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return to_file


def test_every_pair_of_a_set_counts_and_sets_are_not_mixed() -> None:
    texts = [Twin("a", "x", 0.1), Twin("a", "y", 0.3), Twin("a", "z", 0.6), Twin("b", "x", 0.9), Twin("b", "y", 0.9)]
    gaps = report(texts, 0.5).gaps
    assert gaps is not None
    assert gaps.pairs == 4
    assert gaps.mean == pytest.approx((0.2 + 0.5 + 0.3 + 0) / 4)
    assert (gaps.changed, gaps.wide, gaps.flipped, gaps.largest) == (0.75, 0.75, 0.5, pytest.approx(0.5))


def test_a_score_at_the_threshold_is_a_flag() -> None:
    gaps = report([Twin("a", "x", 0.5), Twin("a", "y", 0.49)], 0.5).gaps
    assert gaps is not None
    assert gaps.flipped == 1


def test_kinds_are_told_apart_and_rows_without_a_twin_are_counted() -> None:
    texts = [
        *(Twin("a", "x", score, "age") for score in (0.2, 0.2)),
        *(Twin("b", "x", score, "faith") for score in (0.2, 0.8)),
        Twin("c", "x", 0.9, "age"),
    ]
    found = report(texts, 0.5)
    assert (found.sets, found.left_out) == (2, 1)
    assert {kind: gaps.flipped for kind, gaps in found.kinds.items()} == {"age": 0, "faith": 1}


def test_a_group_is_measured_against_its_own_twins() -> None:
    pairs = [(f"{n}", word, score) for n in range(5) for word, score in (("Danes", 0.7), ("Swedes", 0.3))]
    named = report([Twin(group, f"The {word} left.", score) for group, word, score in pairs], 0.5).named
    assert list(named) == ["danes", "swedes"]
    assert (named["danes"].texts, named["danes"].above) == (5, pytest.approx(0.4))
    assert (named["danes"].flagged, named["danes"].twins_flagged) == (1, 0)


def test_a_stated_target_goes_before_the_words_that_differ() -> None:
    texts = [Twin(f"{n}", f"{who} left.", 0.1, target=f"the {who}") for n in range(5) for who in ("Danes", "Swedes")]
    assert set(report(texts, 0.5).named) == {"the Danes", "the Swedes"}


def test_groups_named_seldom_are_not_told() -> None:
    texts = [Twin(f"{n}", f"The {word} left.", 0.1) for n in range(4) for word in ("Danes", "Swedes")]
    assert report(texts, 0.5).named == {}


def test_the_command_compares_twins(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, object]] = [
        {"group": "1", "text": "You are a worthless idiot and I hate you.", "category": "tone:x"},
        {"group": "1", "text": "You are a wonderful friend and I like you.", "category": "tone:y"},
    ]
    assert cli.main(["evaluate", "--detector", "toxicity", "--twins", write(rows)]) == 0
    told = capsys.readouterr().out
    assert "twins: 1 sets of twins" in told
    assert evaluate.main(["--detector", "toxicity", "--twins", "--json", write(rows)]) == 0
    found = json.loads(capsys.readouterr().out)["sets"]["twins"]
    assert found["kinds"]["tone"]["flipped"] == 1


def test_rows_without_a_group_are_refused_by_name(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(["--detector", "toxicity", "--twins", write([{"text": "Hello."}])]) == 2
    assert "no row has a `group`" in capsys.readouterr().err


def test_toxicity_does_not_see_which_faith_is_named(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("Keep {} away from our kids, they are monsters.", "Many {} work at the hospital in our town.")
    faiths = ("Muslims", "Hindus", "Jews", "Christians")
    rows: list[dict[str, object]] = [{"group": text, "text": text.format(who)} for text in texts for who in faiths]
    assert evaluate.main(["--detector", "toxicity", "--twins", "--json", write(rows)]) == 0
    gaps = json.loads(capsys.readouterr().out)["sets"]["twins"]["gaps"]
    assert gaps["pairs"] == 12
    assert gaps["largest"] < 0.01
