# ruff: noqa: E501, SIM905 - a pattern or a table broken over lines is harder to check
"""Numbers of money and machines: cards, accounts, addresses in networks, wallets, vehicles."""

from __future__ import annotations

import ipaddress
import re

from stanchion_guard.identifiers import checksums
from stanchion_guard.identifiers.dates import NOT_TOLD_AFTER, no_date, no_year
from stanchion_guard.identifiers.grouped import card_ranges, iban_ranges
from stanchion_guard.identifiers.rules import Rule

# Lengths by country, from the SWIFT IBAN registry as published in 2025.
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD FK", 19: "MK SI", 20: "AT BA EE KZ LT LU XK MN", 21: "CH HR LI LV NI",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL OM SO", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
_IBAN_LENGTH = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries.split()}
_COUNTRIES = frozenset(
    "AD AE AL AM AO AR AT AU AZ BA BB BD BE BG BH BM BN BO BR BS BW BY CA CH CI CL CM CN CO CR CY CZ DE DK DO DZ EC EE EG ES "
    "ET FI FR GB GE GH GI GR GT HK HN HR HU ID IE IL IN IQ IR IS IT JE JM JO JP KE KH KR KW KY KZ LA LB LI LK LT LU LV LY MA "
    "MC MD ME MG MK MM MN MO MT MU MV MW MX MY MZ NA NG NI NL NO NP NZ OM PA PE PG PH PK PL PR PS PT PY QA RO RS RU RW SA SE "
    "SG SI SK SN SV SY TH TN TR TT TW TZ UA UG US UY UZ VE VN XK YE ZA ZM ZW".split()
)

_CARD = "card|credit|debit|visa|master ?card|amex|american express|maestro|discover|jcb|diners|carte|tarjeta|karte|carta|kaart|kort|payment|pan"
_CARD_NUMBER = "(?:credit|debit|bank|payment|visa|maestro) ?cards?|card (?:number|no)|kreditkarte|carte (?:bancaire|de crédit)|tarjeta"
_ACCOUNT = r"account|acct|a/c|bank|konto(?:nummer)?|compte|cuenta|conta|rekening(?:nummer)?|iban|beneficiary|deposit|checking|savings"


def card(digits: str) -> bool:
    """Luhn, and a length that an issuer of this prefix uses."""
    return _issued(digits) and checksums.luhn(digits)


def _issued(digits: str) -> bool:
    size = len(digits)
    if digits[0] == "4":
        return size in (13, 16, 19)
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if 300 <= three <= 305 or two in (36, 38, 39):
        return size in (14, 16, 19)
    if four in (2131, 1800):
        return size == 15
    if two == 35 or four == 6011 or two in (64, 65, 60, 81, 62) or four == 9792 or 2200 <= four <= 2204:
        return 16 <= size <= 19
    return False


def maestro(digits: str) -> bool:
    return digits[:2] in ("50", "56", "57", "58", "59", "60", "61", "63", "66", "67", "68", "69") and checksums.luhn(
        digits
    )


def iban(text: str) -> bool:
    return _IBAN_LENGTH.get(text[:2]) == len(text) and checksums.iso_mod_97(text)


def bic(text: str) -> bool:
    return text[4:6] in _COUNTRIES


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
"""What `ipaddress` takes for such an address: no octet begins with a zero but zero itself."""


def ipv4(text: str) -> bool:
    return _IPV4.fullmatch(text) is not None and not text.startswith("0.") and text.count("0") < 6


def ipv6(text: str) -> bool:
    return (
        text.count(":") >= 2
        and len(text.strip(":")) > 3
        and any(map(str.isdigit, text))
        and _address(text.split("%")[0].split("/")[0]) == 6
    )


def _address(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def mac(text: str) -> bool:
    return len(set(text)) > 1


# Runs on as long as letters and digits do, so further than the surroundings of its digits; but what `iban_ranges` takes
# of it begins with two letters before a digit and is whole groups of at most 99 characters, which lie in there.
_IBAN_RUN = r"(?i)\b[A-Z]{2}\d{2}(?:[ .\-\n]{0,2}[A-Z0-9]){11,}\b"
_SORT_CODE = r"\b\d{2}[- ]\d{2}[- ]\d{2}\b"
_CVV = r"(?i)\b(?:cvv2?|cvc2?|cvn|card (?:verification|security) (?:code|value|number))\b"
_VERSIONS = r"(?:(?:version|ver|v|release|build|section|chapter|oid|firmware|driver|update)[ :.=#-]*(?:is )?|[a-z0-9]*[a-z][a-z0-9]*[-_])$"

FINANCE = (
    Rule("CREDIT_CARD", r"\b\d(?:[ -]{0,2}\d){13,}\b", 0.9, 1.0, _CARD, card, within=card_ranges),
    Rule("CREDIT_CARD", r"\b\d{4}(?:[.\x{2011}\x{2013}]\d{4}){3}\b", None, 0.9, _CARD, card),
    Rule("CREDIT_CARD", r"\b4(?:[ -]?\d){12}\b", None, 0.9, _CARD, card),
    Rule("CREDIT_CARD", r"\b[56](?:[ -]?\d){11,18}\b", 0.6, 0.95, _CARD, maestro),
    Rule("CREDIT_CARD", r"\b\d(?:[ -]?\d){11,18}\b", None, 0.85, _CARD_NUMBER, checksums.luhn),
    Rule("IBAN", _IBAN_RUN, 1.0, 1.0, "", iban, within=iban_ranges(_IBAN_LENGTH)),
    Rule(
        "SWIFT_BIC",
        r"\b[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b",
        None,
        0.85,
        r"swift|bic|swift[/ -]bic",
        bic,
        anywhere=True,
    ),
    Rule(
        "US_ROUTING",
        r"\b\d{9}\b|\b\d{4}[- ]\d{4}[- ]\d\b",
        None,
        0.9,
        r"routing|aba|rtn|transit|wire",
        checksums.aba_routing,
    ),
    Rule("BANK_ACCOUNT", r"\b\d(?:[ -]?\d){6,16}\b", None, 0.65, _ACCOUNT, within=no_date),
    Rule("UK_SORT_CODE", _SORT_CODE, None, 0.8, r"sort ?code"),
    Rule("UK_SORT_CODE", _SORT_CODE, None, 0.8, r"sort", within=no_date),
    Rule(
        "CVV",
        rf"{_CVV}(?:[^\pL\pN\n]{{0,4}}(?:is|code|number|no|=)){{0,2}}[^\pL\pN\n]{{0,4}}\b(\d{{3,4}})\b",
        0.85,
        0.95,
        _CARD,
    ),
    Rule("CVV", rf"{_CVV}[^0-9\n]{{0,15}}\b(\d{{3,4}})\b", 0.85, 0.95, _CARD, against=NOT_TOLD_AFTER, within=no_year),
    Rule(
        "CARD_EXPIRY",
        r"(?i)\b(?:exp(?:iry|ires|iration)?(?: date)?|valid (?:thru|until|to)|g[uü]ltig bis)\b[^0-9\n]{0,10}"
        r"((?:0?[1-9]|1[0-2]) ?[/-] ?(?:20)?[2-4]\d)\b",
        None,
        0.8,
        _CARD + "|cvv|cvc",
    ),
    Rule(
        "IP_ADDRESS",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
        0.85,
        0.95,
        "ip|address|host|server|from|adresse",
        ipv4,
        against=_VERSIONS,
        bare=False,
    ),
    Rule(
        "IP_ADDRESS",
        r"(?i)(?:^|[^0-9a-z:.])((?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.\d{1,3}){0,3})(?:$|[^0-9a-z:])",
        0.9,
        0.95,
        "ip",
        ipv6,
        bare=False,
        anywhere=True,
    ),
    Rule(
        "MAC_ADDRESS",
        r"(?i)\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b|\b[0-9a-f]{2}(?:-[0-9a-f]{2}){5}\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b",
        0.85,
        0.95,
        "mac|device|ethernet|wi-?fi|bluetooth|hardware",
        mac,
        anywhere=True,
    ),
    Rule(
        "VIN",
        r"\b[1-5][A-HJ-NPR-Z0-9]{7}[0-9X][A-HJ-NPR-Z][A-HJ-NPR-Z0-9]{2}\d{5}\b",
        0.6,
        0.95,
        "vin|vehicle|chassis|car",
        checksums.vin,
    ),
    Rule(
        "VIN",
        r"\b[A-HJ-NPR-Z0-9]{13}\d{4}\b",
        None,
        0.8,
        r"vin|vehicle identification|chassis|fahrgestellnummer",
        lambda text: any(map(str.isalpha, text)),
    ),
    Rule(
        "CRYPTO_WALLET",
        r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b",
        0.95,
        1.0,
        "btc|bitcoin|wallet|address",
        checksums.base58_check,
        bare=False,
    ),
    Rule(
        "CRYPTO_WALLET",
        r"\b(?i:bc1|ltc1)[02-9ac-hj-np-z]{11,71}\b",
        0.95,
        1.0,
        "btc|bitcoin|wallet",
        checksums.bech32,
        bare=False,
    ),
    Rule("CRYPTO_WALLET", r"\b0x[0-9a-fA-F]{40}\b", 0.8, 0.95, "eth|ethereum|wallet|address|usdt|erc"),
)
