"""Signatures after Standard Webhooks 1.0 (symmetric, v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """ValueError unless it is whsec_ and base64 of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("A signing secret is whsec_ followed by base64.") from error
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("A signing secret is whsec_ followed by base64 of 24 to 64 bytes.")
    return key


def headers(message_id: str, at: datetime, body: bytes, secrets_: Iterable[str]) -> dict[str, str]:
    """One signature for each secret: during a rotation receivers know either."""
    stamp = str(int(at.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    found = [base64.b64encode(hmac.digest(key_of(one), signed, hashlib.sha256)).decode() for one in secrets_]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in found),
    }
