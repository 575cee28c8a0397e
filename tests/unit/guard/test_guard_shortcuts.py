"""What the detectors skip in most texts changes nothing of what they find."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from stanchion_guard import payloads, squeezing
from stanchion_guard.detectors import pii
from stanchion_guard.detectors.pattern import Pattern
from stanchion_guard.identifiers import phones
from stanchion_guard.identifiers.rules import Rule, Scanner
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject
from stanchion_guard.scanning import Bytes

RULES: tuple[Rule, ...] = pii._RULES
LOCAL, WHOLE = Scanner(RULES), Scanner([replace(rule, anywhere=True) for rule in RULES])
"""The second one looks at the whole text for every rule, and for words of context beside every match."""

NUMBERS = st.sampled_from(
    ("4111 1111 1111 1111", "536-90-4123", "+44 20 7946 0958", "(415) 555-2671", "GB82 WEST 1234 5698 7654 32",
     "12345678", "192.0.2.7", "943 476 5919", "390.533.447-05", "1985-02-30", "8517516251", "AB12", "756.9217.0769.85",
     "44051401359", "12-3456789", "00:1b:44:11:3a:b7", "0x52908400098527886E0F7030069857D2E4169EE7",
     "1HGBH41JXMN109186", "33")
)  # fmt: skip
WORDS = st.sampled_from(
    ("card", "account", "phone:", "number is", "SSN", "passport", "nhs", "tax", "dl", "call me at", "order", "pin",
     "cvv", "bank", "Konto", "téléphone", "tél", "номер", "手机", "the", "postcard", "date of birth", "ſsn",
     "K", "-", "/", "\n")
)  # fmt: skip
FILLERS = st.integers(1, 220).map(lambda size: "x" * size) | st.integers(1, 60).map(lambda size: "é " * size)
TEXTS = st.lists(NUMBERS | WORDS | FILLERS, min_size=1, max_size=14).map(" ".join)
SIGNS = st.text(alphabet="abceimnorst1034578@$!%&#;x\\u0aF2 ._-/\n", max_size=120)


@given(TEXTS)
@example("account " + "x" * 61 + " 12345678")
@example("é" * 30 + " card 4111 1111 1111 1111")
def test_numbers_are_found_near_their_digits_as_in_the_whole_text(text: str) -> None:
    data = Bytes(text)
    assert list(LOCAL.scan(data)) == list(WHOLE.scan(data))


@given(TEXTS)
@example("4111 1111 1111 1111 " + "x" * 280 + " 4111 1111 1111 1111")
def test_words_beside_a_number_count_the_same_with_and_without_other_scripts(text: str) -> None:
    """Plain ASCII is searched by another matcher than other text."""
    plain = text.encode("ascii", "ignore").decode()
    far_away = f"{plain}{' ' * 400}é"
    assert list(LOCAL.scan(Bytes(plain))) == list(LOCAL.scan(Bytes(far_away)))
    found = [list(phones.find_phones(Bytes(one), pii.DEFAULT_REGIONS)) for one in (plain, far_away)]
    assert found[0] == found[1]


def test_every_rule_that_is_looked_for_near_digits_needs_one() -> None:
    without = "".join(map(chr, range(33, 127))).translate(dict.fromkeys(range(48, 58), " x "))
    assert [rule for rule in RULES if not rule.anywhere]
    assert Bytes(without).around_digits(9, 9) == []
    data = Bytes("card SSN passport " + without)
    assert not any(LOCAL._compiled[number].shape.search(data.data) for number in LOCAL._digits._numbers)


@given(SIGNS)
@example("\\u0061\\u0062\\u0063\\u0064")
@example("61 62 63 64 65 66 67 68")
@example("01100001 01100001 01100001 01100001")
@example("&#65;&#66;&#67;")
def test_a_text_without_encodings_is_known_by_a_cheaper_look(text: str) -> None:
    data = Bytes(text)
    assert payloads._present(data) == sorted(payloads._any().Match(data.data) or ())


@given(SIGNS)
@example("h4cker")
@example("p.a.y.p.a.l")
def test_a_text_without_tricks_is_squeezed_as_with_both_looks(text: str) -> None:
    reading = read(text)
    data = Bytes(reading.folded.text)
    if not data.has(squeezing._EITHER):
        assert not list(squeezing._leet_words(data))
        assert not list(squeezing._spaced_words(data))


def test_several_patterns_find_what_each_of_them_finds() -> None:
    patterns = [{"name": "a", "regex": r"(?i)\border-\d+\b"}, {"name": "b", "regex": r"^x|y$"}]
    for text in ("ORDER-12 and y", "x", "nothing", "ORDERLY-12"):
        part = Subject((Part("input", text),))
        alone = [f for one in patterns for f in Pattern([one]).detect(read(text), 0, part).findings]
        assert list(Pattern(patterns).detect(read(text), 0, part).findings) == alone
