"""Figures of a claim that round the sources' figures, in another unit or as a growth, and those that do not.

The table is Figure 3.3 of *Large Language Model-Based Solutions* (Wiley, 2024), in millions of dollars.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stanchion_guard.detectors import build
from stanchion_guard.grounding.figures import declared_scale, figures
from stanchion_guard.grounding.ledger import Ledger
from stanchion_guard.reading import read
from stanchion_guard.records import Detection, Part, Subject

TABLE = """Year ended December 31 (in millions, except per share data)
2021 2022
Net sales:
North America $279,833 $315,880
International 127,787 118,007
AWS 62,202 80,096
Consolidated net sales 469,822 513,983
Operating income (loss):
North America 7,271 (2,847)
International (924) (7,746)
AWS 18,532 22,841
Consolidated operating income 24,879 12,248
Non-operating income (expense) 13,272 (18,184)
Provision for income taxes (4,791) 3,217
Equity-method investment activity 4 (3)
Net income (loss) 33,364 (2,722)
Basic earnings per share 3.30 (0.27)
Diluted earnings per share 3.24 (0.27)
"""
NET_LOSS = "Net loss was $2.7 billion in 2022, compared with net income of $33.4 billion in 2021."


def judge(answer: str, source: str = TABLE, **parameters: float) -> Detection:
    subject = Subject((Part("retrieved", source), Part("output", answer)))
    return build("groundedness", parameters).detect(read(answer), 1, subject)


def labels(found: Detection) -> list[str]:
    return [finding.label for finding in found.findings]


@pytest.mark.parametrize(
    "claim",
    [
        "North America segment sales were $315.9 billion.",
        "International segment sales were $118.0 billion.",
        "AWS segment sales increased to $80.1 billion.",
        "Operating income decreased to $12.2 billion in 2022.",
        "Net sales increased 9% to $514.0 billion in 2022.",
        "Operating income decreased 51% to $12.2 billion.",
        "The North America segment had an operating loss of $2.8 billion.",
        "The provision for income taxes was $4.8 billion in 2021.",
        "Basic and diluted earnings per share were $(0.27) in 2022.",
        "Income was hit by a non-operating expense of $18.2 billion in 2022.",
        "Basic and diluted earnings per share were $3.30 and $3.24 in 2021.",
        NET_LOSS,
    ],
)
def test_v18_a_figure_rounded_to_another_unit_is_supported(claim: str) -> None:
    found = judge(claim)
    assert found.score is not None
    assert (found.score < 0.5, found.findings) == (True, ())


def test_v18_a_figure_cut_off_is_supported_only_where_a_policy_lets_the_last_digit_be_off_by_one() -> None:
    claim = "Net sales increased 9% to $513.9 billion in 2022."
    assert labels(judge(claim)) == ["number_differs"]
    assert judge(claim, last_digit_off=1).findings == ()


def test_v18_a_figure_that_only_one_of_two_rows_has_is_partly_wrong() -> None:
    (finding,) = judge("Basic and diluted earnings per share were $3.24 in 2021.").findings
    assert (finding.label, finding.score) == ("number_differs", 0.8)
    assert "for one of the two only" in finding.reason


@pytest.mark.parametrize(
    "claim",
    [
        "AWS segment sales were $81.1 billion.",
        "Net sales increased 12% to $514.0 billion.",
        "Net sales decreased 9% in 2022.",
        "Operating income grew 51% in 2022.",
        "Net income was $2.7 billion in 2022.",
        "Net loss was $33.4 billion in 2021.",
    ],
)
def test_another_amount_direction_or_sign_differs(claim: str) -> None:
    assert labels(judge(claim)) == ["number_differs"]


def test_of_two_rows_named_together_one_may_have_its_figure_apart() -> None:
    ledger = Ledger(["France 5 million\nGermany 7 million"])
    assert ledger.settle("France and Germany spent 5 million.").partial == ("5 million",)
    assert ledger.settle("France and Germany spent 5 million and 7 million.").partial == ()
    assert ledger.settle("France and Germany spent 12 million, France 5 million of it.").partial == ()


@pytest.mark.parametrize(
    "claim",
    [
        "AWS segment sales were $62.2 billion in 2022.",
        "In 2021, AWS segment sales were $80.1 billion.",
        "Net sales were $514.0 billion in 2021.",
        "AWS operating income was $22.8 billion in 2021.",
        "International segment sales were $315.9 billion.",
        "AWS segment sales were €80.1 billion.",
    ],
)
def test_a_figure_of_another_year_row_or_currency_differs(claim: str) -> None:
    source = TABLE.replace("62,202 80,096", "$62,202 $80,096")
    assert labels(judge(claim, source)) == ["number_differs"]


@pytest.mark.parametrize(
    "claim",
    [
        "AWS segment sales were $62.2 billion in 2021.",
        "In 2022, net sales increased to $514.0 billion from $469.8 billion.",
        "Net sales increased from $469.8 billion in 2021 to $514.0 billion in 2022.",
    ],
)
def test_a_figure_of_its_own_year_holds(claim: str) -> None:
    assert judge(claim).findings == ()


def test_a_figure_that_holds_does_not_excuse_one_beside_it() -> None:
    alone, both = judge("Net sales increased 12%."), judge("Net sales increased 12% to $514.0 billion.")
    assert both.score is not None
    assert alone.score is not None
    assert both.score >= 0.7


@pytest.mark.parametrize(
    ("source", "claim", "told"),
    [
        ("It had 1,234,567 visitors.", "It had 1.2 million visitors.", "It had 1,234,567 visitors."),
        ("It had 1,234,567 visitors.", "It had 1.3 million visitors.", None),
        ("It had 1,234,567 visitors.", "It took $1.2 million.", None),
        ("The yield was 12.43 %.", "The yield was 12.4 percent.", "The yield was 12.43 %."),
        ("The yield was 12.43.", "The yield was 12.4 percent.", None),
        ("It took 14.3 days.", "It took 14 days.", None),
        ("It cost 1.2 million.", "It cost $1.23 million.", None),
        ("(in thousands)\n2021 2022\nRent 1,120 1,234", "Rent was $1.2 million in fiscal 2021.", None),
        (
            "(in thousands)\n2021 2022\nRent 1,120 1,234",
            "Rent was $1.2 million in fiscal 2022.",
            "Rent was 1,234 in fiscal 2022.",
        ),
        ("It cost €1,234,567.", "It cost $1.2 million.", None),
        ("It cost £1,234,567.", "It cost £1.2 million.", "It cost £1,234,567."),
        ("Rent rose from 1,000 to 1,120 in May.", "Rent rose 12%.", "Rent rose 1,120."),
        ("Rent is 1,000 or 1,120.", "Rent rose 12%.", None),
        ("2022 2021\nRent 1,120 1,000", "Rent rose by 12%.", "Rent rose by 1,120."),
        ("2022 2021\nRent 1,120 1,000", "Rent fell by 12%.", None),
        ("2022 2021\nRent 0 1,000", "Rent fell by 100%.", "Rent fell by 0."),
        ("2022 2021\nRent 1,000 0", "Rent rose by 100%.", None),
        ("In 1999 there were 2,000.", "In 1999 it began.", None),
    ],
)
def test_what_a_claims_figure_is_read_as(source: str, claim: str, told: str | None) -> None:
    assert Ledger([source]).settle(claim).text == (told or claim)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("(in millions, except per share data)", 1e6), ("$ in thousands", 1e3), ("(US$ in billions)", 1e9),
        ("Amounts in thousands", 1e3), ("($M)", 1e6), ("EUR million", 1e6), ("($ bn)", 1e9),
        ("in millions of homes", 1), ("it cost $5 million", 1), ("", 1),
    ],
)  # fmt: skip
def test_the_unit_that_a_source_declares(text: str, scale: float) -> None:
    assert declared_scale(text) == scale


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a loss of $(2.7) billion, (EPS of 3.24)", ["$(2.7) billion", "3.24"]),
        ("5,000, and 2021-2022; 3.5.2", ["5,000", "2021", "2022", "3.5"]),
        ("a 12-day tour, -51% and 7.7m", ["12", "-51%", "7.7m"]),
        ("B2B v2.0 x86", []),
    ],
)
def test_where_figures_begin_and_end(text: str, written: list[str]) -> None:
    assert [one.written for one in figures(text)] == written


@given(st.integers(10_000, 10**9), st.integers(0, 2))
def test_every_amount_supports_its_own_rounding_and_no_other(thousands: int, places: int) -> None:
    source = f"(in thousands)\nRevenue {thousands:,}"
    step = Decimal(1).scaleb(-places)
    rounded = (Decimal(thousands) / 1000).quantize(step, ROUND_HALF_EVEN)
    right, wrong = (f"Revenue was ${value:f} million." for value in (rounded, rounded + 2 * step))
    assert Ledger([source]).settle(right).text == f"Revenue was {thousands:,}."
    assert Ledger([source]).settle(wrong).text == wrong


@given(st.text(alphabet="0123456789.,()$-% mMbk\nand", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    found = Ledger([text]).settle(text)
    assert all(text[one.start : one.end] == one.written for one in figures(text))
    assert isinstance(found.text, str)
