"""An API paid by token against instances paid by the hour. Pure; amounts in US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators import workload
from stanchion_server.costs.calculators.fields import Field, Values, number, whole
from stanchion_server.costs.calculators.results import (
    Calculator,
    Line,
    Printed,
    Result,
    Table,
    ceiling,
    line,
    share,
    table,
)
from stanchion_server.costs.calculators.workload import REQUESTS, SESSIONS

MILLION = Decimal(1_000_000)
MONTH_HOURS = 720
"""30 days, as the published examples count; cloud price lists use 730."""
MOST_USD = 1_000_000
TURN = "(input tokens × input price + output tokens × output price) / 1,000,000"
DEMAND = "sessions × requests per session and hour / 60"
TOKENS = (
    whole("input_tokens", "Input tokens per request", 100, 100_000_000),
    whole("output_tokens", "Output tokens per request", 100, 100_000_000),
)
RATES = (
    number("input_usd_per_mtok", "Input, $ per million tokens", "3", MOST_USD),
    number("output_usd_per_mtok", "Output, $ per million tokens", "4", MOST_USD),
)
INSTANCE = (
    number("usd_per_instance_hour", "$ per instance and hour", "20.36", MOST_USD),
    number(
        "rpm_per_instance",
        "Requests per minute and instance, measured",
        "20",
        1_000_000_000,
        low="0.001",
        hint="with one request per batch",
    ),
    number("batching_factor", "Batching multiplies it by", "1", 1_000, low="0.01", hint="1: static batching"),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Alike instances; `rpm_per_instance` has the batching in it."""

    instances: int
    usd_per_instance_hour: Decimal
    rpm_per_instance: Decimal

    @property
    def rpm(self) -> Decimal:
        return self.instances * self.rpm_per_instance

    @property
    def usd_per_hour(self) -> Decimal:
        return self.instances * self.usd_per_instance_hour

    @property
    def usd_per_request_when_full(self) -> Decimal:
        return self.usd_per_instance_hour / (self.rpm_per_instance * 60)


def usd_per_turn(
    input_tokens: Decimal | int, output_tokens: Decimal | int, input_usd_per_mtok: Decimal, output_usd_per_mtok: Decimal
) -> Decimal:
    return (input_tokens * input_usd_per_mtok + output_tokens * output_usd_per_mtok) / MILLION


def break_even_per_hour(usd_per_hour: Decimal, usd_per_request: Decimal) -> Decimal | None:
    """Requests per hour at which an hour costs as much as the requests; None where requests are free."""
    return share(usd_per_hour, usd_per_request)


def _turn(values: Values) -> Decimal:
    return usd_per_turn(
        values.whole("input_tokens"),
        values.whole("output_tokens"),
        values.number("input_usd_per_mtok"),
        values.number("output_usd_per_mtok"),
    )


def _api(values: Values) -> Result:
    turn, per_session = _turn(values), values.number("requests_per_session_hour")
    sessions, tokens = values.whole("sessions"), values.whole("input_tokens") + values.whole("output_tokens")
    demand = workload.demand_rpm(sessions, per_session)
    hour = turn * sessions * per_session
    lines = (
        line("usd_per_turn", "A request costs", turn, "$", TURN),
        line("usd_per_hour", "An hour costs", hour, "$", "$ per request × sessions × requests per session and hour"),
        line("usd_per_month", "A month costs", hour * MONTH_HOURS, "$", f"$ per hour × {MONTH_HOURS}"),
        line("demand_rpm", "Demand", demand, "requests/min", DEMAND),
        line("demand_tpm", "Token demand", demand * tokens, "tokens/min", "demand × (input + output tokens)"),
    )
    return Result((*lines, *_against_limits(values, sessions * per_session, tokens)))


def _against_limits(values: Values, per_hour: Decimal, tokens: int) -> tuple[Line, ...]:
    rpm, tpm = values.maybe("limit_rpm"), values.maybe("limit_tpm")
    is_over, is_over_tokens = workload.is_over(per_hour, rpm), workload.is_over(per_hour * tokens, tpm)
    both = workload.effective_rpm(rpm, tpm, tokens)
    fit = workload.most_sessions(rpm, tpm, tokens, values.number("requests_per_session_hour"))
    formula = "min(requests/min, tokens/min / tokens per request)"
    return (
        line("is_over_rpm", "Over the request limit", is_over, "", "demand > requests/min"),
        line("is_over_tpm", "Over the token limit", is_over_tokens, "", "token demand > tokens/min"),
        line("effective_rpm", "Both limits let through", both, "requests/min", formula),
        line("most_sessions", "Sessions that fit", fit, "", "⌊let through × 60 / requests per session and hour⌋"),
    )


def _self_hosted(values: Values) -> Result:
    sessions, per_session = values.whole("sessions"), values.number("requests_per_session_hour")
    factor, base, price = (
        values.number(name) for name in ("batching_factor", "rpm_per_instance", "usd_per_instance_hour")
    )
    needed = workload.instances_needed(sessions, per_session, base * factor)
    told = values.maybe("instances")
    fleet = Fleet(needed if told is None else int(told), price, base * factor)
    hour, surplus = fleet.usd_per_hour, max(0, fleet.instances - needed) * price
    lines = (
        line("usd_per_hour", "An hour costs", hour, "$", "instances × $ per instance and hour"),
        line("usd_per_month", "A month costs", hour * MONTH_HOURS, "$", f"$ per hour × {MONTH_HOURS}"),
        line("instances", "Instances", fleet.instances, "", "as given, else as many as are needed"),
        line("instances_needed", "Instances needed", needed, "", "⌈demand / what one serves⌉, at least 1"),
        *_served(fleet, sessions, per_session),
        line(
            "surplus_usd_per_hour", "Paid for instances too many", surplus, "$/h", "(instances - needed) × $ per hour"
        ),
    )
    return Result(lines, (_scenarios(sessions, per_session, base, factor, price),))


def _served(fleet: Fleet, sessions: int, per_session: Decimal) -> tuple[Line, ...]:
    demand, is_over = workload.demand_rpm(sessions, per_session), workload.is_over(sessions * per_session, fleet.rpm)
    fit = workload.most_sessions(fleet.rpm, None, 0, per_session)
    each, full = share(fleet.usd_per_hour, sessions * per_session), fleet.usd_per_request_when_full
    return (
        line("demand_rpm", "Demand", demand, "requests/min", DEMAND),
        line("max_rpm", "They serve", fleet.rpm, "requests/min", "instances × requests/min per instance × batching"),
        line("is_over_rpm", "Over what they serve", is_over, "", "demand > what they serve"),
        line("used_ratio", "Used", share(demand, fleet.rpm), "%", "demand / what they serve"),
        line("most_sessions", "Sessions that fit", fit, "", "⌊they serve × 60 / requests per session and hour⌋"),
        line("usd_per_turn", "A request costs", each, "$", "$ per hour / requests of an hour"),
        line("usd_per_turn_when_full", "A request costs at full use", full, "$", "$ per hour / (they serve × 60)"),
    )


def _scenarios(sessions: int, per_session: Decimal, base: Decimal, factor: Decimal, price: Decimal) -> Table:
    def row(name: str, rpm: Decimal, instances: int | None) -> tuple[str, int, Decimal, bool, Decimal]:
        count = workload.instances_needed(sessions, per_session, rpm) if instances is None else instances
        fleet = Fleet(count, price, rpm)
        over = bool(workload.is_over(sessions * per_session, fleet.rpm))
        return name, count, fleet.rpm, over, fleet.usd_per_hour

    head = (("Scenario", ""), ("Instances", ""), ("Serves", "requests/min"), ("Over", ""), ("An hour", "$"))
    return table(
        "Side by side",
        head,
        row("One instance, no batching gain", base, 1),
        row("As many as it takes, no batching gain", base, None),
        row("One instance, with the batching given", base * factor, 1),
        row("As many as it takes, with the batching given", base * factor, None),
    )


def _break_even(values: Values) -> Result:
    turn, price = _turn(values), values.number("usd_per_instance_hour")
    fleet = Fleet(1, price, values.number("rpm_per_instance") * values.number("batching_factor"))
    capacity = fleet.rpm * 60
    meets = break_even_per_hour(price, turn)
    is_reachable = None if meets is None else meets <= capacity
    full = fleet.usd_per_request_when_full
    lines = (
        line(
            "break_even_per_hour", "Costs meet at", meets, "requests/h", "$ per instance and hour / $ per API request"
        ),
        line("capacity_per_hour", "An instance serves", capacity, "requests/h", "requests/min × batching × 60"),
        line("is_reachable", "One instance can serve that many", is_reachable, "", "costs meet ≤ what it serves"),
        line("usd_per_turn_api", "A request costs at the API", turn, "$", TURN),
        line("usd_per_turn_when_full", "A request costs at a full instance", full, "$", "$ per hour / what it serves"),
    )
    never = "Even a full instance costs more per request than the API: with these numbers self-hosting never pays."
    expected = values.number("requests_per_hour")
    return Result(
        (*lines, *_side_by_side(expected, capacity, turn, price)), (), (never,) if is_reachable is False else ()
    )


def _side_by_side(expected: Decimal, capacity: Decimal, turn: Decimal, price: Decimal) -> tuple[Line, ...]:
    """Of the requests an hour really has, on as many instances as they need."""
    count = max(1, ceiling(expected / capacity))
    api, hosted = expected * turn, count * price
    cheaper = "the API" if api < hosted else "self-hosting" if hosted < api else "the same"
    return (
        line(
            "instances", "Instances for your requests", count, "", "⌈requests per hour / what one serves⌉, at least 1"
        ),
        line("api_usd_per_hour", "API for your requests", api, "$/h", "requests per hour × $ per request"),
        line("hosted_usd_per_hour", "Self-hosting for your requests", hosted, "$/h", "instances × $ per hour"),
        line("cheaper", "Cheaper for your requests", cheaper, "", "the smaller of the two"),
    )


IDLE = "Instances cost the same whether they work or not; nights and weekends are paid."
PEOPLE = "People who run the instances, storage, traffic and a second instance for failures are not in it."
LIMITS = (
    number("limit_rpm", "Limit: requests per minute", None, 1_000_000_000, low="0.001", hint="empty: none"),
    number("limit_tpm", "Limit: tokens per minute", None, 1_000_000_000_000, low="0.001", hint="empty: none"),
)
API_COST = Calculator(
    "api-cost",
    "API cost",
    "Cost",
    "What does an API cost, and do its limits carry the sessions?",
    (*TOKENS, *RATES, SESSIONS, REQUESTS, *LIMITS),
    _api,
    (
        "Input and output tokens both count against the limit of tokens per minute.",
        "A demand exactly at a limit is within it.",
        "No cache discount, no batch discount.",
    ),
    (
        Printed(
            "56 tokens in, 80 out at $0.0015 and $0.002 per 1,000",
            "$0.272",
            "$0.000244",
            False,
            "priced per token instead of per 1,000, and the input at the price of the output",
        ),
        Printed("GPT-4 32K, 100 sessions × 100 requests an hour", "$180.00 per hour", "$180.00 per hour", True),
    ),
)
_COUNT: Field = whole("instances", "Instances", None, 1_000_000, low=1, hint="empty: as many as needed")
SELF_HOSTING = Calculator(
    "self-hosting",
    "Self-hosting",
    "Cost",
    "How many instances does the load need, and what do they cost?",
    (*INSTANCE, _COUNT, SESSIONS, REQUESTS),
    _self_hosted,
    (IDLE, PEOPLE, "Each instance serves as much as one alone did when it was measured."),
    (
        Printed(
            "Falcon-40B with continuous batching, one instance: most requests per minute",
            "20, not at its limit",
            "190, not at its limit",
            False,
            "9.5 × 20 = 190; with 20 it would be over its limit",
        ),
        Printed("14 × g5.12xlarge", "$99.26 per hour", "$99.26 per hour", True),
        Printed(
            "Capacity of one batching instance against Claude V2",
            "100 times",
            "0.63 times",
            False,
            "190 against 300 requests/min",
        ),
        Printed("Saving of that instance against Claude V2", "over 60 %", "53.4 %", False, "$20.36 against $43.70"),
    ),
)
BREAK_EVEN = Calculator(
    "break-even",
    "Break-even: API or self-hosting",
    "Cost",
    "From how many requests on is an instance cheaper than the API?",
    (*TOKENS, *RATES, *INSTANCE, number("requests_per_hour", "Your requests per hour", "10000", 1_000_000_000)),
    _break_even,
    (IDLE, PEOPLE, "Both answer equally well: only money is compared."),
)
