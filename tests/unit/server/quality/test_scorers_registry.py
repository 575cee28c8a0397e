from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.scoring import call
from stanchion_server.quality.scorers import plugins, registry

PAGE = Path(__file__).parents[4] / "docs" / "scorers.md"


def test_every_scorer_is_what_it_says_of_itself() -> None:
    built = {one.id: one for one in registry.scorers({})}
    known = {one.id: one for one in registry.known()}
    assert built.keys() <= known.keys()
    for name, one in built.items():
        for fact in ("title", "family", "lane", "direction", "threshold", "blind_to"):
            assert getattr(one, fact) == getattr(known[name], fact)
        assert one.version
        assert known[name].availability() is None


def test_what_cannot_run_is_left_out_and_says_why() -> None:
    missing = registry.unavailable({})
    assert {one.id for one in registry.known()} == {one.id for one in registry.scorers({})} | missing.keys()
    assert all(reason for reason in missing.values())


def test_parameters_that_make_no_sense_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there is no scorer 'toxicty'"):
        registry.scorers({"toxicty": {}})
    with pytest.raises(ValueError, match=r"refusal: .*unknown key 'level'"):
        registry.scorers({"refusal": {"level": 3}})
    with pytest.raises(ValueError, match="bias_twins: detector"):
        registry.scorers({"bias_twins": {"detector": "magic"}})


def test_kept_parameters_that_are_refused_meanwhile_cost_the_one_scorer_alone() -> None:
    kept = {"gone": {"a": 1}, "refusal": {"level": 3}, "llm_judge": {"rubrics": ["gone"]}}
    found = {known.id: built for known, built in registry.every(kept)}
    assert "gone" not in found
    assert "its parameters are refused" in str(found["refusal"])
    assert found["toxicity_response"] is not None and not isinstance(found["toxicity_response"], str)
    assert "judge_helpfulness" in found


def test_the_page_lists_every_scorer_as_it_is() -> None:
    row = r"^\| `(\w+)` \| (\w+) \| (\w+) \| ([\d.]+|-) \| ([\d.]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$"
    rows = re.findall(row, PAGE.read_text("utf-8"), re.MULTILINE)
    directions = {"low_is_good": "low", "high_is_good": "high"}
    threshold = {one.id: "-" if one.threshold is None else f"{one.threshold:g}" for one in registry.known()}
    expected = [
        (one.id, one.lane, directions[one.direction], threshold[one.id], f"{one.usual_ratio:g}")
        for one in registry.known()
    ]
    assert sorted(rows) == sorted(expected)


def test_the_example_of_the_page_is_a_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[-1]
    made(tmp_path, monkeypatch, "page_scorers", text, {"shouting": "Shouting"})
    built = {one.id: one for one in registry.scorers({})}
    found = built["shouting"].score([call("", "ABcd")])[0]
    assert found is not None
    assert found.score == 0.5


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str, names: dict[str, str]) -> None:
    """A package with scorers, installed as pip would leave it."""
    (folder / f"{name}.py").write_text(code)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{one} = {name}:{attribute}" for one, attribute in names.items()]
    (about / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n" + "\n".join(lines))
    monkeypatch.syspath_prepend(str(folder))


GOOD = """
from stanchion_server.quality.records import Result

class Shouting:
    id, title, family, lane = "shouting", "Capitals", "style", "fast"
    direction, threshold, blind_to, version = "low_is_good", 0.5, "Scripts without capitals.", "1"
    usual_ratio = 0.25
    parameters = {"type": "object", "properties": {"least": {"type": "number"}}, "additionalProperties": False}

    def __init__(self, least=0.0):
        self.least = least

    def score(self, examples):
        return [Result(max(self.least, sum(map(str.isupper, e.response)) / len(e.response))) for e in examples]

class Wild(Shouting):
    id = "wild"

    def score(self, examples):
        return [Result(7.0) for e in examples]

class Taken(Shouting):
    id = "refusal"

class Lost(Shouting):
    id, lane = "lost", "express"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"shouting": "Shouting", "wild": "Wild", "taken": "Taken", "lost": "Lost", "absent": "NoSuchClass"}
    made(tmp_path, monkeypatch, "tiny_scorers", GOOD, names)


def test_a_scorer_of_another_package_is_one_of_ours(package: None) -> None:
    built = {one.id: one for one in registry.scorers({"shouting": {"least": 0.1}})}
    assert [found.score for found in built["shouting"].score([call("", "ABcd"), call("", "abcd")])] == [0.5, 0.1]
    assert next(one.usual_ratio for one in registry.known() if one.id == "shouting") == 0.25


def test_a_faulty_scorer_of_another_package_harms_nobody_and_says_what_is_wrong(package: None) -> None:
    missing = registry.unavailable({})
    assert "its id 'refusal' is taken: choose another" in missing["taken"]
    assert "'lane' must be one of fast, slow" in missing["lost"]
    assert "cannot be imported: AttributeError" in missing["absent"]
    told = {one.id: one.availability() for one in registry.known()}
    assert told["lost"] == missing["lost"]
    assert "refusal" in {one.id for one in registry.scorers({})}


def test_an_answer_that_breaks_the_contract_is_refused(package: None) -> None:
    wild = next(one for one in registry.scorers({}) if one.id == "wild")
    with pytest.raises(ValueError, match="wild gave something else than a Result with a score from 0 to 1"):
        wild.score([call("", "x")])
