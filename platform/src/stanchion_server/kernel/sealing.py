"""Encrypts what must be kept and read again: Fernet under a key derived from the server's secret key.

Another secret key reads nothing, unless the old one stands in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"stanchion sealed values 1"


class Unreadable(Exception):
    """Sealed under a key that this server does not have, or damaged."""


def seal(values: Mapping[str, str]) -> str:
    return _newest().encrypt(json.dumps(dict(values)).encode()).decode()


def unseal(token: str) -> dict[str, str]:
    try:
        plain = json.loads(_all().decrypt(token.encode()))
    except (InvalidToken, ValueError) as error:
        raise Unreadable from error
    return {str(name): str(value) for name, value in plain.items()}


def is_newest(token: str) -> bool:
    """Whether it can be read without any fallback key."""
    try:
        _newest().decrypt(token.encode())
    except (InvalidToken, ValueError):
        return False
    return True


def _newest() -> Fernet:
    return _fernet(settings.SECRET_KEY)


def _all() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@lru_cache(maxsize=16)
def _fernet(secret_key: str) -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
