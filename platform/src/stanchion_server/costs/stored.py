"""Stored calls as charging and pricing see them, and the changes both make to them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from stanchion_server.costs import pricing, usage
from stanchion_server.costs.charging import FILLABLE, TOKENS, CallFacts, Decision, Key
from stanchion_server.costs.pricing import ROLLUP_FALLBACK, PriceBook
from stanchion_server.costs.serving import Ran
from stanchion_server.ingest.records import CallCost, Charge, CostConfidence
from stanchion_server.kernel import db
from stanchion_server.kernel.ids import span_id_to_hex

_LISTS = ("finish_reasons", "tags")
_TYPES = {
    **dict.fromkeys(TOKENS, "bigint"), **dict.fromkeys(_LISTS, "text[]"), "charge": "smallint", "filled": "jsonb",
    "primary_trace_id": "uuid", "primary_span_id": "bigint", "cost_usd": "numeric", "is_streamed": "boolean",
    "time_to_first_token_ms": "double precision", "tool_call_count": "integer",
}  # fmt: skip
_FACTS = tuple(field.name for field in fields(CallFacts) if field.name not in ("scope", "is_rollup"))
_STATE = (
    "charge", "primary_trace_id", "primary_span_id", "filled", "inherited", "cost_usd", "cost_price", "cost_rule",
    "cost_confidence", "cost_reason",
)  # fmt: skip
_COLUMNS = (*_FACTS, *_STATE)
_PRICED = (
    "provider", "request_model", "response_model", "service_tier", "input_tokens", "output_tokens",
    "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens",
    "audio_output_tokens",
)  # fmt: skip

_SELECT = f"""
SELECT {", ".join("c." + name for name in _COLUMNS)}, coalesce(m.scope_name, c.dialect), c.service, {{seen}}
FROM llm_calls c LEFT JOIN key_mappings m ON m.project_id = c.project_id AND m.mapping_id = c.mapping_id
WHERE c.project_id = %(project_id)s
"""  # noqa: S608 - names of our own


@dataclass(frozen=True, slots=True)
class StoredCall:
    """`facts` is what the record itself reported, `row` what stands in the table, filled values included. `attributes`
    are those of its span that tell deployments apart."""

    facts: CallFacts
    row: Mapping[str, Any]
    service: str
    attributes: Mapping[str, object]

    @property
    def charge(self) -> Charge:
        return Charge(self.row["charge"])

    @property
    def is_charged(self) -> bool:
        return self.charge is Charge.CHARGED

    @property
    def cost(self) -> CallCost:
        row = self.row
        confidence = CostConfidence(row["cost_confidence"] or CostConfidence.LOW)
        return CallCost(row["cost_usd"], row["cost_price"], row["cost_rule"], confidence, row["cost_reason"])

    @property
    def effective(self) -> CallFacts:
        """The call with everything that is known of it, from whatever record."""
        return replace(self.facts, **{name: self.row[name] for name in FILLABLE})


def load(
    cursor: db.CursorType, project_id: int, condition: str, values: Mapping[str, Any], book: PriceBook
) -> list[StoredCall]:
    """`condition` is SQL of our own that goes on after WHERE, with the calls as `c`."""
    seen, wanted = usage.seen(book.hosted)
    sql = _SELECT.format(seen=seen) + condition
    cursor.execute(sql.encode(), {"project_id": project_id, **values, **wanted})
    return [_stored(row) for row in cursor.fetchall()]


def _stored(values: Sequence[Any]) -> StoredCall:
    row = dict(zip(_COLUMNS, values, strict=False))
    for name in _LISTS:
        row[name] = tuple(row[name])
    row["filled"] = json.loads(row["filled"] or "null") or None
    elsewhere = {**(row["filled"] or {}), **json.loads(row["inherited"] or "{}")}
    own = {name: _unknown(name, row[name]) if name in elsewhere else row[name] for name in _FACTS}
    is_rollup = row["charge"] == Charge.ROLLUP or row["cost_rule"].startswith(ROLLUP_FALLBACK)
    scope, service, attributes = values[len(_COLUMNS) :]
    return StoredCall(CallFacts(scope=scope, is_rollup=is_rollup, **own), row, service, json.loads(attributes))


def _unknown(name: str, value: object) -> Any:
    if name in _LISTS:
        return ()
    if name == "tool_call_count":
        return 0
    return "" if isinstance(value, str) else None


def changes_of(call: StoredCall, decision: Decision, book: PriceBook) -> dict[str, Any]:
    """The columns that a decision changes, with their new values; empty for nearly every call."""
    row, own = call.row, call.facts
    target: dict[str, Any] = {name: getattr(own, name) for name in (row["filled"] or {})}
    target.update(decision.values)
    target["filled"] = {name: span_id_to_hex(span) for name, span in decision.sources.items()} or None
    target["charge"] = int(decision.charge)
    target["primary_trace_id"] = decision.primary[0] if decision.primary else None
    target["primary_span_id"] = decision.primary[1] if decision.primary else None
    changes = {name: value for name, value in target.items() if value != row[name]}
    is_repriced = any(name in changes for name in _PRICED) or (own.is_rollup and "charge" in changes)
    if is_repriced:
        now_known = replace(call.effective, **{name: value for name, value in changes.items() if name in FILLABLE})
        changes.update(cost_changes(call, price_of(call, now_known, decision.charge, book)))
    return changes


def price_of(call: StoredCall, facts: CallFacts, charge: Charge, book: PriceBook) -> CallCost:
    """Like `pricing.charge` with all that is known of the call now; a roll-up that stands in for missing leaves is a
    guess, and says so."""
    models = (facts.model, facts.request_model, facts.response_model)
    cost = pricing.charge(facts, Ran(facts.provider, models, call.service, call.attributes), book)
    if facts.is_rollup and charge is Charge.CHARGED:
        return replace(cost, rule=f"{ROLLUP_FALLBACK}+{cost.rule}", confidence=CostConfidence.LOW)
    return cost


def cost_changes(call: StoredCall, cost: CallCost) -> dict[str, Any]:
    target = {
        "cost_usd": cost.usd,
        "cost_price": cost.price,
        "cost_rule": cost.rule,
        "cost_confidence": str(cost.confidence),
        "cost_reason": cost.reason,
    }
    return {name: value for name, value in target.items() if value != call.row[name]}


def write(cursor: db.CursorType, project_id: int, changes: Iterable[tuple[StoredCall, Mapping[str, Any]]]) -> None:
    """One UPDATE per set of changed columns. A call that a longer version has replaced in the meantime is left alone:
    its minute is marked and it will be looked at again."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for call, changed in changes:
        facts = call.facts
        key = {"key_1": facts.trace_id, "key_2": facts.span_id, "key_3": facts.start_time, "key_4": facts.duration_ns}
        by_columns[tuple(sorted(changed))].append({**changed, **key})
    for names, rows in sorted(by_columns.items()):
        rows.sort(key=lambda row: (row["key_3"], row["key_1"].int, row["key_2"]))
        cursor.execute(_update_sql(names).encode(), {"project_id": project_id, "rows": json.dumps(rows, default=str)})


def _update_sql(names: Sequence[str]) -> str:
    values = ", ".join(f"{name} = v.{name}" for name in names)
    types = "".join(f", {name} {_TYPES.get(name, 'text')}" for name in names)
    return (
        f"UPDATE llm_calls c SET {values} FROM jsonb_to_recordset(%(rows)s::jsonb)"  # noqa: S608 - names of our own
        f" AS v(key_1 uuid, key_2 bigint, key_3 timestamptz, key_4 bigint{types}) WHERE c.project_id = %(project_id)s"
        " AND c.trace_id = v.key_1 AND c.span_id = v.key_2 AND c.start_time = v.key_3 AND c.duration_ns = v.key_4"
    )


def minute_of(key: Key) -> datetime:
    return key[2].replace(second=0, microsecond=0)
