"""A rule's form says what the rule says: nothing is lost on the way through it, and mistakes find their field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stanchion_server import alerts
from stanchion_server.alerts import definitions
from stanchion_server.alerts.fields import Problem
from stanchion_server.web.pages import rule_fields

STARTER = yaml.safe_load((Path(alerts.__file__).with_name("starter.yaml")).read_text(encoding="utf-8"))["rules"]
RULES: list[dict[str, Any]] = [
    {"name": "all", "severity": "error", "title": "Errors of {feature}", "runbook": "https://wiki.example/x",
     "watch": {"source": "calls", "measure": "slow_ratio", "window": "1h", "min_samples": 0, "by": ["feature", "model"],
               "where": {"environment": "production", "release": "a = b"}, "params": {"over_ms": 2000}},
     "when": {"above": 0.05, "recovers_at": 0.01}, "for": "5m", "keep_firing": "0s", "no_data": "alert", "every": "2m",
     "channels": ["on call"], "escalate": [{"after": "15m", "channels": ["on call"]}], "together": True,
     "paused": True},
    {"name": "low", "watch": {"source": "calls", "measure": "calls"}, "when": {"type": "threshold", "below": -1.5}},
    {"name": "odd", "watch": {"source": "scores", "measure": "mean", "params": {"scorer": "x"}},
     "when": {"type": "baseline", "direction": "both", "weeks": 5, "deviations": 3.5, "floor_ratio": 0.2}},
    {"name": "new", "watch": {"source": "calls", "measure": "error_ratio"},
     "when": {"type": "release", "change_ratio": 0.5, "dimension": "prompt_version", "lookback": "3d"}},
    {"name": "slo", "watch": {"source": "calls", "measure": "error_ratio"},
     "when": {"type": "burn_rate", "objective_ratio": 0.99, "min_bad": 7, "tiers": [{"rate": 6, "window": "6h"}]}},
]  # fmt: skip


@pytest.mark.parametrize("rule", [*STARTER, *RULES], ids=lambda rule: rule["name"])
def test_a_rule_goes_through_the_form_unchanged(rule: dict[str, Any]) -> None:
    assert definitions.parse(rule)[0] is not None, definitions.parse(rule)[1]
    assert rule_fields.fits(rule)
    values, channels = rule_fields.from_plain(rule)
    assert definitions.parse(rule_fields.to_plain(values, channels)) == definitions.parse(rule)


def test_what_the_fields_do_not_say_is_named_and_travels_beside_them() -> None:
    values, _channels = rule_fields.from_plain(RULES[0])
    assert rule_fields.beside(values["rest"]) == ["escalate", "together", "paused"]
    values, _channels = rule_fields.from_plain(RULES[4])
    assert rule_fields.beside(values["rest"]) == ["when.tiers"]
    changed = rule_fields.to_plain({**values, "type": "threshold", "limit": "0.1"}, [])
    assert changed["when"] == {"above": 0.1}, "tiers belong to the burn rate that was taken back"


def test_a_line_break_is_not_for_the_form_which_would_lose_it() -> None:
    for name, text in (("description", "two\nlines"), ("title", "ends with a line\n"), ("description", " blank")):
        assert not rule_fields.fits({**RULES[1], name: text})
    rule = {**RULES[1], "watch": {"source": "calls", "measure": "calls", "where": {"feature": "a\nb"}}}
    assert definitions.parse(rule)[0] is not None and not rule_fields.fits(rule)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"limit": "much"}, "limit"), ({"limit": ""}, "limit"), ({"recovers_at": "2"}, "recovers_at"),
        ({"min_bad": "some"}, "min_bad"), ({"watched": "calls errors", "limit": "9", "min_bad": "3"}, "min_bad"),
        ({"window": "90s"}, "window"), ({"watched": "gpu_cards temperature_c", "window": "1m"}, "window"),
        ({"by_1": "monitor"}, "by_1"), ({"where": "colour = red"}, "where"),
        ({"watched": "calls slow_ratio"}, "over_ms"), ({"watched": "calls rain"}, "watched"),
        ({"watched": ""}, "watched"),
        ({"watched": "calls errors", "type": "surge"}, "surge_times"),
        ({"min_samples": "-1"}, "min_samples"), ({"name": "?"}, "name"), ({"for": "5 parsecs"}, "for"),
        ({"severity": "dire"}, "severity"), ({"type": "surge"}, "type"), ({"type": "dice"}, "type"),
        ({"type": "burn_rate", "burn_rate_objective_ratio": "2"}, "burn_rate_objective_ratio"),
        ({"type": "absence", "absence_seen_within": "1s"}, "absence_seen_within"), ({"rest": '{"colour": 1}'}, ""),
    ],
)  # fmt: skip
def test_a_mistake_finds_its_field(wrong: dict[str, str], field: str) -> None:
    values = {"name": "x", "watched": "calls error_ratio", "type": "threshold", "limit": "0.1", **wrong}
    definition, problems = definitions.parse(rule_fields.to_plain(values, []))
    assert definition is None and rule_fields.field_of(problems[0], values) == field, problems


@pytest.mark.parametrize("text", ["nan", "1e999", "9" * 6_000, "1_0_", "0x1", "\0", "٣٣"])
def test_odd_numbers_are_told_and_break_nothing(text: str) -> None:
    values = {"name": "x", "watched": "calls cost_usd", "limit": text}
    _definition, problems = definitions.parse(rule_fields.to_plain(values, []))
    assert all(problem.message.startswith("when.above") for problem in problems)


@pytest.mark.parametrize("rest", ["[1]", "{", "null", '{"when": 7}', "[" * 100_000])
def test_what_travels_beside_the_fields_may_be_anything(rest: str) -> None:
    values = {"name": "x", "watched": "calls errors", "limit": "1", "rest": rest}
    assert definitions.parse(rule_fields.to_plain(values, []))[0] is not None
    assert rule_fields.beside(rest) == []
    assert rule_fields.field_of(Problem((), "the rule"), values) == ""
