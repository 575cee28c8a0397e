"""What a back-test counts, call by call: plain numbers that can be stored and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stanchion_guard.records import Action

MAX_EXAMPLES = 25
_STOPPING = frozenset({"block", "fallback", "reask"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: what the baseline did (None: nothing is known), what the tested text does, and what people said.
    `before_us` is the baseline's time where it judged again, so that the two can be compared."""

    trace_id: str
    span_id: str
    before: Action | None
    after: Action
    rules: tuple[str, ...]
    labels: tuple[str, ...]
    elapsed_us: int
    is_complete: bool
    is_violation: bool | None
    is_rated_good: bool | None = None
    before_us: int | None = None
    limits: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Tally:
    """`matrix` counts calls by "before>after". Examples are the first of each sort. `reviewed` counts calls with a
    person's word: caught and missed violations, harmless ones stopped and passed. `rated` counts calls whose ratings
    all point one way: that is a word on the answer, not on the rule, so it is no part of precision and recall.
    `limited` calls were judged by some detector beyond what it was measured to work on, `limits` by "rule: reason"."""

    calls: int = 0
    without_content: int = 0
    without_baseline: int = 0
    incomplete: int = 0
    limited: int = 0
    elapsed_us: int = 0
    max_us: int = 0
    before_us: int = 0
    before_calls: int = 0
    matrix: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    newly_stopped: list[dict[str, Any]] = field(default_factory=list)
    newly_passed: list[dict[str, Any]] = field(default_factory=list)
    newly_stopped_count: int = 0
    newly_passed_count: int = 0
    reviewed: dict[str, int] = field(default_factory=dict)
    rated: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Tally:
        return cls(**{name: value for name, value in stored.items() if name in cls.__slots__})

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        return {
            **told,
            "precision": self.precision,
            "recall": self.recall,
            "mean_us": self.mean_us,
            "mean_before_us": self.mean_before_us,
        }

    @property
    def precision(self) -> float | None:
        """Of the reviewed calls that were stopped, the share that was a violation; None without any."""
        stopped = self.reviewed.get("caught", 0) + self.reviewed.get("false_alarms", 0)
        return self.reviewed.get("caught", 0) / stopped if stopped else None

    @property
    def recall(self) -> float | None:
        violations = self.reviewed.get("caught", 0) + self.reviewed.get("missed", 0)
        return self.reviewed.get("caught", 0) / violations if violations else None

    @property
    def mean_us(self) -> float | None:
        return self.elapsed_us / self.calls if self.calls else None

    @property
    def mean_before_us(self) -> float | None:
        return self.before_us / self.before_calls if self.before_calls else None

    def take(self, outcome: Outcome | None) -> None:
        """Counts one call; None is one whose texts are not kept."""
        if outcome is None:
            self.without_content += 1
            return
        self._count(outcome)
        self._compare(outcome)
        self._review(outcome)
        self._rate(outcome)

    def _count(self, outcome: Outcome) -> None:
        self.calls += 1
        self.elapsed_us += outcome.elapsed_us
        self.max_us = max(self.max_us, outcome.elapsed_us)
        if outcome.before_us is not None:
            self.before_us, self.before_calls = self.before_us + outcome.before_us, self.before_calls + 1
        self.incomplete += not outcome.is_complete
        self.limited += bool(outcome.limits)
        self.without_baseline += outcome.before is None
        for name in outcome.rules:
            self.rules[name] = self.rules.get(name, 0) + 1
        for name in outcome.labels:
            self.labels[name] = self.labels.get(name, 0) + 1
        for rule, reason in outcome.limits:
            name = f"{rule}: {reason}"
            self.limits[name] = self.limits.get(name, 0) + 1

    def _compare(self, outcome: Outcome) -> None:
        before = outcome.before or "allow"
        key = f"{before}>{outcome.after}"
        self.matrix[key] = self.matrix.get(key, 0) + 1
        was, now = before in _STOPPING, outcome.after in _STOPPING
        if was == now:
            return
        examples = self.newly_stopped if now else self.newly_passed
        if now:
            self.newly_stopped_count += 1
        else:
            self.newly_passed_count += 1
        if len(examples) < MAX_EXAMPLES:
            examples.append(_example(outcome, before))

    def _review(self, outcome: Outcome) -> None:
        if outcome.is_violation is None:
            return
        stopped = outcome.after in _STOPPING
        name = (
            ("caught" if stopped else "missed") if outcome.is_violation else ("false_alarms" if stopped else "passed")
        )
        self.reviewed[name] = self.reviewed.get(name, 0) + 1

    def _rate(self, outcome: Outcome) -> None:
        if outcome.is_rated_good is None:
            return
        tone, fate = "good" if outcome.is_rated_good else "bad", "stopped" if outcome.after in _STOPPING else "passed"
        name = f"{tone}_{fate}"
        self.rated[name] = self.rated.get(name, 0) + 1


def _example(outcome: Outcome, before: str) -> dict[str, Any]:
    return {
        "trace_id": outcome.trace_id, "span_id": outcome.span_id, "before": before, "after": outcome.after,
        "rules": list(outcome.rules[:10]), "labels": list(outcome.labels[:10]),
    }  # fmt: skip
