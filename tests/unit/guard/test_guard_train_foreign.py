"""How the words that tell English are picked, and what harmless passages in other languages need."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stanchion_guard.classifiers import tongues

TRAIN = Path(__file__).parents[3] / "guardrails" / "train"


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TRAIN))
    yield import_module("foreign")
    sys.modules.pop("foreign", None)


def test_an_english_word_is_common_in_many_families_and_rare_elsewhere(foreign: Any) -> None:
    english = [(f"the server password was x{place % 9}", f"family {place % 6}") for place in range(60)]
    english += [("kraken kraken the server", "one family")] * 60
    others = ["das password war der server"] * 40 + ["le mot de passe"] * 40
    assert foreign.english_words(english, others) == ["the"]


def test_the_worst_source_with_texts_enough_decides(foreign: Any) -> None:
    few, many = [9.0] * 10, [0.3] * 100
    assert foreign.needed({"few": few, "many": many, "calm": [-1.0] * 100}) == pytest.approx(0.3)
    assert foreign.needed({"few": [0.2] * 3, "fewer": [0.4] * 2}) == pytest.approx(0.4, abs=0.01)
    assert foreign.needed({"calm": [-1.0] * 100}) == 0.0


def test_groups_without_a_text_are_not_told(foreign: Any) -> None:
    told = foreign.told_of([("talk", np.array([1, 1, 3]), np.array([0.5, 0.5, -2.0]))])
    assert told == {"romance": {"needed": 0.5, "talk": [2, 0.5]}, "arabic": {"needed": 0.0, "talk": [1, -2.0]}}


def test_the_shipped_words_are_english_alone_and_every_group_has_its_need() -> None:
    assert len(tongues.english()) == 1000
    assert {"the", "ignore", "instructions", "reveal"} <= tongues.english()
    assert not {"und", "los", "das", "que", "password"} & tongues.english()
    assert all(len(needed) == len(tongues.GROUPS) for needed in tongues.NEEDED.values())
