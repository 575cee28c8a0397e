from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from stanchion_guard import cli

POLICY = """\
policy: tiny
version: 1
defaults: {when_late: block, when_failed: block}
rules:
  - id: order
    stages: [input]
    detector: pattern
    parameters: {patterns: [{name: order, regex: 'AB-\\d+'}]}
    action: ACTION
tests:
  - name: an order number is masked
    stage: input
    text: about AB-12
    expect: {action: redact, text: "about [ORDER]"}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.replace("ACTION", "redact"))
    return path


def test_the_tests_of_a_policy_decide_the_exit_code(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", str(written)]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    written.write_text(POLICY.replace("ACTION", "flag"))
    assert cli.main(["test", str(written)]) == 1
    told = capsys.readouterr().out
    assert "FAILED an order number is masked" in told
    assert "- about [ORDER]\n         + about AB-12" in told
    assert cli.main(["test", str(written), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["passed"] is False


def test_every_mistake_is_printed_with_its_line(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", str(written)]) == 0
    assert "tiny 1: 1 rules, 1 tests" in capsys.readouterr().out
    written.write_text(POLICY)
    assert cli.main(["validate", str(written)]) == 2
    assert f"{written}: line 9, column 13: rules[0].action: must be one of" in capsys.readouterr().err
    written.write_text(POLICY.replace("ACTION", "redact\n    roles: [usr]"))
    assert cli.main(["validate", str(written)]) == 2
    assert (
        f"{written}: line 10, column 13: rules[0].roles[0]: no client sends the role 'usr'" in capsys.readouterr().err
    )
    assert cli.main(["validate", str(written.parent / "none.yaml")]) == 2


def test_a_text_from_standard_input_is_judged(
    written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"about AB-12"), "utf-8"))
    assert cli.main(["check", str(written)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("redact  (tiny 1")
    assert "checked 11 of 11 characters" in told
    assert told.endswith("about [ORDER]\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"about AB-12"), "utf-8"))
    cli.main(["check", str(written), "--json"])
    assert json.loads(capsys.readouterr().out)["findings"][0]["start"] == 6


def test_a_document_that_cannot_be_read_is_named_in_a_line(
    written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x")))
    missing = written.parent / "none.txt"
    assert cli.main(["check", str(written), "--context", str(missing)]) == 2
    assert capsys.readouterr().err == f"{missing}: No such file or directory\n"


def test_a_blocked_text_gives_exit_code_one(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.write_text(POLICY.replace("ACTION", "block"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"about AB-12"), "utf-8"))
    assert cli.main(["check", str(written)]) == 1


def test_detectors_and_schema_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["detectors"]) == 0
    assert "blind to: What the patterns do not say" in capsys.readouterr().out
    assert cli.main(["detectors", "--json"]) == 0
    assert "pattern" in {each["name"] for each in json.loads(capsys.readouterr().out)}
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["policy", "version", "rules"]
