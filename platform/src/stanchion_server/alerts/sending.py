"""Carries one rendered message to its receiver. No database here; whatever goes wrong becomes a verdict."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

from stanchion_server.alerts.channels import KINDS
from stanchion_server.alerts.channels.base import Kind, Mail, Message, Outcome, Reply, Request, Verdict
from stanchion_server.kernel import clock, http

KEPT_BYTES = 1_024
MASK = "•••"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    verdict: Verdict
    status: int | None = None
    latency_ms: int | None = None
    answer: str = ""


def send(kind: str, message: Message, client: http.Client | None = None) -> Sent:
    """Never raises: a channel that fails in a way nobody thought of is retried like one that does not answer."""
    try:
        return _sent(KINDS[kind], message, client or http.client())
    except Exception as error:
        # No text of the error: it may hold the address, which is a secret.
        log.error("a message was not sent: %s in a %s channel", type(error).__name__, kind)
        outcome = Outcome.TRANSIENT if message.is_minimal else Outcome.BAD_MESSAGE
        return Sent(Verdict(outcome, f"could not be made: {type(error).__name__}"))


def _sent(kind: Kind, message: Message, client: http.Client) -> Sent:
    rendered = kind.render(message)
    if isinstance(rendered, Mail):
        return _mailed(rendered, message)
    sent = Sent(Verdict(Outcome.BAD_MESSAGE, "nothing to send"))
    receipt: Mapping[str, str] = {}
    for request in rendered:
        sent = _posted(kind, request, message, client)
        receipt = receipt or sent.verdict.receipt
        if sent.verdict.outcome is not Outcome.DELIVERED:
            return sent
    verdict = Verdict(sent.verdict.outcome, sent.verdict.text, receipt=receipt)
    return Sent(verdict, sent.status, sent.latency_ms, sent.answer)


def _posted(kind: Kind, request: Request, message: Message, client: http.Client) -> Sent:
    try:
        answer = client.send("POST", request.url, request.body, request.headers)
    except http.Refused as error:
        return Sent(Verdict(Outcome.REFUSED, masked(str(error), message.secrets)))
    except http.Failed as error:
        outcome = Outcome.REFUSED if error.reason == "tls" else Outcome.TRANSIENT
        doubt = "" if error.is_outcome_known else " It may have been taken."
        return Sent(Verdict(outcome, masked(str(error) + doubt, message.secrets)))
    body = answer.body.decode("utf-8", "replace").replace("\0", "")
    verdict = kind.classify(Reply(answer.status, body, answer.headers, clock.now()))
    text = masked(verdict.text, message.secrets)
    told = Verdict(verdict.outcome, text, verdict.wait_s, verdict.receipt)
    return Sent(told, answer.status, answer.latency_ms, masked(body, message.secrets)[:KEPT_BYTES])


def _mailed(mail: Mail, message: Message) -> Sent:
    began_s = clock.monotonic_s()
    headers = {"X-Stanchion-Message": message.id}
    try:
        EmailMessage(mail.subject, mail.text, settings.DEFAULT_FROM_EMAIL, list(mail.to), headers=headers).send()
    except smtplib.SMTPRecipientsRefused:
        return Sent(Verdict(Outcome.BROKEN, "the mail server refused every recipient"))
    except (smtplib.SMTPException, OSError) as error:
        return Sent(Verdict(Outcome.TRANSIENT, f"the mail server did not take it: {type(error).__name__}"))
    took_ms = round((clock.monotonic_s() - began_s) * 1000)
    return Sent(Verdict(Outcome.DELIVERED, "handed to the mail server"), latency_ms=took_ms)


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """Without any secret, or the telling part of an address that is one."""
    for secret in secrets.values():
        path = urlsplit(secret).path.strip("/") if "://" in secret else ""
        for part in (secret, path):
            if len(part) >= 6:
                text = text.replace(part, MASK)
    return text
