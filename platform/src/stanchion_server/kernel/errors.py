"""Failures that are the sender's or pass by themselves; everything else is ours and is not caught."""

from __future__ import annotations


class SenderError(Exception):
    """The sender must change something. `code` is stable snake_case; the message names the value and the remedy."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


class Unavailable(Exception):
    """We cannot accept this now; the same request may succeed in `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
