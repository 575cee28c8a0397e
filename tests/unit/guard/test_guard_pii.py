from __future__ import annotations

import base64

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stanchion_guard.detectors.pii import LABELS, Pii
from stanchion_guard.reading import read
from stanchion_guard.records import Part, Subject

EVERYTHING = Pii(entities=list(LABELS))
BY_DEFAULT = Pii()


def found(text: str, detector: Pii = EVERYTHING) -> list[tuple[str, str]]:
    detection = detector.detect(read(text), 0, Subject((Part("input", text),)))
    return [(one.label, text[one.start : one.end]) for one in detection.findings if one.score >= detector.threshold]


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [
        ("EMAIL", "write to jo.doe+news@mail.example.co.uk please", "jo.doe+news@mail.example.co.uk"),
        ("EMAIL", "müller@bücher.example", "müller@bücher.example"),
        ("EMAIL", "jo [at] example [dot] com", "jo [at] example [dot] com"),
        ("EMAIL", "jo.doe at example dot org", "jo.doe at example dot org"),
        ("EMAIL", "jo\u200b@exam\u200bple.com", "jo\u200b@exam\u200bple.com"),
        ("PHONE", "call me on (415) 555-2671", "(415) 555-2671"),
        ("PHONE", "415-555-2671", "415-555-2671"),
        ("PHONE", "+44 20 7946 0958", "+44 20 7946 0958"),
        ("PHONE", "+49 (0)30 901820", "+49 (0)30 901820"),
        ("PHONE", "tél. 01 23 45 67 89", "01 23 45 67 89"),
        ("PHONE", "Handy: 0171 2345678", "0171 2345678"),
        ("PHONE", "teléfono 612 345 678", "612 345 678"),
        ("PHONE", "mobile 98765 43210", "98765 43210"),
        ("PHONE", "my number is 07700 900123", "07700 900123"),
        ("PHONE", "+1.415.555.2671", "+1.415.555.2671"),
        ("PHONE", "+55 11 91234-5678", "+55 11 91234-5678"),
        ("PHONE", "WhatsApp 0044 7911 123456", "0044 7911 123456"),
        ("CREDIT_CARD", "4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("CREDIT_CARD", "5555-5555-5555-4444", "5555-5555-5555-4444"),
        ("CREDIT_CARD", "378282246310005", "378282246310005"),
        ("CREDIT_CARD", "４１１１１１１１１１１１１１１１", "４１１１１１１１１１１１１１１１"),
        ("CVV", "card 4111111111111111 cvv: 123", "123"),
        ("CARD_EXPIRY", "visa card, exp 09/27", "09/27"),
        ("IBAN", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "IBAN GB82WEST12345698765432", "GB82WEST12345698765432"),
        ("IBAN", "FR14 2004 1010 0505 0001 3M02 606", "FR14 2004 1010 0505 0001 3M02 606"),
        ("IBAN", "NL91-ABNA-0417-1643-00", "NL91-ABNA-0417-1643-00"),
        ("SWIFT_BIC", "SWIFT: DEUTDEFF500", "DEUTDEFF500"),
        ("US_ROUTING", "routing number 021000021", "021000021"),
        ("BANK_ACCOUNT", "my bank account is 12345678901", "12345678901"),
        ("UK_SORT_CODE", "sort code 20-00-00", "20-00-00"),
        ("US_SSN", "219-09-9999", "219-09-9999"),
        ("US_SSN", "SSN 219099999", "219099999"),
        ("US_ITIN", "912-70-1234", "912-70-1234"),
        ("PASSPORT", "passport number C01234567", "C01234567"),
        ("DRIVER_LICENSE", "my driver's license is D1234567", "D1234567"),
        ("UK_NHS", "NHS number 943 476 5919", "943 476 5919"),
        ("UK_NINO", "AB 12 34 56 C", "AB 12 34 56 C"),
        ("ES_DNI", "DNI 12345678Z", "12345678Z"),
        ("ES_NIE", "X1234567L", "X1234567L"),
        ("IT_FISCAL_CODE", "RSSMRA85T10A562S", "RSSMRA85T10A562S"),
        ("FR_NIR", "2 55 08 14 168 025 38", "2 55 08 14 168 025 38"),
        ("DE_TAX_ID", "Steuer-ID 86 095 742 719", "86 095 742 719"),
        ("NL_BSN", "BSN 111222333", "111222333"),
        ("PL_PESEL", "PESEL 44051401359", "44051401359"),
        ("BE_NATIONAL_NUMBER", "85.07.30-033.28", "85.07.30-033.28"),
        ("PT_NIF", "NIF 123456789", "123456789"),
        ("SE_PERSONNUMMER", "811228-9874", "811228-9874"),
        ("SE_PERSONNUMMER", "personnummer 121212+1212", "121212+1212"),
        ("FI_HETU", "131052-308T", "131052-308T"),
        ("CH_AHV", "756.9217.0769.85", "756.9217.0769.85"),
        ("CZ_BIRTH_NUMBER", "710319/2745", "710319/2745"),
        ("TR_TCKN", "TC kimlik 10000000146", "10000000146"),
        ("IE_PPS", "PPS 1234567T", "1234567T"),
        ("CA_SIN", "SIN 046 454 286", "046 454 286"),
        ("BR_CPF", "529.982.247-25", "529.982.247-25"),
        ("BR_CNPJ", "11.222.333/0001-81", "11.222.333/0001-81"),
        ("MX_CURP", "BOXW310820HNERXN09", "BOXW310820HNERXN09"),
        ("CL_RUT", "12.345.678-5", "12.345.678-5"),
        ("AR_CUIT", "20-12345678-6", "20-12345678-6"),
        ("AU_TFN", "TFN 123 456 782", "123 456 782"),
        ("AU_ABN", "ABN 51 824 753 556", "51 824 753 556"),
        ("AU_MEDICARE", "Medicare 2123 45670 1", "2123 45670 1"),
        ("IN_AADHAAR", "Aadhaar 2341 2341 2346", "2341 2341 2346"),
        ("IN_PAN", "ABCPE1234F", "ABCPE1234F"),
        ("SG_NRIC", "S1234567D", "S1234567D"),
        ("CN_RESIDENT_ID", "11010519491231002X", "11010519491231002X"),
        ("HK_ID", "A123456(3)", "A123456(3)"),
        ("TW_ID", "A123456789", "A123456789"),
        ("ZA_ID", "ID 8001015009087", "8001015009087"),
        ("JP_MY_NUMBER", "my number 1234 5678 9018", "1234 5678 9018"),
        ("IP_ADDRESS", "from 41.173.96.26", "41.173.96.26"),
        ("IP_ADDRESS", "2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334"),
        ("MAC_ADDRESS", "00:1B:44:11:3A:B7", "00:1B:44:11:3A:B7"),
        ("MAC_ADDRESS", "001b.4411.3ab7", "001b.4411.3ab7"),
        ("VIN", "VIN 1HGCM82633A004352", "1HGCM82633A004352"),
        ("CRYPTO_WALLET", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("CRYPTO_WALLET", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("CRYPTO_WALLET", "0x52908400098527886E0F7030069857D2E4169EE7", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ("LICENSE_PLATE", "license plate: 7ABC123", "7ABC123"),
        ("DATE_OF_BIRTH", "date of birth: 12/03/1980", "12/03/1980"),
        ("DATE_OF_BIRTH", "I was born on March 12, 1980", "March 12, 1980"),
        ("DATE_OF_BIRTH", "geboren am 12. März 1980", "12. März 1980"),
        ("DATE_OF_BIRTH", "fecha de nacimiento: 1980-03-12", "1980-03-12"),
        ("PASSWORD", "the password is hunter2!", "hunter2!"),
        ("PIN", "my PIN is 4821", "4821"),
        ("AGE", "a 34 year old man", "34"),
        ("URL", "see https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("ADDRESS", "lives at 221 Baker Street in London", "221 Baker Street"),
        ("ADDRESS", "wohnt Lindenstraße 12", "Lindenstraße 12"),
        ("ADDRESS", "habite 12 rue de la Paix", "12 rue de la Paix"),
        ("POSTAL_CODE", "London NW1 6XE", "NW1 6XE"),
        ("PERSON", "Dear Ms. Anna Schmidt", "Anna Schmidt"),
        ("PERSON", "my name is Kofi Mensah and", "Kofi Mensah"),
        ("PERSON", "I met Maria Gonzalez there", "Maria Gonzalez"),
    ],
)  # fmt: skip
def test_it_finds_identifiers_where_they_stand(label: str, text: str, value: str) -> None:
    assert (label, value) in found(text)


@pytest.mark.parametrize(
    "iban",
    [
        "DE89 3704 0044 0532 0130 00",
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "DE89 3704 0044\n0532 0130 00",
        "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000",
        "GB29 NWBK 6016 1331 9268 19",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NL91 ABNA 0417 1643 00",
        "NO93 8601 1117 947",
        "CH93 0076 2011 6238 5295 7",
        "ES91 2100 0418 4502 0005 1332",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    ],
)
@pytest.mark.parametrize("around", ["{}", "{} please", "IBAN {} is 1 of 2", "bank account {} thanks", "no AB12 {} 7"])
def test_an_account_number_is_one_finding_whatever_stands_beside_it(around: str, iban: str) -> None:
    assert found(around.format(iban), BY_DEFAULT) == [("IBAN", iban)]


def test_account_numbers_one_after_the_other_are_each_found() -> None:
    both = ["DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"]
    assert found(" ".join(both), BY_DEFAULT) == [("IBAN", both[0]), ("IBAN", both[1])]


@pytest.mark.parametrize(
    ("text", "cards"),
    [
        ("pay 4111 1111 1111 1111 123 now", ["4111 1111 1111 1111"]),
        ("pay 4111 1111 1111 1111 12/26 123", ["4111 1111 1111 1111"]),
        ("2 4111-1111-1111-1111 7", ["4111-1111-1111-1111"]),
        ("4111  1111  1111  1111", ["4111  1111  1111  1111"]),
        ("card 4111.1111.1111.1111", ["4111.1111.1111.1111"]),
        ("1 3782 822463 10005 2", ["3782 822463 10005"]),
        ("4111111111111111 5555555555554444", ["4111111111111111", "5555555555554444"]),
        ("4111 1111 1111 1111 5555 5555 5555 4444", ["4111 1111 1111 1111", "5555 5555 5555 4444"]),
    ],
)
def test_a_card_is_found_among_other_numbers(text: str, cards: list[str]) -> None:
    assert found(text, BY_DEFAULT) == [("CREDIT_CARD", card) for card in cards]


def test_of_overlapping_numbers_the_longest_with_right_check_digits_is_told() -> None:
    text = "uid of the account card 5018 0000 0000 0000 007"
    assert found(text, BY_DEFAULT) == [("CREDIT_CARD", "5018 0000 0000 0000 007")]


@pytest.mark.parametrize(
    "harmless",
    [
        "order number 4155552671 shipped on 2024-01-02",
        "invoice 2024-000123 totals $1,234,567.89",
        "3f2504e0-4f89-11d3-9a0c-030582001301",
        "from 1990-1995 and 2001-2005, pages 100-2000",
        "version 10.0.19041.1 and chapter 1.2.3.4",
        "isbn 978-3-16-148410-0",
        "timestamp 1700000000000 and 1700000000",
        "4111 1111 1111 1112 fails its check digit",
        "000-12-3456 and 666-12-3456 were never issued",
        "DE89 3704 0044 0532 0130 01 is mistyped",
        "about 12345678 rows and 99999999999 bytes",
        "pi is 3.14159265358979",
        "the password is required for entry",
        "password: ********",
        "the event starts at 10:30:00 on 12/03/2024",
        "sha 5d41402abc4b2a76b9719d911017c592",
        "call stack depth 1000000 reached",
        "std::vector<int>::iterator and a::b",
        "the score was 21-14 and then 105-98",
        "Look at dot products",
        "coordinates 52.520008, 13.404954",
        "serial number 123-456-789",
    ],
)
def test_numbers_that_only_look_like_identifiers_stay(harmless: str) -> None:
    assert found(harmless, BY_DEFAULT) == []


def test_labels_that_need_a_model_are_looked_for_only_on_request() -> None:
    text = "My name is Anna Schmidt, 34 years old, see https://example.org"
    assert found(text, BY_DEFAULT) == []
    assert {label for label, _ in found(text)} == {"PERSON", "AGE", "URL"}


def test_a_word_beside_a_number_raises_the_score() -> None:
    def score(text: str) -> float:
        return BY_DEFAULT.detect(read(text), 0, Subject((Part("input", text),))).score or 0.0

    assert score("credit card 4111 1111 1111 1111") > score("see 4111 1111 1111 1111")


def test_ones_own_context_words_count() -> None:
    detector = Pii(entities=["UK_NHS"], context={"UK_NHS": ["hospital number"]})
    assert found("hospital number 943 476 5919", detector) == [("UK_NHS", "943 476 5919")]
    assert found("see 943 476 5919", detector) == []


def test_regions_decide_about_numbers_without_a_country_code() -> None:
    text = "Please use 021 123 45 67 tomorrow"
    assert found(text, Pii(entities=["PHONE"], regions=["CH"])) == [("PHONE", "021 123 45 67")]
    assert found(text, Pii(entities=["PHONE"], regions=["US"])) == []


def test_an_encoded_identifier_marks_its_encoded_run() -> None:
    run = base64.b64encode(b"my ssn is 219-09-9999 ok").decode()
    assert ("US_SSN", run.rstrip("=")) in [(label, value.rstrip("=")) for label, value in found(f"do {run} now")]


def test_reasons_never_quote_the_text() -> None:
    text = "ssn 219-09-9999, jo@example.com, +44 20 7946 0958"
    for finding in EVERYTHING.detect(read(text), 0, Subject((Part("input", text),))).findings:
        assert text[finding.start : finding.end] not in finding.reason


def test_an_unknown_entity_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="SHOE_SIZE"):
        Pii(entities=["SHOE_SIZE"])


@given(st.text(alphabet=st.sampled_from("0123456789 -./()+@:ABCXZabc\nÄ٣\u200b"), max_size=120))
@example("990101+1239")
@example("000000+0000 john.doe@example.org")
@settings(max_examples=300, deadline=None)
def test_findings_of_any_text_lie_within_it_and_do_not_overlap(text: str) -> None:
    findings = EVERYTHING.detect(read(text), 0, Subject((Part("input", text),))).findings
    last = 0
    for finding in findings:
        assert last <= finding.start < finding.end <= len(text) or finding.view != "plain"
        last = finding.end if finding.view == "plain" else last
        assert 0 < finding.score <= 1


@pytest.mark.parametrize(
    "unit", ["1", "1 ", "1-", "(1", "a@", "+1 415 555 2671 ", "Mr. A ", "Aa ", "::", "call 1", "DE89 ", "1111 "]
)
def test_hostile_texts_are_read_in_one_go(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    EVERYTHING.detect(read(text), 0, Subject((Part("input", text),)))


@pytest.mark.parametrize("text", ["Get WinPython-64bit-3.4.2.4 here", "libfoo_x-10.2.3.4 is out", "version 10.2.3.4"])
def test_a_version_in_four_parts_is_no_address(text: str) -> None:
    assert "IP_ADDRESS" not in {label for label, _ in found(text)}


TRANSCRIPT = (
    "Agent: May I have your full name? Caller: Hi, my name is John Stiles. Agent: Thank you, John. And the last"
    " four digits of your social security number? Caller: 1111. Agent: And a number to call you back? Caller: It is"
    " 555-456-7890."
)


def test_v16_a_calls_transcript_gives_the_full_name_the_four_digits_and_the_phone_and_no_first_name_alone() -> None:
    """A published probe (*Large Language Model-Based Solutions*, Wiley 2024)."""
    personal = [("PERSON", "John Stiles"), ("US_SSN_LAST4", "1111"), ("PHONE", "555-456-7890")]
    assert found(TRANSCRIPT) == personal
    assert found(TRANSCRIPT, BY_DEFAULT) == personal[1:]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("the last 4 of my SSN: 4821", "4821"), ("Last four of social?\nCaller: it's 0042", "0042"),
        ("last four digits of your card? 4821", None), ("the last four of 1999", None),
        ("last four of my social security number? I do not know. The year was long ago, about 1999", None),
        ("last four of my ssn 48213", None), ("my social security office closed in 1999", None),
    ],
)  # fmt: skip
def test_four_digits_are_personal_right_after_a_word_of_the_social_security_number(
    text: str, value: str | None
) -> None:
    assert [one for label, one in found(text, BY_DEFAULT) if label == "US_SSN_LAST4"] == ([value] if value else [])


@pytest.mark.parametrize(
    "text",
    [
        "The last four digits of your social security number will be required starting in 2024.",
        "Enter the last four digits of your social security number for tax year 2024",
        "the last four digits of your social security number (2024 form)",
        "last four of your social security number? We changed this in 2023.",
        "What are the last four digits of your social security number? Form 1040 follows.",
        "the last four digits of your social security number by April 2024",
        "the last four digits of your social security number or dial 4821",
        "CVV codes since 2019", "cvv within 120 days",
        "lapel pin 1996 was sold", "commemorative pin 2024 edition", "driving licence renewed 2019-03-04",
        "My driver's license expires 12-05-2026", "driver's license valid 2019-2024", "account opened 2019-03-04",
        "bank account since 12-05-2020", "my account was closed 2024-05-12 10:30", "medical record of 2019-2021",
        "passport expires 20240512", "vehicle registration 2024", "matrícula 2024", "some sort of event on 12-05-24",
    ],
)  # fmt: skip
def test_a_year_or_a_day_beside_a_word_of_context_is_not_the_number_asked_for(text: str) -> None:
    assert found(text, BY_DEFAULT) == []


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [
        ("US_SSN_LAST4", "last four digits of your social? Caller: It's 1998.", "1998"),
        ("US_SSN_LAST4", "the last four digits of my SSN are 1998", "1998"), ("CVV", "cvv: 1998", "1998"),
        ("US_SSN_LAST4", "the last four digits of my social security number end in 2001", "2001"),
        ("US_SSN_LAST4", "Last four of your social? Sure, that would be 1955", "1955"), ("CVV", "CVV is 2024", "2024"),
        ("PIN", "my pin is 1984", "1984"), ("PIN", "my pin 1998", "1998"), ("PIN", "PIN: 2024", "2024"),
        ("DRIVER_LICENSE", "driver's license 19990199", "19990199"), ("UK_SORT_CODE", "sort code 20-05-12", "20-05-12"),
        ("BANK_ACCOUNT", "checking account 20905432", "20905432"), ("MEDICAL_RECORD", "MRN 2019999", "2019999"),
        ("LICENSE_PLATE", "license plate ABC 2019", "ABC 2019"),
    ],
)  # fmt: skip
def test_a_number_told_outright_may_look_like_a_year(label: str, text: str, value: str) -> None:
    assert found(text, BY_DEFAULT) == [(label, value)]
