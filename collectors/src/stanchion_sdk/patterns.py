"""The patterns of personal data and secrets, each with what a text must contain for the pattern to be worth trying.

Every repetition is bounded or starts only where a run of its characters starts, so a hostile text costs a constant
times its length also in the standard library's `re`. google-re2 runs them where it is installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# A word starts here, also behind the escape of a line end in the repr of a text.
_START = r"((?:\b|\\[nrt]))"
_RUN_START = r"(^|[^A-Za-z0-9_-]|\\[nrt])"

_SECRETS = (
    r"sk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_-]{16,256}|[srp]k_(?:live|test)_[A-Za-z0-9]{10,128}"
    r"|stn_[a-z0-9]{1,16}_[A-Za-z0-9_]{30,80}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,45}|ya29\.[A-Za-z0-9_-]{20,256}"
    r"|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,64}|xox[abeoprs]-[A-Za-z0-9-]{10,250}"
    r"|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,300}|SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{20,60}"
    r"|gsk_[A-Za-z0-9]{30,64}|r8_[A-Za-z0-9]{30,50}|dop_v1_[a-f0-9]{64}|(?:sk|pk)-lf-[A-Za-z0-9-]{20,64}"
    r"|lsv2_[a-z]{2}_[A-Za-z0-9_]{30,64}"
)
_SECRET_HINTS = (
    "sk-", "k_live_", "k_test_", "stn_", "AKIA", "ASIA", "AIza", "ya29.", "ghp_", "gho_", "ghu_", "ghs_", "ghr_",
    "hub_pat_", "glpat-", *(f"xox{kind}-" for kind in "abeoprs"), "hf_", "npm_", "pypi-", "SG.", "gsk_", "r8_",
    "dop_v1_", "-lf-", "lsv2_",
)  # fmt: skip

# ISO 13616 lengths, SWIFT IBAN registry release 99 (December 2024).
IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        pair.split(":")
        for pair in [
            "15:NO",
            "16:BE",
            "18:DK,FI,FO,GL,NL,SD",
            "19:MK,SI,FK",
            "20:AT,BA,EE,KZ,LT,LU,XK,MN",
            "21:CH,HR,LI,LV",
            "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA",
            "23:AE,GI,IL,IQ,TL,OM,SO",
            "24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG",
            "25:LY,PT,ST",
            "26:IS,TR",
            "27:BI,DJ,FR,GR,IT,MC,MR,SM",
            "28:AL,AZ,BY,CY,DO,GT,HU,LB,NI,PL,SV",
            "29:BR,EG,PS,QA,UA",
            "30:JO,KW,MU,YE",
            "31:MT,SC",
            "32:LC",
            "33:RU",
        ]
    )
    for country in countries.split(",")
}


def luhn(digits: str) -> bool:
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = ord(char) - 48
        total += value if place % 2 == 0 else (value * 2 - 9 if value > 4 else value * 2)
    return total % 10 == 0


# First digits and lengths as the card networks issue them (ISO/IEC 7812); times in nanoseconds start with 1.
_CARD = re.compile(r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15,18}")


def is_card(digits: str) -> bool:
    return len(set(digits)) > 1 and _CARD.fullmatch(digits) is not None and luhn(digits)


def is_iban(compact: str) -> bool:
    """ISO 13616: the letters as numbers, the first four characters last, modulo 97 is 1."""
    if IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _digits(text: str) -> str:
    return "".join(char for char in text if char in "0123456789")


def mask_cards(match: Any) -> str:
    """Card numbers among the digit groups of a run: a security code or an order number may stand beside the number."""
    text = str(match.group())
    out, place = [], 0
    while place < len(text):
        end = _card_end(text, place) if text[place] in "23456" and (place == 0 or not text[place - 1].isdigit()) else 0
        out.append("[CARD]" if end else text[place])
        place = end or place + 1
    return "".join(out)


def _card_end(text: str, start: int) -> int:
    """Where the longest card number that begins at `start` ends, or 0."""
    digits, best = "", 0
    for place in range(start, min(len(text), start + 40)):
        if not text[place].isdigit():
            continue
        digits += text[place]
        group_ends = place + 1 == len(text) or not text[place + 1].isdigit()
        if group_ends and len(digits) >= 13 and is_card(digits):
            best = place + 1
        if len(digits) == 19:
            break
    return best


def mask_ibans(text: str) -> str:
    out: list[str] = []
    done = 0
    for match in _IBAN_START.finditer(text):
        end = _iban_end(text, match.start()) if match.start() >= done else 0
        if end:
            out += (text[done : match.start()], "[IBAN]")
            done = end
    return "".join((*out, text[done:]))


def _iban_end(text: str, start: int) -> int:
    wanted = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    compact, place = "", start
    while wanted and place < len(text) and len(compact) < wanted:
        char = text[place]
        if char.isascii() and char.isalnum():
            compact += char.upper()
        elif char not in " -" or text[place - 1] in " -":
            break
        place += 1
    return place if wanted and len(compact) == wanted and is_iban(compact) else 0


def _phone(match: Any) -> str:
    return "[PHONE]" if 8 <= len(_digits(match.group())) <= 15 else str(match.group())


def _after_first(kind: str) -> Callable[[Any], str]:
    return lambda match: f"{match.group(1)}[{kind}]"


# Hints in small letters are looked for in the text in small letters.
_AUTH_HINTS = ("bearer", "basic")
_NAME_HINTS = (
    "authorization", "cookie", "secret", "passwd", "password", "passphrase", "token", "signature",
    "sig=", 'sig"', "sig:",
    "api_key", "api-key", "apikey", "access_key", "access-key", "accesskey",
)  # fmt: skip
# Between a name and its value: `name: value`, `"name": "value"`, and the pair `(b'name', b'value')` of raw headers.
_IS = r"(?:[\"']?\s{0,3}[:=]\s{0,3}|[\"']\s{0,3},\s{0,3})b?[\"']?"
_HEADER = r"(?i)((?:authorization" + _IS + r")(?:[A-Za-z-]{3,20}\s{1,3})?)[^\s\"',;]{4,}"
_COOKIE = r"(?i)(cookie[\"']?(?:\s{0,3}:\s{0,3}|\s{0,3},\s{0,3}b?)[\"']?)[^\s\"',=;]{1,256}=[^\"'\r\n]+"
_NAMES = r"api[_-]?key|access[_-]?key|secret|passwd|password|passphrase|token|signature|sig"
_ASSIGNMENT = r"(?i)((?:" + _NAMES + ")" + _IS + r")[^\s\"'&,;\[\]{}]{6,}"
Replacement = str | Callable[[Any], str]
Line = tuple[tuple[str, ...], str, Replacement]
_LINES: tuple[Line, ...] = (
    (("PRIVATE KEY",), r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[A-Za-z0-9+/=\s\\:,.-]*", "[PRIVATE_KEY]"),
    (("eyJ",), _RUN_START + r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?", _after_first("JWT")),
    (_SECRET_HINTS, _START + "(?:" + _SECRETS + ")", _after_first("SECRET")),
    (("://",), r"(://[^\s/:@]{0,200}:)[^\s/@]{1,200}@", lambda match: f"{match.group(1)}[SECRET]@"),
    (("@",), r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}", "[EMAIL]"),
    (("%40",), r"[A-Za-z0-9._%+'-]{1,64}%40(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}", "[EMAIL]"),
)  # fmt: skip
_SMALL_LINES: tuple[Line, ...] = (
    (_AUTH_HINTS, r"(?i)\b((?:bearer|basic)\s{1,4})[A-Za-z0-9._~+/=-]{8,}", _after_first("SECRET")),
    (("authorization",), _HEADER, _after_first("SECRET")),
    (("cookie",), _COOKIE, _after_first("SECRET")),
    (_NAME_HINTS, _ASSIGNMENT, _after_first("SECRET")),
)
_DIGIT_LINES: tuple[Line, ...] = (
    ((), r"[0-9](?:[ .-]?[0-9]){12,}", mask_cards),
    (("+", "00"), r"(?:\+|\b00)[1-9][0-9 ()./-]{6,22}[0-9]\b", _phone),
    ((), r"(?:\(|\b)[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b", "[PHONE]"),
    (("0",), r"\b0[1-9][0-9]{1,4}[ /-]{1,2}[0-9]{3,8}(?:[ -][0-9]{2,6}){0,3}\b", _phone),
)


def _compile(pattern: str) -> Any:
    try:
        import re2  # type: ignore[import-untyped, unused-ignore]

        return re2.compile(pattern)
    except Exception:  # not installed, or a build that refuses the pattern: `re` is bounded on it as well
        return re.compile(pattern)


Compiled = tuple[tuple[str, ...], Any, Replacement]


def _compiled(lines: tuple[Line, ...]) -> tuple[Compiled, ...]:
    return tuple((hints, _compile(pattern), new) for hints, pattern, new in lines)


TEXT_PATTERNS, SMALL_PATTERNS, DIGIT_PATTERNS = _compiled(_LINES), _compiled(_SMALL_LINES), _compiled(_DIGIT_LINES)
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=[A-Za-z0-9 -])")
_FIVE_DIGITS = re.compile(r"[0-9](?:[^A-Za-z]{0,3}[0-9]){4}")
# What a text has to contain before any pattern can match, each behind a shorter and cheaper piece of it. The digits may
# lie further apart than in _FIVE_DIGITS, as a separator in a leaf of a JSON text takes two characters in the JSON.
_ALL_HINTS = tuple(hint for hints, _, _ in _LINES for hint in hints)
_GATED = tuple((gate, tuple(hint for hint in _ALL_HINTS if gate in hint)) for gate in "_-/%@")
_UNGATED = tuple(hint for hint in _ALL_HINTS if not any(gate in hint for gate in "_-/%@"))
# The last group are names that matter as keys of a JSON object only, whose value is a secret whatever it looks like.
_SMALL_GATED = (
    *((gate, tuple(name for name in _NAME_HINTS if gate in name)) for gate in ("key", "pass", "sig")),
    *((hint, (hint,)) for hint in ("authorization", "cookie", "secret", "token", *_AUTH_HINTS)),
    ("pwd", ("pwd",)),
    ("credentials", ("credentials",)),
    ("auth", ('auth"', "auth\\")),
    ("key", ("private_key", "private-key", "privatekey")),
    ("connection", ("connection_string", "connection-string", "connectionstring")),
)
_DIGITS_APART = re.compile(r"[0-9](?:[^0-9]{0,7}[0-9]){4}")
# ASCII characters in the escapes of JSON and of Python, but for those that would end a text: quotes and the backslash.
_ESCAPED = re.compile(r"\\(?:u00|x)(2[0-13-689a-fA-F]|[346][0-9a-fA-F]|5[0-9abdefABDEF]|7[0-9a-eA-E])")


def may_match(text: str) -> bool:
    """False when no pattern matches anywhere in the text, nor in a leaf of the JSON that it is, escapes included."""
    if "\\u" in text or "\\x" in text or _contains(text, _UNGATED) or _DIGITS_APART.search(text):
        return True
    return _contains_gated(text, _GATED) or _contains_gated(text.lower(), _SMALL_GATED)


def _contains_gated(text: str, groups: tuple[tuple[str, tuple[str, ...]], ...]) -> bool:
    for gate, hints in groups:  # noqa: SIM110 - `any` over a generator takes three times as long
        if gate in text and _contains(text, hints):
            return True
    return False


def _contains(text: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110 - as above
        if hint in text:
            return True
    return False


def mask_text(text: str) -> str:
    """Replaces what the patterns find with its kind in square brackets."""
    if len(text) < 6:
        return text
    if "\\u00" in text or "\\x" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)
    try:
        return _masked(text)
    except UnicodeEncodeError:  # re2 takes no lone surrogates
        return _masked(text.encode("utf-8", "replace").decode())


def _masked(text: str) -> str:
    text = _apply(TEXT_PATTERNS, text, text)
    text = _apply(SMALL_PATTERNS, text, text.lower())
    if _FIVE_DIGITS.search(text):
        text = _apply(DIGIT_PATTERNS, mask_ibans(text), text)
    return text


def _apply(patterns: tuple[Compiled, ...], text: str, looked_at: str) -> str:
    for hints, pattern, replacement in patterns:
        if not hints or _contains(looked_at, hints):
            text = pattern.sub(replacement, text)
    return text
