"""The format of API keys: `stn_<environment>_<key id 12>_<secret 32><checksum 6>`, everything but the frame in base 62.

The prefix is what secret scanners look for, the checksum (CRC-32) tells a typing mistake from a wrong key without a
query, and the secret carries 190 random bits, which is why one fast hash of it is enough at rest.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

PREFIX = "stn"
KEY_ID_LENGTH = 12
SECRET_LENGTH = 32
CHECKSUM_LENGTH = 6
MAX_KEY_LENGTH = 100

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY = re.compile(r"stn_([a-z0-9]{1,16})_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class KeyText:
    """A well-formed key, taken apart. The secret never shows in a repr."""

    environment: str
    key_id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """The whole key, secret included: for the one moment it is shown to its owner."""
        body = f"{PREFIX}_{self.environment}_{self.key_id}_{self.secret}"
        return body + _checksum(body)


def make_key(environment: str = "live") -> KeyText:
    """A new random key; `environment` is 1 to 16 lower-case letters or digits."""
    return KeyText(environment, _random(KEY_ID_LENGTH), _random(SECRET_LENGTH))


def parse(text: str) -> KeyText | None:
    """The parts of a key of ours, or None when the text is no key or has a typing mistake."""
    match = _KEY.fullmatch(text) if len(text) <= MAX_KEY_LENGTH else None
    if match is None or _checksum(text[:-CHECKSUM_LENGTH]) != match[4]:
        return None
    return KeyText(match[1], match[2], match[3])


def digest(secret: str) -> bytes:
    """The SHA-256 of a secret, the only form in which it is stored."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, stored_digest: bytes) -> bool:
    """Whether the secret is the stored one; takes the same time for every wrong secret."""
    return hmac.compare_digest(digest(secret), stored_digest)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
