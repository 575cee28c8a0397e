"""What channels are handed survives the outbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from stanchion_server.alerts import facts

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def made() -> facts.Facts:
    return facts.Facts(
        kind="trigger", incident=42, project="acme-prod", project_name="Acme", rule="error-rate", rule_id=17,
        rule_version=3, severity="critical", title="Refund bot: errors high", reason="7.2 % > 5 %",
        dedup_key="acme-prod:17:9f2c", labels={"feature": "refunds"}, unit="ratio", value=0.072, threshold=0.05,
        peak=0.09, samples=1840, window_s=600, shown={"value": "7.2 %"}, started_at=AT, at=AT,
        members=({"feature": "refunds"},), changes=("release 1.2",),
    )  # fmt: skip


def test_facts_come_back_from_json_as_they_were() -> None:
    assert facts.from_json(json.loads(json.dumps(facts.to_json(made())))) == made()


def test_names_of_a_newer_version_are_left_out() -> None:
    assert facts.from_json({**facts.to_json(made()), "colour": "red"}) == made()
