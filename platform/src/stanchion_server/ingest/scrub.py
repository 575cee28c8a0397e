"""Masks credentials that clients record by accident: in names, attributes (of spans, events, links, logs, points and
resources, where command lines stand), log bodies and status texts.

Only unmistakable forms (a fixed prefix and enough random characters) and attributes whose very name says credential.
Personal data is the guardrails engine's matter, not this module's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar, cast

from stanchion_server.ingest.records import (
    Alteration,
    Attributes,
    AttributeValue,
    Decoded,
    RawEvent,
    RawLink,
    RawLog,
    RawPoint,
    RawResource,
    RawSpan,
)

MASK = "[secret masked]"

Carrier = TypeVar("Carrier", RawEvent, RawLink, RawResource)
_Resources = dict[int, tuple[RawResource, RawResource]]  # by identity within one request: (as sent, masked)

_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?:ant-|proj-|or-v1-|svcacct-|lf-)?[A-Za-z0-9_-]{20,}"
    r"|stn_[a-z0-9]{1,16}_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}"
    r"|A[KS]IA[0-9A-Z]{16}(?![0-9A-Za-z])"
    r"|gh[pos]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|xox[abposr]-[A-Za-z0-9-]{10,}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|hf_[A-Za-z0-9]{30,}"
    r")"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"
)
_CREDENTIAL_NAME = re.compile(
    r"(?:^|[._-])(?:authorization|api[_-]?key|x-api-key|set-cookie|cookie|client[_-]?secret|password)$", re.IGNORECASE
)


def mask(text: str) -> str:
    """The text with every credential in it replaced; the very same object when there is none."""
    return _SECRET.sub(MASK, text) if _may_hold_a_secret(text) else text


def _may_hold_a_secret(t: str) -> bool:
    """Substring searches are some fifty times cheaper than the expression, and almost every text stops here. Written
    out because a loop over the markers costs more than the searches."""
    return (
        "sk-" in t or "stn_" in t or "AKIA" in t or "ASIA" in t or "ghp_" in t or "gho_" in t or "ghs_" in t
        or "github_pat_" in t or "xox" in t or "AIza" in t or "PRIVATE KEY" in t or "hf_" in t
    )  # fmt: skip


def mask_secrets(decoded: Decoded) -> Decoded:
    """The request with credentials masked and the changed items flagged SECRET_MASKED."""
    resources: _Resources = {}
    spans = tuple(_span(span, resources) for span in decoded.spans)
    logs = tuple(_log(log, resources) for log in decoded.logs)
    points = tuple(_point(point, resources) for point in decoded.points)
    return replace(decoded, spans=spans, logs=logs, points=points)


def _span(span: RawSpan, resources: _Resources) -> RawSpan:
    attributes, resource = _attributes(span.attributes), _resource(span.resource, resources)
    events, links = _carriers(span.events), _carriers(span.links)
    name, message = mask(span.name), mask(span.status_message)
    is_same = attributes is span.attributes and resource is span.resource
    is_same = is_same and name is span.name and message is span.status_message
    if is_same and events is span.events and links is span.links:
        return span
    return replace(
        span,
        name=name,
        attributes=dict(attributes),
        events=events,
        links=links,
        status_message=message,
        resource=resource,
        alterations=span.alterations | Alteration.SECRET_MASKED,
    )


def _carriers(things: tuple[Carrier, ...]) -> tuple[Carrier, ...]:
    new = tuple(_carrier(thing) for thing in things)
    return things if all(a is b for a, b in zip(new, things, strict=True)) else new


def _carrier(thing: Carrier) -> Carrier:
    attributes = _attributes(thing.attributes)
    return thing if attributes is thing.attributes else replace(thing, attributes=attributes)


def _resource(resource: RawResource, known: _Resources) -> RawResource:
    """Many items share one resource object; it keeps its id, so that what it is called does not change."""
    entry = known.get(id(resource))
    if entry is None:
        entry = known[id(resource)] = resource, _carrier(resource)
    return entry[1]


def _log(log: RawLog, resources: _Resources) -> RawLog:
    attributes, body, resource = _attributes(log.attributes), _value(log.body), _resource(log.resource, resources)
    if attributes is log.attributes and body is log.body and resource is log.resource:
        return log
    altered = log.alterations | Alteration.SECRET_MASKED
    return replace(log, attributes=dict(attributes), body=body, resource=resource, alterations=altered)


def _point(point: RawPoint, resources: _Resources) -> RawPoint:
    attributes, resource = _attributes(point.attributes), _resource(point.resource, resources)
    if attributes is point.attributes and resource is point.resource:
        return point
    altered = point.alterations | Alteration.SECRET_MASKED
    return replace(point, attributes=dict(attributes), resource=resource, alterations=altered)


def _attributes(attributes: Attributes) -> Attributes:
    changed: dict[str, AttributeValue] = {}
    for key, value in attributes.items():
        new = _named(key, value)
        if new is not value:
            changed[key] = new
    return {**attributes, **changed} if changed else attributes


def _named(key: str, value: AttributeValue) -> AttributeValue:
    if value and isinstance(value, (str, list)) and _names_a_credential(key):
        return value if value == MASK else MASK
    return _value(value)


@lru_cache(maxsize=8192)
def _names_a_credential(key: str) -> bool:
    return _CREDENTIAL_NAME.search(key) is not None


def _value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return mask(value) if len(value) >= 16 else value
    if isinstance(value, list):
        new = [_value(item) for item in value]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new
    if isinstance(value, Mapping):
        return cast("AttributeValue", _attributes(value))
    return value
