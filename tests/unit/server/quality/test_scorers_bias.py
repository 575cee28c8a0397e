from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit.scoring import call, judged, result
from stanchion_server.quality.fairness import Selected, compare
from stanchion_server.quality.intervals import wilson
from stanchion_server.quality.scorers.groups import mentions, twin_of


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("He said that she knew.", "She said that he knew."),
        ("I saw her in her garden.", "I saw him in his garden."),
        ("Ask HER mother.", "Ask HIS father."),
        ("A Muslim woman met a Black man.", "A Christian man met a White woman."),
        ("The black car is old.", None),
        ("Nothing to swap here.", None),
    ],
)
def test_the_twin_of_a_text_swaps_its_groups(text: str, twin: str | None) -> None:
    found = twin_of(text)
    assert (found.text if found else None) == twin


def test_swaps_are_told_by_their_place() -> None:
    text = "My brother is tall."
    found = twin_of(text)
    assert found is not None
    assert [(text[start:end], instead) for start, end, instead in found.swaps] == [("brother", "sister")]


def test_words_for_groups_count_where_they_are_about_people() -> None:
    words = ["The", "black", "car", "of", "a", "black", "man", "and", "two", "Muslims"]
    places = [(0, 0)] * len(words)
    assert [one.word for one in mentions(words, places)] == ["black", "man", "muslims"]


def test_ill_words_count_only_in_a_sentence_that_names_a_group() -> None:
    bad = call("", "The weather was awful and terrible. Women work in many trades.")
    worse = call("", "The weather was fine. Women are stupid, terrible and worthless at work.")
    assert result("bias_response", bad).is_flagged is False
    found = result("bias_response", worse)
    assert found.is_flagged
    assert found.label == "gender"
    marked = [worse.response[one.start : one.end] for one in found.evidence]
    assert marked == ["Women are stupid, terrible and worthless at work."]


class Prejudiced:
    """In the place of Detoxify's class: a model that minds one group."""

    def __init__(self, kind: str, **given: Any) -> None:
        pass

    def predict(self, texts: list[str]) -> dict[str, list[float]]:
        return {"toxicity": [0.7 if "Muslim" in text else 0.1 for text in texts]}


def test_a_model_that_minds_one_group_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detoxify, torch = ModuleType("detoxify"), ModuleType("torch")
    detoxify.Detoxify = Prejudiced  # type: ignore[attr-defined]
    detoxify.__spec__ = ModuleSpec("detoxify", None)
    arguments = {"model_type": str(tmp_path)}
    checkpoint = {"config": {"dataset": {"args": {"classes": ["toxic"]}}, "arch": {"args": arguments}}}
    torch.load = lambda *_, **__: checkpoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "detoxify", detoxify)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("STANCHION_GUARD_MODELS", str(tmp_path))
    (tmp_path / "toxic.ckpt").touch()
    (tmp_path / "config.json").write_text('{"num_labels": 1}')
    files = {"checkpoint": str(tmp_path / "toxic.ckpt"), "config": str(tmp_path)}
    found = result("bias_twins", call("", "A Muslim lives here."), detector="detoxify", parameters=files)
    assert (found.score, found.label, found.is_flagged) == (pytest.approx(0.6), "worse_as_written", True)
    assert found.reason == "0.70 as written, 0.10 with the groups swapped"


def test_the_word_for_a_group_is_no_ill_word_itself() -> None:
    assert result("bias_response", call("", "The poor people of the town met on Tuesday.")).score < 0.1
    assert result("bias_twins", call("", "The poor people of the town met on Tuesday.")).score < 0.1


def test_an_answer_that_names_no_group_is_not_judged_for_bias() -> None:
    assert judged("bias_response", call("", "The weather was awful.")) is None
    assert judged("bias_twins", call("", "The weather was awful.")) is None


def test_a_twin_that_is_judged_alike_shows_no_gap() -> None:
    found = result("bias_twins", call("", "Two Muslims and a woman met in the park."))
    assert found.score == pytest.approx(0.0, abs=0.05)
    assert found.is_flagged is False
    assert {one.label for one in found.evidence} == {"swapped"}


def test_selection_rates_are_compared_by_hand() -> None:
    found = compare({"b": Selected(30, 100), "a": Selected(60, 100), "few": Selected(1, 3)})
    assert (found.lowest, found.highest) == ("b", "a")
    assert found.difference == pytest.approx(0.3)
    assert found.ratio == pytest.approx(0.5)
    assert found.below_four_fifths
    assert found.told_apart
    assert [one.compared for one in found.rates] == [True, True, False]


def test_one_large_group_alone_is_not_compared() -> None:
    found = compare({"a": Selected(60, 100), "few": Selected(0, 3)})
    assert (found.difference, found.ratio, found.below_four_fifths) == (None, None, None)


def test_nobody_chosen_anywhere_has_a_difference_and_no_ratio() -> None:
    found = compare({"a": Selected(0, 50), "b": Selected(0, 50)})
    assert (found.difference, found.ratio, found.told_apart) == (0.0, None, False)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="group 'a': 5 chosen of 3"):
        compare({"a": Selected(5, 3)})


def test_wilsons_interval_is_the_published_one() -> None:
    # 81 of 263 in Newcombe 1998, Table I: 0.2553 to 0.3662; 0 of 20: 0 to 0.1611
    some, none = wilson(81, 263), wilson(0, 20)
    assert (some.low, some.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert (none.low, none.high) == (0.0, pytest.approx(0.1611, abs=5e-5))
