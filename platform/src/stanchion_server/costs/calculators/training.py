"""What it takes to train a model, by published scaling laws. Pure: orders of magnitude, not offers."""

from __future__ import annotations

from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, number, whole
from stanchion_server.costs.calculators.results import Calculator, Printed, Result, ceiling, line

DAY_S = 86_400
FLOPS_PER_PARAMETER_TOKEN = 6
"""Forward and backward pass (Kaplan et al., "Scaling Laws for Neural Language Models", 2020)."""
LOSS_A, LOSS_B, LOSS_E = Decimal("406.4"), Decimal("410.7"), Decimal("1.69")
LOSS_ALPHA, LOSS_BETA = Decimal("0.34"), Decimal("0.28")
"""Hoffmann et al., "Training Compute-Optimal Large Language Models", 2022, equation 10."""


def flops(parameters: Decimal, tokens: Decimal) -> Decimal:
    return FLOPS_PER_PARAMETER_TOKEN * parameters * tokens


def optimal_flops(parameters: Decimal, exponent: Decimal = Decimal("0.46")) -> Decimal:
    """The compute for which this size is the best: the inverse of parameters = compute ^ exponent."""
    return parameters ** (1 / exponent)


def days(flop: Decimal, gpus: int, flops_per_gpu_s: Decimal) -> Decimal:
    return flop / (gpus * flops_per_gpu_s) / DAY_S


def gpus_needed(flop: Decimal, for_days: Decimal, flops_per_gpu_s: Decimal) -> int:
    return ceiling(flop / (for_days * DAY_S * flops_per_gpu_s))


def usd(for_days: Decimal, gpus: int, gpus_per_node: int, usd_per_node_hour: Decimal) -> Decimal:
    """Whole nodes for all of the time."""
    return for_days * 24 * -(-gpus // gpus_per_node) * usd_per_node_hour


def loss(parameters: Decimal, tokens: Decimal, alpha: Decimal = LOSS_ALPHA, beta: Decimal = LOSS_BETA) -> Decimal:
    return LOSS_E + LOSS_A / parameters**alpha + LOSS_B / tokens**beta


def _compute(values: Values) -> Result:
    parameters, tokens = values.number("parameters_billion") * 10**9, values.number("tokens_billion") * 10**9
    gpus, per_node, rate = values.whole("gpus"), values.whole("gpus_per_node"), values.number("tflops_per_gpu") * 10**12
    flop = flops(parameters, tokens)
    took = days(flop, gpus, rate)
    return Result(
        (
            line("days", "It takes", took, "days", "6 × parameters × tokens / (GPUs × FLOP per second) / 86,400"),
            line(
                "usd",
                "It costs",
                usd(took, gpus, per_node, values.number("usd_per_node_hour")),
                "$",
                "days × 24 × ⌈GPUs / GPUs per node⌉ × $ per node and hour",
            ),
            line("gpu_hours", "GPU-hours", took * 24 * gpus, "h", "days × 24 × GPUs"),
            line("petaflop", "Compute", flop / 10**15, "PFLOP", "6 × parameters × tokens"),
            line(
                "gpus_in_100_days",
                "GPUs to be done in 100 days",
                gpus_needed(flop, Decimal(100), rate),
                "",
                "⌈compute / (100 days × FLOP per second)⌉",
            ),
            line(
                "tokens_at_optimum_billion",
                "Tokens for which this size is the best",
                optimal_flops(parameters) / (FLOPS_PER_PARAMETER_TOKEN * parameters) / 10**9,
                "billion",
                "parameters ^ (1 / 0.46) / (6 × parameters)",
            ),
            line(
                "loss",
                "Loss to expect",
                loss(parameters, tokens),
                "nats/token",
                "1.69 + 406.4 / parameters^0.34 + 410.7 / tokens^0.28",
            ),
        )
    )


TRAINING = Calculator(
    "training",
    "Training",
    "Capacity",
    "How long does training take, and what does it cost?",
    (
        number("parameters_billion", "Parameters, billion", "40", 1_000_000, low="0.001"),
        number("tokens_billion", "Tokens, billion", "465", 10_000_000, low="0.001"),
        whole("gpus", "GPUs", 256, 10_000_000, low=1),
        number(
            "tflops_per_gpu",
            "TFLOP/s per GPU that are reached",
            "150",
            100_000,
            low="0.001",
            hint="about half of what is printed on it",
        ),
        whole("gpus_per_node", "GPUs per node", 8, 1_000, low=1),
        number("usd_per_node_hour", "$ per node and hour", "32.7726", 1_000_000),
    ),
    _compute,
    ("One run without failures, restarts or experiments before it.", "Scaling laws hold for dense models."),
    (
        Printed(
            "40 billion parameters, SageMaker, 33 days",
            "$955,000",
            "$853,789",
            False,
            "that price per hour stands two pages later",
        ),
        Printed("Tokens for 40 billion parameters", "850 billion", "465 billion", False, "compute / (6 × parameters)"),
        Printed(
            "1 T parameters × 1 T tokens in 100 days",
            "2,225 GPUs in 278 nodes",
            "2,226 GPUs in 279 nodes",
            False,
            "278 × 8 = 2,224",
        ),
        Printed("Exponents of the loss", "0.46 and 0.54", "0.34 and 0.28", False, "Hoffmann et al., 2022"),
    ),
)
