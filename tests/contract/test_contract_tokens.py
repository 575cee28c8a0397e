"""Exact token counts with the published vocabularies, in an environment of their own, without a connection."""

from __future__ import annotations

import json

import pytest

from kit.client_envs import ROOT, run_app

pytestmark = [pytest.mark.slow, pytest.mark.clients]


def encoded(*asked: tuple[str, str]) -> list[list[int]]:
    given = json.dumps(asked)
    found = run_app("tokens", "tokens_app.py", given, variables={"PYTHONPATH": str(ROOT / "platform" / "src")})
    ids: list[list[int]] = json.loads(found)
    return ids


def test_v7_the_published_ids_are_those_of_the_vocabulary_of_gpt_2_and_3() -> None:
    """Figure 1.6 lists 50 ids and its text only as a picture: the first and the last three, the blank line and the
    misspelt word are asserted."""
    opening, closing, blank, misspelt, gpt4, newer = encoded(
        ("gpt2", "As a customer"), ("gpt2", "See the issue."), ("gpt2", "Yes.\n\nNo"), ("gpt2", "a cusstomer's"),
        ("cl100k_base", "hello world"), ("o200k_base", "hello world"),
    )  # fmt: skip
    assert opening == [1722, 257, 6491]
    assert closing[-3:] == [262, 2071, 13]
    assert blank[2:4] == [198, 198]
    assert misspelt[1:] == [269, 385, 301, 12057, 338]
    assert max(opening + closing + blank + misspelt) < 50_257
    assert (gpt4, newer) == ([15339, 1917], [24912, 2375])


def test_v7_special_tokens_in_a_text_are_read_as_text_and_every_text_is_counted() -> None:
    marked, empty, other = encoded(("cl100k_base", "<|endoftext|>"), ("gpt2", ""), ("o200k_base", "é漢\U0001f600\x00"))
    assert len(marked) > 1
    assert 100_257 not in marked
    assert empty == []
    assert other
