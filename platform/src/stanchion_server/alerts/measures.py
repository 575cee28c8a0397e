"""What can be watched: the sources, their measures and dimensions. Pure; `sources` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from stanchion_server.alerts.evaluating import NoData

_NO_PARAMS: Mapping[str, tuple[str, str]] = MappingProxyType({})
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Measure:
    """`unit` is ratio, ms, usd, tokens, calls, score, s, or a plural noun. `params` name what must be said beside it:
    the sort (number or text) and a default, empty where there is none. `has_bad` tells that readings count bad ones,
    as burn rates need; `has_history` that any window of the past can be read. `most` is the largest share."""

    label: str
    unit: str
    min_samples: int = 0
    params: Mapping[str, tuple[str, str]] = field(default_factory=lambda: _NO_PARAMS)
    has_bad: bool = False
    has_history: bool = True
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class SourceKind:
    """`delay` is how long after a window's end its readings are complete. `least_window` is the shortest window that
    holds a reading wherever it ends. `topic` is whose business it is."""

    label: str
    measures: Mapping[str, Measure]
    dimensions: tuple[str, ...] = ()
    delay: timedelta = MINUTE
    window: timedelta = 10 * MINUTE
    least_window: timedelta = MINUTE
    no_data: NoData = "keep"
    topic: str = "any"


RATE = 20
GPU_SUM = 5 * MINUTE
"""Of cards and engines there is one sum in so long, which counts in the window that it ends in."""
CALL_DIMENSIONS = (
    "feature", "provider", "model", "environment", "release", "service", "prompt_name", "prompt_version",
)  # fmt: skip
SCORE_DIMENSIONS = ("feature", "provider", "model", "environment", "release", "prompt_name", "prompt_version")
_PERCENTILES = {f"p{number}": f"{number}th percentile" for number in (50, 75, 90, 95, 99)}
CALLS: dict[str, Measure] = {
    "calls": Measure("Calls", "calls"),
    "errors": Measure("Failed calls", "calls"),
    "error_ratio": Measure("Share of failed calls", "ratio", RATE, has_bad=True),
    "cost_usd": Measure("Cost", "usd"),
    "cost_per_call_usd": Measure("Cost of a call, mean", "usd", RATE),
    "unpriced_ratio": Measure("Share of calls without a price", "ratio", RATE, has_bad=True),
    "input_tokens": Measure("Input tokens", "tokens"),
    "output_tokens": Measure("Output tokens", "tokens"),
    "tokens_per_call": Measure("Tokens of a call, mean", "tokens", RATE),
    "latency_mean_ms": Measure("Latency, mean", "ms", RATE),
    **{f"latency_{name}_ms": Measure(f"Latency, {label}", "ms", RATE) for name, label in _PERCENTILES.items()},
    **{f"ttft_{name}_ms": Measure(f"Time to first token, {label}", "ms", RATE) for name, label in _PERCENTILES.items()},
    "slow_ratio": Measure("Share of calls slower than a limit", "ratio", RATE, {"over_ms": ("number", "")}, True),
    "late_first_token_ratio": Measure(
        "Share of calls whose first token came later than a limit", "ratio", RATE, {"over_ms": ("number", "")}, True
    ),
}
_SCORER = {"scorer": ("text", "")}
SCORES = {
    "flagged_ratio": Measure("Share of flagged scores", "ratio", RATE, _SCORER, has_bad=True),
    "mean": Measure("Mean score", "score", RATE, _SCORER),
    "flagged": Measure("Flagged scores", "scores", 0, _SCORER),
    "scores": Measure("Scores", "scores", 0, _SCORER),
}
GUARD = {
    "decisions": Measure("Decisions", "decisions"),
    "stopped_ratio": Measure("Share of decisions that stopped a text", "ratio", RATE, has_bad=True),
    "triggered_ratio": Measure("Share of decisions with a finding", "ratio", RATE, has_bad=True),
    "toxic_ratio": Measure("Share of decisions that found toxic text", "ratio", RATE, has_bad=True),
    "incomplete_ratio": Measure("Share of decisions with a check that did not run", "ratio", RATE, has_bad=True),
}
GAPS = {
    "unguarded_minutes": Measure("Minutes without guarding, so far", "minutes", has_history=False),
    "missed": Measure("Decisions that are missing, so far", "decisions", has_history=False),
}
FEEDBACK = {
    "negative_ratio": Measure("Share of bad ratings", "ratio", 5, has_bad=True),
    "ratings": Measure("Ratings", "ratings"),
}
INGEST = {
    "rejected_ratio": Measure("Share of items refused", "ratio", RATE, has_bad=True),
    "rejected": Measure("Items refused", "items"),
    "refused_requests": Measure("Requests refused whole", "requests"),
    "items": Measure("Items that came", "items"),
}
WATCHER = {
    "late_s": Measure("Since the last round of the watcher", "s", has_history=False),
    "failed_rules": Measure("Rules that cannot be judged", "rules", has_history=False),
    "skipped": Measure("Evaluations too old to be made", "evaluations", has_history=False),
}
DRIFT = {
    "drifted_columns": Measure("Columns that drifted, newest run", "columns", has_history=False),
    "anomalies": Measure("Readings out of their band", "readings", has_history=False),
}
GPU = {"silent_s": Measure("Seconds since an agent was heard", "s", has_history=False)}
CARDS = {
    "temperature_c": Measure("Highest temperature", "degrees", has_history=False),
    "utilization_ratio": Measure("Utilisation, mean", "ratio", has_history=False),
    "memory_ratio": Measure("Largest share of memory in use", "ratio", has_history=False),
    "throttled_ratio": Measure("Largest share of five minutes slowed by heat or a fault", "ratio", has_history=False),
    "errors": Measure("Errors of cards (uncorrected memory, XID)", "errors", has_history=False),
    "unhealthy": Measure("Cards that report themselves degraded or failed", "cards", has_history=False),
}
ENGINES = {
    "up_ratio": Measure("Share of scrapes that a serving engine answered, least", "ratio", has_history=False),
    "waiting": Measure("Most requests waiting", "requests", has_history=False),
    "kv_cache_ratio": Measure("Largest share of the KV cache in use", "ratio", has_history=False),
    "preemptions": Measure("Preempted requests", "requests", has_history=False),
}
BUDGETS = {
    "threshold_ratio": Measure("Spent, as a share of a threshold to tell", "ratio", has_history=False, most=1e4),
    "spent_ratio": Measure("Share of the budget that is spent", "ratio", has_history=False, most=1e4),
    "forecast_ratio": Measure("Forecast of the period's end, as a share", "ratio", has_history=False, most=1e4),
    "burn_ratio": Measure("Burn rate: 1 lasts exactly to the end", "times", has_history=False),
    "recent_burn_ratio": Measure("Burn rate of the last 24 hours", "times", has_history=False),
    "spent_usd": Measure("Spent in the period", "usd", has_history=False),
    "forecast_usd": Measure("Forecast of the period's end", "usd", has_history=False),
}
RATES = {
    "used_ratio": Measure("Share of a limit that the fullest minute used", "ratio", has_history=False, most=1e4),
}

SOURCES: dict[str, SourceKind] = {
    "calls": SourceKind("Calls", CALLS, CALL_DIMENSIONS),
    "scores": SourceKind("Scores", SCORES, SCORE_DIMENSIONS, delay=2 * MINUTE, window=30 * MINUTE, topic="safety"),
    "guard": SourceKind("Guard decisions", GUARD, ("policy", "feature", "stage"), topic="safety"),
    "guard_gaps": SourceKind("Gaps in guarding", GAPS, ("policy", "feature"), no_data="ok", topic="safety"),
    "feedback": SourceKind("Feedback", FEEDBACK, ("name", "source"), window=60 * MINUTE, topic="safety"),
    "ingest": SourceKind("Ingest", INGEST, ("signal", "client"), delay=timedelta(0), no_data="ok"),
    "watcher": SourceKind("The watcher itself", WATCHER, delay=timedelta(0), no_data="ok"),
    "drift": SourceKind("Drift", DRIFT, ("monitor",), delay=timedelta(0), no_data="ok", topic="safety"),
    "budgets": SourceKind(
        "Budgets", BUDGETS, ("budget", "owner", "feature", "threshold"), delay=timedelta(0), no_data="ok", topic="cost"
    ),
    "rate_limits": SourceKind("Rate limits", RATES, ("provider", "model", "limit"), no_data="ok", topic="cost"),
    "gpu": SourceKind("GPU agents", GPU, ("host", "service"), delay=timedelta(0), no_data="ok"),
    "gpu_cards": SourceKind(
        "GPU cards",
        CARDS,
        ("host", "card", "model", "deployment"),
        delay=2 * MINUTE,
        least_window=GPU_SUM,
        no_data="ok",
    ),
    "gpu_engines": SourceKind(
        "Serving engines",
        ENGINES,
        ("host", "engine", "endpoint", "model", "deployment"),
        delay=2 * MINUTE,
        least_window=GPU_SUM,
        no_data="ok",
    ),
}
