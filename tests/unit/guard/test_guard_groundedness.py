"""Groundedness and relevance: what is claimed is compared with the sources, claim by claim."""

from __future__ import annotations

import pytest

from stanchion_guard.detectors import build
from stanchion_guard.grounding.words import spans, stem, tokens
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject

SOURCE = (
    "Marie Curie was born in Warsaw on 7 November 1867. She won the Nobel Prize in Physics in 1903 with Pierre. "
    "The refund is paid within 14 days, and revenue increased by 12% to 1.5 million euros. "
    "Ordinary members may not vote."
)


def judge(answer: str, source: str | None = SOURCE, detector: str = "groundedness", question: str = "") -> Detection:
    parts = [Part("input", question)] if question else []
    parts += [Part("retrieved", source)] if source is not None else []
    parts.append(Part("output", answer))
    return build(detector, {}).detect(read(answer), len(parts) - 1, Subject(tuple(parts)))


def score(answer: str) -> float:
    found = judge(answer).score
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Marie Curie was born in Warsaw.", "Marie Curie was born in London."),
        ("She won the Nobel Prize in 1903.", "She won the Nobel Prize in 1911."),
        ("The refund is paid within 14 days.", "The refund is paid within 30 days."),
        ("The refund is paid within 14 days.", "The refund is not paid within 14 days."),
        ("Revenue increased by 12 percent.", "Revenue decreased by 12 percent."),
        ("She was born in November 1867.", "She was born in June 1867."),
        ("Ordinary members may not vote.", "The committee also runs a bakery and several hotels."),
    ],
)
def test_a_changed_claim_scores_above_the_claim_of_the_source(right: str, wrong: str) -> None:
    assert score(wrong) > score(right)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("She won the Nobel Prize in Physics in 1911.", "number_differs"),
        ("Revenue decreased by 12%.", "opposite"),
        ("Elephants sleep standing beside rivers.", "no_overlap"),
    ],
)
def test_a_finding_names_what_is_wrong(answer: str, label: str) -> None:
    assert [finding.label for finding in judge(answer).findings] == [label]


def test_a_finding_spans_the_unsupported_claim_alone() -> None:
    answer = "Marie Curie was born in Warsaw. Elephants sleep standing beside rivers."
    (finding,) = judge(answer).findings
    assert answer[finding.start : finding.end] == "Elephants sleep standing beside rivers."


def test_the_reason_does_not_quote_the_text() -> None:
    (finding,) = judge("The zanzibar protocol costs 9871 euros.").findings
    assert "zanzibar" not in finding.reason
    assert "9871" not in finding.reason


def test_without_sources_the_check_is_skipped_and_says_so() -> None:
    found = judge("Marie Curie was born in Warsaw.", source=None)
    assert found.score is None
    assert "retrieved" in (found.skipped or "")


@pytest.mark.parametrize("answer", ["Hello! Thanks.", "Would you like to know more?", "I don't know.", ""])
def test_small_talk_questions_and_refusals_hold_no_claim(answer: str) -> None:
    found = judge(answer)
    assert found.score is None
    assert "no claims" in (found.skipped or "")


@pytest.mark.parametrize(
    ("written", "value"),
    [("1,000", 1000), ("1k", 1000), ("one thousand", 1000), ("1.5 million", 1.5e6), ("twenty five", 25), ("$30", 30)],
)
def test_numbers_meet_however_they_are_written(written: str, value: float) -> None:
    assert [token.number for token in tokens(written)] == [value]


def test_a_bound_that_holds_is_not_a_differing_number() -> None:
    assert score("Revenue was over 1.4 million euros.") < score("Revenue was over 9 million euros.")


def test_sentences_keep_abbreviations_and_decimals_whole() -> None:
    text = "Dr. Smith paid 3.5 euros. He left."
    assert [text[a:b] for a, b in spans(text)] == ["Dr. Smith paid 3.5 euros.", "He left."]


def test_related_forms_share_a_stem() -> None:
    assert stem("founded") == stem("founder") == stem("founds")
    assert stem("companies") == stem("company")


def test_too_much_evidence_is_skipped_not_cut() -> None:
    assert "longer" in (judge("Warsaw is a city.", source="word " * 20_000).skipped or "")


def test_an_answer_that_takes_up_the_question_is_relevant_and_another_is_not() -> None:
    question = "How long does a refund for a broken bicycle take?"
    near = judge("A refund for a bicycle takes two weeks.", detector="relevance", question=question)
    far = judge("Penguins live on the southern ice.", detector="relevance", question=question)
    assert near.score is not None
    assert far.score is not None
    assert near.score < 0.6
    assert far.score >= 0.9
    assert [finding.label for finding in far.findings] == ["off_question"]


def test_relevance_without_a_question_is_skipped() -> None:
    assert judge("Anything at all.", detector="relevance").score is None


def test_a_reason_says_where_the_word_stands() -> None:
    answer = "Hello! She won the Nobel Prize in Physics in 1911."
    (finding,) = judge(answer).findings
    assert f"{answer.index('1911')}-{answer.index('1911') + 4}" in finding.reason
