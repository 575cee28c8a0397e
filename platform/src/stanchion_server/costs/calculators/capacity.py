"""Which models fit which cards, and how many full requests fit beside them. Pure.

Shapes and context lengths were compared with LitGPT 0.5.13 (`config.py`), GPT-NeoX with transformers 5.24.0 (its
configuration's defaults), OPT with four public copies of its layer counts; parameters were computed from the same
configurations and agree to the digits given. All 2026-11-26.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators import memory
from stanchion_server.costs.calculators.memory import BYTES_PER_PARAMETER, CONTEXT_BYTES

MOST_CARDS = 64
"""More than that are several replicas, not one model."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`context_tokens` is the longest request; `published` the month of the configuration."""

    name: str
    parameters_billion: Decimal
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    context_tokens: int
    published: str

    @property
    def kv_width(self) -> Decimal:
        return Decimal(self.hidden) * self.kv_heads / self.heads


@dataclass(frozen=True, slots=True)
class CardType:
    """`memory_bytes` as the driver reports it."""

    name: str
    memory_bytes: Decimal


@dataclass(frozen=True, slots=True)
class Fit:
    """On the fewest cards of a type. `cards` is None beyond MOST_CARDS; `left_bytes` is what the KV cache may take on
    all of them, `requests` how many full requests that holds."""

    card: CardType
    cards: int | None
    left_bytes: Decimal
    requests: int

    @property
    def is_on_one(self) -> bool:
        return self.cards == 1


def _shape(
    name: str, billion: str, layers: int, hidden: int, heads: int, kv_heads: int, context: int, published: str
) -> Shape:
    return Shape(name, Decimal(billion), layers, hidden, heads, kv_heads, context, published)


PRESETS = (
    _shape("meta-llama/Llama-3.1-8B", "8.03", 32, 4096, 32, 8, 131_072, "2024-07"),
    _shape("meta-llama/Llama-3.1-70B", "70.55", 80, 8192, 64, 8, 131_072, "2024-07"),
    _shape("mistralai/Mistral-7B-v0.3", "7.25", 32, 4096, 32, 8, 32_768, "2024-05"),
    _shape("mistralai/Mixtral-8x7B-v0.1", "46.7", 32, 4096, 32, 8, 32_768, "2023-12"),
    _shape("Qwen/Qwen2.5-7B", "7.62", 28, 3584, 28, 4, 131_072, "2024-09"),
    _shape("Qwen/Qwen2.5-32B", "32.8", 64, 5120, 40, 8, 131_072, "2024-09"),
    _shape("Qwen/Qwen2.5-72B", "72.7", 80, 8192, 64, 8, 131_072, "2024-09"),
    _shape("meta-llama/Llama-2-7b", "6.74", 32, 4096, 32, 32, 4_096, "2023-07"),
    _shape("meta-llama/Llama-2-13b", "13.0", 40, 5120, 40, 40, 4_096, "2023-07"),
    _shape("meta-llama/Llama-2-70b", "69.0", 80, 8192, 64, 8, 4_096, "2023-07"),
    _shape("tiiuae/falcon-40b", "41.3", 60, 8192, 128, 8, 2_048, "2023-05"),
    _shape("microsoft/phi-2", "2.78", 32, 2560, 32, 32, 2_048, "2023-12"),
    _shape("EleutherAI/gpt-neox-20b", "20.6", 44, 6144, 64, 64, 2_048, "2022-04"),
    _shape("facebook/opt-13b", "12.9", 40, 5120, 40, 40, 2_048, "2022-05"),
)
CARD_TYPES = tuple(
    CardType(name, Decimal(mib * 1024**2))
    for name, mib in (
        ("Tesla T4, 16 GB", 15_360), ("L4 or A10G, 24 GB", 23_034), ("L40S, 48 GB", 46_068), ("A100, 40 GB", 40_960),
        ("A100 or H100, 80 GB", 81_559), ("H200, 141 GB", 143_771),
    )
)  # fmt: skip
"""What nvidia-smi of today's drivers tells, by its output in public repositories (read 2026-11-26): cards with GDDR
memory keep a sixteenth for ECC. The A10G was not found and taken for an L4, the A100 of 80 GB has 81,920 MiB."""


def fit(shape: Shape, dtype: str, kv_dtype: str, context_tokens: int, card: CardType) -> Fit:
    """The fewest cards whose memory holds weights, their overhead, a process on each card, and one full request."""
    need = memory.need(shape.parameters_billion * 10**9, dtype).inference
    request = context_tokens * kv_bytes(shape, kv_dtype)
    own = card.memory_bytes - CONTEXT_BYTES
    if own <= 0 or need + request > own * MOST_CARDS:
        return Fit(card, None, Decimal(0), 0)
    cards = memory.cards_needed(need + request, own)
    left = own * cards - need
    return Fit(card, cards, left, int(left / request))


def kv_bytes(shape: Shape, kv_dtype: str) -> Decimal:
    return memory.kv_bytes_per_token(shape.layers, shape.kv_width, BYTES_PER_PARAMETER[kv_dtype])
