"""What the detectors skip in most texts changes nothing of what they find."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import re2
from hypothesis import example, given
from hypothesis import strategies as st

from stanchion_guard import payloads, squeezing
from stanchion_guard.detectors import pii
from stanchion_guard.detectors.pattern import Pattern, _first_signs
from stanchion_guard.identifiers import checksums, finance, grouped, phones
from stanchion_guard.identifiers.rules import Ending, Rule, Scanner, Span, _words_with, best_spans
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject
from stanchion_guard.scanning import Bytes, pattern, ranges

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


TABLES = st.lists(st.sampled_from("0123456789 +()./-\u2011\n ax"), max_size=90).map("".join)


@given(st.lists(NUMBERS | TABLES | FILLERS, min_size=1, max_size=8).map(" ".join))
@example("+44 20 7946 0958" + "x" * 24 + "(415) 555-2671")
@example("1\u2011234\u2011567\u201189 00 44 20 7946 0958")
@example("1" + " " * 24 + "2345678 1" + " " * 25 + "2345678")
def test_number_like_runs_are_the_same_close_to_their_digits(text: str) -> None:
    data = Bytes(text)
    assert list(phones._candidates(data)) == _runs(data)


def test_a_table_of_numbers_has_the_same_runs_as_before_the_last_that_is_looked_up() -> None:
    data = Bytes("12 3456789\n1 2\n" * phones.MOST_CANDIDATES)
    assert list(phones._candidates(data)) == _runs(data)
    assert len(_runs(data)) == phones.MOST_CANDIDATES


def _runs(data: Bytes) -> list[tuple[int, str]]:
    """Of the whole text, as long as it is all one area of digits, or few enough."""
    found = [(hit.start, hit.text) for hit in data.hits(phones._SHAPE)]
    areas = [area for area in data.around_digits(156, 126) if area[2] >= 7]
    near = [(data.point(start), data.point(end)) for start, end, _, _ in areas]
    return [run for run in found if any(start <= run[0] < end for start, end in near) and _can_be(data, run)][
        : phones.MOST_CANDIDATES
    ]


def _can_be(data: Bytes, run: tuple[int, str]) -> bool:
    """Whether digits enough for a telephone stand close by, in a text whose runs are not all counted."""
    if sum(area[2] for area in data.around_digits(156, 126)) > 2 * phones.MOST_CANDIDATES:
        return True
    pieces = [area for area in data.around_digits(2, 25) if area[2] >= 7]
    return any(data.point(start) <= run[0] < data.point(end) for start, end, _, _ in pieces)


@given(st.text("0123456789", min_size=1, max_size=40))
def test_check_digits_are_right_by_the_rule_as_it_is_written(digits: str) -> None:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    right = sum(sum(map(int, str(value))) for value in doubled) % 10 == 0 and len(set(digits)) > 1
    assert checksums.luhn(digits) == right


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=40))
@example("GB82WEST12345698765432")
def test_the_remainder_of_97_is_that_of_the_numbers_for_the_letters(text: str) -> None:
    spelt = "".join(str(int(letter, 36)) for letter in text[4:] + text[:4])
    assert checksums.iso_mod_97(text) == (int(spelt) % 97 == 1)


@given(
    st.lists(
        st.sampled_from(["0", "00", "1", "01", "19", "99", "100", "199", "249", "255", "256", "999"]),
        min_size=4,
        max_size=4,
    )
)
def test_an_address_is_one_for_us_where_it_is_one_for_the_standard_library(octets: list[str]) -> None:
    text = ".".join(octets)
    try:
        whole = ipaddress.ip_address(text).version == 4
    except ValueError:
        whole = False
    assert finance.ipv4(text) == (whole and not text.startswith("0.") and text.count("0") < 6)


@given(st.text("GB82ab1- .", max_size=30), st.integers(1, 12))
@example("GB82 WEST 1234", 8)
def test_so_many_letters_and_digits_end_where_counting_ends(run: str, length: int) -> None:
    for start in range(len(run)):
        if run[start].isalnum():
            assert grouped._after(run, start, length) == _counted(run, start, length)


def _counted(run: str, start: int, length: int) -> int | None:
    left = length
    for at in range(start, min(len(run), start + 3 * length)):
        left -= run[at].isalnum()
        if left == 0:
            return at + 1 if not run[at + 1 : at + 2].isalnum() else None
    return None


@given(
    st.lists(st.sampled_from(["GB82", "SE22", "1234", "AB", "x", "B1", "12", " ", "-", "."]), max_size=12).map("".join)
)
def test_an_account_number_begins_where_two_letters_and_two_digits_stand_free(run: str) -> None:
    heads = [match.start() for match in re.finditer(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}", run)]
    assert [match.start() - 2 for match in grouped._AFTER_HEAD.finditer(run)] == heads


@given(st.lists(st.sampled_from(["4", "6", "5", "13", "19", "20", "3"]), max_size=9), st.sampled_from([" ", "-", "  "]))
def test_groups_of_a_card_are_seen_before_they_are_counted(sizes: list[str], gap: str) -> None:
    run = gap.join("7" * int(size) for size in sizes)
    counts = list(map(int, sizes))
    some = any(grouped._card_groups(counts[at : at + 5]) for at in range(len(counts)))
    assert (grouped._CARD.search(run) is not None) == some


@given(
    st.lists(
        st.sampled_from(["version ", "v", "ver:", "rel", "ease ", "a1-", "_", "section", ".", " is ", "\n", "K", "é"]),
        max_size=6,
    )
)
def test_words_right_before_a_number_are_the_same_in_ascii_and_in_other_text(pieces: Sequence[str]) -> None:
    before = "".join(pieces)
    ending = Ending(finance._VERSIONS)
    expected = re.search(rf"(?i)(?<![^\W\d_]){finance._VERSIONS}", before) is not None
    assert ending.ends(Bytes(before), 0, len(before)) == expected


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=9), st.randoms(use_true_random=False))
def test_spans_that_do_not_overlap_all_stay_in_the_order_of_the_text(
    sizes: list[tuple[int, int]], chance: object
) -> None:
    ends = accumulate(size + gap for size, gap in sizes)
    spans = [Span("L", end - size, end, 0.5, "r") for end, (size, _) in zip(ends, sizes, strict=True)]
    shuffled = list(spans)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert best_spans(shuffled) == spans


@given(
    st.lists(
        st.sampled_from(["<", r"\|", "a", "b?", "[xy]", "[]|]", "|", "(?:", ")", "c+", "d{2}", ".", "é", r"\.", "-"]),
        min_size=1,
        max_size=8,
    ).map("".join),
    st.text("<|abcdxy]-.é", max_size=30),
)
@example(r"<\|a|\[b", "x<|a")
@example("a|b?c", "c")
@example("[]|]x|y", "]x")
@example("a?|b", "b")
def test_a_text_without_the_first_sign_of_any_match_has_none(regex: str, text: str) -> None:
    try:
        found = re2.search(regex, text)
    except re2.error:
        return
    signs = _first_signs([regex])
    assert found is None or signs is None or any(sign in text.encode() for sign in signs)


def test_first_signs_are_told_of_plain_patterns_only() -> None:
    assert _first_signs([r"<\|(?:a|b)\|>", r"\[/?INST\]|<</?SYS>>"]) == (b"<", b"[")
    for regex in ("(?i)x", "x(?i)y|b", "a?b", "a|b?", "a|", r"\d", r"\Qa\E", "[a]b", "(a|b)", "^a", "a{0}b"):
        assert _first_signs([regex]) is None, regex
    assert _first_signs(["a", "b", "c", "d", "e"]) is None


def test_rules_that_need_a_word_are_found_whether_few_or_many_fit_a_number() -> None:
    """Of few, each looks for its own word; for many, all words are looked for first."""
    for text in ("account 12345678", "my ssn is 536904123, tax id", "nothing 12345678 here", "passport 536904123"):
        assert list(LOCAL.scan(Bytes(text))) == list(WHOLE.scan(Bytes(text)))


ACCOUNTS = st.sampled_from(
    ("GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432", "DE89 3704 0044 0532 0130 00", "NO93 8601 1117 947",
     "MT84MALT011000012345MTLCAST001S", "GB82", "SE22", "1234", "_GB82 WEST 1234 5698 7654 32")
)  # fmt: skip
GLUE = st.sampled_from((" ", "", "-", ".", "  ", ", ", "\n", "_", "é"))


@given(st.lists(st.tuples(ACCOUNTS | FILLERS | WORDS, GLUE), min_size=1, max_size=10))
@example([("GB82 WEST 1234 5698 7654 32", " "), ("x" * 400, " "), ("DE89 3704 0044 0532 0130 00", "")])
@example([("ab ", "") for _ in range(120)] + [("GB82WEST12345698765432", "x" * 300)])
@example([("NO93 8601 1117 947", " ")] * 9 + [("by the end " * 30, "")])
def test_account_numbers_are_found_near_their_digits_as_in_the_whole_text(pieces: list[tuple[str, str]]) -> None:
    """Their runs go on through the words behind them, beyond what is looked at."""
    data = Bytes("".join(piece + glue for piece, glue in pieces))
    assert list(LOCAL.scan(data)) == list(WHOLE.scan(data))


@given(st.text("a1@ ", max_size=40), st.integers(0, 40))
def test_no_match_is_lost_where_none_begins_from_a_place_on(text: str, start: int) -> None:
    data, shape = text.encode(), pattern("a?1+")
    last = data.rfind(b"1") + 1
    assert ranges(shape, data, start, len(data), until=last) == ranges(shape, data, start, len(data))


@given(st.lists(st.sampled_from(["a@b.org", "@", "x@y", " ", ",", "é"]), max_size=9).map("".join))
def test_words_with_a_sign_end_their_last_sign_within_them(text: str) -> None:
    data = text.encode()
    words = [data[start:end] for start, end, _ in _words_with(b"@", data)]
    assert words == [word for word in data.split(b" ") if b"@" in word]
    assert all(data[:last].endswith(b"@") and b"@" not in data[last:end] for _, end, last in _words_with(b"@", data))
