"""Several policies on one exchange, and a policy whose engine breaks."""

from __future__ import annotations

from typing import Any

import pytest

from kit.guard_fakes import EMAIL, FAKES, NUMBER, find, policy
from stanchion_guard import Guard, Part, Subject, load
from stanchion_guard.combining import combined, failed

TEXT = "mail ann.lee@example.org about 123456789012 today"


def verdict(subject: Subject, *rules: dict[str, Any], **more: Any) -> Any:
    return Guard(load(policy(*rules, **more), detectors=FAKES)).judge(subject)


def both(*texts: str, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> Any:
    subject = Subject(tuple(Part("input", text) for text in texts))
    return combined(subject, [verdict(subject, *one), verdict(subject, *other)])


def test_what_either_policy_masks_is_masked() -> None:
    told = both(
        TEXT, one=[find(EMAIL, "email", action="redact")], other=[find(NUMBER, "number", action="redact")]
    )  # fmt: skip
    assert told.texts == ("mail [EMAIL] about [NUMBER] today",)
    assert [finding.label for finding in told.findings] == ["email", "number"]
    assert (told.coverage.complete, told.coverage.ran, told.coverage.guarded_characters) == (True, 2, len(TEXT))


def test_masks_of_a_weaker_verdict_stay_under_a_stronger_one() -> None:
    told = both(TEXT, one=[find(EMAIL, "email", action="redact")], other=[find("today", action="block")])
    assert told.action == "block"
    assert told.texts == ("mail [EMAIL] about 123456789012 today",)


def test_masks_that_overlap_become_one_and_nothing_between_them_shows() -> None:
    told = both(
        "abcdefgh", "abc",
        one=[find("bcd", "email", action="redact"), find("gh", "word", action="redact")],
        other=[find("defg", "number", action="redact")],
    )  # fmt: skip
    assert told.texts == ("a[NUMBER]", "abc")


def test_a_gap_in_one_policy_is_a_gap_in_both_together() -> None:
    told = both(TEXT, one=[find(EMAIL, "email")], other=[{"detector": "broken"}])
    assert not told.coverage.complete
    assert told.coverage.guarded_characters == 0
    assert told.coverage.not_run == (("r0", "failed: the detector raised RuntimeError"),)


def test_what_one_policy_has_no_rule_for_is_covered_by_the_other() -> None:
    subject = Subject((Part("input", TEXT), Part("output", "yes")))
    asked, enforced = verdict(subject, find("x", stages=["input"])), verdict(subject, find("x", stages=["output"]))
    assert not asked.coverage.complete
    told = combined(subject, [asked, enforced]).coverage
    assert (told.complete, told.uncovered, told.guarded_characters) == (True, (), len(TEXT) + 3)
    nobodys = combined(subject, [asked, verdict(subject, find("y", stages=["input"]))]).coverage
    assert (nobodys.complete, nobodys.all_ran) == (False, True)
    assert (nobodys.uncovered, nobodys.uncovered_characters) == (((1, "no rule is for the stage output"),), 3)
    assert nobodys.total_characters == len(TEXT) + 3


def test_streams_that_another_policy_covers_are_complete() -> None:
    covering, blind = (Guard(load(policy(rule), FAKES)) for rule in (find("x"), find("x", stages=["input"])))
    told = []
    for made in (covering, blind):
        stream = made.stream()
        stream.feed("A sentence of words. " * 40)
        told.append(stream.close())
    assert [one.coverage.complete for one in told] == [True, False]
    assert told[1].coverage.uncovered == ((0, "no rule is for the stage output"),)
    empty = Subject((Part("output", ""),))
    assert combined(empty, told).coverage.complete
    both_blind = combined(empty, [told[1], told[1]]).coverage
    assert (both_blind.complete, both_blind.all_ran, both_blind.uncovered_characters) == (False, True, 840)


@pytest.mark.parametrize("action", ["flag", "block"])
def test_a_broken_engine_answers_as_the_policy_says_for_failures(action: str) -> None:
    rules = [find("x", when_failed=action, message="Later, please."), find("y", stages=["output"], when_failed="block")]
    made = load(policy(*rules), detectors=FAKES)
    subject = Subject((Part("input", TEXT),))
    told = failed(made, subject, None, RuntimeError(TEXT))
    assert (told.action, told.texts) == (action, (TEXT,))
    assert told.coverage.not_run == (("r0", "failed: the engine raised RuntimeError"),)
    assert (told.coverage.total_characters, told.coverage.guarded_characters) == (len(TEXT), 0)
