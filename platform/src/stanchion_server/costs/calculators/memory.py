"""Memory of a model: weights, inference, training, adapters, and whether it fits a card. Pure; bytes, 1 GiB = 2^30."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, choice, number, whole
from stanchion_server.costs.calculators.results import (
    Calculator,
    Line,
    Number,
    Printed,
    Result,
    Table,
    ceiling,
    line,
    share,
    table,
)
from stanchion_server.kernel.errors import SenderError

GIB = Decimal(2**30)
MIB = Decimal(2**20)
BYTES_PER_PARAMETER = {
    "fp32": Decimal(4),
    "bf16": Decimal(2),
    "fp16": Decimal(2),
    "fp8": Decimal(1),
    "int8": Decimal(1),
    "int4": Decimal("0.5"),
}
INFERENCE_FACTOR = Decimal("1.2")
"""What a model takes beyond its weights when it answers, as a share of them: activations and buffers, without the KV
cache. EleutherAI, "Transformer Math 101" (2023): at most 20 % is usual."""
CONTEXT_BYTES = 119 * MIB
"""What a process takes before it loads anything: measured on a Tesla T4 with CUDA 11.8 and driver
470.57 in 2023; others take more."""
OPTIMIZER_BYTES = 8
"""Adam keeps two moments in fp32 per parameter that is trained (Kingma and Ba, 2015)."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a model takes."""

    weights: Decimal
    inference: Decimal
    training: Decimal
    adapter_training: Decimal


def need(
    parameters: Decimal,
    dtype: str,
    inference_factor: Decimal = INFERENCE_FACTOR,
    training_factor: Decimal = Decimal(4),
    trained_ratio: Decimal = Decimal("0.02"),
) -> Need:
    """`training_factor` multiplies the weights; `trained_ratio` is the share of parameters that an adapter trains."""
    weights = parameters * BYTES_PER_PARAMETER[dtype]
    adapter = parameters * trained_ratio * OPTIMIZER_BYTES
    return Need(weights, weights * inference_factor, weights * training_factor, (weights + adapter) * inference_factor)


def cards_needed(bytes_: Decimal, card_bytes: Decimal) -> int:
    """As if a model could be cut anywhere: a real split needs a whole share of heads and layers on each card."""
    return max(1, ceiling(bytes_ / card_bytes))


def fits(bytes_: Decimal, card_bytes: Decimal) -> bool:
    return bytes_ <= card_bytes


def _compute(values: Values) -> Result:
    parameters, dtype = values.number("parameters_billion") * 10**9, values.text("dtype")
    factors = values.number("inference_factor"), values.number("training_factor"), values.number("trained_ratio")
    found = need(parameters, dtype, *factors)
    card, cards = values.number("card_gib") * GIB, values.whole("cards")
    usable = card - values.number("context_mib") * MIB
    needed = cards_needed(found.inference, usable) if usable > 0 else None
    left = usable * cards - found.inference
    adapter = "(weights + parameters × trained share × 8 bytes) × inference factor"
    lines = (
        line("fits", "Fits", left >= 0, "", "inference ≤ (memory - context) × cards"),
        line("inference_gib", "Inference", found.inference / GIB, "GiB", "weights × inference factor"),
        line("weights_gib", "Weights", found.weights / GIB, "GiB", "parameters × bytes per parameter / 2^30"),
        line("headroom_gib", "Left for the KV cache", left / GIB, "GiB", "(memory - context) × cards - inference"),
        line("cards_needed", "Cards needed", needed, "", "⌈inference / (memory - context)⌉"),
        line("training_gib", "Training all of it", found.training / GIB, "GiB", "weights × training factor"),
        line("adapter_gib", "Training an adapter (LoRA)", found.adapter_training / GIB, "GiB", adapter),
    )
    return Result(lines, (_by_dtype(parameters, factors, card),))


def _by_dtype(parameters: Decimal, factors: tuple[Decimal, Decimal, Decimal], card: Decimal) -> Table:
    """Cards here are counted without a context, as published tables do."""
    head = (
        ("Type", ""), ("Weights", "GiB"), ("Inference", "GiB"), ("Cards", ""), ("Training", "GiB"), ("Cards", ""),
        ("Adapter", "GiB"), ("Cards", ""),
    )  # fmt: skip
    rows = [_row(name, parameters, factors, card) for name in BYTES_PER_PARAMETER]
    return table("By type of number, without context", head, *rows)


def _row(
    dtype: str, parameters: Decimal, factors: tuple[Decimal, Decimal, Decimal], card: Decimal
) -> tuple[Number, ...]:
    one = need(parameters, dtype, *factors)
    return (
        dtype,
        one.weights / GIB,
        one.inference / GIB,
        cards_needed(one.inference, card),
        one.training / GIB,
        cards_needed(one.training, card),
        one.adapter_training / GIB,
        cards_needed(one.adapter_training, card),
    )


def kv_bytes_per_token(layers: int, kv_width: Decimal, value_bytes: Decimal) -> Decimal:
    """A key and a value per layer; `kv_width` is heads × size of a head, less where heads share keys and values."""
    return 2 * layers * kv_width * value_bytes


def requests_that_fit(free_bytes: Decimal, tokens: int, bytes_per_token: Decimal) -> int:
    return max(0, int(free_bytes / (tokens * bytes_per_token)))


def blocks(tokens: int, block_tokens: int) -> int:
    return -(-tokens // block_tokens)


def unused_slots(tokens: int, block_tokens: int) -> int:
    return blocks(tokens, block_tokens) * block_tokens - tokens


def reserved_waste_ratio(tokens: int, reserved: int) -> Decimal:
    """Of a reservation in one piece, what the tokens do not use."""
    return 1 - Decimal(tokens) / reserved


def window(token: int, sinks: int, recent: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of a stream with attention sinks: the tokens in the cache while `token` is decoded, and the positions that they
    and it are given. Tokens count from 0; positions are those in the cache, not in the stream."""
    first = max(min(sinks, token), token - recent)
    kept = (*range(min(sinks, token)), *range(first, token))
    return kept, tuple(range(len(kept) + 1))


def _kv(values: Values) -> Result:
    layers, heads, kv_heads = values.whole("layers"), values.whole("heads"), values.whole("kv_heads")
    if kv_heads > heads:
        raise SenderError("bad_value", f"kv_heads={kv_heads} must be at most heads={heads}.")
    width = values.number("hidden") * kv_heads / heads
    each = kv_bytes_per_token(layers, width, BYTES_PER_PARAMETER[values.text("kv_dtype")])
    tokens, free = values.whole("context_tokens"), (values.number("card_gib") - values.number("weights_gib")) * GIB
    request, fit, most = each * tokens, requests_that_fit(free, tokens, each), max(0, int(free / each))
    formula = "2 × layers × hidden × KV heads / heads × bytes / 1024"
    lines = (
        line("requests", "Requests of full length that fit", fit, "", "⌊(memory - weights) / (tokens × bytes)⌋"),
        line("kib_per_token", "A token takes", each / 1024, "KiB", formula),
        line("gib_per_request", "A request takes", request / GIB, "GiB", "tokens × bytes per token / 2^30"),
        line("gb_per_request", "The same in decimal units", request / 10**9, "GB", "tokens × bytes per token / 10^9"),
        line("tokens_that_fit", "Tokens that fit", most, "tokens", "⌊(memory - weights) / bytes per token⌋"),
    )
    note = ("The weights alone take more than the card has.",) if free < 0 else ()
    return Result((*lines, *_wasted(values.whole("used_tokens"), tokens, values.whole("block_tokens"))), (), note)


def _wasted(used: int, reserved: int, block: int) -> tuple[Line, ...]:
    slots = blocks(used, block) * block
    whole, paged = reserved_waste_ratio(min(used, reserved), reserved), share(slots - used, slots)
    return (
        line("reserved_waste_ratio", "Unused if the full length is reserved", whole, "%", "1 - used / reserved"),
        line("blocks", "Blocks that are used instead", blocks(used, block), "", "⌈tokens used / tokens per block⌉"),
        line("paged_waste_ratio", "Unused with blocks", paged, "%", "(slots of the blocks - tokens used) / slots"),
    )


def _window(values: Values) -> Result:
    kept, positions = window(values.whole("token"), values.whole("sinks"), values.whole("recent"))
    return Result(
        (
            line("kept", "Tokens in the cache", " ".join(map(str, kept)), "", "the first ones and the newest"),
            line(
                "positions", "Their positions, and the new token's", f"0 to {positions[-1]}", "", "places in the cache"
            ),
            line("count", "Cached", len(kept), "tokens", "min(tokens so far, sinks + window)"),
            line("dropped", "Dropped", values.whole("token") - len(kept), "tokens", "tokens so far - cached"),
        )
    )


CARD = number("card_gib", "Memory of a card, GiB", "24", 100_000, low="0.1")
MEMORY = Calculator(
    "memory",
    "Model memory",
    "Capacity",
    "Does a model fit, and how many cards does it need?",
    (
        number("parameters_billion", "Parameters, billion", "7", 100_000, low="0.001"),
        choice("dtype", "Type of its numbers", "fp16", tuple(BYTES_PER_PARAMETER)),
        CARD,
        whole("cards", "Cards", 1, 100_000, low=1),
        number("inference_factor", "Inference factor", "1.2", 10, low=1, hint="weights × this, without KV cache"),
        number("training_factor", "Training factor", "4", 100, low=1, hint="4 to 6 × the weights with Adam"),
        number("trained_ratio", "Share that an adapter trains, 0 to 1", "0.02", 1),
        number("context_mib", "Context of a process, MiB", "119", 100_000, hint="before anything is loaded"),
    ),
    _compute,
    (
        "A card's memory is taken as GiB; what “24 GB” leaves usable is about 22.5.",
        "Without KV cache: see “KV cache”.",
        "A model can be cut anywhere between cards; real splits need whole heads and layers.",
    ),
    (
        Printed("Falcon-40B in fp16, weights", "79.93 GB", "76.93 GiB", False, "half of 153.87"),
        Printed(
            "Falcon-40B in fp16 with an adapter on V100 with 32 GB", "3 cards", "4 cards", False, "100.25 / 32 = 3.13"
        ),
        Printed("phi-2", "2 billion parameters", "2.7 billion", False, "its model card; 10.06 GiB in fp32"),
        Printed(
            "Memory of training against inference",
            "4 to 6 times",
            "3.33 times",
            False,
            "the table takes 4 × the weights, and inference is 1.2 × them",
        ),
        Printed(
            "GPT-2 and OPT-1.3b in memory",
            "0.64 and 5.56 GB",
            "0.61 and 5.81 GiB",
            False,
            "measured, beside rows that are estimated",
        ),
        Printed("Adapter of Falcon-40B in fp32", "192.57 GB", "192.03 GiB", False, "adds 10^9 bytes to GiB"),
    ),
)
KV_CACHE = Calculator(
    "kv-cache",
    "KV cache",
    "Capacity",
    "How many requests fit at a time beside the weights?",
    (
        whole("layers", "Layers", 40, 10_000, low=1),
        whole("hidden", "Hidden size", 5120, 1_000_000, low=1),
        whole("heads", "Attention heads", 40, 10_000, low=1),
        whole("kv_heads", "Key-value heads", 40, 10_000, low=1, hint="fewer with grouped queries"),
        choice("kv_dtype", "Type of the cache", "fp16", tuple(BYTES_PER_PARAMETER)),
        whole("context_tokens", "Tokens of a full request", 2048, 100_000_000, low=1),
        number("card_gib", "Memory, GiB", "40", 100_000, low="0.1"),
        number("weights_gib", "Weights and overhead, GiB", "24.2", 100_000),
        whole("block_tokens", "Tokens per block", 16, 100_000, low=1),
        whole("used_tokens", "Tokens that a request uses", 50, 100_000_000, low=1),
    ),
    _kv,
    ("Sliding windows and compressed caches take less.",),
    (
        Printed("OPT-13B, 2,048 tokens", "1.6 GB", "1.68 GB = 1.56 GiB", True, "binary units"),
        Printed("GPT-NeoX-20B, 2,048 tokens", "2.2 GB", "2.21 GB = 2.06 GiB", True, "decimal units"),
    ),
)
WINDOW = Calculator(
    "stream-window",
    "Endless streams",
    "Capacity",
    "Which tokens does a cache with attention sinks keep?",
    (
        whole("token", "Token that is decoded, counted from 0", 9, 10_000_000),
        whole("sinks", "Attention sinks", 4, 64, hint="the first tokens, always kept"),
        whole("recent", "Window of the newest", 3, 256),
    ),
    _window,
    ("What fell out of the window is forgotten: the model reads on, but does not remember.",),
)
