"""What cards draw, and what that costs and emits. Pure."""

from __future__ import annotations

from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, number
from stanchion_server.costs.calculators.results import Calculator, Result, line

CAR_LIFETIME_KG = Decimal(57_153)
"""126,000 lb, fuel included (Strubell et al., "Energy and Policy Considerations for Deep Learning in NLP", 2019)."""


def energy_kwh(watts: Decimal, hours: Decimal) -> Decimal:
    return watts * hours / 1000


def _energy(values: Values) -> Result:
    kwh = energy_kwh(values.number("watts") * values.number("cards"), values.number("hours")) * values.number("pue")
    return Result(
        (
            line("kwh", "Energy", kwh, "kWh", "watts × cards × hours / 1000 × PUE"),
            line("usd", "It costs", kwh * values.number("usd_per_kwh"), "$", "kWh × $ per kWh"),
            line("co2e_kg", "CO2e", kwh * values.number("grid_g_per_kwh") / 1000, "kg", "kWh × g per kWh / 1000"),
            line(
                "car_lifetimes",
                "In lifetimes of a car",
                kwh * values.number("grid_g_per_kwh") / 1000 / CAR_LIFETIME_KG,
                "",
                "CO2e / 57,153 kg",
            ),
        )
    )


ENERGY = Calculator(
    "energy",
    "Energy and CO2e",
    "Capacity",
    "What do cards draw, and what does that emit?",
    (
        number("watts", "Watts per card", "25", 100_000, hint="a Tesla T4: 25 idle, 70 at its cap"),
        number("cards", "Cards", "1", 10_000_000),
        number("hours", "Hours", "24", 1_000_000),
        number("pue", "PUE", "1", 10, low=1),
        number("usd_per_kwh", "$ per kWh", "0.15", 1_000),
        number("grid_g_per_kwh", "Grid, g CO2e per kWh", "400", 10_000),
    ),
    _energy,
    (
        "Without hosts, network and the making of the hardware.",
        "A car's lifetime with its fuel: 126,000 lb CO2e (Strubell et al., 2019).",
    ),
)
