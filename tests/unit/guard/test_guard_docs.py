from __future__ import annotations

import re
from pathlib import Path

import pytest

from stanchion_guard import Guard, Vault, load, named
from stanchion_guard.policy_tests import run

PAGE = (Path(__file__).parents[3] / "docs" / "guardrails.md").read_text("utf-8")
POLICIES = re.findall(r"```yaml\n(policy: .*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", POLICIES, ids=[text.split("\n")[0] for text in POLICIES])
def test_the_policies_of_the_page_load_and_their_tests_pass(text: str) -> None:
    results = list(run(Guard(load(text))))
    assert [result.differences for result in results if not result.passed] == []


def test_the_page_states_the_bounds_of_a_stream() -> None:
    stream = Guard(load(POLICIES[0])).stream()
    assert f"at most {stream.usual_hold_back_characters} characters" in PAGE
    assert f"at most {stream.hold_back_characters:,} (" in PAGE


def test_the_first_example_of_the_page_does_what_it_says() -> None:
    verdict = Guard(named("default")).check("Please write to ann.lee@example.org", stage="input")
    assert verdict.action == "redact"
    assert verdict.texts[0] == "Please write to [EMAIL]"
    assert verdict.findings[0].start == 16


def test_a_token_of_the_page_is_undone_by_its_vault() -> None:
    vault = Vault()
    made = Guard(load(POLICIES[0].replace("mode: label", "mode: token")))
    masked = made.check("mail ann.lee@example.org", vault=vault).texts[0]
    assert masked.startswith("mail [EMAIL_1_")
    assert vault.restore(masked) == "mail ann.lee@example.org"
