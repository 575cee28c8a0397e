"""Check digits of numbers people carry. Every function takes bare digits and capitals, separators already gone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, *range(2, 10)), strict=True)
)
_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_TURN = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip
_VERHOEFF_STEPS = tuple(
    tuple(tuple(int(row[int(turn[digit])]) for row in _VERHOEFF_PRODUCT) for digit in range(10))
    for turn in _VERHOEFF_TURN
)
"""By place from the right, digit and check so far: the next check."""
_FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _numbers(text: str) -> list[int]:
    return [int(digit) for digit in text]


def weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=False))


_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
"""Each digit's double, its own two digits added up."""
_ZERO = ord("0")
_AS_NUMBERS = str.maketrans({letter: str(number) for number, letter in enumerate(_ALPHABET)})


def luhn(digits: str) -> bool:
    raw = digits.encode("ascii")
    total = sum(raw[-1::-2]) + sum(raw[-2::-2].translate(_DOUBLED)) - _ZERO * len(raw)
    return total % 10 == 0 and len(set(raw)) > 1


def iso_mod_97(text: str) -> bool:
    """ISO 7064 mod 97-10 with the first four characters moved to the end, as IBAN has it."""
    return int((text[4:] + text[:4]).translate(_AS_NUMBERS)) % 97 == 1


def iso_mod_11_10(digits: str) -> bool:
    product = 10
    for digit in _numbers(digits[:-1]):
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def verhoeff(digits: str) -> bool:
    check = 0
    for at, digit in enumerate(map(int, reversed(digits))):
        check = _VERHOEFF_STEPS[at % 8][digit][check]
    return check == 0


def calendar_day(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day) is not None
    except ValueError:
        return False


def short_date(digits: str, order: str) -> bool:
    """Whether six digits are a day; `order` is "ymd" or "dmy". The century is open."""
    parts = dict(zip(order, (int(digits[0:2]), int(digits[2:4]), int(digits[4:6])), strict=True))
    return any(calendar_day(century + parts["y"], parts["m"], parts["d"]) for century in (1900, 2000))


def ssn(digits: str) -> bool:
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and len(set(digits)) > 1


def itin(digits: str) -> bool:
    group = int(digits[3:5])
    return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def aba_routing(digits: str) -> bool:
    lead = int(digits[:2])
    return weighted(digits, (3, 7, 1) * 3) % 10 == 0 and (
        lead <= 12 or 21 <= lead <= 32 or 61 <= lead <= 72 or lead == 80
    )


def nhs(digits: str) -> bool:
    return (11 - weighted(digits, range(10, 1, -1)) % 11) % 11 == int(digits[-1]) and len(set(digits)) > 1


def nino(text: str) -> bool:
    return text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def dni(text: str) -> bool:
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == text[-1]


def codice_fiscale(text: str) -> bool:
    odd = sum(_FISCAL_ODD[int(letter) if letter.isdigit() else ord(letter) - 65] for letter in text[0:15:2])
    even = sum(int(letter) if letter.isdigit() else ord(letter) - 65 for letter in text[1:15:2])
    return chr(65 + (odd + even) % 26) == text[15]


def nir(text: str) -> bool:
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def steuer_id(digits: str) -> bool:
    counts = [digits[:10].count(digit) for digit in set(digits[:10])]
    return digits[0] != "0" and max(counts) in (2, 3) and iso_mod_11_10(digits)


def bsn(digits: str) -> bool:
    return (weighted(digits[:8], range(9, 1, -1)) - int(digits[8])) % 11 == 0 and len(set(digits)) > 1


def pesel(digits: str) -> bool:
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    return 1 <= month <= 12 and 1 <= day <= 31 and weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def belgian(digits: str) -> bool:
    number, check = int(digits[:9]), int(digits[9:])
    return check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def nif(digits: str) -> bool:
    rest = 11 - weighted(digits[:8], range(9, 1, -1)) % 11
    return (0 if rest > 9 else rest) == int(digits[8]) and digits[0] in "123568"


def personnummer(text: str) -> bool:
    """With a plus between day and serial number where its holder is a hundred years old or more."""
    short = text.replace("+", "")[-10:]
    day = int(short[4:6])
    return luhn(short) and short_date(short[:4] + f"{day - 60 if day > 60 else day:02d}", "ymd")


def hetu(text: str) -> bool:
    digits = text[:6] + text[7:10]
    return short_date(text[:6], "dmy") and _HETU[int(digits) % 31] == text[10]


def cpr(digits: str) -> bool:
    return short_date(digits[:6], "dmy")


def fodselsnummer(digits: str) -> bool:
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == 0 and second == 0 and len(set(digits)) > 1


def ean13(digits: str) -> bool:
    return weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def tfn(digits: str) -> bool:
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(digits)) > 1


def abn(digits: str) -> bool:
    return (weighted(digits, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0


def medicare_au(digits: str) -> bool:
    return digits[0] in "23456" and weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])


def cpf(digits: str) -> bool:
    first = weighted(digits, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def cnpj(digits: str) -> bool:
    weights = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    rests = [weighted(digits[:12], weights) % 11, weighted(digits[:13], (6, *weights)) % 11]
    return digits[12:] == "".join(str(0 if rest < 2 else 11 - rest) for rest in rests)


def nric(text: str) -> bool:
    total = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    return letters[text[0]][total % 11] == text[8]


def resident_id_cn(text: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    day = calendar_day(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    return day and "10X98765432"[weighted(text[:17], weights) % 11] == text[17]


def rrn(digits: str) -> bool:
    total = weighted(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return short_date(digits[:6], "ymd") and ((11 - total % 11) % 10 == int(digits[12]) or digits[:2] >= "20")


def curp(text: str) -> bool:
    values = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(values.index(letter) * (18 - at) for at, letter in enumerate(text[:17]))
    return (10 - total % 10) % 10 == int(text[17])


def rut(text: str) -> bool:
    total = sum(int(digit) * (2 + at % 6) for at, digit in enumerate(reversed(text[:-1])))
    return "0123456789K0"[11 - total % 11] == text[-1]


def cuit(digits: str) -> bool:
    return (11 - weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11 == int(digits[10])


def pps(text: str) -> bool:
    total = weighted(text[:7], range(8, 1, -1)) + (9 * (ord(text[8]) - 64) if len(text) > 8 else 0)
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == text[7]


def rodne_cislo(digits: str) -> bool:
    month = int(digits[2:4]) % 50 % 20
    return 1 <= month <= 12 and 1 <= int(digits[4:6]) <= 31 and (len(digits) == 9 or int(digits) % 11 in (0, 10))


def tckn(digits: str) -> bool:
    odd, even = sum(_numbers(digits[0:9:2])), sum(_numbers(digits[1:8:2]))
    return (
        (7 * odd - even) % 10 == int(digits[9])
        and sum(_numbers(digits[:10])) % 10 == int(digits[10])
        and digits[0] > "0"
    )


def cnp(digits: str) -> bool:
    rest = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return short_date(digits[1:7], "ymd") and (1 if rest == 10 else rest) == int(digits[12])


def south_african(digits: str) -> bool:
    return short_date(digits[:6], "ymd") and digits[10] in "01" and luhn(digits)


def thai(digits: str) -> bool:
    return (11 - weighted(digits[:12], range(13, 1, -1)) % 11) % 10 == int(digits[12])


def hkid(text: str) -> bool:
    padded = text.rjust(9)
    values = [36 if letter == " " else _ALPHABET.index(letter) for letter in padded]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def taiwanese(text: str) -> bool:
    number = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0]) + 10
    return (number // 10 + number % 10 * 9 + weighted(text[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))) % 10 == 0


def my_number(digits: str) -> bool:
    rest = weighted(digits, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest <= 1 else 11 - rest) == int(digits[11])


def vin(text: str) -> bool:
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    values = [int(letter) if letter.isdigit() else _VIN_VALUES[letter] for letter in text]
    return "0123456789X"[sum(v * w for v, w in zip(values, weights, strict=True)) % 11] == text[8]


def base58_check(text: str) -> bool:
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    if number >= 1 << 200:
        return False
    raw = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32(text: str) -> bool:
    prefix, _, data = text.lower().rpartition("1")
    if any(letter not in _BECH32 for letter in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)
