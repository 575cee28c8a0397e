"""Demand of a service, and which limit it meets first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, number, whole
from stanchion_server.costs.calculators.results import Calculator, Line, Printed, Result, ceiling, floor, line, table

SESSIONS = whole("sessions", "Sessions at the same time", 100, 100_000_000)
REQUESTS = number("requests_per_session_hour", "Requests per session and hour", "100", 1_000_000)


@dataclass(frozen=True, slots=True)
class Dimension:
    """`sustainable_rps` are the requests per second that the limit lets through; `used` is demand over limit."""

    name: str
    demand: Decimal
    limit: Decimal
    sustainable_rps: Decimal

    @property
    def used(self) -> Decimal:
        return self.demand / self.limit


def demand_rpm(sessions: int, requests_per_session_hour: Decimal) -> Decimal:
    return sessions * requests_per_session_hour / 60


def is_over(per_hour: Decimal, limit_per_minute: Decimal | None) -> bool | None:
    """Exactly at the limit is still within it; nothing is divided, so that nothing is rounded across it."""
    return None if limit_per_minute is None else per_hour > 60 * limit_per_minute


def effective_rpm(rpm: Decimal | None, tpm: Decimal | None, tokens_per_request: int) -> Decimal | None:
    """What both limits let through; None where neither is known."""
    by_tokens = None if tpm is None or not tokens_per_request else tpm / tokens_per_request
    known = [one for one in (rpm, by_tokens) if one is not None]
    return min(known) if known else None


def most_sessions(
    rpm: Decimal | None, tpm: Decimal | None, tokens_per_request: int, requests_per_session_hour: Decimal
) -> int | None:
    """Those that neither limit refuses, each limit divided once; None where nothing limits them."""
    per_session = ((rpm, requests_per_session_hour), (tpm, tokens_per_request * requests_per_session_hour))
    fit = [floor(60 * limit / each) for limit, each in per_session if limit is not None and each]
    return min(fit, default=None)


def instances_needed(sessions: int, requests_per_session_hour: Decimal, rpm_per_instance: Decimal) -> int:
    """At least one; divided once, so that a demand that fits exactly needs no further instance."""
    return max(1, ceiling(sessions * requests_per_session_hour / (60 * rpm_per_instance)))


def concurrency(rps: Decimal, seconds: Decimal) -> Decimal:
    """Requests under way at a time: Little's law, L = λ × W, for means over a long time."""
    return rps * seconds


def dimensions(
    rps: Decimal, tokens: Decimal, tokens_per_s: Decimal, limits: tuple[Decimal | None, Decimal | None, Decimal | None]
) -> tuple[Dimension, ...]:
    """`limits` are those of requests per second, output tokens per second and requests at a time; the fullest first."""
    seconds = tokens / tokens_per_s
    found = []
    for name, per_request, limit in zip(
        ("Requests per second", "Output tokens per second", "Requests at a time"),
        (Decimal(1), tokens, seconds),
        limits,
        strict=True,
    ):
        if limit is not None:
            found.append(Dimension(name, rps * per_request, limit, limit / per_request))
    return tuple(sorted(found, key=lambda one: one.used, reverse=True))


def _compute(values: Values) -> Result:
    tokens, mean, worst = (values.number(name) for name in ("output_tokens", "tokens_per_s", "worst_tokens_per_s"))
    per_hour = values.whole("sessions") * values.number("requests_per_session_hour")
    rps = per_hour / 3600
    seconds, slowest = tokens / mean, tokens / worst
    limits = (values.maybe("limit_rps"), values.maybe("limit_tokens_per_s"), values.maybe("limit_concurrency"))
    found = dimensions(rps, tokens, mean, limits)
    pause = 3600 / values.number("requests_per_session_hour")
    lines = (
        line("demand_rps", "Demand", rps, "requests/s", "sessions × requests per session and hour / 3600"),
        line("pause_s", "Time between two requests of a session", pause, "s", "3600 / requests per session and hour"),
        line("response_s", "Answer takes", seconds, "s", "output tokens / tokens per second"),
        line("worst_response_s", "Slowest answer takes", slowest, "s", "output tokens / slowest tokens per second"),
        line(
            "is_worst_in_time",
            "The slowest is there before the next request",
            slowest < pause,
            "",
            "slowest answer < time between two requests",
        ),
        line("demand_tokens_per_s", "Output demand", rps * tokens, "tokens/s", "demand × output tokens"),
        line("concurrency", "Requests at a time", concurrency(rps, seconds), "", "demand × answer time (Little)"),
        *_limited(found, limits[1], mean),
    )
    rows = tuple((one.name, one.demand, one.limit, one.used, one.sustainable_rps) for one in found)
    head = (("Limit", ""), ("Demand", ""), ("Limit at", ""), ("Used", "%"), ("Lets through", "requests/s"))
    return Result(lines, (table("Limits, the fullest first", head, *rows),) if rows else ())


def _limited(found: tuple[Dimension, ...], tokens_limit: Decimal | None, mean: Decimal) -> tuple[Line, ...]:
    if not found:
        return ()
    binding = found[0]
    lines = (
        line("binding_limit", "Limit that is met first", binding.name, "", "the largest demand / limit"),
        line("is_throttled", "Throttled", binding.used > 1, "", "demand > limit"),
        line(
            "sustainable_rps",
            "Most that gets through",
            min(one.sustainable_rps for one in found),
            "requests/s",
            "the smallest of what each limit lets through",
        ),
    )
    if tokens_limit is None:
        return lines
    at_a_time = floor(tokens_limit / mean)
    return (
        *lines,
        line("streams", "Answers at a time within the token limit", at_a_time, "", "⌊token limit / tokens per second⌋"),
    )


WORKLOAD = Calculator(
    "workload",
    "Workload and limits",
    "Capacity",
    "How much demand is that, and which limit is met first?",
    (
        SESSIONS,
        number("requests_per_session_hour", "Requests per session and hour", "100", 1_000_000, low="0.001"),
        number("output_tokens", "Output tokens per answer", "250", 10_000_000, low=1),
        number("tokens_per_s", "Tokens per second, mean", "35", 1_000_000, low="0.001"),
        number("worst_tokens_per_s", "Tokens per second, slowest", "10", 1_000_000, low="0.001"),
        number("limit_rps", "Limit: requests per second", None, 1_000_000_000, low="0.001", hint="empty: none"),
        number("limit_tokens_per_s", "Limit: tokens per second", None, 1_000_000_000, low="0.001", hint="empty: none"),
        number("limit_concurrency", "Limit: requests at a time", None, 1_000_000_000, low="0.001", hint="empty: none"),
    ),
    _compute,
    (
        "Requests come evenly; bursts need more.",
        "An answer's time is its output alone: reading the prompt comes on top.",
    ),
    (
        Printed(
            "Output demand of 250 tokens × 2.78 requests/s",
            "below the limit of 600 tokens/s",
            "694 tokens/s",
            False,
            "above the limit: at most 2.4 requests/s get through",
        ),
        Printed("Requests per minute, one after another", "about 10", "8.4 at the mean rate", False, "60 / 7.143 s"),
    ),
)
