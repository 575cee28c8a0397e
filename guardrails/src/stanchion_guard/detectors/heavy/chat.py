"""Asking a language model over the OpenAI chat completions format: the only code of the guard that uses the network."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from stanchion_guard.detectors.heavy import consent
from stanchion_guard.records import Spent

MOST_BYTES = 65_536
_RETRIED = frozenset({429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class JudgeError(Exception):
    """The judge gave no verdict. The engine reports the check as failed, never as passed."""


class Chat:
    """One model at one address that the operator allows.

    Prices are USD per million tokens; without both of them the cost is not known. `timeout_s` bounds all attempts of a
    question together.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        timeout_s: float,
        attempts: int,
        input_price: float | None,
        output_price: float | None,
    ) -> None:
        self._key = consent.judge_key(base_url)
        address = urlsplit(base_url)
        if self._key and address.scheme != "https" and address.hostname not in _LOOPBACK:
            raise ValueError("llm_judge: a key is sent over https only, or to this machine itself")
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model, self._timeout_s, self._attempts = model, timeout_s, attempts
        self._prices = (input_price, output_price)
        self._opener = build_opener(_NoRedirect)

    def ask(self, messages: list[dict[str, str]], form: Mapping[str, Any], most_tokens: int) -> Mapping[str, Any]:
        """The model's answer as it came. `form` is the `response_format`. Raises JudgeError."""
        ends = time.monotonic() + self._timeout_s
        asked = {"model": self._model, "temperature": 0, "max_tokens": most_tokens}
        body = json.dumps(asked | {"response_format": form, "messages": messages}).encode()
        for attempt in range(1, self._attempts + 1):
            try:
                return self._send(body, ends)
            except HTTPError as error:
                error.close()
                if error.code not in _RETRIED or attempt == self._attempts:
                    raise JudgeError(f"the judge answered {error.code}") from None
            except OSError as error:
                if attempt == self._attempts:
                    raise JudgeError(f"the judge cannot be reached: {type(error).__name__}") from None
        raise JudgeError("no attempt was made")

    def _send(self, body: bytes, ends: float) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = Request(self._url, data=body, headers=headers)  # noqa: S310
        with self._opener.open(request, timeout=_left(ends)) as response:
            read = b""
            while piece := response.read1(MOST_BYTES):
                read += piece
                _left(ends)
                if len(read) > MOST_BYTES:
                    raise JudgeError("the judge's answer is too long")
        try:
            answer = json.loads(read)
        except ValueError:
            raise JudgeError("the judge's answer is not JSON") from None
        if not isinstance(answer, dict):
            raise JudgeError("the judge's answer is not an object")
        return answer

    def spent(self, answer: Mapping[str, Any]) -> Spent | None:
        """What this answer cost, None where it does not say."""
        usage = answer.get("usage")
        if not isinstance(usage, dict):
            return None
        read, written = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        dear_in, dear_out = self._prices
        if read is None or written is None or dear_in is None or dear_out is None:
            return Spent(read, written, None)
        return Spent(read, written, (read * dear_in + written * dear_out) / 1e6)


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the text and the key to an address that nobody allowed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise JudgeError("the judge did not answer in time")
    return left


def content_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The object that a finished answer holds as JSON. Raises JudgeError for anything else."""
    try:
        choice = answer["choices"][0]
        said, finished = json.loads(choice["message"]["content"]), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise JudgeError("the judge gave no verdict") from None
    if not isinstance(said, dict):
        raise JudgeError("the judge gave no verdict")
    if finished not in (None, "stop"):
        raise JudgeError("the judge's answer was cut off")
    return said


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
