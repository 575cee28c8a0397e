"""Compute paid by memory and second, with and without capacity kept warm. Pure; amounts in US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, number, whole
from stanchion_server.costs.calculators.results import Calculator, Line, Printed, Result, Table, line, share, table


@dataclass(frozen=True, slots=True)
class Load:
    """`request_s` is how long a request keeps its memory."""

    request_s: Decimal
    users: int
    requests_per_user_hour: Decimal
    hours_per_day: Decimal
    days: int
    memory_gb: Decimal

    @property
    def requests(self) -> Decimal:
        return self.users * self.requests_per_user_hour * self.hours_per_day * self.days

    @property
    def compute_s(self) -> Decimal:
        return self.requests * self.request_s

    @property
    def compute_gb_s(self) -> Decimal:
        return self.compute_s * self.memory_gb


@dataclass(frozen=True, slots=True)
class Bill:
    provisioned_usd: Decimal
    compute_usd: Decimal
    requests_usd: Decimal

    @property
    def usd(self) -> Decimal:
        return self.provisioned_usd + self.compute_usd + self.requests_usd


def on_demand(load: Load, usd_per_gb_s: Decimal, usd_per_million_requests: Decimal, free_gb_s: Decimal) -> Bill:
    billable = max(Decimal(0), load.compute_gb_s - free_gb_s)
    return Bill(Decimal(0), billable * usd_per_gb_s, load.requests / 1_000_000 * usd_per_million_requests)


def provisioned(
    load: Load, instances: int, usd_per_gb_s: Decimal, compute_usd_per_gb_s: Decimal, usd_per_million_requests: Decimal
) -> Bill:
    """`instances` are kept warm in all hours of the load; what they compute is paid on top, without a free part."""
    kept_gb_s = instances * load.memory_gb * load.hours_per_day * 3600 * load.days
    return Bill(
        kept_gb_s * usd_per_gb_s,
        load.compute_gb_s * compute_usd_per_gb_s,
        load.requests / 1_000_000 * usd_per_million_requests,
    )


def _compute(values: Values) -> Result:
    load = Load(
        values.number("request_s"),
        values.whole("users"),
        values.number("requests_per_user_hour"),
        values.number("hours_per_day"),
        values.whole("days"),
        values.number("memory_gb"),
    )
    per_million = values.number("usd_per_million_requests")
    plain = on_demand(load, values.number("usd_per_gb_s"), per_million, values.number("free_gb_s"))
    warm = provisioned(
        load,
        values.whole("provisioned_instances"),
        values.number("provisioned_usd_per_gb_s"),
        values.number("provisioned_compute_usd_per_gb_s"),
        per_million,
    )
    lines = (
        line("usd", "On demand", plain.usd, "$", "(GB-s - free) × $ per GB-s + requests × $ per million"),
        line(
            "provisioned_usd", "With capacity kept warm", warm.usd, "$", "kept GB-s × price + GB-s × price + requests"
        ),
        line("ratio", "Kept warm costs", share(warm.usd, plain.usd), "times", "kept warm / on demand"),
        line("requests", "Requests", load.requests, "", "users × requests per user and hour × hours × days"),
        line("compute_s", "Seconds of work", load.compute_s, "s", "requests × seconds per request"),
        line("compute_gb_s", "GB-seconds", load.compute_gb_s, "GB-s", "seconds × memory"),
    )
    ratio, seconds = values.number("cold_start_ratio"), values.number("cold_start_s")
    return Result((*lines, *_cold(load.requests, ratio, seconds, warm.usd - plain.usd)), (_bills(plain, warm),))


def _cold(requests: Decimal, ratio: Decimal, seconds: Decimal, more_usd: Decimal) -> tuple[Line, ...]:
    each = share(max(Decimal(0), more_usd), requests * ratio)
    mean, formula = ratio * seconds, "(kept warm - on demand) / (requests × share of cold starts)"
    return (
        line("cold_start_mean_s", "Cold starts add to the mean request", mean, "s", "share × seconds each"),
        line("usd_per_cold_start_avoided", "Each cold start avoided costs", each, "$", formula),
    )


def _bills(plain: Bill, warm: Bill) -> Table:
    head = (("Part", ""), ("On demand", "$"), ("Kept warm", "$"))
    rows = (
        ("Capacity", plain.provisioned_usd, warm.provisioned_usd),
        ("Compute", plain.compute_usd, warm.compute_usd),
        ("Requests", plain.requests_usd, warm.requests_usd),
        ("Total", plain.usd, warm.usd),
    )
    return table("The bill of the days given", head, *rows)


SERVERLESS = Calculator(
    "serverless",
    "Serverless compute",
    "Cost",
    "What does a function between users and model cost, cold or kept warm?",
    (
        number("request_s", "Seconds per request", "7.69", 86_400, hint="it waits for the model"),
        whole("users", "Users", 100, 100_000_000),
        number("requests_per_user_hour", "Requests per user and hour", "100", 1_000_000),
        number("hours_per_day", "Hours per day", "24", 24),
        whole("days", "Days", 30, 366),
        number("memory_gb", "Memory, GB", "4", 1_024),
        number("usd_per_gb_s", "$ per GB-second", "0.0000166667", 1),
        number("usd_per_million_requests", "$ per million requests", "0.20", 1_000),
        number("free_gb_s", "Free GB-seconds", "400000", 1_000_000_000_000),
        whole("provisioned_instances", "Kept warm: instances", 100, 1_000_000),
        number("provisioned_usd_per_gb_s", "Kept warm: $ per GB-second", "0.0000041667", 1),
        number("provisioned_compute_usd_per_gb_s", "Kept warm: $ per GB-second of work", "0.000009722", 1),
        number("cold_start_ratio", "Share of cold starts, 0 to 1", "0.01", 1),
        number("cold_start_s", "Seconds of a cold start", "1", 900),
    ),
    _compute,
    (
        "Prices are those of AWS Lambda as published in 2023; put in today's.",
        "Free requests are not taken off.",
        "The capacity kept warm carries all requests.",
    ),
    (
        Printed(
            "100 users × 100 requests an hour for 30 days: seconds of work",
            "2,307,000",
            "55,368,000",
            False,
            "the 24 hours of a day are missing",
        ),
        Printed("On demand, total", "$148.57", "$3,685.98", False, "follows from the seconds"),
        Printed("Kept warm 16 hours a day: requests", "$768.00", "$0.96", False, "4.8 million at $0.20 per million"),
        Printed(
            "Kept warm 16 hours a day, total", "$4,088.88", "$4,316.42", False, "its own parts add up to $5,088.88"
        ),
        Printed("Kept warm against on demand", "about 27 times", "1.76 times", False, "on the same 16 hours a day"),
    ),
)
