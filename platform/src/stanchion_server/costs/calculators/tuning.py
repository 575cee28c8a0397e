"""Settings of a serving engine that were tried, and two sets of settings side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from stanchion_server.costs.calculators.fields import Field, Row, Values, whole
from stanchion_server.costs.calculators.results import Calculator, Result, line, share, table
from stanchion_server.costs.calculators.serving import Setting, parsed, problems, rendered

FAILED_LOSS = Decimal(10_000)
"""What a search minimises where a trial failed; otherwise minus its tokens per second."""
Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """`tokens_per_s` is None where the trial failed, which is no speed of zero."""

    name: str
    tokens_per_s: Decimal | None

    @property
    def loss(self) -> Decimal:
        return FAILED_LOSS if self.tokens_per_s is None else -self.tokens_per_s

    @property
    def status(self) -> str:
        return "fail" if self.tokens_per_s is None else "ok"


def best(trials: Sequence[Trial]) -> Trial | None:
    """The least loss, the first of equals; None where all failed."""
    found = min(trials, key=lambda one: one.loss, default=None)
    return None if found is None or found.tokens_per_s is None else found


@dataclass(frozen=True, slots=True)
class Difference:
    name: str
    change: Change
    before: str
    after: str


def differences(before: Mapping[str, Setting], after: Mapping[str, Setting]) -> tuple[Difference, ...]:
    """By name. What is None is not set, as in `rendered`."""
    old, new = ({name: str(value) for name, value in one.items() if value is not None} for one in (before, after))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return tuple(Difference(name, _change(name, old, new), old.get(name, ""), new.get(name, "")) for name in names)


def _change(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    if name not in old:
        return "added"
    return "changed" if name in new else "removed"


def _trials(values: Values) -> Result:
    trials = [_trial(row) for row in values.rows("trials")]
    fastest, done = best(trials), [one.tokens_per_s for one in trials if one.tokens_per_s is not None]
    lines = (
        line("best", "Best settings", fastest.name if fastest else None, "", "the least loss"),
        line("tokens_per_s", "They give", fastest.tokens_per_s if fastest else None, "tokens/s", "as measured"),
        line("slowest_tokens_per_s", "The slowest gave", min(done, default=None), "tokens/s", "failed ones left out"),
        line("failed", "Failed trials", len(trials) - len(done), "", "rows without a speed"),
        line(
            "covered_ratio", "Of the search space", share(len(trials), values.whole("combinations")), "%",
            "trials / combinations",
        ),
    )  # fmt: skip
    rows = [(one.name, one.tokens_per_s, one.loss, one.status) for one in sorted(trials, key=lambda one: one.loss)]
    head = (("Settings", ""), ("Speed", "tokens/s"), ("Loss", ""), ("Status", ""))
    return Result(lines, (table("Trials, the best first", head, *rows),))


def _trial(row: Row) -> Trial:
    return Trial(row.name, row.numbers[0])


def _differ(values: Values) -> Result:
    before, after = parsed(values.text("before")), parsed(values.text("after"))
    found, wrong = differences(before, after), problems(after)
    lines = (
        line("differences", "Differences", len(found), "", "settings added, removed or changed"),
        line("problems", "Cannot work together afterwards", len(wrong), "", "known contradictions"),
        line("properties", "serving.properties afterwards", rendered(after), "", "one key=value per line"),
    )
    rows = [(one.name, one.change, one.before, one.after) for one in found]
    head = (("Setting", ""), ("Change", ""), ("Before", ""), ("After", ""))
    return Result(lines, (table("What differs", head, *rows),) if rows else (), wrong)


_CONTINUOUS = (
    "engine=MPI\noption.rolling_batch=auto\noption.max_rolling_batch_size=64\n"
    "option.max_rolling_batch_prefill_tokens=16080\noption.paged_attention={}"
)
SERVING_TRIALS = Calculator(
    "serving-trials",
    "Serving engine: settings tried",
    "Capacity",
    "Which of the settings tried was the fastest?",
    (
        Field(
            "trials",
            "Trials: name:tokens per second",
            "rows",
            "MPI prefill 256:83, Python vllm:61, MPI prefill 64:4, FasterTransformer:failed",
            Decimal("0.000001"),
            Decimal(1_000_000_000),
            is_named=True,
            may_fail=True,
            hint="failed or oom where it gave no speed",
        ),
        whole("combinations", "Combinations there are", 190_080, 10**12, low=1),
    ),
    _trials,
    ("All trials were asked the same prompts on the same card.",),
)
SERVING_DIFFERENCES = Calculator(
    "serving-differences",
    "Serving engine: two settings files",
    "Capacity",
    "What differs between two serving.properties files?",
    (
        Field("before", "Before", "text", _CONTINUOUS.format("False"), hint="one key=value per line"),
        Field("after", "After", "text", _CONTINUOUS.format("True"), hint="one key=value per line"),
    ),
    _differ,
    ("A setting that is left out has the engine's default, which is not shown.",),
)
