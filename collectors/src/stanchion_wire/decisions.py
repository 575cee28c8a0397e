"""A guard's decision on the wire: the attributes of a guardrail span, written by the SDK and read by the server.

Nothing here holds the text that was judged: findings are labels, scores and offsets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SCOPE: Final = "stanchion.guard"
PREFIX: Final = "stanchion.guard."
SPAN_KIND: Final = ("openinference.span.kind", "GUARDRAIL")
ACTIONS: Final = ("allow", "flag", "redact", "reask", "fallback", "block")
MODES: Final = ("live", "canary", "shadow")
SOURCES: Final = ("sdk", "rest", "bedrock", "openai", "litellm", "detectors")
MAX_ROWS: Final = 100
MAX_NAME: Final = 200


@dataclass(frozen=True)
class Decision:
    """What one policy version said of one check.

    `check_id` (up to 64 characters) is shared by the live and the shadow decision of one check. `stage` is the stage of
    the first part. `text_digest` (signed 64 bit, None where not computed) is the same for the same texts, so that later
    scores and reviews of a text find its decisions. `findings` hold detector, label, score, part, start, end, reason;
    `checks` rule, detector, outcome, score, elapsed_us, triggered, action; `not_run` pairs of rule and reason; `limits`
    the same of rules that ran where their detector was not measured to work.
    """

    check_id: str
    policy: str
    policy_version: str
    mode: str
    source: str
    stage: str
    action: str
    characters: int
    guarded_characters: int
    is_complete: bool
    elapsed_us: int
    text_digest: int | None = None
    rules: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    not_run: tuple[tuple[str, str], ...] = field(default=())
    limits: tuple[tuple[str, str], ...] = field(default=())


def to_attributes(decision: Decision) -> dict[str, Any]:
    """Span attributes; lists are cut at 100 rows, and `omitted_findings` says how many were left out."""
    detail = {
        "findings": [dict(row) for row in decision.findings[:MAX_ROWS]],
        "checks": [dict(row) for row in decision.checks[:MAX_ROWS]],
        "not_run": [list(row) for row in decision.not_run[:MAX_ROWS]],
        "limits": [list(row) for row in decision.limits[:MAX_ROWS]],
        "omitted_findings": max(0, len(decision.findings) - MAX_ROWS),
    }
    told: dict[str, Any] = {
        SPAN_KIND[0]: SPAN_KIND[1],
        **{PREFIX + name: getattr(decision, name) for name in _TEXTS + _COUNTS},
        PREFIX + "is_complete": decision.is_complete,
        PREFIX + "rules": list(decision.rules[:MAX_ROWS]),
        PREFIX + "labels": list(decision.labels[:MAX_ROWS]),
        PREFIX + "detail": json.dumps(detail, separators=(",", ":"), ensure_ascii=False),
    }
    if decision.text_digest is not None:
        told[PREFIX + "text_digest"] = decision.text_digest
    return told


def from_attributes(attributes: Mapping[str, Any]) -> Decision | None:
    """The decision a span tells of; None when it tells of none, or of one that names no policy or no known action.
    Anything else that is odd is left out, never an error."""
    told = {key.removeprefix(PREFIX): value for key, value in attributes.items() if key.startswith(PREFIX)}
    policy, action, mode = _text(told.get("policy")), _text(told.get("action")), _text(told.get("mode"))
    if not policy or action not in ACTIONS:
        return None
    detail, digest = _detail(told.get("detail")), told.get("text_digest")
    return Decision(
        check_id=_text(told.get("check_id"))[:64],
        policy=policy,
        policy_version=_text(told.get("policy_version")),
        mode=mode if mode in MODES else "live",
        source=_text(told.get("source")),
        stage=_text(told.get("stage")),
        action=action,
        characters=_count(told.get("characters")),
        guarded_characters=_count(told.get("guarded_characters")),
        elapsed_us=_count(told.get("elapsed_us")),
        is_complete=told.get("is_complete") is True,
        text_digest=digest if _is_int64(digest) else None,
        rules=_names(told.get("rules")),
        labels=_names(told.get("labels")),
        findings=_rows(detail.get("findings")),
        checks=_rows(detail.get("checks")),
        not_run=_pairs(detail.get("not_run")),
        limits=_pairs(detail.get("limits")),
    )


_TEXTS = ("check_id", "policy", "policy_version", "mode", "source", "stage", "action")
_COUNTS = ("characters", "guarded_characters", "elapsed_us")


def _text(value: object) -> str:
    return _clean(value[:MAX_NAME]) if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """No NUL and no half of a character pair: no database stores them."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0


def _is_int64(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63


def _names(value: object) -> tuple[str, ...]:
    return tuple(_text(name) for name in value[:MAX_ROWS] if isinstance(name, str)) if isinstance(value, list) else ()


def _detail(value: object) -> Mapping[str, Any]:
    """The JSON text as sent, or the object a decoder made of it."""
    if isinstance(value, Mapping):
        return value
    try:
        found = json.loads(value, parse_constant=lambda _name: None) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(value: object) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, Sequence):
        return ()
    return tuple(_row(row) for row in value[:MAX_ROWS] if isinstance(row, Mapping))


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Flat values only: nested ones could be as large as the sender likes."""
    return {
        _clean(str(key)[:64]): _clean(value[:1000]) if isinstance(value, str) else value
        for key, value in list(row.items())[:16]
        if _is_flat(value)
    }


def _is_flat(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | bool) or _is_int64(value)


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Sequence):
        return ()
    pairs = [row for row in value[:MAX_ROWS] if isinstance(row, Sequence) and len(row) == 2]
    return tuple((_text(rule), _text(reason)) for rule, reason in pairs)
