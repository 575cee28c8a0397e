"""How likely a claim is not supported: a small network over the features, its weights in a file beside this one."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from stanchion_guard.grounding.features import NAMES, Comparison

_PARTS = ("direct", "inner", "bias", "outer", "rest")


@cache
def _weights() -> tuple[NDArray[np.float32], ...]:
    """Made by guardrails/train/groundedness.py; rows in the order of `features.NAMES`."""
    with files(__package__).joinpath("weights.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        if tuple(stored["names"].tolist()) != NAMES:
            raise RuntimeError("grounding/weights.npz is older than the features: run guardrails/train/groundedness.py")
        return tuple(stored[part] for part in _PARTS)


def unsupported(comparison: Comparison) -> float:
    """0..1; 1 = nothing in the evidence speaks for the claim, or something speaks against it."""
    direct, inner, bias, outer, rest = _weights()
    values = np.array(comparison.values, dtype=np.float32)
    total = float(values @ direct + np.tanh(values @ inner + bias) @ outer + rest)
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, total))))
